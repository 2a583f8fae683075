//! Words near a value that speak for what it is.

use aho_corasick::{AhoCorasick, BuildError, MatchKind};

use crate::catalog::Bits;

/// Words, and for each the kinds that it speaks for.
#[derive(Debug)]
pub(crate) struct Words {
    automaton: AhoCorasick,
    meaning: Vec<Bits>,
}

impl Words {
    /// Words in any case of ASCII letters, each with the kinds that it speaks for.
    pub(crate) fn new<'a>(
        words: impl IntoIterator<Item = (&'a str, Bits)>,
    ) -> Result<Self, BuildError> {
        let (words, meaning): (Vec<&str>, Vec<Bits>) = words.into_iter().unzip();
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .build(words)?;
        Ok(Self { automaton, meaning })
    }

    /// The kinds that words in `text` speak for. Words stand alone; what redaction puts in, in
    /// brackets and joined by `_`, is no word.
    pub(crate) fn meant(&self, text: &[u8]) -> Bits {
        let inner = |byte: Option<&u8>| {
            byte.is_some_and(|byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'[' | b']')
            })
        };
        self.automaton
            .find_overlapping_iter(text)
            .filter(|found| {
                let edge = |at: usize| text.get(at).is_some_and(u8::is_ascii_alphanumeric);
                let before = found.start().checked_sub(1).and_then(|at| text.get(at));
                let glued_before = edge(found.start()) && inner(before);
                let glued_behind = edge(found.end() - 1) && inner(text.get(found.end()));
                !glued_before && !glued_behind
            })
            .filter_map(|found| self.meaning.get(found.pattern().as_usize()))
            .fold(0, |all, bits| all | bits)
    }
}
