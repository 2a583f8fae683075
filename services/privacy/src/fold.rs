//! Full-width characters, digits of other scripts and invisible characters must not hide a value:
//! the text is read as if they were plain, and what is found is mapped back.

use std::{borrow::Cow, ops::Range};

/// A text as the detectors read it, and where each of its bytes stands in the original.
pub(crate) struct Folded<'a> {
    pub(crate) bytes: Cow<'a, [u8]>,
    /// Places from which on the distance to the original is another: the place, and the place in
    /// the original. Empty if nothing had to be folded.
    shifts: Vec<(usize, usize)>,
}

/// What a character is read as.
enum Plain {
    Itself,
    Byte(u8),
    Nothing,
}

fn plain(character: char) -> Plain {
    let digit = |zero: u32| {
        u8::try_from(u32::from(character) - zero).map_or(Plain::Itself, |d| Plain::Byte(b'0' + d))
    };
    match character {
        // The full-width forms stand in the order of ASCII.
        '\u{FF01}'..='\u{FF5E}' => {
            u8::try_from(u32::from(character) - 0xFEE0).map_or(Plain::Itself, Plain::Byte)
        }
        '\u{3000}' | '\u{A0}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' => {
            Plain::Byte(b' ')
        }
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{FE58}' | '\u{FE63}' => Plain::Byte(b'-'),
        '\u{AD}'
        | '\u{200B}'..='\u{200F}'
        | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{2064}'
        | '\u{FEFF}' => Plain::Nothing,
        '\u{0660}'..='\u{0669}' => digit(0x0660),
        '\u{06F0}'..='\u{06F9}' => digit(0x06F0),
        '\u{0966}'..='\u{096F}' => digit(0x0966),
        '\u{09E6}'..='\u{09EF}' => digit(0x09E6),
        '\u{0E50}'..='\u{0E59}' => digit(0x0E50),
        // Five alphabets of mathematical digits, ten each.
        '\u{1D7CE}'..='\u{1D7FF}' => u8::try_from((u32::from(character) - 0x1D7CE) % 10)
            .map_or(Plain::Itself, |d| Plain::Byte(b'0' + d)),
        _ => Plain::Itself,
    }
}

/// Whether a character that may be folded begins with these bytes. The first tells for most texts;
/// Chinese ones are full of `E3` to `E9` and of `EF`.
fn may_fold(bytes: &[u8], at: usize) -> bool {
    let Some(first) = bytes.get(at) else { return false };
    if *first < 0xC2 {
        return false;
    }
    let second = bytes.get(at + 1).copied().unwrap_or_default();
    match first {
        0xC2 => matches!(second, 0xA0 | 0xAD),
        0xD9 | 0xDB | 0xE0 => true,
        0xE2 => matches!(second, 0x80 | 0x81 | 0x88),
        0xE3 => second == 0x80 && bytes.get(at + 2) == Some(&0x80),
        0xEF => matches!(second, 0xB9 | 0xBB | 0xBC | 0xBD),
        0xF0 => second == 0x9D,
        _ => false,
    }
}

impl<'a> Folded<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let source = text.as_bytes();
        if source.is_ascii() {
            return Self { bytes: Cow::Borrowed(source), shifts: Vec::new() };
        }
        let Some(first) = (0..source.len()).find(|at| may_fold(source, *at)) else {
            return Self { bytes: Cow::Borrowed(source), shifts: Vec::new() };
        };
        let mut bytes: Vec<u8> = Vec::with_capacity(source.len());
        bytes.extend(source.get(..first).unwrap_or_default());
        let mut shifts: Vec<(usize, usize)> = Vec::new();
        let mut at = first;
        while at < source.len() {
            let rest = source.get(at..).unwrap_or_default();
            let run = (0..rest.len()).find(|at| may_fold(rest, *at)).unwrap_or(rest.len());
            bytes.extend(rest.get(..run).unwrap_or_default());
            at += run;
            let Some(character) = text.get(at..).and_then(|rest| rest.chars().next()) else {
                break;
            };
            let width = character.len_utf8();
            match plain(character) {
                Plain::Itself => bytes.extend(source.get(at..at + width).unwrap_or_default()),
                Plain::Byte(byte) => {
                    shifts.push((bytes.len(), at));
                    bytes.push(byte);
                    shifts.push((bytes.len(), at + width));
                }
                Plain::Nothing => shifts.push((bytes.len(), at + width)),
            }
            at += width;
        }
        if shifts.is_empty() {
            return Self { bytes: Cow::Borrowed(source), shifts };
        }
        Self { bytes: Cow::Owned(bytes), shifts }
    }

    /// Where a byte of the folded text stands in the original.
    fn place(&self, at: usize) -> usize {
        // The last of several shifts at one place is the one behind what was folded away.
        let next = self.shifts.partition_point(|(folded, _)| *folded <= at);
        match next.checked_sub(1).and_then(|last| self.shifts.get(last)) {
            Some((folded, original)) => original + (at - folded),
            None => at,
        }
    }

    /// Where a range of the folded bytes stands in the original: from its first character to its
    /// last, without what was folded away before and behind.
    pub(crate) fn original(&self, range: &Range<usize>, text: &str) -> Option<Range<usize>> {
        if self.shifts.is_empty() {
            return Some(range.clone());
        }
        let start = self.place(range.start);
        let mut last = self.place(range.end.checked_sub(1)?);
        while !text.is_char_boundary(last) {
            last = last.checked_sub(1)?;
        }
        let width = text.get(last..)?.chars().next()?.len_utf8();
        Some(start..last + width)
    }
}
