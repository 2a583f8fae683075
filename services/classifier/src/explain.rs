//! Why a text got its label: what each token adds to the label's logit.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{Classifier, EncodeError, Encoded, ForwardError, Integral, metrics::largest};

/// What an explanation may cost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ExplainSettings {
    /// Steps are doubled until the completeness error is at most this share of what is explained.
    pub tolerance: f32,
    /// But never beyond so many.
    pub steps_max: u32,
    /// Leave tokens out instead, which needs no gradients; always so with a script.
    pub occlusion: bool,
}

impl Default for ExplainSettings {
    fn default() -> Self {
        Self { tolerance: 0.01, steps_max: 256, occlusion: false }
    }
}

/// What each token adds to a label's logit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The label's number.
    pub label: usize,
    /// How it was found.
    pub method: Method,
    /// The tokens that were read, in order.
    pub tokens: Vec<Attribution>,
    /// What belongs to no token that was read: special ones, and n-grams behind the cut.
    pub rest: f32,
    /// The label's logit for the text.
    pub logit: f32,
    /// Its logit for nothing: embeddings of zeros, no n-grams.
    pub baseline: f32,
    /// How far the sum of all is from `logit − baseline`, as a share of it: 0 is complete. Leaving
    /// tokens out is never complete, and this says by how much.
    pub error: f32,
    /// Steps of the integral, or tokens left out.
    pub steps: u32,
}

/// How an explanation was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Sundararajan et al. 2017, by the midpoint rule.
    IntegratedGradients,
    /// The logit's fall when the token is left out.
    Occlusion,
}

/// What a token adds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Attribution {
    /// Its first character, in Unicode code points of the text.
    pub start: usize,
    /// Behind its last.
    pub end: usize,
    /// Above 0 speaks for the label, below against it.
    pub score: f32,
}

/// A text that could not be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// It cannot be made into tokens.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The network failed.
    #[error(transparent)]
    Forward(#[from] ForwardError),
    /// The bundle has no such label.
    #[error("there is no label number {0}")]
    Label(usize),
    /// Every token has a label of its own.
    #[error("a network that finds names is not explained")]
    EveryToken,
}

/// Rows of one pass: what bounds its memory.
const ROWS: usize = 32;

impl Classifier {
    /// Explains a label of a text, or the one it gets. A long text is explained as far as its
    /// first window goes.
    pub fn explain(
        &self,
        text: &str,
        label: Option<usize>,
        settings: ExplainSettings,
    ) -> Result<Explanation, ExplainError> {
        let mut encoded = self.encode(text)?;
        encoded.more.clear();
        let logits = self.logits(&[&encoded])?.pop().unwrap_or_default();
        let label = label.unwrap_or_else(|| largest(&logits));
        if logits.len() != self.labels().len() {
            return Err(ExplainError::EveryToken);
        }
        let logit = logits.get(label).copied().ok_or(ExplainError::Label(label))?;
        let places = self.encoder().places(text, encoded.ids.len())?;
        let integral = match self.network().filter(|_| !settings.occlusion) {
            Some(network) => {
                network.integrate(&encoded, label, settings).map_err(ForwardError::from)?
            }
            None => None,
        };
        match integral {
            Some(found) => Ok(self.gather(text, &places, &encoded, found, (label, logit))),
            None => self.leave_out(text, &places, &encoded, (label, logit)),
        }
    }

    /// Brings what tokens and n-grams add together by the characters that they stand for.
    fn gather(
        &self,
        text: &str,
        places: &[Range<usize>],
        encoded: &Encoded,
        found: Integral,
        (label, logit): (usize, f32),
    ) -> Explanation {
        let mut tokens: Vec<Attribution> = places
            .iter()
            .map(|place| Attribution { start: place.start, end: place.end, score: 0.0 })
            .collect();
        let mut rest = 0.0;
        for (token, score) in tokens.iter_mut().zip(&found.tokens) {
            if token.start == token.end {
                rest += score;
            } else {
                token.score += score;
            }
        }
        let stand = self.encoder().grams().map(|grams| grams.places(text)).unwrap_or_default();
        for (gram, score) in encoded.grams.iter().zip(&found.grams) {
            let of_gram = stand.get(&gram.bucket).map_or(&[][..], Vec::as_slice);
            let each = score / small(of_gram.len().max(1));
            for place in of_gram {
                let shared: Vec<(usize, f32)> = tokens
                    .iter()
                    .enumerate()
                    .map(|(at, token)| (at, overlap(token, place)))
                    .filter(|(_, shared)| *shared > 0.0)
                    .collect();
                let all: f32 = shared.iter().map(|(_, shared)| shared).sum();
                if all == 0.0 {
                    rest += each;
                }
                for (at, share) in shared {
                    if let Some(token) = tokens.get_mut(at) {
                        token.score += each * share / all;
                    }
                }
            }
            if of_gram.is_empty() {
                rest += score;
            }
        }
        tokens.retain(|token| token.start < token.end);
        Explanation {
            label,
            method: Method::IntegratedGradients,
            tokens,
            rest,
            logit,
            baseline: found.baseline,
            error: found.error,
            steps: found.steps,
        }
    }

    fn leave_out(
        &self,
        text: &str,
        places: &[Range<usize>],
        encoded: &Encoded,
        (label, logit): (usize, f32),
    ) -> Result<Explanation, ExplainError> {
        let stand = self.encoder().grams().map(|grams| grams.places(text)).unwrap_or_default();
        let empty = Encoded { ids: vec![self.encoder().empty_id()], ..Encoded::default() };
        let without = |at: usize| {
            let mut left = encoded.clone();
            left.ids.remove(at);
            if left.ids.is_empty() {
                left.ids.clone_from(&empty.ids);
            }
            let place = places.get(at).cloned().unwrap_or_default();
            let gone = Attribution { start: place.start, end: place.end, score: 0.0 };
            left.grams.retain(|gram| {
                let of_gram = stand.get(&gram.bucket).map_or(&[][..], Vec::as_slice);
                of_gram.is_empty() || of_gram.iter().any(|place| overlap(&gone, place) == 0.0)
            });
            left
        };
        let real: Vec<usize> = places
            .iter()
            .enumerate()
            .filter(|(_, place)| !place.is_empty())
            .map(|(at, _)| at)
            .collect();
        let mut texts: Vec<Encoded> = real.iter().map(|at| without(*at)).collect();
        texts.push(empty);
        let mut logits = Vec::with_capacity(texts.len());
        for batch in texts.chunks(ROWS) {
            for row in self.logits(&batch.iter().collect::<Vec<_>>())? {
                logits.push(row.get(label).copied().ok_or(ExplainError::Label(label))?);
            }
        }
        let baseline = logits.pop().unwrap_or_default();
        let tokens: Vec<Attribution> = real
            .iter()
            .zip(&logits)
            .filter_map(|(at, without)| {
                let place = places.get(*at)?;
                Some(Attribution { start: place.start, end: place.end, score: logit - without })
            })
            .collect();
        let sum: f32 = tokens.iter().map(|token| token.score).sum();
        Ok(Explanation {
            label,
            method: Method::Occlusion,
            error: completeness_error(sum, logit - baseline),
            steps: u32::try_from(tokens.len()).unwrap_or(u32::MAX),
            tokens,
            rest: 0.0,
            logit,
            baseline,
        })
    }
}

/// Characters that a token and a place share.
fn overlap(token: &Attribution, place: &Range<usize>) -> f32 {
    small(token.end.min(place.end).saturating_sub(token.start.max(place.start)))
}

fn small(n: usize) -> f32 {
    f32::from(u16::try_from(n).unwrap_or(u16::MAX))
}

/// How far a sum of what tokens add is from what it should be, as a share of that.
pub fn completeness_error(sum: f32, whole: f32) -> f32 {
    (sum - whole).abs() / whole.abs().max(1e-3)
}
