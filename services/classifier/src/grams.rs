//! N-grams of words, and of characters within words, hashed and weighted by TF-IDF: what the wide
//! branch reads, and the linear baseline. They are made here for training and for serving alike,
//! and do not depend on the tokenizer.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::architecture::Wide;

/// One n-gram of a text.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gram {
    /// Which bucket it hashes to.
    pub bucket: u32,
    /// TF-IDF: (1 + ln tf) · idf, each kind's scaled to the length 1.
    pub weight: f32,
}

/// Makes n-grams of texts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Grams {
    shape: Wide,
    /// Of each bucket; 0 for one that was not seen in training, whose n-grams are left out.
    idf: Arc<[f32]>,
}

/// Words and characters are scaled apart, so that the many of one kind do not drown the other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Of {
    Words,
    Characters,
}

/// An n-gram where it stands, in characters of the text.
struct Found {
    of: Of,
    bucket: u32,
    place: Range<usize>,
}

/// Letters and digits that belong together, or a run of Han characters, or another character.
struct Segment {
    characters: Vec<char>,
    start: usize,
    kind: Script,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Letters,
    Han,
    Other,
}

impl Grams {
    pub(crate) fn new(shape: Wide, idf: &[f32]) -> Self {
        Self { shape, idf: idf.into() }
    }

    /// Counts in how many texts each bucket occurs: ln((1 + texts) / (1 + those)) + 1 if it does
    /// in `least` or more.
    pub fn count<'a>(shape: Wide, least: u32, texts: impl Iterator<Item = &'a str>) -> Self {
        let mut counts = vec![0_u32; usize::try_from(shape.buckets).unwrap_or_default()];
        let mut total = 0_u32;
        for text in texts {
            total = total.saturating_add(1);
            let mut buckets: Vec<u32> = found(shape, text).iter().map(|one| one.bucket).collect();
            buckets.sort_unstable();
            buckets.dedup();
            for bucket in buckets {
                if let Some(count) = usize::try_from(bucket).ok().and_then(|at| counts.get_mut(at))
                {
                    *count = count.saturating_add(1);
                }
            }
        }
        let idf = |count: u32| {
            if count < least.max(1) {
                return 0.0;
            }
            narrow(((1.0 + f64::from(total)) / (1.0 + f64::from(count))).ln() + 1.0)
        };
        Self { shape, idf: counts.into_iter().map(idf).collect() }
    }

    /// Inverse document frequencies, a bucket each.
    pub fn idf(&self) -> &[f32] {
        &self.idf
    }

    /// The n-grams of a text that were seen in training, by bucket.
    pub(crate) fn of(&self, text: &str) -> Vec<Gram> {
        let mut counts: BTreeMap<(Of, u32), f32> = BTreeMap::new();
        for one in found(self.shape, text) {
            *counts.entry((one.of, one.bucket)).or_default() += 1.0;
        }
        let mut grams: Vec<Gram> = Vec::with_capacity(counts.len());
        for kind in [Of::Words, Of::Characters] {
            let begin = grams.len();
            grams.extend(counts.iter().filter(|((of, _), _)| *of == kind).filter_map(
                |((_, bucket), count)| {
                    let idf = self.idf_of(*bucket)?;
                    Some(Gram { bucket: *bucket, weight: (1.0 + count.ln()) * idf })
                },
            ));
            let of_kind = grams.get_mut(begin..).unwrap_or_default();
            let length = of_kind.iter().map(|gram| gram.weight.powi(2)).sum::<f32>().sqrt();
            for gram in of_kind {
                gram.weight /= length;
            }
        }
        grams
    }

    /// For each bucket of the text, where its n-grams stand.
    pub(crate) fn places(&self, text: &str) -> BTreeMap<u32, Vec<Range<usize>>> {
        let mut places: BTreeMap<u32, Vec<Range<usize>>> = BTreeMap::new();
        for one in found(self.shape, text) {
            places.entry(one.bucket).or_default().push(one.place);
        }
        places
    }

    fn idf_of(&self, bucket: u32) -> Option<f32> {
        let idf = self.idf.get(usize::try_from(bucket).ok()?).copied()?;
        (idf > 0.0).then_some(idf)
    }
}

fn found(shape: Wide, text: &str) -> Vec<Found> {
    let segments = segments(text);
    let mut all = Vec::new();
    words(shape, &segments, &mut all);
    if shape.characters_to > 0 {
        for segment in &segments {
            characters(shape, segment, &mut all);
        }
    }
    all
}

fn words(shape: Wide, segments: &[Segment], all: &mut Vec<Found>) {
    let mut words: Vec<(&[char], Range<usize>)> = Vec::new();
    for segment in segments {
        if segment.kind == Script::Han {
            let each = segment.characters.chunks(1).enumerate();
            words.extend(each.map(|(at, one)| {
                let start = segment.start.saturating_add(at);
                (one, start..start.saturating_add(1))
            }));
        } else {
            let end = segment.start.saturating_add(segment.characters.len());
            words.push((&segment.characters, segment.start..end));
        }
    }
    let longest = usize::try_from(shape.words).unwrap_or(1);
    for start in 0..words.len() {
        let mut hash = Hash::new(1);
        for (word, place) in words.iter().skip(start).take(longest) {
            for character in *word {
                hash.add(u32::from(*character));
            }
            hash.add(u32::MAX);
            let begin = words.get(start).map_or(place.start, |(_, first)| first.start);
            let bucket = hash.bucket(shape.buckets);
            all.push(Found { of: Of::Words, bucket, place: begin..place.end });
        }
    }
}

fn characters(shape: Wide, segment: &Segment, all: &mut Vec<Found>) {
    /// Stand at a segment's ends, so that its beginning differs from its middle.
    const ENDS: [char; 2] = ['\u{2}', '\u{3}'];
    let [begin, end] = ENDS;
    let marked: Vec<char> = std::iter::once(begin)
        .chain(segment.characters.iter().copied())
        .chain(std::iter::once(end))
        .collect();
    let last = segment.characters.len();
    let longest = usize::try_from(shape.characters_to).unwrap_or(1);
    let shortest = usize::try_from(shape.characters_from).unwrap_or(1);
    for start in 0..marked.len() {
        let mut hash = Hash::new(2);
        for (length, character) in (1..=longest).zip(marked.iter().skip(start)) {
            hash.add(u32::from(*character));
            if length < shortest {
                continue;
            }
            // The mark in front is not a character of the text.
            let from = start.saturating_sub(1).min(last);
            let to = start.saturating_add(length).saturating_sub(1).clamp(from, last);
            let place = segment.start.saturating_add(from)..segment.start.saturating_add(to);
            all.push(Found { of: Of::Characters, bucket: hash.bucket(shape.buckets), place });
        }
    }
}

fn segments(text: &str) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut joins = false;
    for (at, character) in text.chars().enumerate() {
        let character = plain(character);
        if character.is_whitespace() || character.is_control() {
            joins = false;
            continue;
        }
        let kind = match character {
            '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}' => {
                Script::Han
            }
            _ if character.is_alphanumeric() => Script::Letters,
            _ => Script::Other,
        };
        match segments.last_mut() {
            Some(last) if joins && last.kind == kind && kind != Script::Other => {
                last.characters.push(character);
            }
            _ => segments.push(Segment { characters: vec![character], start: at, kind }),
        }
        joins = true;
    }
    segments
}

/// In lower case, full-width forms as the usual ones, any digit as 0: the length of a number says
/// more than its digits. One character stays one.
fn plain(character: char) -> char {
    let half = match character {
        '\u{ff01}'..='\u{ff5e}' => {
            char::from_u32(u32::from(character).saturating_sub(0xfee0)).unwrap_or(character)
        }
        other => other,
    };
    if half.is_ascii_digit() {
        return '0';
    }
    half.to_lowercase().next().unwrap_or(half)
}

/// FNV-1a over 32-bit units, with SplitMix64's last step, so that low bits depend on all. It is
/// part of the bundle's format: a bucket must mean tomorrow what it means today.
#[derive(Clone, Copy)]
struct Hash(u64);

impl Hash {
    const fn new(seed: u64) -> Self {
        Self(0xcbf2_9ce4_8422_2325 ^ seed)
    }

    fn add(&mut self, unit: u32) {
        for byte in unit.to_le_bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn bucket(self, buckets: u32) -> u32 {
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let mixed = mixed ^ (mixed >> 31);
        u32::try_from(mixed.checked_rem(u64::from(buckets)).unwrap_or_default()).unwrap_or_default()
    }
}

#[expect(clippy::as_conversions, reason = "rounds to the nearest f32, which is what is wanted")]
const fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Wide =
        Wide { buckets: 1 << 20, words: 2, characters_from: 2, characters_to: 4, width: 0 };

    #[test]
    fn grams_are_of_words_pairs_and_parts_of_words_in_any_case_and_width() {
        let places = |text: &str| found(SHAPE, text).into_iter().map(|one| one.place).collect();
        let words: Vec<Range<usize>> = places("Ab 我的");
        // Words and pairs first: ab, ab 我, 我, 我的, 的.
        assert_eq!(words[..5], [0..2, 0..4, 3..4, 3..5, 4..5]);
        let buckets = |text: &str| -> Vec<u32> {
            found(SHAPE, text).into_iter().map(|one| one.bucket).collect()
        };
        assert_eq!(buckets("Card 42"), buckets("ｃａｒｄ 17"));
        assert_ne!(buckets("card"), buckets("cards"));
    }

    #[test]
    fn buckets_are_the_ones_that_they_have_always_been() {
        let buckets: Vec<u32> = found(Wide { characters_to: 0, ..SHAPE }, "hi 我")
            .iter()
            .map(|one| one.bucket)
            .collect();
        assert_eq!(buckets, BUCKETS);
    }

    const BUCKETS: [u32; 3] = [1_029_086, 887_402, 131_058];

    #[test]
    fn each_kind_has_length_one_and_what_was_not_seen_is_left_out() {
        let grams = Grams::count(SHAPE, 1, ["a card", "my card", "我的卡"].into_iter());
        let of = grams.of("my card");
        let length: f32 = of.iter().map(|gram| gram.weight.powi(2)).sum();
        assert!((length - 2.0).abs() < 1e-5, "{length}");
        assert!(grams.of("quite different").len() < 3);
        assert!(grams.of("").is_empty());
    }

    #[test]
    fn idf_agrees_with_figures_worked_out_by_hand() {
        let shape = Wide { words: 1, characters_to: 0, ..SHAPE };
        let grams = Grams::count(shape, 1, ["a card", "my card"].into_iter());
        let of = grams.of("card my");
        let weight = |word: &str| {
            let bucket = found(shape, word)[0].bucket;
            of.iter().find(|gram| gram.bucket == bucket).unwrap().weight
        };
        let rare = (3.0_f32 / 2.0).ln() + 1.0;
        assert!((weight("my") / weight("card") - rare).abs() < 1e-5);
    }
}
