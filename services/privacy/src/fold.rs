//! Full-width characters and zero-width ones must not hide a value: the text is read as if they
//! were plain, and what is found is mapped back.

use std::{borrow::Cow, ops::Range};

/// A text as the detectors read it, and where each of its bytes stands in the original.
pub(crate) struct Folded<'a> {
    pub(crate) bytes: Cow<'a, [u8]>,
    /// For each byte and the end; none if nothing had to be folded.
    places: Option<Vec<usize>>,
}

impl<'a> Folded<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        // Full-width forms begin with EF, zero-width characters with E2 or EF.
        if memchr::memchr2(0xEF, 0xE2, text.as_bytes()).is_none() {
            return Self { bytes: Cow::Borrowed(text.as_bytes()), places: None };
        }
        let mut bytes = Vec::with_capacity(text.len());
        let mut places = Vec::with_capacity(text.len().saturating_add(1));
        for (at, character) in text.char_indices() {
            match character {
                '\u{FF01}'..='\u{FF5E}' => {
                    // The full-width forms stand in the order of ASCII.
                    let plain = u32::from(character).saturating_sub(0xFEE0);
                    bytes.push(u8::try_from(plain).unwrap_or(b'?'));
                    places.push(at);
                }
                '\u{3000}' => {
                    bytes.push(b' ');
                    places.push(at);
                }
                '\u{2010}'..='\u{2015}' => {
                    bytes.push(b'-');
                    places.push(at);
                }
                '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}' => {}
                other => {
                    let mut buffer = [0; 4];
                    for byte in other.encode_utf8(&mut buffer).bytes() {
                        bytes.push(byte);
                        places.push(at);
                    }
                }
            }
        }
        places.push(text.len());
        Self { bytes: Cow::Owned(bytes), places: Some(places) }
    }

    /// Where a range of the folded bytes stands in the original. Values begin and end with folded
    /// characters or ASCII, so that the end is where the next character begins, less what is
    /// folded away behind the value.
    pub(crate) fn original(&self, range: &Range<usize>, text: &str) -> Option<Range<usize>> {
        let Some(places) = &self.places else { return Some(range.clone()) };
        let start = *places.get(range.start)?;
        let last = *places.get(range.end.checked_sub(1)?)?;
        let width = text.get(last..)?.chars().next()?.len_utf8();
        Some(start..last.checked_add(width)?)
    }
}
