use std::fmt;

use serde::{Deserialize, Serialize};

/// How precisely a network computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arithmetic {
    /// 32-bit floats throughout.
    Fp32,
    /// Products of 16-bit floats with the exponent of 32-bit ones, summed in 32 bits.
    Bf16,
    /// Products of 8-bit integers for the hidden state, the rest in 32-bit floats.
    Int8,
}

impl fmt::Display for Arithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fp32 => "fp32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        })
    }
}

/// How a model is to be served.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Serving {
    /// How precisely; none: bf16 where the device multiplies such natively and that is close
    /// enough, else fp32.
    pub precision: Option<Arithmetic>,
    /// The largest difference of a probability from that in fp32; a model that is further off is
    /// not served.
    pub bound: f32,
}

impl Default for Serving {
    fn default() -> Self {
        Self { precision: Some(Arithmetic::Fp32), bound: 1e-4 }
    }
}

/// What a model was found to compute when it was loaded, held against fp32 on the same texts.
#[derive(Debug, Clone, PartialEq)]
pub struct SelfTest {
    /// How precisely it computes.
    pub precision: Arithmetic,
    /// Whether by the loop for this processor.
    pub native: bool,
    /// Rows that were compared.
    pub rows: usize,
    /// The largest difference of a logit.
    pub logits: f32,
    /// The largest difference of a probability.
    pub difference: f32,
    /// Rows whose likeliest label is another one.
    pub changed: usize,
}
