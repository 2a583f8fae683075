use std::collections::BTreeMap;

use reeve_classifier::{Device, Encoded, mean_of_windows};
use tch::{CModule, IValue, Kind, TchError, Tensor};

use crate::{device, network::row};

/// A TorchScript module that maps ids `[texts, steps]` to logits `[texts, classes]`.
#[derive(Debug)]
pub(crate) struct Script {
    module: CModule,
    device: tch::Device,
}

impl Script {
    /// Loads a module and asks it for the logits of one token, to see that it has as many as
    /// there are labels.
    pub(crate) fn load(
        bytes: &[u8],
        classes: usize,
        token: i64,
        device: Device,
    ) -> Result<Self, TchError> {
        let device = device::of(device);
        let mut module = CModule::load_data_on_device(&mut &*bytes, device)?;
        module.f_set_eval()?;
        let script = Self { module, device };
        let found = script.logits(&[&[token]])?.first().map_or(0, Vec::len);
        if found == classes {
            return Ok(script);
        }
        Err(TchError::Kind(format!("the module gives {found} logits for {classes} labels")))
    }

    /// A row of logits a text, of a text in windows their mean.
    pub(crate) fn rows(&self, texts: &[&Encoded]) -> Result<Vec<Vec<f32>>, TchError> {
        let first = texts.iter().map(|text| text.ids.as_slice());
        let more = texts.iter().flat_map(|text| text.more.iter().map(Vec::as_slice));
        Ok(mean_of_windows(texts, self.logits(&first.chain(more).collect::<Vec<_>>())?))
    }

    /// What the module would make of padding is not known, so texts share
    /// a pass only with others of their length.
    fn logits(&self, rows: &[&[i64]]) -> Result<Vec<Vec<f32>>, TchError> {
        let mut by_length: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, row) in rows.iter().enumerate() {
            by_length.entry(row.len()).or_default().push(index);
        }
        let mut answers = vec![Vec::new(); rows.len()];
        for (steps, indices) in by_length {
            let ids: Vec<i64> = indices
                .iter()
                .filter_map(|index| rows.get(*index))
                .flat_map(|row| row.iter().copied())
                .collect();
            let shape = [indices.len(), steps].map(|n| i64::try_from(n).unwrap_or(-1));
            let ids = Tensor::f_from_slice(&ids)?.f_view(shape)?.f_to_device(self.device)?;
            let logits = tch::no_grad(|| self.module.forward_is(&[IValue::Tensor(ids)]))?;
            let IValue::Tensor(logits) = logits else {
                return Err(TchError::Kind("the module does not answer with a tensor".to_owned()));
            };
            if logits.size().first() != shape.first() || logits.dim() != 2 {
                return Err(TchError::Kind(format!(
                    "the module answers {:?} for ids {shape:?}: expected one row of logits a text",
                    logits.size()
                )));
            }
            let logits = logits.f_to_kind(Kind::Float)?;
            for (at, index) in indices.into_iter().enumerate() {
                if let Some(answer) = answers.get_mut(index) {
                    *answer = row(&logits, at)?;
                }
            }
        }
        Ok(answers)
    }
}
