//! What each token adds to a label's logit: integrated gradients (Sundararajan et al. 2017).

use reeve_classifier::{Encoded, ExplainSettings, Integral, completeness_error};
use tch::{Kind, TchError, Tensor};

use crate::network::{Network, Pass, values};

/// Steps to begin with.
const STEPS: u32 = 16;
/// Rows of one pass: what bounds its memory.
const ROWS: usize = 32;

/// A text, and the label that it is asked about.
pub(crate) struct Gradients<'a> {
    pub(crate) network: &'a Network,
    pub(crate) encoded: &'a Encoded,
    pub(crate) label: usize,
}

impl Gradients<'_> {
    /// Doubles the steps until what is left out is small enough.
    pub(crate) fn integrate(&self, settings: ExplainSettings) -> Result<Integral, TchError> {
        let [logit, baseline] = self.ends()?;
        let mut steps = STEPS.min(settings.steps_max).max(1);
        loop {
            let (tokens, grams) = self.at_middles(steps)?;
            let sum: f32 = tokens.iter().chain(&grams).sum();
            let error = completeness_error(sum, logit - baseline);
            let next = steps.saturating_mul(2);
            if error <= settings.tolerance || next > settings.steps_max {
                return Ok(Integral { tokens, grams, baseline, error, steps });
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
    fn at_middles(&self, steps: u32) -> Result<(Vec<f32>, Vec<f32>), TchError> {
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
