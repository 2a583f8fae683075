//! Recognises an embedding, an LSTM and a linear layer in a state dict whose modules have other
//! names, by their shapes.

use std::collections::BTreeMap;

use crate::{Activation, Architecture, Body, Readout, Weight, Weights};

/// Weights that are not those of an embedding, an LSTM and a linear layer.
#[derive(Debug, thiserror::Error)]
pub enum Unrecognised {
    /// No LSTM.
    #[error("there is no LSTM in it (a weight whose name ends with `weight_ih_l0`)")]
    NoLstm,
    /// More than one.
    #[error("there are several recurrent modules in it: {0:?}")]
    Several(Vec<String>),
    /// A recurrent module with other gates.
    #[error("`{name}` has shape {shape:?}: an LSTM's is 4 times the hidden state's width")]
    NotLstm {
        /// Which weight.
        name: String,
        /// Its dimensions.
        shape: Vec<usize>,
    },
    /// No weight of a part, or several that could be.
    #[error("{candidates:?} could be the {part}: expected one weight of {width} columns")]
    Ambiguous {
        /// Embedding or output.
        part: &'static str,
        /// What it reads or makes.
        width: usize,
        /// Their names.
        candidates: Vec<String>,
    },
    /// Something else.
    #[error("`{0}` belongs to no embedding, LSTM or linear layer of them")]
    Left(String),
}

impl Weights {
    /// The network that these weights are of, and they under the names that it has here. What a
    /// state dict does not say, activation and readout, is as the article has it.
    pub fn recognise(self) -> Result<(Architecture, Self), Unrecognised> {
        let mut left = self.0;
        let first = "weight_ih_l0";
        let mut prefixes: Vec<String> =
            left.keys().filter_map(|name| name.strip_suffix(first).map(str::to_owned)).collect();
        let prefix = prefixes.pop().ok_or(Unrecognised::NoLstm)?;
        if !prefixes.is_empty() {
            prefixes.push(prefix);
            return Err(Unrecognised::Several(prefixes));
        }
        let mut lstm = BTreeMap::new();
        left.retain(|name, weight| match name.strip_prefix(&prefix) {
            Some(leaf) if leaf.starts_with("weight_") || leaf.starts_with("bias_") => {
                lstm.insert(format!("lstm.{leaf}"), weight.clone());
                false
            }
            _ => true,
        });
        let shape = |name: &str| lstm.get(name).map(|w| w.shape.clone()).unwrap_or_default();
        let hidden = shape("lstm.weight_hh_l0").get(1).copied().unwrap_or_default();
        let input = shape("lstm.weight_ih_l0");
        let width = match input.as_slice() {
            [gates, width] if *gates == hidden.saturating_mul(4) => *width,
            _ => {
                let name = format!("{prefix}{first}");
                return Err(Unrecognised::NotLstm { name, shape: input });
            }
        };
        let both = lstm.contains_key("lstm.weight_ih_l0_reverse");
        let output = if both { hidden.saturating_mul(2) } else { hidden };
        let layers =
            (0_u32..).take_while(|n| lstm.contains_key(&format!("lstm.weight_hh_l{n}"))).count();

        // An embedding has no bias, an output has one.
        let has_bias = |name: &str, left: &BTreeMap<String, Weight>| {
            name.strip_suffix("weight").is_some_and(|p| left.contains_key(&format!("{p}bias")))
        };
        let of = |part, columns: usize, bias: bool| {
            let candidates: Vec<String> = left
                .iter()
                .filter(|(name, w)| {
                    matches!(w.shape.as_slice(), [_, c] if *c == columns)
                        && has_bias(name, &left) == bias
                })
                .map(|(name, _)| name.clone())
                .collect();
            match <[String; 1]>::try_from(candidates) {
                Ok([one]) => Ok(one),
                Err(candidates) => {
                    Err(Unrecognised::Ambiguous { part, width: columns, candidates })
                }
            }
        };
        let embedding = of("embedding", width, false)?;
        let fc = of("output", output, true)?;
        let bias = fc.strip_suffix("weight").map(|p| format!("{p}bias")).unwrap_or_default();
        let mut weights = Self(lstm);
        for (from, to) in [(embedding, "embedding.weight"), (fc, "fc.weight"), (bias, "fc.bias")] {
            if let Some(weight) = left.remove(&from) {
                weights.0.insert(to.to_owned(), weight);
            }
        }
        if let Some((name, _)) = left.pop_first() {
            return Err(Unrecognised::Left(name));
        }
        let size = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let rows = |name: &str| {
            weights.0.get(name).and_then(|weight| weight.shape.first()).copied().unwrap_or_default()
        };
        let architecture = Architecture {
            body: Body::Lstm,
            vocabulary: size(rows("embedding.weight")),
            embedding: size(width),
            hidden: size(hidden),
            layers: size(layers),
            bidirectional: both,
            classes: size(rows("fc.weight")),
            activation: Activation::None,
            readout: Readout::LastReal,
            wide: None,
        };
        // `bias=False` is a bias of zeros.
        for (name, shape) in architecture.weights() {
            if name.starts_with("lstm.bias_") {
                let values = vec![0.0; shape.iter().product()];
                weights.0.entry(name).or_insert(Weight { shape, values });
            }
        }
        Ok((architecture, weights))
    }
}
