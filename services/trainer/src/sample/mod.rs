//! The project's own sample corpus: messages to a shop's customer support, in English and
//! Chinese, made by a grammar. Every text is invented, personal data included.

mod chinese;
mod english;
mod grammar;
mod personal;

use std::{collections::HashSet, path::Path};

use anyhow::{Context as _, Result, ensure};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};

use self::personal::pick;

/// What a language's module says about one label.
struct Phrases {
    /// One of these makes the label.
    cores: &'static [&'static str],
    /// One of these may follow.
    extras: &'static [&'static str],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    English,
    Chinese,
}

/// A text and its label.
type Row = (String, &'static str);

/// Different texts for each label in each language.
const TEXTS: usize = 320;
/// Texts drawn before giving up on finding enough different ones.
const DRAWS_MAX: usize = TEXTS * 50;

/// Writes the corpus as CSV with the header `text,label`. The same seed gives the same bytes.
pub(crate) fn write(path: &Path, seed: u64) -> Result<usize> {
    let rows = rows(seed)?;
    let mut csv = csv::Writer::from_path(path)
        .with_context(|| format!("`{}` cannot be written", path.display()))?;
    csv.write_record(["text", "label"])?;
    for (text, label) in &rows {
        csv.write_record([text.as_str(), label])?;
    }
    csv.flush()?;
    Ok(rows.len())
}

pub(crate) fn rows(seed: u64) -> Result<Vec<Row>> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut rows = Vec::new();
    for language in [Language::English, Language::Chinese] {
        let labels = match language {
            Language::English => english::LABELS,
            Language::Chinese => chinese::LABELS,
        };
        for (label, phrases) in labels {
            let mut seen = HashSet::new();
            for _ in 0..DRAWS_MAX {
                if seen.len() == TEXTS {
                    break;
                }
                let text = sentence(language, phrases, &mut random);
                if seen.insert(text.clone()) {
                    rows.push((text, *label));
                }
            }
            ensure!(seen.len() == TEXTS, "the grammar has too few texts for `{label}`");
        }
    }
    rows.shuffle(&mut random);
    Ok(rows)
}

fn sentence(language: Language, phrases: &Phrases, random: &mut StdRng) -> String {
    let (openers, closers, personal) = match language {
        Language::English => (english::OPENERS, english::CLOSERS, english::PERSONAL),
        Language::Chinese => (chinese::OPENERS, chinese::CLOSERS, chinese::PERSONAL),
    };
    let mut template = String::from(pick(openers, random));
    template.push_str(pick(phrases.cores, random));
    if random.random_bool(0.5) {
        template.push_str(pick(phrases.extras, random));
    }
    if random.random_bool(0.3) {
        template.push_str(pick(personal, random));
    }
    template.push_str(pick(closers, random));
    // A tenant whose texts are redacted must get the same labels, so both forms are learned.
    let redacted = random.random_bool(0.4);
    let text = grammar::expand(&template, language, redacted, random);
    if random.random_bool(0.6) { capitalised(&text) } else { text }
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + characters.as_str()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const REDACTED: [&str; 6] = [
        "[EMAIL_ADDRESS]",
        "[PHONE_NUMBER]",
        "[IBAN_CODE]",
        "[CREDIT_CARD]",
        "[IP_ADDRESS]",
        "[CN_RESIDENT_ID]",
    ];

    #[test]
    fn every_label_has_hundreds_of_different_texts_in_both_languages() {
        let rows = rows(1).unwrap();
        let mut by_label: BTreeMap<&str, HashSet<&str>> = BTreeMap::new();
        for (text, label) in &rows {
            by_label.entry(label).or_default().insert(text);
        }
        assert!(by_label.len() >= 6, "{:?}", by_label.keys());
        for (label, texts) in by_label {
            assert!(texts.len() >= 400, "{label}: {}", texts.len());
            let chinese = texts
                .iter()
                .filter(|text| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)))
                .count();
            assert!(chinese >= 200 && texts.len() - chinese >= 200, "{label}: {chinese} Chinese");
        }
    }

    #[test]
    fn every_kind_is_there_both_plain_and_redacted_and_no_template_is_left() {
        let rows = rows(1).unwrap();
        for kind in REDACTED {
            let count = rows.iter().filter(|(text, _)| text.contains(kind)).count();
            assert!(count >= 10, "{kind}: {count}");
        }
        for plain in ["@example.", "+44 1632 960", "DE", "192.0.2.", "4000 00", "110101190"] {
            assert!(rows.iter().any(|(text, _)| text.contains(plain)), "{plain}");
        }
        for (text, _) in &rows {
            assert!(!text.contains(['{', '}', '<', '>', '|']), "{text}");
        }
    }

    #[test]
    fn a_seed_gives_one_corpus_and_another_seed_another() {
        assert_eq!(rows(7).unwrap(), rows(7).unwrap());
        assert_ne!(rows(7).unwrap(), rows(8).unwrap());
    }
}
