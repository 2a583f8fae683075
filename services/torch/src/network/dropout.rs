use rand::{Rng as _, rngs::StdRng};
use tch::{TchError, Tensor};

/// Which shares of values are dropped while learning. The masks come from a generator of our own
/// and not from libtorch's, which is one for the whole process: a step's masks depend on the
/// step's seed alone, whatever the device, and a resumed training draws the same.
#[derive(Debug)]
pub(crate) struct Dropout {
    pub(crate) embedding: f64,
    pub(crate) between: f64,
    pub(crate) readout: f64,
    pub(crate) grams: f64,
    pub(crate) random: StdRng,
}

impl Dropout {
    pub(crate) const fn embedding(&self) -> f64 {
        self.embedding
    }

    /// Between layers.
    pub(crate) const fn between(&self) -> f64 {
        self.between
    }

    pub(crate) const fn readout(&self) -> f64 {
        self.readout
    }

    /// Of the n-grams themselves.
    pub(crate) const fn grams(&self) -> f64 {
        self.grams
    }

    /// Sets a share of values to zero and enlarges the others, so that their mean stays.
    pub(super) fn apply(
        &mut self,
        tensor: Tensor,
        share: fn(&Self) -> f64,
    ) -> Result<Tensor, TchError> {
        let share = share(self);
        if share <= 0.0 {
            return Ok(tensor);
        }
        let keep = narrow(1.0 / (1.0 - share));
        let mask: Vec<f32> = (0..tensor.numel())
            .map(|_| if self.random.random_bool(share) { 0.0 } else { keep })
            .collect();
        let mask = Tensor::f_from_slice(&mask)?.f_view(tensor.size().as_slice())?;
        tensor.f_mul(&mask.f_to_device(tensor.device())?.f_to_kind(tensor.kind())?)
    }
}

#[expect(clippy::as_conversions, reason = "rounds to the nearest f32, which is what is wanted")]
const fn narrow(value: f64) -> f32 {
    value as f32
}
