//! Recognisers that a policy brings along, for values that only its author knows: a pattern, a
//! list of words, a checksum, words around them.
//!
//! What they cost is bounded, whoever wrote them. Patterns become automata of a bounded size that
//! take one step a byte; a value has at most [`LONGEST`] bytes, so each search ends soon; and all
//! searches in a text together have so many steps, beyond which the text counts as not searched.

use std::{collections::BTreeSet, ops::Range};

use aho_corasick::{AhoCorasick, MatchKind};
use reeve_domain::{Kind, TenantId};
use regex_automata::{
    Input,
    dfa::{dense, regex::Regex},
    nfa::thompson,
    util::syntax,
};
use serde::{Deserialize, Serialize};

use crate::{
    brackets,
    catalog::{Bits, Catalog},
    checksum,
    confidence::Confidence,
    detector::DetectorFailed,
    reading::Reading,
    scan::{BEFORE, BEHIND, CONTEXT},
    words::Words,
};

/// The most bytes that a value found by a pattern can have.
const LONGEST: usize = 128;
/// How much is searched at once: values begin in the first part of it, and fit into it.
const WINDOW: usize = 4 * LONGEST;
/// Steps of all patterns in a text: for each of its bytes, and for the shortest text.
const STEPS_A_BYTE: usize = 64;
const STEPS: usize = 64 * 1024;
/// The most patterns that look at one tenant's texts, and recognisers in a bundle.
const MOST_PATTERNS: usize = 32;
const MOST_RECOGNISERS: usize = 100;
const MOST_WORDS: usize = 10_000;

/// A recogniser as a policy bundle describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecogniserSpec {
    /// The kind of what it finds, `EMPLOYEE_NUMBER`.
    pub kind: Kind,
    /// Whose texts it looks at; nobody named: everybody's.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tenants: BTreeSet<TenantId>,
    /// Regular expressions in the syntax of the crate `regex`, without backreferences and
    /// look-around. Classes such as `\d` and `\b` are those of ASCII (full-width digits are read
    /// as plain ones before); `(?u:…)` asks for Unicode. A value has 2 to 128 bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<String>,
    /// Words and phrases that are values themselves, in any case of ASCII letters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
    /// What the letters and digits that a pattern matched must satisfy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<Checksum>,
    /// Words near a value that raise the confidence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<String>,
    /// How sure a match is without such words.
    #[serde(default = "sure_enough")]
    pub confidence: Confidence,
}

fn sure_enough() -> Confidence {
    Confidence::new(0.6).unwrap_or(Confidence::ACTED_UPON)
}

/// A check over the digits of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Checksum {
    /// ISO/IEC 7812-1, annex B.
    Luhn,
    /// Verhoeff's scheme.
    Verhoeff,
    /// ISO 7064, MOD 11,10.
    #[serde(rename = "iso7064-mod-11-10")]
    Mod1110,
    /// ISO 7064, MOD 97-10, over digits and letters.
    #[serde(rename = "iso7064-mod-97-10")]
    Mod9710,
}

impl Checksum {
    fn holds(self, value: &[u8]) -> bool {
        let digits: Vec<u8> =
            value.iter().filter(|b| b.is_ascii_digit()).map(|b| b - b'0').collect();
        match self {
            Self::Luhn => checksum::luhn(&digits),
            Self::Verhoeff => checksum::verhoeff(&digits),
            Self::Mod1110 => checksum::mod_11_10(&digits),
            Self::Mod9710 => mod_97_10(value),
        }
    }
}

fn mod_97_10(value: &[u8]) -> bool {
    let rest = value.iter().fold(0_u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        b'A'..=b'Z' => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
        b'a'..=b'z' => (rest * 100 + u32::from(byte - b'a') + 10) % 97,
        _ => rest,
    });
    rest == 1
}

/// A recogniser that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("recogniser `{kind}`: {message}")]
pub struct RecogniserRefused {
    kind: Kind,
    message: String,
}

/// The recognisers that look at one tenant's texts, ready to be used.
#[derive(Debug, Default)]
pub(crate) struct Recognisers {
    all: Vec<Recogniser>,
    /// Words of context, a bit for each recogniser.
    context: Option<Words>,
}

#[derive(Debug)]
struct Recogniser {
    kind: Kind,
    patterns: Vec<Regex>,
    words: Option<AhoCorasick>,
    checksum: Option<Checksum>,
    confidence: f32,
}

impl Recognisers {
    /// Makes those of `specs` usable that look at this tenant's texts, or at everybody's.
    pub(crate) fn new(
        specs: &[RecogniserSpec],
        tenant: Option<&TenantId>,
    ) -> Result<Self, RecogniserRefused> {
        let mine: Vec<&RecogniserSpec> = specs
            .iter()
            .filter(|spec| {
                spec.tenants.is_empty() || tenant.is_some_and(|name| spec.tenants.contains(name))
            })
            .collect();
        let refused = |spec: &RecogniserSpec, message: String| RecogniserRefused {
            kind: spec.kind.clone(),
            message,
        };
        let mut patterns = 0;
        let mut context: Vec<(&str, Bits)> = Vec::new();
        let mut all = Vec::new();
        for (at, spec) in mine.into_iter().enumerate() {
            patterns += spec.patterns.len();
            if at == MOST_RECOGNISERS || patterns > MOST_PATTERNS {
                let message = format!(
                    "more than {MOST_RECOGNISERS} recognisers or {MOST_PATTERNS} patterns look at \
                     one tenant's texts"
                );
                return Err(refused(spec, message));
            }
            all.push(Recogniser::new(spec).map_err(|message| refused(spec, message))?);
            context.extend(spec.context.iter().map(|word| (word.as_str(), 1 << at)));
            if spec.context.iter().any(|word| !(2..=64).contains(&word.len())) {
                return Err(refused(spec, "words of `context` have 2 to 64 bytes".to_owned()));
            }
            if context.len() > MOST_WORDS {
                return Err(refused(spec, format!("more than {MOST_WORDS} words of context")));
            }
        }
        let context = match context.as_slice() {
            [] => None,
            words => Words::new(words.iter().copied()).ok(),
        };
        Ok(Self { all, context })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// All kinds, with their place among them.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = (usize, &Kind)> {
        self.all.iter().map(|recogniser| &recogniser.kind).enumerate()
    }

    /// The kind of a reading whose id is `FIRST + at`.
    pub(crate) fn kind(&self, at: usize) -> Option<&Kind> {
        self.all.get(at).map(|recogniser| &recogniser.kind)
    }

    /// What they find, in the order of the recognisers; ids count from `first`.
    pub(crate) fn read(&self, bytes: &[u8], first: usize) -> Result<Vec<Reading>, DetectorFailed> {
        let mut steps = bytes.len().saturating_mul(STEPS_A_BYTE).saturating_add(STEPS);
        let mut readings = Vec::new();
        let is_kind = |kind: &str| {
            brackets::is_built_in(kind)
                || self.all.iter().any(|recogniser| recogniser.kind.as_str() == kind)
        };
        for (at, recogniser) in self.all.iter().enumerate() {
            let mut found = Vec::new();
            for pattern in &recogniser.patterns {
                matches(pattern, bytes, &mut steps, &mut found)?;
            }
            if let Some(checksum) = recogniser.checksum {
                found.retain(|range| checksum.holds(bytes.get(range.clone()).unwrap_or_default()));
            }
            if let Some(words) = &recogniser.words {
                found.extend(words.find_iter(bytes).map(|word| word.range()).filter(|range| {
                    let inside = |place: Option<usize>| {
                        place
                            .and_then(|place| bytes.get(place))
                            .is_some_and(u8::is_ascii_alphanumeric)
                    };
                    let cut_before =
                        inside(Some(range.start)) && inside(range.start.checked_sub(1));
                    let cut_behind = inside(range.end.checked_sub(1)) && inside(Some(range.end));
                    !cut_before && !cut_behind
                }));
            }
            for range in found {
                let Some(range) = brackets::outside(bytes, range, &is_kind) else { continue };
                let supported = recogniser.confidence < 0.9 && self.is_meant(at, bytes, &range);
                let confidence = if supported {
                    (recogniser.confidence + CONTEXT).clamp(Confidence::ACTED_UPON.share(), 1.0)
                } else {
                    recogniser.confidence
                };
                readings.push(Reading { id: first + at, range, confidence, supported });
            }
        }
        Ok(readings)
    }

    fn is_meant(&self, at: usize, bytes: &[u8], range: &Range<usize>) -> bool {
        let Some(context) = &self.context else { return false };
        let around = |from: usize, to: usize| bytes.get(from..to).unwrap_or_default();
        let before = around(range.start.saturating_sub(BEFORE), range.start);
        let behind = around(range.end, (range.end + BEHIND).min(bytes.len()));
        (context.meant(before) | context.meant(behind)) & (1 << at) != 0
    }
}

impl Recogniser {
    fn new(spec: &RecogniserSpec) -> Result<Self, String> {
        let name = spec.kind.as_str();
        let is_name = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        if !(2..=64).contains(&name.len()) || !name.bytes().all(is_name) {
            return Err("a kind is 2 to 64 capital letters, digits and `_`".to_owned());
        }
        if Catalog::get().about(name).is_some() {
            return Err("a kind of this name is built in".to_owned());
        }
        if spec.patterns.is_empty() && spec.words.is_empty() {
            return Err("it needs `patterns` or `words`".to_owned());
        }
        if spec.words.len() > MOST_WORDS
            || spec.words.iter().any(|word| !(2..=LONGEST).contains(&word.len()))
        {
            return Err(format!("`words` are at most {MOST_WORDS}, each of 2 to {LONGEST} bytes"));
        }
        let words = match spec.words.as_slice() {
            [] => None,
            words => Some(
                AhoCorasick::builder()
                    .ascii_case_insensitive(true)
                    .match_kind(MatchKind::LeftmostLongest)
                    .build(words)
                    .map_err(|fault| fault.to_string())?,
            ),
        };
        Ok(Self {
            kind: spec.kind.clone(),
            patterns: spec.patterns.iter().map(|text| pattern(text)).collect::<Result<_, _>>()?,
            words,
            checksum: spec.checksum,
            confidence: spec.confidence.share(),
        })
    }
}

/// An automaton of a bounded size that takes one step a byte.
fn pattern(text: &str) -> Result<Regex, String> {
    if text.len() > 512 {
        return Err("a pattern has at most 512 bytes".to_owned());
    }
    let syntax = syntax::Config::new().unicode(false).utf8(false).nest_limit(32);
    let parsed = syntax::parse_with(text, &syntax).map_err(|fault| fault.to_string())?;
    if parsed.properties().minimum_len().is_none_or(|least| least < 2) {
        return Err(format!("`{text}` matches less than two bytes"));
    }
    Regex::builder()
        .syntax(syntax)
        .thompson(thompson::Config::new().nfa_size_limit(Some(256 * 1024)))
        .dense(
            dense::Config::new()
                .dfa_size_limit(Some(1024 * 1024))
                .determinize_size_limit(Some(4 * 1024 * 1024)),
        )
        .build(text)
        .map_err(|fault| {
            let mut message = format!("`{text}` cannot be used: {fault}");
            let mut cause = std::error::Error::source(&fault);
            while let Some(inner) = cause {
                message = format!("{message}: {inner}");
                cause = inner.source();
            }
            message
        })
}

/// Adds where the pattern matches, in order and without overlap.
fn matches(
    pattern: &Regex,
    bytes: &[u8],
    steps: &mut usize,
    found: &mut Vec<Range<usize>>,
) -> Result<(), DetectorFailed> {
    let mut at = 0;
    let mut window = 0;
    while window < bytes.len() {
        let end = (window + WINDOW).min(bytes.len());
        // Values that begin here fit into the window; later ones are left to the next.
        let last = if end == bytes.len() { end } else { end - LONGEST };
        at = at.max(window);
        while at < last {
            *steps = steps.checked_sub(end - at).ok_or(DetectorFailed)?;
            let input = Input::new(bytes).range(at..end);
            match pattern.try_search(&input).map_err(|_| DetectorFailed)? {
                Some(here) if here.start() < last => {
                    let range = on_characters(bytes, here.range());
                    at = here.end().max(at + 1);
                    if range.len() <= LONGEST {
                        found.push(range);
                    } else {
                        // Too long for a value: the next may begin right behind its beginning.
                        found.push(on_characters(bytes, range.start..range.start + LONGEST));
                        at = range.start + LONGEST;
                    }
                }
                _ => break,
            }
        }
        window = last;
    }
    Ok(())
}

/// The range, with the whole of the characters that it cuts.
fn on_characters(bytes: &[u8], range: Range<usize>) -> Range<usize> {
    let is_inside = |at: usize| bytes.get(at).is_some_and(|byte| byte & 0xC0 == 0x80);
    let (mut start, mut end) = (range.start, range.end);
    while is_inside(start) && start > 0 {
        start -= 1;
    }
    while is_inside(end) {
        end += 1;
    }
    start..end
}
