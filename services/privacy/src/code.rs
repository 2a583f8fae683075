//! A candidate as national numbers see it: letters and digits without what separates them.

use crate::checksum;

/// The longest code that any shape describes, in letters and digits.
pub(crate) const LONGEST: usize = 34;
/// The most groups that a code is written in; the packed lengths fit 64 bits.
pub(crate) const MOST_GROUPS: usize = 10;

/// Letters in upper case and digits, with the lengths of the groups that they were written in.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    text: [u8; LONGEST],
    /// Each byte less `'0'`; letters continue after the digits as `'A'` = 10, so that ten and more
    /// is a letter.
    values: [u8; LONGEST],
    len: usize,
    /// Bit *i* is set if character *i* is a digit.
    pub(crate) digits: u64,
    /// Six bits for the length of each group, the first in the lowest.
    pub(crate) groups: u64,
    pub(crate) count: usize,
    /// What stands before each group but the first.
    gaps: [u8; MOST_GROUPS],
}

impl Code {
    pub(crate) fn new() -> Self {
        Self {
            text: [0; LONGEST],
            values: [0; LONGEST],
            len: 0,
            digits: 0,
            groups: 0,
            count: 0,
            gaps: [0; MOST_GROUPS],
        }
    }

    /// Adds a group of ASCII letters and digits; none if the code grows too long.
    pub(crate) fn push(&mut self, gap: Option<u8>, group: &[u8]) -> Option<()> {
        if self.count >= MOST_GROUPS {
            return None;
        }
        for byte in group {
            let upper = byte.to_ascii_uppercase();
            let digit = upper.is_ascii_digit();
            *self.text.get_mut(self.len)? = upper;
            *self.values.get_mut(self.len)? = if digit { upper - b'0' } else { upper - b'A' + 10 };
            self.digits |= u64::from(digit) << self.len;
            self.len += 1;
        }
        self.groups |= u64::try_from(group.len()).ok()? << (6 * self.count);
        if let (Some(gap), Some(slot)) = (gap, self.gaps.get_mut(self.count)) {
            *slot = gap;
        }
        self.count += 1;
        Some(())
    }

    /// What stands between the groups.
    pub(crate) fn gaps(&self) -> &[u8] {
        self.gaps.get(1..self.count).unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The characters, in upper case.
    pub(crate) fn text(&self) -> &[u8] {
        self.text.get(..self.len).unwrap_or_default()
    }

    /// Digits as 0 to 9, letters as 10 to 35.
    pub(crate) fn values(&self) -> &[u8] {
        self.values.get(..self.len).unwrap_or_default()
    }

    /// The value of a character; far above every digit and letter where there is none.
    pub(crate) fn at(&self, place: usize) -> u8 {
        self.values().get(place).copied().unwrap_or(u8::MAX)
    }

    /// Part of the values.
    pub(crate) fn part(&self, range: std::ops::Range<usize>) -> &[u8] {
        self.values().get(range).unwrap_or_default()
    }

    /// A part that is digits, as a number of at most nine digits.
    pub(crate) fn number(&self, range: std::ops::Range<usize>) -> u32 {
        checksum::number(self.part(range))
    }

    pub(crate) fn is_digits(&self) -> bool {
        self.digits == (1_u64 << self.len) - 1
    }
}
