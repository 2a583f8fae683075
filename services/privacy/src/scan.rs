//! One pass: where a value may begin, what it could be there, and how sure that is.

use std::ops::Range;

use crate::{
    age, card,
    catalog::{Bits, Catalog, SpecialKind},
    code::Code,
    confidence::Confidence,
    crypto, date, email, iban, ip, network, phone, place, plate,
    reading::{Reading, settle},
    rule::STRONG,
    secret, swift, url,
};

/// What a word that speaks for a kind adds.
pub(crate) const CONTEXT: f32 = 0.35;
/// Below this, a reading needs such a word, or the value must stand alone.
const DOUBTFUL: f32 = 0.2;
/// How far words are looked for, in bytes, before and behind a value.
pub(crate) const BEFORE: usize = 64;
pub(crate) const BEHIND: usize = 32;

/// One pass over a text.
pub(crate) struct Scan<'a> {
    pub(crate) bytes: &'a [u8],
    wanted: Bits,
    readings: Vec<Reading>,
    /// Whether the text is nothing but values, as the fields of a form are; once it was asked.
    bare: Option<bool>,
    /// The kinds that words speak for, where they were looked for last.
    words: Option<(usize, Bits)>,
    /// Up to where each scanner has read already: nothing is read twice, however long it is.
    pub(crate) secrets_to: usize,
    pub(crate) addresses_to: usize,
    pub(crate) phones_to: usize,
    pub(crate) urls_to: usize,
    pub(crate) keys_to: usize,
    /// The end of the last account number whose checksum holds: nothing in it is anything else.
    pub(crate) accounts_to: usize,
}

const ALNUM: u8 = 1;
const TRIGGER: u8 = 2;

static CLASS: [u8; 256] = classes();

#[expect(clippy::as_conversions, clippy::indexing_slicing, reason = "a table made at compile time")]
const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let here = byte as u8;
        if here.is_ascii_alphanumeric() {
            table[byte] |= ALNUM;
        }
        if here.is_ascii_digit() || matches!(here, b'@' | b':' | b'.' | b'-' | b'+' | b'(') {
            table[byte] |= TRIGGER;
        }
        byte += 1;
    }
    table
}

fn is(byte: u8, class: u8) -> bool {
    CLASS.get(usize::from(byte)).is_some_and(|found| found & class != 0)
}

impl<'a> Scan<'a> {
    pub(crate) fn new(bytes: &'a [u8], wanted: Bits) -> Self {
        Self {
            bytes,
            wanted,
            readings: Vec::new(),
            bare: None,
            words: None,
            secrets_to: 0,
            addresses_to: 0,
            phones_to: 0,
            urls_to: 0,
            keys_to: 0,
            accounts_to: 0,
        }
    }

    /// Adds a reading, if its kind is wanted and enough speaks for it.
    pub(crate) fn add(&mut self, kind: SpecialKind, range: Range<usize>, confidence: f32) {
        self.read_as(kind.id(), range, confidence);
    }

    pub(crate) fn wants(&self, kind: SpecialKind) -> bool {
        self.wanted & (1 << kind.id()) != 0
    }

    fn read_as(&mut self, id: usize, range: Range<usize>, confidence: f32) {
        let known = |reading: &Reading| reading.id == id && reading.range == range;
        if confidence <= 0.0
            || self.wanted & (1 << id) == 0
            || self.readings.iter().rev().take(8).any(known)
        {
            return;
        }
        let supported = confidence < 0.9 && self.is_meant(id, &range);
        if supported {
            let confidence = (confidence + CONTEXT).clamp(Confidence::ACTED_UPON.share(), 1.0);
            self.readings.push(Reading { id, range, confidence, supported });
        } else if confidence >= DOUBTFUL || self.is_bare() {
            self.readings.push(Reading { id, range, confidence, supported });
        }
    }

    /// Whether a word near the value speaks for the kind.
    pub(crate) fn means(&mut self, kind: SpecialKind, range: &Range<usize>) -> bool {
        self.is_meant(kind.id(), range)
    }

    /// Whether the text is nothing but values.
    pub(crate) fn is_bare(&mut self) -> bool {
        *self.bare.get_or_insert_with(|| is_bare(self.bytes))
    }

    fn is_meant(&mut self, id: usize, range: &Range<usize>) -> bool {
        let bits = match self.words {
            Some((start, bits)) if start == range.start => bits,
            _ => {
                let around = |from: usize, to: usize| self.bytes.get(from..to).unwrap_or_default();
                // One byte more on the outside tells whether a word begins or ends there.
                let before = around(range.start.saturating_sub(BEFORE), range.start);
                let behind = around(range.end, (range.end + BEHIND).min(self.bytes.len()));
                let words = Catalog::get().words();
                let bits = words.meant(before) | words.meant(behind);
                self.words = Some((range.start, bits));
                bits
            }
        };
        bits & (1 << id) != 0
    }

    pub(crate) fn run(&mut self) {
        let bytes = self.bytes;
        let mut at = 0;
        let mut edge = 0;
        while let Some(skip) =
            bytes.get(at..).and_then(|rest| rest.iter().position(|byte| is(*byte, TRIGGER)))
        {
            at += skip;
            match bytes.get(at) {
                Some(b'@') => email::at(self, at),
                Some(b':') => {
                    ip::at(self, at);
                    network::mac(self, at);
                    url::with_scheme(self, at);
                }
                Some(b'.') => url::domain(self, at),
                Some(b'-') => {
                    network::mac(self, at);
                    secret::pem(self, at);
                }
                Some(b'+' | b'(') => phone::at(self, at),
                Some(_) => {
                    let before = bytes.get(edge..at).unwrap_or_default();
                    let letters = before.iter().rev().take_while(|byte| is(**byte, ALNUM)).count();
                    let rest = bytes.get(at..).unwrap_or_default();
                    let length = rest.iter().take_while(|byte| is(**byte, ALNUM)).count();
                    let piece = at - letters..at + length;
                    self.piece(&piece, at);
                    edge = piece.end;
                    at = piece.end;
                    continue;
                }
                None => break,
            }
            at += 1;
        }
        swift::near_its_word(self);
    }

    /// Letters and digits without a gap, at least one digit among them, the first at `digit`.
    fn piece(&mut self, piece: &Range<usize>, digit: usize) {
        if piece.end <= self.accounts_to {
            return;
        }
        iban::at(self, piece);
        if piece.start == digit {
            card::at(self, piece.start);
            ip::at(self, piece.start);
            phone::at(self, piece.start);
            date::at(self, piece);
            age::at(self, piece);
            place::coordinates(self, piece.start);
        } else {
            ip::at(self, piece.start);
        }
        plate::at(self, piece);
        if piece.len() >= 26 {
            crypto::at(self, piece);
        }
        secret::token(self, piece);
        self.codes(piece, digit);
    }

    /// National numbers that begin with this piece, or with short words before it.
    fn codes(&mut self, piece: &Range<usize>, digit: usize) {
        if piece.len() == 1 && self.spelled(piece) {
            return;
        }
        self.codes_from(piece, piece.end, false);
        let mut start = piece.clone();
        for _ in 0..3 {
            let Some(word) = self.short_word_before(start.start) else { break };
            if Catalog::get().has_groups(word.len(), start.len()) {
                self.codes_from(&word, piece.end, false);
            }
            start = word;
        }
        // Glued to a word: only what its own checks make certain.
        let glued = self.bytes.get(piece.start..digit).unwrap_or_default();
        if glued.len() >= 2 && glued.iter().all(u8::is_ascii_lowercase) {
            self.codes_from(&(digit..piece.end), piece.end, true);
        }
    }

    fn codes_from(&mut self, first: &Range<usize>, least: usize, glued: bool) {
        let mut code = Code::new();
        let mut part = first.clone();
        let mut gap = None;
        loop {
            let Some(group) = self.bytes.get(part.clone()) else { return };
            if code.push(gap, group).is_none() {
                return;
            }
            if part.end >= least {
                self.match_shapes(&code, &(first.start..part.end), glued);
            }
            let Some(separator) = self.bytes.get(part.end).copied().filter(|b| is_gap(*b)) else {
                return;
            };
            let begin = part.end + 1;
            let rest = self.bytes.get(begin..).unwrap_or_default();
            let length = rest.iter().take(18).take_while(|byte| is(**byte, ALNUM)).count();
            let known = || match code.count {
                1 => Catalog::get().has_groups(code.len(), length),
                _ => Catalog::get().goes_on(code.groups),
            };
            if length == 0 || length > 17 || !known() {
                return;
            }
            gap = Some(separator);
            part = begin..begin + length;
        }
    }

    fn match_shapes(&mut self, code: &Code, range: &Range<usize>, glued: bool) {
        let catalog = Catalog::get();
        let shapes = catalog.shapes(code.len(), code.groups);
        let mut bounded = None;
        for (shape, id, rule) in shapes {
            if self.wanted & (1 << id) == 0 || !shape.fits(code) {
                continue;
            }
            let confidence = (rule.check)(code);
            if confidence <= 0.0 || glued && confidence < STRONG {
                continue;
            }
            if !*bounded.get_or_insert_with(|| self.stands_alone(range, code.gaps(), glued)) {
                return;
            }
            self.read_as(*id, range.clone(), confidence);
        }
    }

    /// Digits that are written one by one, `1 3 8 …`, with the same gap throughout.
    fn spelled(&mut self, piece: &Range<usize>) -> bool {
        let Some(gap) = self.bytes.get(piece.end).copied().filter(|byte| is_gap(*byte)) else {
            return false;
        };
        let pairs = self.bytes.get(piece.start..).unwrap_or_default();
        let count = pairs
            .chunks(2)
            .take(40)
            .take_while(
                |pair| matches!(pair, [digit, after] if digit.is_ascii_digit() && *after == gap),
            )
            .count();
        // The last digit has no gap behind it.
        let last = pairs.get(count * 2).is_some_and(u8::is_ascii_digit);
        let digits: Vec<u8> =
            pairs.iter().step_by(2).take(count + usize::from(last)).copied().collect();
        if !(9..=19).contains(&digits.len()) {
            return false;
        }
        let range = piece.start..piece.start + digits.len() * 2 - 1;
        let alone = self.stands_alone(&range, &[gap], false);
        let mut code = Code::new();
        if alone && code.push(None, &digits).is_some() {
            self.match_shapes(&code, &range, false);
            let values: Vec<u8> = digits.iter().map(|byte| byte - b'0').collect();
            if card::is_card(&values) {
                self.add(SpecialKind::CREDIT_CARD, range.clone(), 0.8);
            }
            phone::spelled(self, &values, range);
        }
        true
    }

    fn short_word_before(&self, start: usize) -> Option<Range<usize>> {
        let end = start.checked_sub(1)?;
        if !is_gap(*self.bytes.get(end)?) {
            return None;
        }
        let before = self.bytes.get(..end)?;
        let length = before.iter().rev().take(6).take_while(|byte| is(**byte, ALNUM)).count();
        let word = before.get(end - length..)?;
        let short = (1..=5).contains(&length) && word.iter().all(u8::is_ascii_alphabetic);
        short.then_some(end - length..end)
    }

    /// Whether a value is not part of something longer.
    pub(crate) fn stands_alone(&self, range: &Range<usize>, gaps: &[u8], glued: bool) -> bool {
        let byte = |at: Option<usize>| at.and_then(|at| self.bytes.get(at)).copied();
        let near = byte(range.start.checked_sub(1));
        let far = byte(range.start.checked_sub(2));
        let digit = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_digit());
        let alnum = |byte: Option<u8>| byte.is_some_and(|byte| is(byte, ALNUM));
        let spaced = gaps.contains(&b' ');
        let before = match near {
            _ if glued => true,
            Some(b'-' | b'.' | b'/' | b'_' | b'@') => !alnum(far),
            Some(b'$' | b'+') => false,
            Some(b':' | b',') => !digit(far),
            Some(b' ') => !(spaced && digit(far)),
            Some(byte) => !is(byte, ALNUM),
            None => true,
        };
        let next = byte(Some(range.end));
        let after_next = byte(Some(range.end + 1));
        let behind = match next {
            Some(b'-' | b'/' | b'_') => !alnum(after_next),
            Some(b'@' | b'%') => false,
            Some(b'.' | b':' | b',') => !digit(after_next),
            Some(b' ') => !(spaced && digit(after_next)),
            Some(byte) => !is(byte, ALNUM),
            None => true,
        };
        before && behind
    }

    /// The readings that are left where they overlap, sorted by place.
    pub(crate) fn resolved(mut self) -> Vec<Reading> {
        if self.readings.is_empty() {
            return Vec::new();
        }
        let bare = self.is_bare();
        self.readings
            .sort_by(|a, b| a.range.start.cmp(&b.range.start).then(b.range.end.cmp(&a.range.end)));
        let mut kept = Vec::with_capacity(self.readings.len());
        let mut cluster: Vec<Reading> = Vec::new();
        let mut end = 0;
        for reading in std::mem::take(&mut self.readings) {
            if reading.range.start >= end {
                settle(&mut cluster, bare, &mut kept);
            }
            end = end.max(reading.range.end);
            cluster.push(reading);
        }
        settle(&mut cluster, bare, &mut kept);
        kept
    }
}

fn is_gap(byte: u8) -> bool {
    matches!(byte, b' ' | b'-' | b'.' | b'/' | b':')
}

/// Values without prose: no word of three letters or more with a small one among them.
fn is_bare(bytes: &[u8]) -> bool {
    bytes.len() <= 160
        && bytes.is_ascii()
        && bytes.split(|byte| !is(*byte, ALNUM)).all(|word| {
            word.len() < 3
                || word.iter().any(u8::is_ascii_digit)
                || !word.iter().any(u8::is_ascii_lowercase)
        })
}
