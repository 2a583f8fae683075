use serde::{Deserialize, Serialize};

/// The shape of the network: `Embedding → LSTM(batch_first) → activation → Linear`, read at the
/// last real step of each text, or at every one. With a bundle's weights it is all that a forward pass needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// Rows of the embedding: one for each token id.
    pub vocabulary: u32,
    /// Width of an embedding.
    pub embedding: u32,
    /// Width of the LSTM's hidden state.
    pub hidden: u32,
    /// LSTM layers, one upon another.
    #[serde(default = "one")]
    pub layers: u32,
    /// Whether each layer reads the text from its end too; its outputs are then twice as wide.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bidirectional: bool,
    /// Rows of the output: one for each label.
    pub classes: u32,
    /// Applied to the last real hidden state, before the linear layer.
    #[serde(default)]
    pub activation: Activation,
    /// Which step of the LSTM's output the linear layer reads.
    #[serde(default)]
    pub readout: Readout,
}

/// A function between the LSTM and the linear layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// The hidden state as it is.
    #[default]
    None,
    /// 1 / (1 + e^-x)
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// max(0, x)
    Relu,
}

/// Which step stands for the text; named in the bundle so that weights trained with one readout
/// can never be served with another by mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Readout {
    /// The step of the text's last token, never one of padding.
    #[default]
    LastReal,
    /// None: every token has a label of its own.
    EveryToken,
}

const fn one() -> u32 {
    1
}

/// No dimension of a network may exceed this: it bounds what a bundle can make us allocate.
const DIMENSION_MAX: u32 = 4_000_000;
const LAYERS_MAX: u32 = 8;
/// Parameters in all, 1 GiB of them.
const PARAMETERS_MAX: u64 = 1 << 28;

impl Architecture {
    /// Names and shapes of all weights, in PyTorch's naming of a module with `embedding`, `lstm`
    /// and `fc`, sorted as PyTorch's state dict is.
    pub fn weights(&self) -> Vec<(String, Vec<usize>)> {
        let size = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        let (hidden, gates) = (size(self.hidden), size(self.hidden).saturating_mul(4));
        let mut weights = vec![(
            "embedding.weight".to_owned(),
            vec![size(self.vocabulary), size(self.embedding)],
        )];
        let suffixes: &[&str] = if self.bidirectional { &["", "_reverse"] } else { &[""] };
        let output = hidden.saturating_mul(suffixes.len());
        for layer in 0..self.layers {
            let input = if layer == 0 { size(self.embedding) } else { output };
            for suffix in suffixes {
                weights.push((format!("lstm.weight_ih_l{layer}{suffix}"), vec![gates, input]));
                weights.push((format!("lstm.weight_hh_l{layer}{suffix}"), vec![gates, hidden]));
                weights.push((format!("lstm.bias_ih_l{layer}{suffix}"), vec![gates]));
                weights.push((format!("lstm.bias_hh_l{layer}{suffix}"), vec![gates]));
            }
        }
        weights.push(("fc.weight".to_owned(), vec![size(self.classes), output]));
        weights.push(("fc.bias".to_owned(), vec![size(self.classes)]));
        weights
    }

    /// Says what is impossible or too large about these dimensions.
    pub fn check(&self) -> Result<(), String> {
        for (name, value) in [
            ("vocabulary", self.vocabulary),
            ("embedding", self.embedding),
            ("hidden", self.hidden),
            ("classes", self.classes),
        ] {
            if value == 0 || value > DIMENSION_MAX {
                return Err(format!("`{name}` is {value}: expected 1 to {DIMENSION_MAX}"));
            }
        }
        if self.layers == 0 || self.layers > LAYERS_MAX {
            return Err(format!("`layers` is {}: expected 1 to {LAYERS_MAX}", self.layers));
        }
        let parameters: u64 = self
            .weights()
            .iter()
            .map(|(_, shape)| {
                shape.iter().fold(1_u64, |product, &dimension| {
                    product.saturating_mul(u64::try_from(dimension).unwrap_or(u64::MAX))
                })
            })
            .fold(0, u64::saturating_add);
        if parameters > PARAMETERS_MAX {
            return Err(format!("{parameters} parameters: at most {PARAMETERS_MAX} are served"));
        }
        Ok(())
    }
}
