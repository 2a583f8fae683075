use tch::{Kind, Reduction, TchError, Tensor};

use super::{ClassWeights, Loss, Recipe};

/// A loss, and what it needs of the data.
#[derive(Debug)]
pub(super) struct Criterion {
    loss: Loss,
    smoothing: f64,
    /// For each class, what a text of it counts.
    weights: Option<Tensor>,
}

impl Criterion {
    /// `counts` says how many texts each class has.
    pub(super) fn new(
        recipe: &Recipe,
        counts: &[u32],
        device: tch::Device,
    ) -> Result<Self, TchError> {
        let weights = match recipe.class_weights {
            ClassWeights::None => None,
            ClassWeights::Balanced => {
                let all: f64 = counts.iter().map(|count| f64::from(*count)).sum();
                let classes = f64::from(u32::try_from(counts.len().max(1)).unwrap_or(u32::MAX));
                let weights: Vec<f64> = counts
                    .iter()
                    .map(|count| all / (classes * f64::from((*count).max(1))))
                    .collect();
                Some(Tensor::f_from_slice(&weights)?.f_to_kind(Kind::Float)?.f_to_device(device)?)
            }
        };
        Ok(Self { loss: recipe.loss, smoothing: recipe.label_smoothing, weights })
    }

    /// The mean over a batch, of logits `[texts, classes]` and the right classes `[texts]`.
    pub(super) fn of(&self, logits: &Tensor, truth: &Tensor) -> Result<Tensor, TchError> {
        match self.loss {
            Loss::CrossEntropy => logits.f_cross_entropy_loss(
                truth,
                self.weights.as_ref(),
                Reduction::Mean,
                -100,
                self.smoothing,
            ),
            Loss::Mse => self.squares(logits, truth),
        }
    }

    fn squares(&self, logits: &Tensor, truth: &Tensor) -> Result<Tensor, TchError> {
        let classes = logits.size().last().copied().unwrap_or(0);
        let aim = truth.f_one_hot(classes)?.f_to_kind(Kind::Float)?;
        let spread = f64::from(u32::try_from(classes.max(1)).unwrap_or(u32::MAX));
        let aim = aim.f_mul_scalar(1.0 - self.smoothing)?.f_add_scalar(self.smoothing / spread)?;
        let probabilities = logits.f_softmax(-1, Kind::Float)?;
        // Summed over the labels: a mean would shrink the steps with every label added.
        let each = (probabilities - aim).f_square()?.f_sum_dim_intlist(
            [-1_i64].as_slice(),
            false,
            Kind::Float,
        )?;
        match &self.weights {
            None => each.f_mean(Kind::Float),
            Some(weights) => {
                let weights = weights.f_index_select(0, truth)?;
                let sum = each.f_mul(&weights)?.f_sum(Kind::Float)?;
                sum.f_div(&weights.f_sum(Kind::Float)?)
            }
        }
    }
}

/// How far probabilities are from the same for all: the cross-entropy of the even distribution.
pub(super) fn from_even(logits: &Tensor) -> Result<Tensor, TchError> {
    logits.f_log_softmax(-1, Kind::Float)?.f_mean(Kind::Float)?.f_neg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::values;

    #[test]
    fn losses_agree_with_figures_worked_out_by_hand() {
        let logits = Tensor::from_slice(&[0.0_f32, 0.0, 2.0_f32.ln(), 0.0]).view([2, 2]);
        let truth = Tensor::from_slice(&[0_i64, 0]);
        let of = |recipe: Recipe| {
            let criterion = Criterion::new(&recipe, &[2, 6], tch::Device::Cpu).unwrap();
            values(&criterion.of(&logits, &truth).unwrap()).unwrap()[0]
        };
        let plain = of(Recipe::default());
        let expected = -(0.5_f32.ln() + (2.0_f32 / 3.0).ln()) / 2.0;
        assert!((plain - expected).abs() < 1e-6, "{plain}");
        let mse = of(Recipe { loss: Loss::Mse, ..Recipe::default() });
        assert!((mse - (0.5 + 2.0 / 9.0) / 2.0).abs() < 1e-6, "{mse}");
        // All texts have one class: what it counts cancels out of the mean.
        let balanced = of(Recipe { class_weights: ClassWeights::Balanced, ..Recipe::default() });
        assert!((balanced - plain).abs() < 1e-6);
        let even =
            values(&from_even(&Tensor::zeros([1, 4], (Kind::Float, tch::Device::Cpu))).unwrap());
        assert!((even.unwrap()[0] - 4_f32.ln()).abs() < 1e-6);
    }
}
