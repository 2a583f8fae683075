use std::fmt;

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
pub struct CleanText(String);

impl CleanText {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, to be sent to a pod.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for CleanText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CleanText({} bytes)", self.0.len())
    }
}
