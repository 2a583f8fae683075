//! What describes a national number: the shapes it is written in, its check, the words around it.

use crate::{category::Category, code::Code};

/// A number of digits that anything could be: needs its context, or to stand alone.
pub(crate) const WEAK: f32 = 0.1;
/// A shape that few other things have.
pub(crate) const SHAPE: f32 = 0.3;
/// A check digit that one number in ten passes, or a shape that is used for nothing else.
pub(crate) const LIKELY: f32 = 0.5;
/// Several independent checks, or one that few numbers pass.
pub(crate) const STRONG: f32 = 0.85;
/// Nothing else looks like it.
pub(crate) const CERTAIN: f32 = 0.99;
/// Not such a number.
pub(crate) const NO: f32 = 0.0;

/// A kind of number that is described by shapes.
pub(crate) struct Rule {
    pub(crate) kind: &'static str,
    pub(crate) category: Category,
    /// `9` a digit, `A` a letter, `X` either; `-` one of `between`, the same throughout; `.`, `/`,
    /// `:` themselves and `_` a dash.
    pub(crate) shapes: &'static [&'static str],
    /// What may stand for `-`.
    pub(crate) between: &'static [u8],
    /// How sure the characters make it, from 0 (not at all) to 1.
    pub(crate) check: fn(&Code) -> f32,
    /// What speaks for it.
    pub(crate) why: &'static str,
    /// Words near the number that speak for it, in lower case.
    pub(crate) context: &'static [&'static str],
}

/// A shape, ready to be compared.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) groups: u64,
    digits: u64,
    letters: u64,
    gaps: Vec<u8>,
    between: &'static [u8],
}

impl Shape {
    /// Reads a shape; also its length in characters.
    pub(crate) fn parse(text: &str, between: &'static [u8]) -> (Self, usize) {
        let mut shape = Self { groups: 0, digits: 0, letters: 0, gaps: Vec::new(), between };
        let mut place = 0_usize;
        for class in text.bytes() {
            match class {
                b'9' | b'A' | b'X' => {
                    shape.digits |= u64::from(class == b'9') << place;
                    shape.letters |= u64::from(class == b'A') << place;
                    shape.groups += 1 << (6 * shape.gaps.len());
                    place += 1;
                }
                gap => shape.gaps.push(gap),
            }
        }
        (shape, place)
    }

    /// Whether a code that is written in the same groups is written like this.
    pub(crate) fn fits(&self, code: &Code) -> bool {
        let mut same = None;
        code.digits & self.digits == self.digits
            && code.digits & self.letters == 0
            && code.gaps().iter().zip(&self.gaps).all(|(gap, wanted)| match wanted {
                b'-' => self.between.contains(gap) && *same.get_or_insert(*gap) == *gap,
                b'_' => *gap == b'-',
                literal => gap == literal,
            })
    }
}
