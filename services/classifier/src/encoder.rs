use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokenizers::Tokenizer;

use crate::{
    grams::{Gram, Grams},
    words::Words,
};

/// How texts become token ids, as a bundle states it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenizerSettings {
    /// The most tokens of a text that are read at once.
    pub max_tokens: u32,
    /// Stands for a text without any token (empty, or white space), so that every text has a
    /// last real step.
    pub empty_token: String,
    /// What becomes of a longer text.
    #[serde(default, skip_serializing_if = "LongInput::is_cut")]
    pub long: LongInput,
}

/// What becomes of a text that has more tokens than are read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LongInput {
    /// It is cut to its first tokens.
    #[default]
    Cut,
    /// It is refused.
    Refuse,
    /// It is read in windows, each as long as can be, and its logits are the windows' mean.
    Split {
        /// Tokens that a window shares with the one before it.
        overlap: u32,
    },
}

impl LongInput {
    const fn is_cut(&self) -> bool {
        matches!(self, Self::Cut)
    }
}

/// How tokenizers call what they do not know.
const UNKNOWN: [&str; 2] = ["[UNK]", "<unk>"];

/// A text as the network reads it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Encoded {
    /// Token ids, at least one, each below the vocabulary's size.
    pub ids: Vec<i64>,
    /// Whether tokens past the bundle's maximum were left out.
    pub truncated: bool,
    /// Further windows of a long text that is split.
    pub more: Vec<Vec<i64>>,
    /// N-grams of the whole text, where the network reads such.
    pub grams: Vec<Gram>,
}

impl Encoded {
    /// Tokens that are read, over all windows.
    pub fn tokens(&self) -> usize {
        self.more.iter().map(Vec::len).fold(self.ids.len(), usize::saturating_add)
    }
}

/// A text that could not be made into tokens.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The tokenizer gave up. What it says may quote the text, so it is not repeated.
    #[error("the text cannot be made into tokens")]
    Tokenizer,
    /// A long text, and the bundle says to refuse such.
    #[error("the text has {tokens} tokens, this model reads at most {most}")]
    TooLong {
        /// Tokens of the text.
        tokens: usize,
        /// The most that are read.
        most: usize,
    },
    /// The tokenizer gave an id for which the network has no embedding.
    #[error("token id {id} is outside the vocabulary of {vocabulary}")]
    OutOfVocabulary {
        /// The id.
        id: u32,
        /// Rows of the embedding.
        vocabulary: u32,
    },
}

/// Makes texts into token ids. Cheap to clone, shared by threads.
#[derive(Clone)]
pub struct Encoder {
    tokenizer: Arc<Tokenizer>,
    /// The same, for most texts.
    words: Option<Arc<Words>>,
    max_tokens: usize,
    long: LongInput,
    empty_id: i64,
    /// Stands for what the vocabulary does not have, where the tokenizer has one.
    unknown_id: Option<i64>,
    vocabulary: u32,
    grams: Option<Grams>,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder")
            .field("max_tokens", &self.max_tokens)
            .field("vocabulary", &self.vocabulary)
            .finish_non_exhaustive()
    }
}

/// A part of a text as tokens that know where they stand.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Part {
    /// The token ids.
    pub encoded: Encoded,
    /// For each token, where.
    pub places: Vec<Place>,
}

/// Where a token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its first character, in Unicode code points of the text.
    pub start: usize,
    /// Behind its last.
    pub end: usize,
    /// The word that it belongs to, counted through the text.
    pub word: u32,
}

impl Encoder {
    /// Makes tokens of the whole text, in parts of as many as are read at once. A word is not cut
    /// unless it is longer than a part.
    pub fn parts(&self, text: &str) -> Result<Vec<Part>, EncodeError> {
        let tokens =
            self.tokenizer.encode_char_offsets(text, false).map_err(|_| EncodeError::Tokenizer)?;
        let mut parts = vec![Part::default()];
        let words = tokens.get_word_ids();
        for (at, (&id, &(start, end))) in
            tokens.get_ids().iter().zip(tokens.get_offsets()).enumerate()
        {
            if id >= self.vocabulary {
                return Err(EncodeError::OutOfVocabulary { id, vocabulary: self.vocabulary });
            }
            let word = words.get(at).copied().flatten().unwrap_or(u32::MAX);
            let length = words.iter().skip(at).take_while(|other| **other == Some(word)).count();
            let begins = at.checked_sub(1).and_then(|before| words.get(before)).copied().flatten()
                != Some(word);
            let held = parts.last().map_or(0, |part| part.places.len());
            let needed = if begins { length.clamp(1, self.max_tokens) } else { 1 };
            if held.saturating_add(needed) > self.max_tokens {
                parts.push(Part::default());
            }
            if let Some(part) = parts.last_mut() {
                part.encoded.ids.push(i64::from(id));
                part.places.push(Place { start, end, word });
            }
        }
        parts.retain(|part| !part.places.is_empty());
        Ok(parts)
    }

    /// Takes a tokenizer in the format of the `tokenizers` crate (`tokenizer.json`). Every id it
    /// can give must have a row in an embedding of `vocabulary` rows.
    pub fn new(
        json: &[u8],
        settings: &TokenizerSettings,
        vocabulary: u32,
    ) -> Result<Self, InvalidTokenizer> {
        let mut tokenizer = Tokenizer::from_bytes(json)
            .map_err(|error| InvalidTokenizer::Malformed(error.to_string()))?;
        // Length and padding are this crate's business, whatever the file asks for.
        tokenizer
            .with_truncation(None)
            .map_err(|error| InvalidTokenizer::Malformed(error.to_string()))?;
        tokenizer.with_padding(None);
        let largest = tokenizer.get_vocab(true).into_values().max();
        if let Some(id) = largest.filter(|id| *id >= vocabulary) {
            return Err(InvalidTokenizer::TooLarge { id, vocabulary });
        }
        let empty_id = tokenizer
            .token_to_id(&settings.empty_token)
            .ok_or_else(|| InvalidTokenizer::NoEmptyToken(settings.empty_token.clone()))?;
        let max_tokens = usize::try_from(settings.max_tokens).unwrap_or(usize::MAX);
        if max_tokens == 0 || max_tokens > MAX_TOKENS {
            return Err(InvalidTokenizer::MaxTokens(settings.max_tokens));
        }
        if let LongInput::Split { overlap } = settings.long
            && overlap >= settings.max_tokens
        {
            return Err(InvalidTokenizer::Overlap(overlap));
        }
        let unknown = UNKNOWN.iter().find_map(|token| tokenizer.token_to_id(token));
        let (tokenizer, empty_id) = (Arc::new(tokenizer), i64::from(empty_id));
        let words = Words::of(json).map(Arc::new);
        let (long, unknown_id) = (settings.long, unknown.map(i64::from));
        Ok(Self {
            tokenizer,
            words,
            max_tokens,
            long,
            empty_id,
            unknown_id,
            vocabulary,
            grams: None,
        })
    }

    /// How many tokens of a text the vocabulary does not have.
    pub fn unknown(&self, text: &Encoded) -> usize {
        let Some(unknown) = self.unknown_id else { return 0 };
        text.more.iter().chain([&text.ids]).flatten().filter(|id| **id == unknown).count()
    }

    /// Where each of the first `count` tokens of [`Self::encode`] stands, in characters; special
    /// tokens stand nowhere.
    pub(crate) fn places(
        &self,
        text: &str,
        count: usize,
    ) -> Result<Vec<std::ops::Range<usize>>, EncodeError> {
        let tokens =
            self.tokenizer.encode_char_offsets(text, true).map_err(|_| EncodeError::Tokenizer)?;
        let mut places: Vec<_> =
            tokens.get_offsets().iter().take(count).map(|(start, end)| *start..*end).collect();
        // The token of an empty text.
        places.resize(count, 0..0);
        Ok(places)
    }

    /// Lets texts have n-grams beside their tokens.
    pub fn with_grams(mut self, grams: Option<Grams>) -> Self {
        self.grams = grams;
        self
    }

    /// Where the n-grams stand, and which tokens do where.
    pub(crate) const fn grams(&self) -> Option<&Grams> {
        self.grams.as_ref()
    }

    /// The id that stands for nothing.
    pub const fn empty_id(&self) -> i64 {
        self.empty_id
    }

    fn ids(&self, text: &str) -> Result<Vec<u32>, EncodeError> {
        if let Some(ids) = self.words.as_ref().and_then(|words| words.ids(text)) {
            return Ok(ids);
        }
        let tokens = self.tokenizer.encode_fast(text, true).map_err(|_| EncodeError::Tokenizer)?;
        Ok(tokens.get_ids().to_vec())
    }

    /// Makes a text into token ids; the settings say what becomes of a long one.
    pub fn encode(&self, text: &str) -> Result<Encoded, EncodeError> {
        let all = self.ids(text)?;
        let (length, most) = (all.len(), self.max_tokens);
        let cut = length > most;
        let kept = match self.long {
            LongInput::Refuse if cut => {
                return Err(EncodeError::TooLong { tokens: length, most });
            }
            LongInput::Split { .. } => length,
            LongInput::Cut | LongInput::Refuse => length.min(most),
        };
        let mut ids = Vec::with_capacity(kept.max(1));
        for id in all.into_iter().take(kept) {
            if id >= self.vocabulary {
                return Err(EncodeError::OutOfVocabulary { id, vocabulary: self.vocabulary });
            }
            ids.push(i64::from(id));
        }
        if ids.is_empty() {
            ids.push(self.empty_id);
        }
        let grams = self.grams.as_ref().map(|grams| grams.of(text)).unwrap_or_default();
        match self.long {
            LongInput::Split { overlap } if cut => {
                let mut windows = windows(&ids, most, overlap).into_iter();
                let ids = windows.next().unwrap_or_default();
                Ok(Encoded { ids, truncated: false, more: windows.collect(), grams })
            }
            _ => Ok(Encoded { ids, truncated: cut, more: Vec::new(), grams }),
        }
    }
}

/// All windows of `most` ids that begin where the one before has but `overlap` left; the last one
/// ends with the text.
fn windows(ids: &[i64], most: usize, overlap: u32) -> Vec<Vec<i64>> {
    let overlap = usize::try_from(overlap).unwrap_or(usize::MAX);
    let step = most.saturating_sub(overlap).max(1);
    let last = ids.len().saturating_sub(most);
    let starts = (0..last).step_by(step).chain([last]);
    starts
        .filter_map(|start| ids.get(start..start.saturating_add(most).min(ids.len())))
        .map(<[i64]>::to_vec)
        .collect()
}

/// The longest text that any bundle may ask for, in tokens.
const MAX_TOKENS: usize = 8192;

/// A tokenizer that does not go with its bundle.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTokenizer {
    /// Not a tokenizer at all.
    #[error("not a tokenizer that the tokenizers crate reads: {0}")]
    Malformed(String),
    /// It knows more tokens than the embedding has rows.
    #[error("token id {id} has no embedding: the vocabulary is {vocabulary}")]
    TooLarge {
        /// The largest id.
        id: u32,
        /// Rows of the embedding.
        vocabulary: u32,
    },
    /// The token for empty texts is unknown.
    #[error("the empty token `{0}` is not in the tokenizer's vocabulary")]
    NoEmptyToken(String),
    /// Windows that would not move on.
    #[error("windows overlap by {0} tokens: expected fewer than `max_tokens`")]
    Overlap(u32),
    /// Not a usable maximum length.
    #[error("`max_tokens` is {0}: expected 1 to {MAX_TOKENS}")]
    MaxTokens(u32),
}

/// A row a text, of rows for all texts' first windows and then for all others, text after text.
pub fn mean_of_windows(texts: &[&Encoded], mut rows: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
    let others = rows.split_off(texts.len().min(rows.len()));
    let mut others = others.into_iter();
    for (text, row) in texts.iter().zip(&mut rows) {
        if text.more.is_empty() {
            continue;
        }
        for other in others.by_ref().take(text.more.len()) {
            row.iter_mut().zip(other).for_each(|(sum, logit)| *sum += logit);
        }
        let count = u16::try_from(text.more.len()).unwrap_or(u16::MAX).saturating_add(1);
        row.iter_mut().for_each(|sum| *sum /= f32::from(count));
    }
    rows
}
