//! What is left of a text without the values found.

use std::ops::Range;

use crate::{detector::Detector, reading::Reading};

/// A text with the kinds in brackets in place of the values found.
pub(crate) struct Masked {
    pub(crate) bytes: Vec<u8>,
    brackets: Vec<Bracket>,
}

/// Where a kind in brackets stands, and the value in the original that it stands for.
struct Bracket {
    begin: usize,
    end: usize,
    value: Range<usize>,
}

impl Masked {
    pub(crate) fn new(bytes: &[u8], readings: &[Reading], detector: &Detector) -> Self {
        let mut masked = Self {
            bytes: Vec::with_capacity(bytes.len()),
            brackets: Vec::with_capacity(readings.len()),
        };
        let mut edge = 0;
        let mut rest = readings.iter().peekable();
        while let Some(first) = rest.next() {
            let (mut surest, mut end) = (first, first.range.end);
            while let Some(more) = rest.next_if(|more| more.range.start < end) {
                end = end.max(more.range.end);
                if more.confidence > surest.confidence {
                    surest = more;
                }
            }
            masked.bytes.extend(bytes.get(edge..first.range.start).unwrap_or_default());
            let begin = masked.bytes.len();
            masked.bytes.push(b'[');
            if let Some(kind) = detector.kind(surest.id) {
                masked.bytes.extend(kind.as_str().as_bytes());
            }
            masked.bytes.push(b']');
            let value = first.range.start..end;
            masked.brackets.push(Bracket { begin, end: masked.bytes.len(), value });
            edge = end;
        }
        masked.bytes.extend(bytes.get(edge..).unwrap_or_default());
        masked
    }

    /// The reading as it stands in the text, with the whole of each value that it reaches into;
    /// none if it lies in a bracket.
    pub(crate) fn original(&self, mut reading: Reading) -> Option<Reading> {
        let Range { start, end } = reading.range;
        let first = self.bracket_before(start);
        let last = self.bracket_before(end - 1);
        let begin = match first {
            Some(bracket) if start < bracket.end => {
                if end <= bracket.end {
                    return None;
                }
                bracket.value.start
            }
            Some(bracket) => bracket.value.end + start - bracket.end,
            None => start,
        };
        let close = match last {
            Some(bracket) if end <= bracket.end => bracket.value.end,
            Some(bracket) => bracket.value.end + end - bracket.end,
            None => end,
        };
        reading.range = begin..close;
        Some(reading)
    }

    /// The last bracket that begins at a place or before it.
    fn bracket_before(&self, at: usize) -> Option<&Bracket> {
        let next = self.brackets.partition_point(|bracket| bracket.begin <= at);
        self.brackets.get(next.checked_sub(1)?)
    }
}
