//! The word tokenizer that [`crate::learn_tokenizer`] learns, for the characters that nearly all texts
//! are of: a hundred times as fast as the library, which keeps track of where every character came
//! from. It gives the same ids or none; then the library is asked.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use serde::Deserialize;
use serde_json::Value;

/// Words by their ids, and what stands for several words. What is looked up does not change what is
/// kept, so a hash that could be foreseen (foldhash) does no harm.
#[derive(Debug)]
pub(crate) struct Words {
    /// Those of up to [`SHORT`] bytes, as [`Word::short`]: one line of a cache tells.
    short: HashMap<u128, u32, FixedState>,
    long: HashMap<Box<str>, u32, FixedState>,
    unknown: u32,
    /// Tokens that are looked for in the text as it is, the longest first. All begin with `[`.
    special: Vec<(Box<str>, u32)>,
}

/// Bits of a short word.
const SHORT: u32 = u128::BITS;

/// What a text is made of.
enum Piece {
    /// A short word.
    Short(u128),
    /// Something else, by its id.
    Known(u32),
}

/// A word of letters, as far as it was read.
#[derive(Default)]
struct Word {
    /// Its first bytes, the first lowest: no word holds a zero.
    short: u128,
    /// Where the next goes.
    bits: u32,
    /// All of it, once it is longer.
    long: String,
}

/// The part of `tokenizer.json` that decides.
#[derive(Deserialize)]
struct File {
    normalizer: Value,
    pre_tokenizer: Value,
    post_processor: Value,
    added_tokens: Vec<Added>,
    model: Value,
}

#[derive(Deserialize)]
struct Added {
    id: u32,
    content: Box<str>,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    normalized: bool,
}

#[derive(Deserialize)]
struct Model {
    vocab: HashMap<Box<str>, u32>,
    unk_token: String,
}

/// What a character is to the tokenizer.
enum Class {
    /// A letter of a word, as it is in the vocabulary.
    Letter(u8),
    /// A word by itself.
    Alone(char),
    /// Three full stops.
    Ellipsis,
    /// It ends a word.
    Space,
    /// It is as if it were not there.
    Nothing,
}

/// Full-width forms of `!` to `~` begin here.
const FULL_WIDTH: u32 = 0xFF01;

impl Word {
    fn push(&mut self, letter: u8) {
        if self.bits < SHORT {
            self.short |= u128::from(letter).unbounded_shl(self.bits);
            self.bits = self.bits.saturating_add(u8::BITS);
            return;
        }
        if self.long.is_empty() {
            self.long.extend(self.short.to_le_bytes().map(char::from));
        }
        self.long.push(letter.into());
    }

    /// Ends the word, if one was begun.
    fn end(&mut self, words: &Words, pieces: &mut Vec<Piece>) {
        if self.bits == 0 {
            return;
        }
        pieces.push(if self.long.is_empty() {
            Piece::Short(self.short)
        } else {
            let id = words.long.get(self.long.as_str());
            Piece::Known(id.copied().unwrap_or(words.unknown))
        });
        (self.short, self.bits) = (0, 0);
        self.long.clear();
    }
}

/// A short word's bytes, the first lowest. One with a zero is none: texts are read without it.
fn short(word: &str) -> Option<u128> {
    if word.contains('\0') {
        return None;
    }
    let mut bytes = [0; 16];
    bytes.get_mut(..word.len())?.copy_from_slice(word.as_bytes());
    Some(u128::from_le_bytes(bytes))
}

/// None for a character that is left to the library.
fn class(c: char) -> Option<Class> {
    Some(match c {
        'a'..='z' | 'A'..='Z' => Class::Letter(u8::try_from(c).ok()?.to_ascii_lowercase()),
        ' ' | '\t' | '\n' | '\r' | '\u{3000}' => Class::Space,
        '0'..='9' => Class::Letter(b'0'),
        '!'..='~' => Class::Alone(c),
        '\0'..='\u{7f}' => Class::Nothing,
        '\u{4E00}'..='\u{9FFF}' => Class::Alone(c),
        '、' | '。' | '《' | '》' | '「' | '」' | '『' | '』' | '【' | '】' | '“' | '”' | '‘'
        | '’' | '—' | '·' => Class::Alone(c),
        '…' => Class::Ellipsis,
        '！'..='～' => {
            let narrow = u32::from(c).checked_sub(FULL_WIDTH)?.checked_add(u32::from('!'))?;
            return class(char::from_u32(narrow)?);
        }
        _ => return None,
    })
}

impl Words {
    /// The words of a `tokenizer.json`; none if it is not one of these.
    pub(crate) fn of(json: &[u8]) -> Option<Self> {
        let file: File = serde_json::from_slice(json).ok()?;
        let model = file.model;
        let is_usual = file.normalizer == crate::vocabulary::usual_normalizer()?
            && file.pre_tokenizer == serde_json::json!({ "type": "BertPreTokenizer" })
            && file.post_processor.is_null()
            && model.get("type")?.as_str()? == "WordLevel";
        let is_plain = |token: &Added| {
            let flags = [token.single_word, token.lstrip, token.rstrip, token.normalized];
            flags == [false; 4] && token.content.starts_with('[')
        };
        if !is_usual || !file.added_tokens.iter().all(is_plain) {
            return None;
        }
        let Model { vocab, unk_token } = serde_json::from_value(model).ok()?;
        let unknown = *vocab.get(unk_token.as_str())?;
        let mut special: Vec<(Box<str>, u32)> =
            file.added_tokens.into_iter().map(|token| (token.content, token.id)).collect();
        special.sort_by_key(|(content, _)| std::cmp::Reverse(content.len()));
        let mut words = Self {
            short: HashMap::with_capacity_and_hasher(vocab.len(), FixedState::default()),
            long: HashMap::default(),
            unknown,
            special,
        };
        for (word, id) in vocab {
            match short(&word) {
                Some(short) => words.short.insert(short, id),
                None => words.long.insert(word, id),
            };
        }
        Some(words)
    }

    /// The ids of a text's tokens; none where the library must say.
    pub(crate) fn ids(&self, text: &str) -> Option<Vec<u32>> {
        let pieces = self.pieces(text)?;
        // By itself, so that the processor waits for many words' memory at the same time.
        let id = |piece: &Piece| match piece {
            Piece::Short(word) => self.short.get(word).copied().unwrap_or(self.unknown),
            Piece::Known(id) => *id,
        };
        Some(pieces.iter().map(id).collect())
    }

    fn pieces(&self, text: &str) -> Option<Vec<Piece>> {
        let mut pieces = Vec::with_capacity(text.len() / 4);
        let mut word = Word::default();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if c == '['
                && let Some((content, id)) =
                    self.special.iter().find(|(content, _)| rest.starts_with(&**content))
            {
                word.end(self, &mut pieces);
                pieces.push(Piece::Known(*id));
                rest = rest.get(content.len()..)?;
                continue;
            }
            match class(c)? {
                Class::Letter(letter) => word.push(letter),
                Class::Nothing => {}
                Class::Space => word.end(self, &mut pieces),
                Class::Alone(c) => {
                    word.end(self, &mut pieces);
                    pieces.push(alone(c));
                }
                Class::Ellipsis => {
                    word.end(self, &mut pieces);
                    pieces.extend([alone('.'), alone('.'), alone('.')]);
                }
            }
            rest = rest.get(c.len_utf8()..)?;
        }
        word.end(self, &mut pieces);
        Some(pieces)
    }
}

/// A word of one character.
fn alone(c: char) -> Piece {
    let mut bytes = [0; 16];
    c.encode_utf8(&mut bytes);
    Piece::Short(u128::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use tokenizers::Tokenizer;

    use super::*;
    use crate::learn_tokenizer;

    static BOTH: LazyLock<(Words, Tokenizer)> = LazyLock::new(|| {
        let texts = [
            "Refund my order, please! Order 1234 never came... it's [EMAIL_ADDRESS] (really).",
            "我的订单没有到，请退款。《合同》“好”",
            "a b c x-ray 00 000 0000 [ ] [iban_code] EMAIL_ADDRESS",
            "incomprehensible incomprehensibly incomprehensibility Kraftfahrzeughaftpflicht",
        ];
        let json = learn_tokenizer(texts.into_iter(), 500, 1).unwrap();
        (Words::of(&json).unwrap(), Tokenizer::from_bytes(&json).unwrap())
    });

    fn by_the_library(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
        tokenizer.encode_fast(text, true).unwrap().get_ids().to_vec()
    }

    #[test]
    fn every_character_that_is_known_here_is_known_so_to_the_library() {
        let (words, tokenizer) = &*BOTH;
        let mut known = 0;
        for c in '\0'..=char::MAX {
            for text in [format!("or{c}der"), format!("{c}"), format!(" {c}{c}, a")] {
                if let Some(ids) = words.ids(&text) {
                    known += 1;
                    assert_eq!(ids, by_the_library(tokenizer, &text), "{c:?} in {text:?}");
                }
            }
        }
        assert!(known > 60_000, "{known}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
        #[test]
        fn texts_have_the_library_s_ids(
            parts in prop::collection::vec(prop_oneof![
                "[ -~]{0,12}",
                "[\\x00-\\x7f]{0,6}",
                "[一-龥，。！？、“”…—Ａ-ｚ０-９　 a-c0-9]{0,8}",
                prop::sample::select(vec![
                    "[EMAIL_ADDRESS]", "[PAD]", "[UNK]", "[IBAN_CODE]", "[IBAN_CODE", "[[", "order",
                    "[EMAIL_ADDRESS][PHONE_NUMBER]", "1234", "x-ray", "我的", "incomprehensible",
                    "Incomprehensibly", "incomprehensibility", "kraftfahrzeughaftpflicht",
                ]).prop_map(str::to_owned),
            ], 0..8),
        ) {
            let (words, tokenizer) = &*BOTH;
            let text = parts.concat();
            let ids = words.ids(&text).unwrap();
            prop_assert_eq!(ids, by_the_library(tokenizer, &text), "{:?}", text);
        }
    }

    #[test]
    fn other_texts_and_other_tokenizers_are_the_library_s() {
        let (words, _) = &*BOTH;
        for text in ["café", "naïve", "Größe", "ｶﾅ", "한국어", "e\u{301}", "🙂", "²"]
        {
            assert_eq!(words.ids(text), None, "{text}");
        }
        let json = learn_tokenizer(["a b"].into_iter(), 50, 1).unwrap();
        let changed = |change: &dyn Fn(&mut Value)| {
            let mut file: Value = serde_json::from_slice(&json).unwrap();
            change(&mut file);
            Words::of(file.to_string().as_bytes()).is_none()
        };
        assert!(!changed(&|_| {}));
        assert!(changed(&|file| file["normalizer"]["normalizers"][2]["lowercase"] = false.into()));
        assert!(changed(
            &|file| file["pre_tokenizer"] = serde_json::json!({ "type": "Whitespace" })
        ));
        assert!(changed(&|file| file["added_tokens"][0]["lstrip"] = true.into()));
        assert!(changed(&|file| file["added_tokens"][0]["content"] = "<pad>".into()));
        assert!(changed(&|file| file["model"]["type"] = "BPE".into()));
    }
}
