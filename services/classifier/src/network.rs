use tch::{Device, IndexOp as _, Kind, TchError, Tensor, nn};

use crate::{Activation, Architecture, Readout, Weight, Weights};

/// The network's tensors. One copy for each worker thread: a tensor is `Send`, not `Sync`.
#[derive(Debug)]
pub(crate) struct Network {
    architecture: Architecture,
    store: nn::VarStore,
    embedding: Tensor,
    lstm: Vec<Tensor>,
    fc_weight: Tensor,
    fc_bias: Tensor,
    device: Device,
}

impl Network {
    /// Puts checked weights on a device. `weights` must fit the architecture
    /// ([`Weights::check`]); a weight that does not is an error of the tensor library here.
    pub(crate) fn new(
        architecture: &Architecture,
        weights: &Weights,
        device: Device,
    ) -> Result<Self, TchError> {
        let store = nn::VarStore::new(device);
        let mut tensors = Vec::new();
        for (name, shape) in architecture.weights() {
            let weight = weights
                .0
                .get(&name)
                .ok_or_else(|| TchError::Kind(format!("weight `{name}` is missing")))?;
            let shape: Vec<i64> = shape.iter().map(|&n| i64::try_from(n).unwrap_or(-1)).collect();
            let values = Tensor::f_from_slice(&weight.values)?.f_view(shape.as_slice())?;
            let mut path = store.root();
            let mut parts: Vec<&str> = name.split('.').collect();
            let leaf = parts.pop().unwrap_or_default();
            for part in parts {
                path = path.sub(part);
            }
            // A fresh F32 variable that is copied into: its type is ours, not the file's.
            tensors.push(path.f_var_copy(leaf, &values)?);
        }
        let lost = || TchError::Kind("the architecture has no output layer".to_owned());
        let fc_bias = tensors.pop().ok_or_else(lost)?;
        let fc_weight = tensors.pop().ok_or_else(lost)?;
        let lstm = tensors.split_off(1);
        let embedding = tensors.pop().ok_or_else(lost)?;
        if device.is_cuda() && tch::Cuda::cudnn_is_available() && !architecture.bidirectional {
            // cuDNN wants an LSTM's weights in one block; 4 weights a layer, mode 2 is LSTM.
            let _flattened = tch::no_grad(|| {
                Tensor::f_internal_cudnn_rnn_flatten_weight(
                    &lstm,
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
        let architecture = architecture.clone();
        Ok(Self { architecture, store, embedding, lstm, fc_weight, fc_bias, device })
    }

    /// Logits `[texts, classes]` of right-padded ids `[texts, steps]` and their real lengths
    /// `[texts]`, each from 1 to `steps`. A step of an LSTM knows nothing of later ones, so what
    /// fills the rest of a row cannot reach the logits. `train` as PyTorch's module.train().
    pub(crate) fn forward(
        &self,
        ids: &Tensor,
        lengths: &Tensor,
        train: bool,
    ) -> Result<Tensor, TchError> {
        let texts = ids.size().first().copied().unwrap_or(0);
        let embedded = Tensor::f_embedding(&self.embedding, ids, -1, false, false)?;
        let steps = if self.architecture.bidirectional {
            self.both_ways(embedded, lengths, train)?
        } else {
            let lstm: Vec<&Tensor> = self.lstm.iter().collect();
            self.one_way(&embedded, &lstm, i64::from(self.architecture.layers), train)?
        };
        let read = match self.architecture.readout {
            Readout::LastReal => {
                let width = steps.size().last().copied().unwrap_or(0);
                let last =
                    (lengths - 1).f_view([texts, 1, 1])?.f_expand([texts, 1, width], false)?;
                steps.f_gather(1, &last, false)?.f_squeeze_dim(1)?
            }
            Readout::EveryToken => steps,
        };
        let read = match self.architecture.activation {
            Activation::None => read,
            Activation::Sigmoid => read.f_sigmoid()?,
            Activation::Tanh => read.f_tanh()?,
            Activation::Relu => read.f_relu()?,
        };
        read.f_linear(&self.fc_weight, Some(&self.fc_bias))
    }

    /// Layers of an LSTM that read from the beginning.
    fn one_way(
        &self,
        input: &Tensor,
        weights: &[&Tensor],
        layers: i64,
        train: bool,
    ) -> Result<Tensor, TchError> {
        let texts = input.size().first().copied().unwrap_or(0);
        let hidden = i64::from(self.architecture.hidden);
        let start = Tensor::f_zeros([layers, texts, hidden], (input.kind(), self.device))?;
        let state = [&start, &start];
        let (steps, _, _) = input.f_lstm(&state, weights, true, layers, 0.0, train, false, true)?;
        Ok(steps)
    }

    /// Layers that read from both ends. Each text is turned round by itself, so that padding is
    /// behind it in both directions and changes nothing.
    fn both_ways(
        &self,
        embedded: Tensor,
        lengths: &Tensor,
        train: bool,
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
        for layer in self.lstm.chunks(8) {
            let all: Vec<&Tensor> = layer.iter().collect();
            let (forth, back) = all.split_at(4.min(all.len()));
            let forth = self.one_way(&input, forth, 1, train)?;
            let back = turn(&self.one_way(&turn(&input)?, back, 1, train)?)?;
            input = Tensor::f_cat(&[forth, back], 2)?;
        }
        Ok(input)
    }

    /// Pads rows of token ids to the longest and puts them on the device with their lengths.
    /// No row may be empty.
    pub(crate) fn batch(&self, rows: &[&[i64]]) -> Result<(Tensor, Tensor), TchError> {
        let steps = rows.iter().map(|row| row.len()).max().unwrap_or(0);
        let mut ids = Vec::with_capacity(rows.len().saturating_mul(steps));
        let mut lengths = Vec::with_capacity(rows.len());
        for row in rows {
            ids.extend_from_slice(row);
            // Any id does: the steps past a row's length are never read.
            ids.extend(std::iter::repeat_n(0, steps.saturating_sub(row.len())));
            lengths.push(i64::try_from(row.len()).unwrap_or(i64::MAX));
        }
        let shape = [rows.len(), steps].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        let ids = self.moved(&Tensor::f_from_slice(&ids)?.f_view(shape)?)?;
        Ok((ids, self.moved(&Tensor::f_from_slice(&lengths)?)?))
    }

    /// On the device. A GPU takes it from pinned memory by itself, while we go on.
    fn moved(&self, numbers: &Tensor) -> Result<Tensor, TchError> {
        if !self.device.is_cuda() {
            return numbers.f_to_device(self.device);
        }
        let pinned = numbers.f_pin_memory(self.device)?;
        pinned.f_to_device_(self.device, Kind::Int64, true, false)
    }

    /// Computes in bf16 from here on; sums are still taken in 32 bits.
    pub(crate) fn bf16(&mut self) {
        self.store.bfloat16();
    }

    /// The variables, for an optimiser.
    pub(crate) const fn store(&self) -> &nn::VarStore {
        &self.store
    }

    /// Copies the weights back from the device.
    pub(crate) fn weights(&self) -> Result<Weights, TchError> {
        let mut weights = Weights::default();
        let variables = self.store.variables();
        for (name, shape) in self.architecture.weights() {
            let variable = variables
                .get(&name)
                .ok_or_else(|| TchError::Kind(format!("variable `{name}` is missing")))?;
            weights.0.insert(name, Weight { shape, values: values(variable)? });
        }
        Ok(weights)
    }
}

/// A tensor's values in row-major order.
pub(crate) fn values(tensor: &Tensor) -> Result<Vec<f32>, TchError> {
    let flat =
        tch::no_grad(|| tensor.f_detach()?.f_to_device(Device::Cpu)?.f_contiguous()?.f_view([-1]))?;
    let mut values = vec![0_f32; flat.numel()];
    flat.f_copy_data(&mut values, flat.numel())?;
    Ok(values)
}

/// Row `index` of a matrix.
pub(crate) fn row(matrix: &Tensor, index: usize) -> Result<Vec<f32>, TchError> {
    values(&matrix.i(i64::try_from(index).unwrap_or(-1)))
}
