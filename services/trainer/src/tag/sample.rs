//! Labelled texts that are made up: names, places, organisations and addresses in the sentences
//! that people write around them, in English and Chinese. Half of the names are composed of
//! syllables, so that a model learns from what stands around a name, and not names by heart.

use std::ops::Range;

use anyhow::Result;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use reeve_classifier::TaggedText;

use super::phrases::{
    ASIDES, CHINESE, CITIES, CITIES_ZH, COUNTRIES, COUNTRIES_ZH, DISTRICTS_ZH, ENGLISH, FIRST,
    GIVEN_ZH, LAST, ROADS_ZH, STREETS, SURNAMES_ZH, SYLLABLES, TRADES_ZH,
};

/// As many texts, the same for the same seed. A third are messages of the other sample, in which
/// nobody is named: they teach the words that are no names.
pub(super) fn texts(count: usize, seed: u64) -> Result<Vec<TaggedText>> {
    let mut random = StdRng::seed_from_u64(seed);
    let messages = crate::sample::rows(seed)?;
    Ok((0..count)
        .map(|at| {
            if at % 3 == 0 {
                let place = random.random_range(0..messages.len());
                let text = messages.get(place).map_or_else(String::new, |(text, _)| text.clone());
                return TaggedText { text, spans: Vec::new() };
            }
            let chinese = random.random_bool(0.25);
            let templates = if chinese { CHINESE } else { ENGLISH };
            let template = pick(templates, &mut random);
            let mut text = expand(template, chinese, &mut random);
            // People write more than one sentence.
            let sentences = if random.random_bool(0.4) { random.random_range(1..12) } else { 0 };
            for _ in 0..sentences {
                let more = expand(pick(templates, &mut random), chinese, &mut random);
                text = joined(text, more);
            }
            text
        })
        .collect())
}

fn joined(mut first: TaggedText, second: TaggedText) -> TaggedText {
    first.text.push(' ');
    let shift = first.text.chars().count();
    first.text.push_str(&second.text);
    let moved = second.spans.into_iter();
    first.spans.extend(moved.map(|(kind, at)| (kind, at.start + shift..at.end + shift)));
    first
}

fn expand(template: &str, chinese: bool, random: &mut StdRng) -> TaggedText {
    let (mut text, mut length) = (String::new(), 0);
    let mut spans: Vec<(String, Range<usize>)> = Vec::new();
    let mut rest = template;
    while let Some(at) = rest.find(['<', '{']) {
        let (before, holed) = rest.split_at(at);
        let close = if holed.starts_with('<') { '>' } else { '}' };
        let Some((hole, after)) = holed.get(1..).and_then(|hole| hole.split_once(close)) else {
            break;
        };
        let (value, kind) = if close == '}' {
            let choices: Vec<&str> = hole.split('|').collect();
            (pick(&choices, random).to_owned(), None)
        } else if chinese {
            value_zh(hole, random)
        } else {
            value(hole, random)
        };
        text.push_str(before);
        text.push_str(&value);
        length += before.chars().count();
        let end = length + value.chars().count();
        if let Some(kind) = kind {
            spans.push((kind.to_owned(), length..end));
        }
        length = end;
        if random.random_bool(0.2) && close == '>' {
            // People put things between, and what was taken out before leaves its marks.
            let aside = pick(ASIDES, random);
            text.push_str(aside);
            length += aside.chars().count();
        }
        rest = after;
    }
    text.push_str(rest);
    TaggedText { text, spans }
}

fn pick<'a>(all: &[&'a str], random: &mut StdRng) -> &'a str {
    all.get(random.random_range(0..all.len())).copied().unwrap_or_default()
}

/// A word with a capital, of one to three syllables.
fn made(random: &mut StdRng) -> String {
    let syllables = random.random_range(1..4);
    let word: String = (0..=syllables).map(|_| pick(SYLLABLES, random)).collect();
    let mut characters = word.chars();
    characters.next().map_or(String::new(), |c| c.to_uppercase().chain(characters).collect())
}

fn either(known: &[&str], random: &mut StdRng) -> String {
    if random.random_bool(0.5) { pick(known, random).to_owned() } else { made(random) }
}

fn value(hole: &str, random: &mut StdRng) -> (String, Option<&'static str>) {
    match hole {
        "name" => {
            let (first, last) = (either(FIRST, random), either(LAST, random));
            let name = match random.random_range(0..12) {
                0..7 => format!("{first} {last}"),
                7 => format!("{first} {}. {last}", char::from(b'A' + random.random_range(0..26))),
                8 => format!("{first} {last}-{}", either(LAST, random)),
                9 => format!("{first} {} {last}", either(FIRST, random)),
                10 => first,
                _ => format!("{first} {last}").to_lowercase(),
            };
            (name, Some("PERSON"))
        }
        "first" => (either(FIRST, random), Some("PERSON")),
        "last" => (either(LAST, random), Some("PERSON")),
        "city" => {
            let city = if random.random_bool(0.75) {
                pick(CITIES, random).to_owned()
            } else {
                made(random)
            };
            (city, Some("GPE"))
        }
        "country" => (pick(COUNTRIES, random).to_owned(), Some("GPE")),
        "org" => {
            let name = either(LAST, random);
            let organisation = match random.random_range(0..8) {
                0 => format!("{name} & {}", either(LAST, random)),
                1 => format!("{name} Inc."),
                2 => format!("{name} GmbH"),
                3 => format!(
                    "{name} {}",
                    pick(&["Bank", "Group", "Hospital", "Ltd", "Partners"], random)
                ),
                4 => format!("University of {}", pick(CITIES, random)),
                5 => format!("The {name} Orchestra"),
                6 => format!("{name}, {} and {}", either(LAST, random), either(LAST, random)),
                _ => format!(
                    "{} {}",
                    made(random),
                    pick(&["Corp", "Industries", "Foods", "LLC"], random)
                ),
            };
            (organisation, Some("ORGANIZATION"))
        }
        "address" => (address(random), Some("STREET_ADDRESS")),
        "number" => (random.random_range(2..99_999).to_string(), None),
        "date" => {
            let (day, month) = (random.random_range(1..29), random.random_range(1..13));
            (format!("{day}/{month}/20{:02}", random.random_range(10..27)), None)
        }
        _ => {
            let kinds = ["PHONE_NUMBER", "EMAIL_ADDRESS", "CREDIT_CARD", "IBAN_CODE", "DATE_TIME"];
            (format!("[{}]", pick(&kinds, random)), None)
        }
    }
}

fn address(random: &mut StdRng) -> String {
    let street = either(STREETS, random);
    let number = random.random_range(1..9_999);
    let small = random.random_range(1..200);
    let city = if random.random_bool(0.6) { pick(CITIES, random).to_owned() } else { made(random) };
    let zip = random.random_range(10_000..99_999);
    let separator = pick(&[", ", "\n", " "], random);
    let kind =
        pick(&["Street", "St", "Avenue", "Ave", "Road", "Rd", "Lane", "Drive", "Blvd"], random);
    match random.random_range(0..8) {
        0 => format!("{number} {street} {kind}"),
        1 => format!("{number} {street} {kind}{separator}{city}"),
        2 => format!(
            "{number} {street} {kind}{separator}{city}, {} {zip}",
            pick(&["NY", "CA", "TX", "MI", "OR"], random)
        ),
        3 => format!(
            "{number} {street} {kind}{separator}Suite {small}{separator}{city}{separator}{} {zip}",
            pick(COUNTRIES, random)
        ),
        4 => format!("{street}straße {small}{separator}{zip} {city}"),
        5 => format!("{small} rue {street}{separator}{zip} {city}"),
        6 => format!("Flat {small}{separator}{number} {street} {kind}{separator}{city}"),
        _ => format!("{street} {small}{separator}{city} {zip}"),
    }
}

fn value_zh(hole: &str, random: &mut StdRng) -> (String, Option<&'static str>) {
    let mut one = |from: &str| {
        let all: Vec<char> = from.chars().collect();
        all.get(random.random_range(0..all.len())).copied().unwrap_or('王')
    };
    match hole {
        "name" => {
            let (last, first, second) = (one(SURNAMES_ZH), one(GIVEN_ZH), one(GIVEN_ZH));
            let short = random.random_bool(0.3);
            (
                if short { format!("{last}{first}") } else { format!("{last}{first}{second}") },
                Some("PERSON"),
            )
        }
        "city" => {
            (format!("{}{}", pick(CITIES_ZH, random), pick(&["", "市"], random)), Some("GPE"))
        }
        "country" => (pick(COUNTRIES_ZH, random).to_owned(), Some("GPE")),
        "org" => {
            let name = [one(GIVEN_ZH), one(GIVEN_ZH)];
            let name: String = name.iter().collect();
            let city = pick(CITIES_ZH, random);
            (format!("{city}{name}{}", pick(TRADES_ZH, random)), Some("ORGANIZATION"))
        }
        "address" => {
            let (city, district) = (pick(CITIES_ZH, random), pick(DISTRICTS_ZH, random));
            let (road, number) = (pick(ROADS_ZH, random), random.random_range(1..400));
            let room = random.random_range(101..2_800);
            let address = match random.random_range(0..3) {
                0 => format!("{city}市{district}{road}{number}号"),
                1 => format!("{city}市{district}{road}{number}号{}号楼{room}室", number % 9 + 1),
                _ => format!("{district}{road}{number}弄{room}室"),
            };
            (address, Some("STREET_ADDRESS"))
        }
        other => value(other, random),
    }
}
