use tch::{Device, IndexOp as _, Kind, TchError, Tensor, nn};

use crate::{Activation, Architecture, Weight, Weights};

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
        if device.is_cuda() && tch::Cuda::cudnn_is_available() {
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
        let (layers, hidden) =
            (i64::from(self.architecture.layers), i64::from(self.architecture.hidden));
        let embedded = Tensor::f_embedding(&self.embedding, ids, -1, false, false)?;
        let start = Tensor::f_zeros([layers, texts, hidden], (Kind::Float, self.device))?;
        let state = [start.shallow_clone(), start];
        let state: Vec<&Tensor> = state.iter().collect();
        let lstm: Vec<&Tensor> = self.lstm.iter().collect();
        let (steps, _, _) =
            embedded.f_lstm(&state, &lstm, true, layers, 0.0, train, false, true)?;
        let last = (lengths - 1).f_view([texts, 1, 1])?.f_expand([texts, 1, hidden], false)?;
        let last = steps.f_gather(1, &last, false)?.f_squeeze_dim(1)?;
        let last = match self.architecture.activation {
            Activation::None => last,
            Activation::Sigmoid => last.f_sigmoid()?,
            Activation::Tanh => last.f_tanh()?,
            Activation::Relu => last.f_relu()?,
        };
        last.f_linear(&self.fc_weight, Some(&self.fc_bias))
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
        let ids = Tensor::f_from_slice(&ids)?.f_view(shape)?.f_to_device(self.device)?;
        Ok((ids, Tensor::f_from_slice(&lengths)?.f_to_device(self.device)?))
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
