use std::ops::Range;

use reeve_domain::Kind;

use crate::{catalog::Catalog, category::Category};

/// A value that was found: what it is and where, never the value itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// Where it stands, in bytes, on character boundaries.
    pub range: Range<usize>,
    /// How sure that is, from 0 to 1.
    pub confidence: f32,
    /// Whether words near it spoke for the kind and raised the confidence.
    pub in_context: bool,
}

impl Finding {
    /// What speaks for it, in a few words.
    pub fn why(&self) -> &'static str {
        Catalog::get().about(self.kind.as_str()).map_or("a pattern", |(_, why)| why)
    }

    /// What the kind is about.
    pub fn category(&self) -> Category {
        Catalog::get().about(self.kind.as_str()).map_or(Category::Custom, |(category, _)| category)
    }
}
