//! Why a text got its label, as a pod tells it: the output `explanation`, `BYTES` \[n\], each
//! element JSON. It comes only where it is asked for.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::text::TextMalformed;

/// The output's name.
pub const EXPLANATION: &str = "explanation";

/// The most texts that are explained in one call.
pub const MOST_EXPLAINED: usize = 16;

/// What each token of a text adds to the logit of its best label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The label that is explained.
    pub label: String,
    /// How it was found: `integrated-gradients` or `occlusion`.
    pub method: String,
    /// The tokens that were read, in order.
    pub tokens: Vec<TokenScore>,
    /// What belongs to no token.
    pub rest: f32,
    /// The label's logit for the text.
    pub logit: f32,
    /// Its logit for nothing.
    pub baseline: f32,
    /// How far the sum of all is from `logit − baseline`, as a share of it.
    pub error: f32,
    /// Steps of the integral, or tokens left out.
    pub steps: u32,
}

/// What a token adds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenScore {
    /// Its first character, in Unicode code points of the text.
    pub start: usize,
    /// Behind its last.
    pub end: usize,
    /// Above 0 speaks for the label, below against it.
    pub score: f32,
}

impl TokenScore {
    /// Where the token stands.
    pub const fn range(&self) -> Range<usize> {
        self.start..self.end
    }
}

impl Explanation {
    /// Reads an explanation of `label` for a text of `characters` code points. Places and numbers
    /// are not believed but checked.
    pub(crate) fn parse(json: &str, label: &str, characters: usize) -> Result<Self, TextMalformed> {
        let wrong = |problem: &str| TextMalformed::Tensor {
            name: EXPLANATION.into(),
            problem: problem.to_owned(),
        };
        let read: Self = serde_json::from_str(json).map_err(|_| wrong("holds no explanation"))?;
        if read.label != label {
            return Err(wrong("explains another label than the best"));
        }
        let numbers = [read.rest, read.logit, read.baseline, read.error];
        let scores = read.tokens.iter().map(|token| token.score);
        if !numbers.into_iter().chain(scores).all(f32::is_finite) {
            return Err(wrong("holds a number that is none"));
        }
        if !read.tokens.iter().all(|token| token.start < token.end && token.end <= characters) {
            return Err(wrong("names a place that the text does not have"));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_numbers_are_checked() {
        let good = r#"{"label": "a", "method": "occlusion", "rest": 0, "logit": 2, "baseline": 1,
            "error": 0.1, "steps": 2, "tokens": [{"start": 0, "end": 3, "score": 0.5}]}"#;
        assert_eq!(Explanation::parse(good, "a", 3).unwrap().tokens[0].range(), 0..3);
        assert!(Explanation::parse(good, "b", 3).is_err());
        assert!(Explanation::parse(good, "a", 2).is_err());
        assert!(Explanation::parse(&good.replace("0.5", "1e99"), "a", 3).is_err());
        assert!(Explanation::parse(&good.replace("\"start\": 0", "\"start\": 3"), "a", 3).is_err());
        assert!(Explanation::parse("[]", "a", 3).is_err());
    }
}
