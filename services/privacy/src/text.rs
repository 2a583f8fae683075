use std::{fmt, ops::Range};

/// A text as it came. It cannot be shown, written or logged by accident: only its length can.
pub struct RawText(String);

impl RawText {
    /// Takes a text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Its length in Unicode code points.
    pub fn characters(&self) -> usize {
        self.0.chars().count()
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_inner(self) -> String {
        self.0
    }
}

impl fmt::Debug for RawText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawText({} bytes)", self.0.len())
    }
}

/// A text from which what must be redacted was taken out. Only [`crate::redact`] makes one.
pub struct CleanText {
    text: String,
    /// What was put in the place of what, one list for each time that it was gone through.
    edits: Vec<Vec<Edit>>,
}

/// A place in a text, and where what was put there instead stands afterwards; both in Unicode code
/// points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) from: Range<usize>,
    pub(crate) to: Range<usize>,
}

impl CleanText {
    pub(crate) fn new(text: String, edits: Vec<Vec<Edit>>) -> Self {
        Self { text, edits }
    }

    pub(crate) fn edits(&self) -> &[Vec<Edit>] {
        &self.edits
    }

    /// Where a part of this text stood in the text as it came, in Unicode code points. What stands
    /// in a value's place stands for all of the value.
    pub fn origin(&self, part: Range<usize>) -> Range<usize> {
        self.edits.iter().rev().fold(part, |part, edits| {
            let last =
                |is_before: &dyn Fn(&Edit) -> bool| edits.iter().rev().find(|e| is_before(e));
            let start = match last(&|edit| edit.to.start <= part.start) {
                None => part.start,
                Some(edit) if part.start < edit.to.end => edit.from.start,
                Some(edit) => edit.from.end.saturating_add(part.start.saturating_sub(edit.to.end)),
            };
            let end = last(&|edit| edit.to.start < part.end).map_or(part.end, |edit| {
                edit.from.end.saturating_add(part.end.saturating_sub(edit.to.end))
            });
            start..end.max(start)
        })
    }

    /// The text, to be sent to a pod.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for CleanText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CleanText({} bytes)", self.text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_again_in_the_text_as_it_came() {
        // "ask Zoë Müller now" → "ask [NAME] now" → "ask [NAME] …"
        let first = vec![Edit { from: 4..14, to: 4..10 }];
        let second = vec![Edit { from: 11..14, to: 11..12 }];
        let clean = CleanText::new("ask [NAME] …".to_owned(), vec![first, second]);
        for (part, origin) in [
            (0..3, 0..3),
            (4..10, 4..14),
            (5..9, 4..14),
            (9..10, 4..14),
            (10..11, 14..15),
            (11..12, 15..18),
            (0..12, 0..18),
            (3..5, 3..14),
        ] {
            assert_eq!(clean.origin(part.clone()), origin, "{part:?}");
        }
        let untouched = CleanText::new("as it was".to_owned(), Vec::new());
        assert_eq!(untouched.origin(3..5), 3..5);
    }
}
