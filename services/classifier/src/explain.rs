//! Why a text got its label: what each token adds to the label's logit.

use std::ops::Range;

use serde::Serialize;
use tch::{Kind, TchError, Tensor};

use crate::{
    Classifier, EncodeError, Encoded, ForwardError,
    network::{Network, Pass, values},
    train::largest,
};

/// What an explanation may cost.
#[derive(Debug, Clone, Copy, PartialEq)]
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

/// Steps to begin with.
const STEPS: u32 = 16;
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
        match self.network().filter(|_| !settings.occlusion) {
            Some(network) => {
                let failed = |error: TchError| ForwardError::Device(error.to_string());
                let gradients = Gradients { network, encoded: &encoded, label };
                let found = tch::with_grad(|| gradients.explain(settings)).map_err(failed)?;
                Ok(self.gather(text, &places, &encoded, found, (label, logit)))
            }
            None => self.leave_out(text, &places, &encoded, (label, logit)),
        }
    }

    /// Brings what tokens and n-grams add together by the characters that they stand for.
    fn gather(
        &self,
        text: &str,
        places: &[Range<usize>],
        encoded: &Encoded,
        found: Found,
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
            error: share_of(sum, logit - baseline),
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

/// How far a sum is from what it should be, as a share of that.
fn share_of(sum: f32, whole: f32) -> f32 {
    (sum - whole).abs() / whole.abs().max(1e-3)
}

struct Gradients<'a> {
    network: &'a Network,
    encoded: &'a Encoded,
    label: usize,
}

/// What each token and each n-gram adds.
struct Found {
    tokens: Vec<f32>,
    grams: Vec<f32>,
    baseline: f32,
    error: f32,
    steps: u32,
}

impl Gradients<'_> {
    fn explain(&self, settings: ExplainSettings) -> Result<Found, TchError> {
        let [logit, baseline] = self.ends()?;
        let mut steps = STEPS.min(settings.steps_max).max(1);
        loop {
            let (tokens, grams) = self.integrate(steps)?;
            let sum: f32 = tokens.iter().chain(&grams).sum();
            let error = share_of(sum, logit - baseline);
            let next = steps.saturating_mul(2);
            if error <= settings.tolerance || next > settings.steps_max {
                return Ok(Found { tokens, grams, baseline, error, steps });
            }
            steps = next;
        }
    }

    /// The label's logit for the text and for nothing.
    fn ends(&self) -> Result<[f32; 2], TchError> {
        let (logits, ..) = tch::no_grad(|| self.pass(&[1.0, 0.0]))?;
        let logits = values(&logits)?;
        Ok([0, 1].map(|at: usize| logits.get(at).copied().unwrap_or_default()))
    }

    /// The mean gradient at the middles of equal steps from nothing to the text, times the text.
    fn integrate(&self, steps: u32) -> Result<(Vec<f32>, Vec<f32>), TchError> {
        let count = f32::from(u16::try_from(steps).unwrap_or(u16::MAX));
        let middles: Vec<f32> = (0..steps)
            .map(|step| (f32::from(u16::try_from(step).unwrap_or(u16::MAX)) + 0.5) / count)
            .collect();
        let mut tokens = vec![0.0; self.encoded.ids.len()];
        let mut grams = vec![0.0; self.encoded.grams.len()];
        for middles in middles.chunks(ROWS) {
            let (logits, embedded, weights) = self.pass(middles)?;
            let sum = logits.f_sum(Kind::Float)?;
            let mut inputs = vec![&embedded];
            inputs.extend(&weights);
            let gradients = Tensor::f_run_backward(&[&sum], &inputs, false, false)?;
            let rows = i64::try_from(middles.len()).unwrap_or(1);
            let mut gradients = gradients.into_iter();
            if let Some(gradient) = gradients.next() {
                let whole = self.network.embed(&self.network.batch(&[self.encoded])?.ids)?;
                let product = gradient.f_mul(&whole)?;
                let each = product.f_sum_dim_intlist([0_i64, 2].as_slice(), false, Kind::Float)?;
                add(&mut tokens, &values(&each)?, count);
            }
            if let Some(gradient) = gradients.next().filter(Tensor::defined) {
                let sums = gradient.f_view([rows, -1])?.f_sum_dim_intlist(
                    [0_i64].as_slice(),
                    false,
                    Kind::Float,
                )?;
                let sums = values(&sums)?;
                let each: Vec<f32> =
                    sums.iter().zip(&self.encoded.grams).map(|(s, gram)| s * gram.weight).collect();
                add(&mut grams, &each, count);
            }
        }
        Ok((tokens, grams))
    }

    /// The label's logits where the text is scaled by each share, the scaled embeddings, and the
    /// n-grams' scaled weights.
    fn pass(&self, shares: &[f32]) -> Result<(Tensor, Tensor, Option<Tensor>), TchError> {
        let rows = vec![self.encoded; shares.len()];
        let mut batch = self.network.batch(&rows)?;
        let count = i64::try_from(shares.len()).unwrap_or(1);
        let scale = Tensor::f_from_slice(shares)?.f_to_device(self.network.device())?;
        let embedded = tch::no_grad(|| {
            let whole = self.network.embed(&batch.ids)?;
            whole.f_mul(&scale.f_view([count, 1, 1])?)
        })?;
        let embedded = embedded.f_detach()?.f_set_requires_grad(true)?;
        let mut weights = None;
        let mut table = None;
        if let Some(grams) = batch.grams.as_mut().filter(|_| !self.encoded.grams.is_empty()) {
            let scaled = grams.weights.f_view([count, -1])?.f_mul(&scale.f_view([count, 1])?)?;
            let scaled = scaled.f_reshape([-1])?.f_detach()?.f_set_requires_grad(true)?;
            grams.weights = scaled.shallow_clone();
            weights = Some(scaled);
            table = self.network.gram_rows(grams)?;
        }
        let logits = self.network.read(&embedded, &batch, table.as_ref(), &mut Pass::Explain)?;
        let label = i64::try_from(self.label).unwrap_or(0);
        let logits = logits.whole.f_narrow(1, label, 1)?.f_squeeze_dim(1)?;
        Ok((logits, embedded, weights))
    }
}

fn add(sums: &mut [f32], values: &[f32], count: f32) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value / count);
}
