use std::collections::BTreeSet;

use reeve_classifier::Encoded;
use tch::{Device, Kind, TchError, Tensor};

/// Encoded texts on a device.
#[derive(Debug)]
pub(crate) struct Batch {
    /// `[texts, steps]`, padded on the right.
    pub(crate) ids: Tensor,
    /// `[texts]`, each from 1 to `steps`.
    pub(crate) lengths: Tensor,
    /// Their n-grams, where the network has such.
    pub(crate) grams: Option<Grams>,
}

/// The n-grams of a batch, one text's after another's.
#[derive(Debug)]
pub(crate) struct Grams {
    /// The buckets of the batch, each once, in order.
    pub(crate) buckets: Tensor,
    /// For each n-gram, which of these.
    places: Tensor,
    /// Where each text's begin.
    offsets: Tensor,
    /// TF-IDF.
    pub(crate) weights: Tensor,
}

impl Grams {
    fn new(texts: &[&Encoded], device: Device) -> Result<Self, TchError> {
        let all = || texts.iter().flat_map(|text| &text.grams);
        let buckets: Vec<i64> =
            all().map(|gram| i64::from(gram.bucket)).collect::<BTreeSet<_>>().into_iter().collect();
        let place = |bucket: u32| {
            let place = buckets.binary_search(&i64::from(bucket)).unwrap_or_default();
            i64::try_from(place).unwrap_or_default()
        };
        let places: Vec<i64> = all().map(|gram| place(gram.bucket)).collect();
        let weights: Vec<f32> = all().map(|gram| gram.weight).collect();
        let mut offsets = Vec::with_capacity(texts.len());
        let mut offset = 0_usize;
        for text in texts {
            offsets.push(i64::try_from(offset).unwrap_or(i64::MAX));
            offset = offset.saturating_add(text.grams.len());
        }
        Ok(Self {
            buckets: Tensor::f_from_slice(&buckets)?.f_to_device(device)?,
            places: Tensor::f_from_slice(&places)?.f_to_device(device)?,
            offsets: Tensor::f_from_slice(&offsets)?.f_to_device(device)?,
            weights: Tensor::f_from_slice(&weights)?.f_to_device(device)?,
        })
    }

    /// The weighted sum of each text's rows; `rows` are the buckets', in order.
    pub(crate) fn bag(&self, rows: &Tensor, weights: &Tensor) -> Result<Tensor, TchError> {
        /// PyTorch's number for a sum.
        const SUM: i64 = 0;
        if self.places.numel() == 0 {
            let texts = self.offsets.size().first().copied().unwrap_or_default();
            let width = rows.size().last().copied().unwrap_or_default();
            return Tensor::f_zeros([texts, width], (Kind::Float, rows.device()));
        }
        let (sums, ..) = Tensor::f_embedding_bag(
            rows,
            &self.places,
            &self.offsets,
            false,
            SUM,
            false,
            Some(weights),
            false,
        )?;
        Ok(sums)
    }
}

impl Batch {
    /// Pads rows of token ids to the longest. No row may be empty.
    pub(super) fn new(texts: &[&Encoded], wide: bool, device: Device) -> Result<Self, TchError> {
        let steps = texts.iter().map(|text| text.ids.len()).max().unwrap_or(0);
        let mut ids = Vec::with_capacity(texts.len().saturating_mul(steps));
        let mut lengths = Vec::with_capacity(texts.len());
        for text in texts {
            ids.extend_from_slice(&text.ids);
            // Any id does: the steps past a row's length are never read.
            ids.extend(std::iter::repeat_n(0, steps.saturating_sub(text.ids.len())));
            lengths.push(i64::try_from(text.ids.len()).unwrap_or(i64::MAX));
        }
        let shape = [texts.len(), steps].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        Ok(Self {
            ids: moved(&Tensor::f_from_slice(&ids)?.f_view(shape)?, device)?,
            lengths: moved(&Tensor::f_from_slice(&lengths)?, device)?,
            grams: if wide { Some(Grams::new(texts, device)?) } else { None },
        })
    }
}

/// Whole numbers on a device. A GPU takes them from pinned memory by itself, while we go on.
fn moved(numbers: &Tensor, device: Device) -> Result<Tensor, TchError> {
    if !device.is_cuda() {
        return numbers.f_to_device(device);
    }
    numbers.f_pin_memory(device)?.f_to_device_(device, Kind::Int64, true, false)
}
