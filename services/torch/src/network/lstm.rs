use reeve_classifier::Architecture;
use tch::{Device, Kind, TchError, Tensor};

use super::{Dropout, Pass};

/// Layers of an LSTM.
#[derive(Debug)]
pub(super) struct Lstm {
    /// As PyTorch orders them: a layer, a direction, and in it input, hidden, and two biases.
    weights: Vec<Tensor>,
    hidden: i64,
    layers: i64,
    bidirectional: bool,
    device: Device,
}

/// Weights of one layer in one direction.
const WEIGHTS: usize = 4;

impl Lstm {
    pub(super) fn new(
        architecture: &Architecture,
        of: &impl Fn(&str) -> Result<Tensor, TchError>,
        device: Device,
    ) -> Result<Self, TchError> {
        let names = architecture.weights().into_iter().map(|(name, _)| name);
        let weights = names
            .filter(|name| name.starts_with("lstm."))
            .map(|name| of(&name))
            .collect::<Result<Vec<_>, _>>()?;
        if device.is_cuda() && tch::Cuda::cudnn_is_available() && !architecture.bidirectional {
            // cuDNN wants an LSTM's weights in one block; 4 weights a layer, mode 2 is LSTM.
            let _flattened = tch::no_grad(|| {
                Tensor::f_internal_cudnn_rnn_flatten_weight(
                    &weights,
                    4,
                    i64::from(architecture.embedding),
                    2,
                    i64::from(architecture.hidden),
                    0,
                    i64::from(architecture.layers),
                    true,
                    false,
                )
            })?;
        }
        Ok(Self {
            weights,
            hidden: i64::from(architecture.hidden),
            layers: i64::from(architecture.layers),
            bidirectional: architecture.bidirectional,
            device,
        })
    }

    /// Its outputs for each step. A step of an LSTM knows nothing of later ones, so padding on the
    /// right reaches no step that is read.
    pub(super) fn read(
        &self,
        input: Tensor,
        lengths: &Tensor,
        pass: &mut Pass<'_>,
    ) -> Result<Tensor, TchError> {
        // In the type of what comes in, where precision is mixed.
        let weights = self
            .weights
            .iter()
            .map(|weight| weight.f_to_kind(input.kind()))
            .collect::<Result<Vec<_>, _>>()?;
        if self.bidirectional {
            return self.both_ways(input, &weights, lengths, pass);
        }
        let drops = matches!(pass, Pass::Learn(dropout) if dropout.between > 0.0);
        if self.layers == 1 || !drops {
            return self.one_way(&input, &weights, self.layers, pass.trains());
        }
        let mut steps = input;
        for (index, layer) in weights.chunks(WEIGHTS).enumerate() {
            if index > 0 {
                steps = pass.drop(steps, Dropout::between)?;
            }
            steps = self.one_way(&steps, layer, 1, pass.trains())?;
        }
        Ok(steps)
    }

    /// Layers that read from the beginning.
    fn one_way(
        &self,
        input: &Tensor,
        weights: &[Tensor],
        layers: i64,
        train: bool,
    ) -> Result<Tensor, TchError> {
        let texts = input.size().first().copied().unwrap_or(0);
        let start = Tensor::f_zeros([layers, texts, self.hidden], (input.kind(), self.device))?;
        let state = [&start, &start];
        let weights: Vec<&Tensor> = weights.iter().collect();
        let (steps, _, _) =
            input.f_lstm(&state, &weights, true, layers, 0.0, train, false, true)?;
        Ok(steps)
    }

    /// Layers that read from both ends. Each text is turned round by itself, so that padding is
    /// behind it in both directions and changes nothing.
    fn both_ways(
        &self,
        embedded: Tensor,
        weights: &[Tensor],
        lengths: &Tensor,
        pass: &mut Pass<'_>,
    ) -> Result<Tensor, TchError> {
        let size = embedded.size();
        let [texts, steps, _] = <[i64; 3]>::try_from(size)
            .map_err(|_| TchError::Kind("an embedding has three dimensions".to_owned()))?;
        let place = Tensor::f_arange(steps, (Kind::Int64, self.device))?
            .f_view([1, steps])?
            .f_expand([texts, steps], false)?;
        let length = lengths.f_view([texts, 1])?;
        let mirrored = (&length - 1i64).f_sub(&place)?;
        let turned = mirrored.f_where_self(&place.f_lt_tensor(&length)?, &place)?;
        let turn = |tensor: &Tensor| {
            let width = tensor.size().last().copied().unwrap_or(0);
            let index = turned.f_unsqueeze(-1)?.f_expand([texts, steps, width], false)?;
            tensor.f_gather(1, &index, false)
        };
        let mut input = embedded;
        for (index, layer) in weights.chunks(2 * WEIGHTS).enumerate() {
            if index > 0 {
                input = pass.drop(input, Dropout::between)?;
            }
            let (forth, back) = layer.split_at(WEIGHTS.min(layer.len()));
            let forth = self.one_way(&input, forth, 1, pass.trains())?;
            let back = turn(&self.one_way(&turn(&input)?, back, 1, pass.trains())?)?;
            input = Tensor::f_cat(&[forth, back], 2)?;
        }
        Ok(input)
    }
}
