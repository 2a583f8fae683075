//! The network on a device: an embedding, a body that reads it, a readout, an output, and beside
//! them n-grams where the architecture has them.

mod batch;
mod dropout;
mod lstm;
mod readout;
mod transformer;

use std::collections::BTreeMap;

use reeve_classifier::{
    Activation, Architecture, Body, Device, Encoded, WIDE_IDF, WIDE_WEIGHT, Weight, Weights,
    mean_of_windows,
};
use tch::{IndexOp as _, Kind, TchError, Tensor};

pub(crate) use self::{batch::Batch, dropout::Dropout};
use self::{batch::Grams, lstm::Lstm, transformer::Transformer};
use crate::device;

/// The network's tensors. One copy for each worker thread: a tensor is `Send`, not `Sync`.
#[derive(Debug)]
pub(crate) struct Network {
    architecture: Architecture,
    parameters: BTreeMap<String, Tensor>,
    embedding: Tensor,
    body: Reader,
    fc_weight: Tensor,
    fc_bias: Tensor,
    wide: Option<Tensor>,
    compute: Kind,
    device: tch::Device,
}

#[derive(Debug)]
enum Reader {
    Lstm(Lstm),
    Transformer(Transformer),
}

/// What a forward pass is for.
#[derive(Debug)]
pub(crate) enum Pass<'a> {
    /// An answer; no gradients are wanted.
    Serve,
    /// Gradients without dropout. cuDNN cannot run an LSTM backwards in evaluation mode.
    Explain,
    /// A training step, as PyTorch's `module.train()`.
    Learn(&'a mut Dropout),
}

impl Pass<'_> {
    const fn trains(&self) -> bool {
        !matches!(self, Self::Serve)
    }

    fn drop(&mut self, tensor: Tensor, share: fn(&Dropout) -> f64) -> Result<Tensor, TchError> {
        match self {
            Self::Learn(dropout) => dropout.apply(tensor, share),
            Self::Serve | Self::Explain => Ok(tensor),
        }
    }
}

/// What a network says of a batch, and what each of its parts alone would say.
pub(crate) struct Logits {
    pub(crate) whole: Tensor,
    /// The body's and the n-grams' share, which add up to the whole where both go to the output.
    pub(crate) parts: Option<(Tensor, Tensor)>,
}

impl Network {
    /// Puts checked weights on a device. `weights` must fit the architecture
    /// ([`Weights::check`]); a weight that does not is an error of the tensor library here.
    pub(crate) fn new(
        architecture: &Architecture,
        weights: &Weights,
        device: Device,
    ) -> Result<Self, TchError> {
        let device = device::of(device);
        let mut parameters = BTreeMap::new();
        for (name, shape) in architecture.weights() {
            let weight = weights
                .0
                .get(&name)
                .ok_or_else(|| TchError::Kind(format!("weight `{name}` is missing")))?;
            let shape: Vec<i64> = shape.iter().map(|&n| i64::try_from(n).unwrap_or(-1)).collect();
            let values = Tensor::f_from_slice(&weight.values)?.f_view(shape.as_slice())?;
            // What was counted is not learned by steps.
            let learned = name != WIDE_IDF;
            let variable = values.f_to_device(device)?.f_detach()?.f_set_requires_grad(learned)?;
            parameters.insert(name, variable);
        }
        let of = |name: &str| {
            let tensor = parameters.get(name).map(Tensor::shallow_clone);
            tensor.ok_or_else(|| TchError::Kind(format!("the architecture has no `{name}`")))
        };
        let body = match architecture.body {
            Body::Lstm => Reader::Lstm(Lstm::new(architecture, &of, device)?),
            Body::Transformer { heads, .. } => {
                Reader::Transformer(Transformer::new(architecture.layers, heads, &of)?)
            }
            Body::Script => {
                return Err(TchError::Kind("a script is not made of weights".to_owned()));
            }
        };
        let wide = architecture.wide.map(|_| of(WIDE_WEIGHT)).transpose()?;
        let (embedding, fc_weight, fc_bias) =
            (of("embedding.weight")?, of("fc.weight")?, of("fc.bias")?);
        let architecture = architecture.clone();
        let compute = Kind::Float;
        Ok(Self {
            architecture,
            parameters,
            embedding,
            body,
            fc_weight,
            fc_bias,
            wide,
            compute,
            device,
        })
    }

    /// Computes the body in another type than the weights are kept in (mixed precision); logits
    /// stay 32-bit floats.
    pub(crate) fn computes_in(mut self, kind: Kind) -> Self {
        self.compute = kind;
        self
    }

    /// Logits `[texts, classes]`, or `[texts, steps, classes]` where every token has a label. What
    /// fills a row behind its length cannot reach the logits.
    pub(crate) fn forward(&self, batch: &Batch, pass: &mut Pass<'_>) -> Result<Tensor, TchError> {
        Ok(self.both(batch, pass)?.whole)
    }

    /// As [`Self::forward`], with what the parts say.
    pub(crate) fn both(&self, batch: &Batch, pass: &mut Pass<'_>) -> Result<Logits, TchError> {
        let embedded = self.embed(&batch.ids)?;
        let rows = match &batch.grams {
            Some(grams) => self.gram_rows(grams)?,
            None => None,
        };
        self.read(&embedded, batch, rows.as_ref(), pass)
    }

    /// The embeddings of ids `[texts, steps]`.
    pub(crate) fn embed(&self, ids: &Tensor) -> Result<Tensor, TchError> {
        Tensor::f_embedding(&self.embedding, ids, -1, false, false)
    }

    /// The n-grams' rows that a batch needs. Their gradient is sparse: a step touches these rows
    /// and no other.
    pub(crate) fn gram_rows(&self, grams: &Grams) -> Result<Option<Tensor>, TchError> {
        let Some(wide) = &self.wide else { return Ok(None) };
        Tensor::f_embedding(wide, &grams.buckets, -1, false, true).map(Some)
    }

    /// Logits of embeddings `[texts, steps, width]`, which need not be any token's.
    pub(crate) fn read(
        &self,
        embedded: &Tensor,
        batch: &Batch,
        rows: Option<&Tensor>,
        pass: &mut Pass<'_>,
    ) -> Result<Logits, TchError> {
        let input = pass.drop(embedded.f_to_kind(self.compute)?, Dropout::embedding)?;
        let steps = match &self.body {
            Reader::Lstm(lstm) => lstm.read(input, &batch.lengths, pass)?,
            Reader::Transformer(body) => body.read(input, &batch.lengths, pass)?,
        };
        let steps = steps.f_to_kind(Kind::Float)?;
        let read = readout::read(self.architecture.readout, steps, &batch.lengths)?;
        let read = match self.architecture.activation {
            Activation::None => read,
            Activation::Sigmoid => read.f_sigmoid()?,
            Activation::Tanh => read.f_tanh()?,
            Activation::Relu => read.f_relu()?,
        };
        let read = pass.drop(read, Dropout::readout)?;
        let deep = |input: &Tensor| input.f_linear(&self.fc_weight, Some(&self.fc_bias));
        let (Some(rows), Some(grams), Some(wide)) = (rows, &batch.grams, self.architecture.wide)
        else {
            return Ok(Logits { whole: deep(&read)?, parts: None });
        };
        let weights = pass.drop(grams.weights.shallow_clone(), Dropout::grams)?;
        let bag = grams.bag(rows, &weights)?;
        if wide.width > 0 {
            let bag = pass.drop(bag.f_relu()?, Dropout::readout)?;
            let whole = deep(&Tensor::f_cat(&[read, bag], -1)?)?;
            return Ok(Logits { whole, parts: None });
        }
        let deep = deep(&read)?;
        Ok(Logits { whole: deep.f_add(&bag)?, parts: Some((deep, bag)) })
    }

    /// Puts encoded texts on the device.
    pub(crate) fn batch(&self, texts: &[&Encoded]) -> Result<Batch, TchError> {
        Batch::new(texts, self.wide.is_some(), self.device)
    }

    /// A row of logits a text, in the order given; of a text in windows their mean. Rows of every
    /// token's logits are as long as the batch's longest text makes them.
    pub(crate) fn rows(&self, texts: &[&Encoded]) -> Result<Vec<Vec<f32>>, TchError> {
        let windows: Vec<Encoded> = texts
            .iter()
            .flat_map(|text| {
                let more = text.more.iter().map(|ids| Encoded {
                    ids: ids.clone(),
                    grams: text.grams.clone(),
                    ..Encoded::default()
                });
                more.collect::<Vec<_>>()
            })
            .collect();
        let rows: Vec<&Encoded> = texts.iter().copied().chain(&windows).collect();
        let logits = tch::no_grad(|| self.forward(&self.batch(&rows)?, &mut Pass::Serve))?;
        // One transfer for all rows.
        let logits = logits.f_to_device(tch::Device::Cpu)?;
        let rows = (0..rows.len()).map(|index| row(&logits, index));
        Ok(mean_of_windows(texts, rows.collect::<Result<_, _>>()?))
    }

    /// All tensors by their PyTorch names.
    pub(crate) const fn parameters(&self) -> &BTreeMap<String, Tensor> {
        &self.parameters
    }

    pub(crate) const fn device(&self) -> tch::Device {
        self.device
    }

    /// Copies the weights back from the device.
    pub(crate) fn weights(&self) -> Result<Weights, TchError> {
        let mut weights = Weights::default();
        for (name, shape) in self.architecture.weights() {
            let variable = self
                .parameters
                .get(&name)
                .ok_or_else(|| TchError::Kind(format!("variable `{name}` is missing")))?;
            weights.0.insert(name, Weight { shape, values: values(variable)? });
        }
        Ok(weights)
    }
}

/// A tensor's values in row-major order.
pub(crate) fn values(tensor: &Tensor) -> Result<Vec<f32>, TchError> {
    let flat = tch::no_grad(|| {
        let tensor = tensor.f_detach()?.f_to_device(tch::Device::Cpu)?.f_to_kind(Kind::Float)?;
        tensor.f_contiguous()?.f_view([-1])
    })?;
    let mut values = vec![0_f32; flat.numel()];
    flat.f_copy_data(&mut values, flat.numel())?;
    Ok(values)
}

/// Row `index` of a matrix.
pub(crate) fn row(matrix: &Tensor, index: usize) -> Result<Vec<f32>, TchError> {
    values(&matrix.i(i64::try_from(index).unwrap_or(-1)))
}
