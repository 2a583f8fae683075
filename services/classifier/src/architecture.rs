use serde::{Deserialize, Serialize};

/// The shape of the network: `Embedding → LSTM(batch_first) → activation → Linear`, read at the
/// last real step of each text, or as [`Readout`] says. A Transformer encoder can stand in the
/// LSTM's place, and n-grams can go straight to the output beside it. With a bundle's weights it
/// is all that a forward pass needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// What reads the embeddings.
    #[serde(default, skip_serializing_if = "Body::is_lstm")]
    pub body: Body,
    /// Rows of the embedding: one for each token id.
    pub vocabulary: u32,
    /// Width of an embedding.
    pub embedding: u32,
    /// Width of the LSTM's hidden state; of a Transformer layer's feed-forward part.
    pub hidden: u32,
    /// Layers, one upon another.
    #[serde(default = "one")]
    pub layers: u32,
    /// Whether each LSTM layer reads the text from its end too; its outputs are then twice as wide.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bidirectional: bool,
    /// Rows of the output: one for each label.
    pub classes: u32,
    /// Applied to what is read out, before the linear layer.
    #[serde(default)]
    pub activation: Activation,
    /// Which of the body's outputs the linear layer reads.
    #[serde(default)]
    pub readout: Readout,
    /// N-grams beside the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wide: Option<Wide>,
}

/// What reads the embeddings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Body {
    /// PyTorch's `nn.LSTM`.
    #[default]
    Lstm,
    /// PyTorch's `nn.TransformerEncoder` (ReLU, norms behind), with a learned embedding of places.
    Transformer {
        /// Heads of attention: they divide the embedding's width.
        heads: u32,
        /// Places that have an embedding: no text may be read longer.
        positions: u32,
    },
    /// A TorchScript module that maps ids `[texts, steps]` to logits `[texts, classes]`; it keeps
    /// its own weights, and every width here is 0.
    Script,
}

impl Body {
    fn is_lstm(&self) -> bool {
        matches!(self, Self::Lstm)
    }
}

/// Hashed n-grams of words and of characters within words, weighted by TF-IDF, as in fastText and
/// in Wide & Deep (Cheng et al. 2016).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wide {
    /// N-grams are hashed to so many.
    pub buckets: u32,
    /// The longest n-gram of words; a Han character counts as a word.
    pub words: u32,
    /// The shortest n-gram of characters.
    pub characters_from: u32,
    /// The longest one; 0 for none.
    pub characters_to: u32,
    /// Width of the bag that the linear layer reads beside the body; 0 goes straight to the output.
    #[serde(default)]
    pub width: u32,
}

/// A function between the body and the linear layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// What is read out as it is.
    #[default]
    None,
    /// 1 / (1 + e^-x)
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// max(0, x)
    Relu,
}

/// What stands for the text; named in the bundle so that weights trained with one readout can
/// never be served with another by mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Readout {
    /// The step of the text's last token, never one of padding.
    #[default]
    LastReal,
    /// The largest value of each dimension over the text's tokens.
    Max,
    /// The mean of each dimension over the text's tokens.
    Mean,
    /// None: every token has a label of its own.
    EveryToken,
}

const fn one() -> u32 {
    1
}

/// No dimension of a network may exceed this: it bounds what a bundle can make us allocate.
const DIMENSION_MAX: u32 = 4_000_000;
const LAYERS_MAX: u32 = 8;
/// The longest n-gram.
const NGRAM_MAX: u32 = 8;
/// Parameters in all, 1 GiB of them.
const PARAMETERS_MAX: u64 = 1 << 28;

/// The n-grams' weights: a row a bucket.
pub const WIDE_WEIGHT: &str = "wide.weight";
/// The n-grams' inverse document frequencies; learned by counting, not by steps.
pub const WIDE_IDF: &str = "wide.idf";

impl Architecture {
    /// Names and shapes of all weights, in PyTorch's naming of a module with `embedding`, `lstm`
    /// or `encoder`, and `fc`, in the order of PyTorch's state dict.
    pub fn weights(&self) -> Vec<(String, Vec<usize>)> {
        if self.body == Body::Script {
            return Vec::new();
        }
        let classes = size(self.classes);
        let mut weights = vec![(
            "embedding.weight".to_owned(),
            vec![size(self.vocabulary), size(self.embedding)],
        )];
        match self.body {
            Body::Lstm => self.lstm(&mut weights),
            Body::Transformer { positions, .. } => self.transformer(positions, &mut weights),
            Body::Script => {}
        }
        weights.push(("fc.weight".to_owned(), vec![classes, self.read_width()]));
        weights.push(("fc.bias".to_owned(), vec![classes]));
        if let Some(wide) = self.wide {
            let width = if wide.width == 0 { classes } else { size(wide.width) };
            weights.push((WIDE_IDF.to_owned(), vec![size(wide.buckets)]));
            weights.push((WIDE_WEIGHT.to_owned(), vec![size(wide.buckets), width]));
        }
        weights
    }

    /// Width of what the linear layer reads.
    pub fn read_width(&self) -> usize {
        self.output().saturating_add(self.wide.map_or(0, |wide| size(wide.width)))
    }

    /// Width of what the body gives for each token.
    fn output(&self) -> usize {
        match self.body {
            Body::Lstm if self.bidirectional => size(self.hidden).saturating_mul(2),
            Body::Lstm => size(self.hidden),
            Body::Transformer { .. } => size(self.embedding),
            Body::Script => 0,
        }
    }

    fn lstm(&self, weights: &mut Vec<(String, Vec<usize>)>) {
        let (hidden, gates) = (size(self.hidden), size(self.hidden).saturating_mul(4));
        let suffixes: &[&str] = if self.bidirectional { &["", "_reverse"] } else { &[""] };
        for layer in 0..self.layers {
            let input = if layer == 0 { size(self.embedding) } else { self.output() };
            for suffix in suffixes {
                weights.push((format!("lstm.weight_ih_l{layer}{suffix}"), vec![gates, input]));
                weights.push((format!("lstm.weight_hh_l{layer}{suffix}"), vec![gates, hidden]));
                weights.push((format!("lstm.bias_ih_l{layer}{suffix}"), vec![gates]));
                weights.push((format!("lstm.bias_hh_l{layer}{suffix}"), vec![gates]));
            }
        }
    }

    fn transformer(&self, positions: u32, weights: &mut Vec<(String, Vec<usize>)>) {
        let (width, inner) = (size(self.embedding), size(self.hidden));
        let three = width.saturating_mul(3);
        weights.push(("position.weight".to_owned(), vec![size(positions), width]));
        for layer in 0..self.layers {
            for (name, shape) in [
                ("self_attn.in_proj_weight", vec![three, width]),
                ("self_attn.in_proj_bias", vec![three]),
                ("self_attn.out_proj.weight", vec![width, width]),
                ("self_attn.out_proj.bias", vec![width]),
                ("linear1.weight", vec![inner, width]),
                ("linear1.bias", vec![inner]),
                ("linear2.weight", vec![width, inner]),
                ("linear2.bias", vec![width]),
                ("norm1.weight", vec![width]),
                ("norm1.bias", vec![width]),
                ("norm2.weight", vec![width]),
                ("norm2.bias", vec![width]),
            ] {
                weights.push((format!("encoder.layers.{layer}.{name}"), shape));
            }
        }
    }

    /// Says what is impossible or too large about these dimensions.
    pub fn check(&self) -> Result<(), String> {
        let script = self.body == Body::Script;
        let within = |name: &str, value: u32, least: u32, most: u32| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(format!("`{name}` is {value}: expected {least} to {most}"))
        };
        within("vocabulary", self.vocabulary, 1, DIMENSION_MAX)?;
        within("classes", self.classes, 1, DIMENSION_MAX)?;
        let widest = if script { 0 } else { DIMENSION_MAX };
        within("embedding", self.embedding, widest.min(1), widest)?;
        within("hidden", self.hidden, widest.min(1), widest)?;
        within("layers", self.layers, 1, LAYERS_MAX)?;
        if let Body::Transformer { heads, positions } = self.body {
            within("positions", positions, 1, DIMENSION_MAX)?;
            if heads == 0 || !self.embedding.is_multiple_of(heads) {
                return Err(format!(
                    "{heads} heads: expected a number that divides the embedding's width of {}",
                    self.embedding
                ));
            }
        }
        if let Some(wide) = self.wide {
            if script || self.readout == Readout::EveryToken {
                return Err("n-grams go beside a network that reads whole texts".to_owned());
            }
            within("buckets", wide.buckets, 1, DIMENSION_MAX)?;
            within("words", wide.words, 1, NGRAM_MAX)?;
            within("characters_to", wide.characters_to, 0, NGRAM_MAX)?;
            within("characters_from", wide.characters_from, 1, wide.characters_to.max(1))?;
            within("width", wide.width, 0, DIMENSION_MAX)?;
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

fn size(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
