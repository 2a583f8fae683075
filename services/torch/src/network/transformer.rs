use tch::{Kind, TchError, Tensor};

use super::{Dropout, Pass, readout::beyond};

/// PyTorch's `nn.TransformerEncoder` of `nn.TransformerEncoderLayer` with its defaults (ReLU,
/// norms behind each part), batch first, over embeddings of tokens and of places.
#[derive(Debug)]
pub(super) struct Transformer {
    positions: Tensor,
    layers: Vec<Layer>,
    heads: i64,
}

#[derive(Debug)]
struct Layer {
    in_proj: (Tensor, Tensor),
    out_proj: (Tensor, Tensor),
    linear1: (Tensor, Tensor),
    linear2: (Tensor, Tensor),
    norm1: (Tensor, Tensor),
    norm2: (Tensor, Tensor),
}

/// PyTorch's default.
const NORM_EPSILON: f64 = 1e-5;

impl Transformer {
    pub(super) fn new(
        layers: u32,
        heads: u32,
        of: &impl Fn(&str) -> Result<Tensor, TchError>,
    ) -> Result<Self, TchError> {
        let layer = |index: u32| -> Result<Layer, TchError> {
            let pair = |weight: &str, bias: &str| {
                let name = |leaf: &str| format!("encoder.layers.{index}.{leaf}");
                Ok::<_, TchError>((of(&name(weight))?, of(&name(bias))?))
            };
            Ok(Layer {
                in_proj: pair("self_attn.in_proj_weight", "self_attn.in_proj_bias")?,
                out_proj: pair("self_attn.out_proj.weight", "self_attn.out_proj.bias")?,
                linear1: pair("linear1.weight", "linear1.bias")?,
                linear2: pair("linear2.weight", "linear2.bias")?,
                norm1: pair("norm1.weight", "norm1.bias")?,
                norm2: pair("norm2.weight", "norm2.bias")?,
            })
        };
        Ok(Self {
            positions: of("position.weight")?,
            layers: (0..layers).map(layer).collect::<Result<_, _>>()?,
            heads: i64::from(heads),
        })
    }

    /// Its outputs for each step; nobody attends to padding.
    pub(super) fn read(
        &self,
        input: Tensor,
        lengths: &Tensor,
        pass: &mut Pass<'_>,
    ) -> Result<Tensor, TchError> {
        let [texts, steps, _] = <[i64; 3]>::try_from(input.size())
            .map_err(|_| TchError::Kind("an embedding has three dimensions".to_owned()))?;
        let kind = input.kind();
        let places = self.positions.f_narrow(0, 0, steps)?.f_to_kind(kind)?;
        let mut state = input.f_add(&places.f_unsqueeze(0)?)?;
        // True where a token may be looked at: the same for every head and every looking step.
        let seen = beyond(steps, lengths)?.f_logical_not()?.f_view([texts, 1, 1, steps])?;
        for layer in &self.layers {
            let attended = self.attend(layer, &state, &seen)?;
            let attended = pass.drop(attended, Dropout::between)?;
            state = norm(&state.f_add(&attended)?, &layer.norm1)?;
            let inner = linear(&state, &layer.linear1)?.f_relu()?;
            let inner = linear(&pass.drop(inner, Dropout::between)?, &layer.linear2)?;
            state = norm(&state.f_add(&pass.drop(inner, Dropout::between)?)?, &layer.norm2)?;
        }
        Ok(state)
    }

    fn attend(&self, layer: &Layer, state: &Tensor, seen: &Tensor) -> Result<Tensor, TchError> {
        let size = state.size();
        let [texts, steps, width] = <[i64; 3]>::try_from(size)
            .map_err(|_| TchError::Kind("a state has three dimensions".to_owned()))?;
        let each = width.checked_div(self.heads).unwrap_or(width);
        let projected = linear(state, &layer.in_proj)?.f_chunk(3, -1)?;
        let heads =
            |tensor: &Tensor| tensor.f_reshape([texts, steps, self.heads, each])?.f_transpose(1, 2);
        let [query, key, value] = projected.as_slice() else {
            return Err(TchError::Kind("attention needs query, key and value".to_owned()));
        };
        let attended = Tensor::f_scaled_dot_product_attention(
            &heads(query)?,
            &heads(key)?,
            &heads(value)?,
            Some(seen),
            0.0,
            false,
            None,
            false,
        )?;
        let joined = attended.f_transpose(1, 2)?.f_reshape([texts, steps, width])?;
        linear(&joined, &layer.out_proj)
    }
}

fn linear(input: &Tensor, (weight, bias): &(Tensor, Tensor)) -> Result<Tensor, TchError> {
    let kind = input.kind();
    input.f_linear(&weight.f_to_kind(kind)?, Some(bias.f_to_kind(kind)?))
}

fn norm(input: &Tensor, (weight, bias): &(Tensor, Tensor)) -> Result<Tensor, TchError> {
    let (kind, width) = (input.kind(), input.size().last().copied().unwrap_or(0));
    let input = input.f_to_kind(Kind::Float)?;
    input
        .f_layer_norm([width].as_slice(), Some(weight), Some(bias), NORM_EPSILON, false)?
        .f_to_kind(kind)
}
