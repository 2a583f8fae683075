//! Reads what `torch.save(model.state_dict(), "model.pth")` writes, without Python and without
//! running anything that is in the file.
//!
//! The format is a zip archive: `<name>/data.pkl` describes the tensors, `<name>/data/<key>` holds
//! each storage's bytes, `<name>/byteorder` says `little`. A file is taken for hostile: what it
//! can make us allocate is bounded by its own size.

mod pickle;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::Path,
    rc::Rc,
};

use zip::{CompressionMethod, ZipArchive};

use self::pickle::{Element, TensorView, Value};
use crate::{Weight, Weights};

/// A PyTorch file that cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum PytorchError {
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Before PyTorch 1.6, or with `_use_new_zipfile_serialization=False`.
    #[error(
        "not a zip archive: files of PyTorch before 1.6 are not read; load it there and save the \
         state dict again with `torch.save(model.state_dict(), path)`"
    )]
    NotZip,
    /// A damaged or unusual archive.
    #[error("the archive is not one that torch.save writes: {0}")]
    Archive(String),
    /// It names code other than tensors and dictionaries of them.
    #[error(
        "the file names the global `{0}`, which is not allowed: save the state dict alone, with \
         `torch.save(model.state_dict(), path)`"
    )]
    Global(String),
    /// The pickle inside does not describe a state dict.
    #[error("the pickle is not one that torch.save writes for a state dict: {0}")]
    Pickle(String),
    /// A tensor that does not lie within its storage, or not of floating point numbers.
    #[error("tensor `{name}` {detail}")]
    Tensor {
        /// Its name in the state dict.
        name: String,
        /// What is wrong with it.
        detail: String,
    },
    /// No state dict at the top, nor under a usual key.
    #[error("no state dict: expected a dictionary of tensors, or one under {KEYS:?}")]
    NoStateDict,
}

/// Where training scripts put the state dict when they save more than that.
const KEYS: [&str; 4] = ["model", "state_dict", "model_state_dict", "model_state"];
const PICKLE_BYTES_MAX: u64 = 16 << 20;
const TENSORS_MAX: usize = 4096;
/// Entries of a real archive: one a storage, and a few more.
const ENTRIES_MAX: usize = TENSORS_MAX + 64;

/// The weights in a PyTorch file: every tensor of its state dict as 32-bit floats. A prefix
/// `module.` on all names (`DataParallel`) is taken off.
pub fn read_state_dict(path: &Path) -> Result<Weights, PytorchError> {
    read_archive(BufReader::new(File::open(path)?))
}

/// As [`read_state_dict`], from anything that can seek.
pub fn read_archive(mut input: impl Read + Seek) -> Result<Weights, PytorchError> {
    let size = input.seek(SeekFrom::End(0))?;
    input.rewind()?;
    let mut magic = [0; 2];
    if input.read_exact(&mut magic).is_err() || magic != *b"PK" {
        return Err(PytorchError::NotZip);
    }
    input.rewind()?;
    let zip = ZipArchive::new(input).map_err(|e| PytorchError::Archive(e.to_string()))?;
    let mut archive = Archive::new(zip, size)?;
    let pickle = pickle::read(&archive.entry("data.pkl", PICKLE_BYTES_MAX)?)?;
    let top = pickle.entries(&pickle.top).ok_or(PytorchError::NoStateDict)?;
    let nested = || {
        let found = top.iter().find(|(key, _)| KEYS.contains(&&**key));
        found.and_then(|(_, value)| tensors(&pickle.entries(value)?))
    };
    let tensors = tensors(&top).or_else(nested).ok_or(PytorchError::NoStateDict)?;
    if tensors.len() > TENSORS_MAX {
        return Err(PytorchError::Pickle(format!("more than {TENSORS_MAX} tensors")));
    }
    let mut weights = BTreeMap::new();
    // Names may share a storage (tied weights), so values can outgrow the file, but not by much.
    let mut budget = size.saturating_mul(2);
    for (name, tensor) in tensors {
        let weight = archive.weight(&name, &tensor, &mut budget)?;
        if weights.insert(name.to_string(), weight).is_some() {
            return Err(PytorchError::Pickle(format!("`{name}` is there twice")));
        }
    }
    let parallel = weights.keys().all(|name| name.starts_with("module."));
    let strip = |name: String| match name.strip_prefix("module.") {
        Some(rest) if parallel => rest.to_owned(),
        _ => name,
    };
    Ok(Weights(weights.into_iter().map(|(name, weight)| (strip(name), weight)).collect()))
}

/// All values as tensors, where they all are and there is one at least.
fn tensors(entries: &[(Rc<str>, Value)]) -> Option<Vec<(Rc<str>, Rc<TensorView>)>> {
    let tensors: Option<Vec<_>> = entries
        .iter()
        .map(|(name, value)| match value {
            Value::Tensor(tensor) => Some((Rc::clone(name), Rc::clone(tensor))),
            _ => None,
        })
        .collect();
    tensors.filter(|tensors| !tensors.is_empty())
}

struct Archive<R> {
    zip: ZipArchive<R>,
    /// The folder that all entries lie in: the file's name when it was saved.
    root: String,
    /// Bytes that may still be read: the file's own size at first, whatever its entries claim.
    budget: u64,
    /// The storage read last; a state dict's views of one storage follow each other.
    last: Option<(Rc<str>, Rc<Vec<u8>>)>,
}

impl<R: Read + Seek> Archive<R> {
    fn new(zip: ZipArchive<R>, size: u64) -> Result<Self, PytorchError> {
        if zip.len() > ENTRIES_MAX {
            return Err(PytorchError::Archive(format!("more than {ENTRIES_MAX} entries")));
        }
        let root = zip
            .file_names()
            .find_map(|name| Some(name.ok()?.strip_suffix("data.pkl")?.to_owned()))
            .ok_or_else(|| PytorchError::Archive("it has no data.pkl".to_owned()))?;
        let mut archive = Self { zip, root, budget: size, last: None };
        let order = format!("{}byteorder", archive.root);
        // Absent before PyTorch 2.1, when only little-endian machines wrote files.
        if archive.zip.index_for_name(&order).is_some()
            && archive.entry("byteorder", 16)?.trim_ascii() != b"little"
        {
            return Err(PytorchError::Archive("its byte order is not little-endian".to_owned()));
        }
        Ok(archive)
    }

    fn entry(&mut self, name: &str, limit: u64) -> Result<Vec<u8>, PytorchError> {
        let wrong = |detail: String| PytorchError::Archive(format!("entry `{name}` {detail}"));
        let entry = self
            .zip
            .by_name(&format!("{}{name}", self.root))
            .map_err(|error| wrong(format!("cannot be read: {error}")))?;
        if entry.compression() != CompressionMethod::Stored {
            return Err(wrong("is compressed, which torch.save never does".to_owned()));
        }
        let size = entry.size();
        if size > limit || size > self.budget {
            return Err(wrong(format!("claims {size} bytes, more than there can be")));
        }
        self.budget -= size;
        let mut bytes = Vec::new();
        entry
            .take(size.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| wrong(format!("is damaged: {error}")))?;
        if u64::try_from(bytes.len()) != Ok(size) {
            return Err(wrong("ends too early or too late".to_owned()));
        }
        Ok(bytes)
    }

    fn weight(
        &mut self,
        name: &str,
        tensor: &TensorView,
        budget: &mut u64,
    ) -> Result<Weight, PytorchError> {
        let wrong = |detail: String| PytorchError::Tensor { name: name.to_owned(), detail };
        let count = check(tensor).map_err(wrong)?;
        *budget = count
            .checked_mul(tensor.element.bytes())
            .and_then(|bytes| budget.checked_sub(bytes))
            .ok_or_else(|| wrong("repeats storages more often than weights do".to_owned()))?;
        let storage = self.storage(tensor)?;
        let expected = tensor.storage_elements.checked_mul(tensor.element.bytes());
        if u64::try_from(storage.len()).ok() != expected {
            return Err(wrong(format!(
                "has a storage of {} bytes instead of {} elements of {} bytes",
                storage.len(),
                tensor.storage_elements,
                tensor.element.bytes()
            )));
        }
        let lost = || wrong("lies outside its storage".to_owned());
        let mut values = Vec::with_capacity(usize::try_from(count).map_err(|_| lost())?);
        let mut index = vec![0_u64; tensor.shape.len()];
        for _ in 0..count {
            let steps = index.iter().zip(&tensor.stride).map(|(i, stride)| i * stride);
            let at = steps.fold(tensor.offset, u64::saturating_add);
            values.push(value(&storage, tensor.element, at).ok_or_else(lost)?);
            // Count up like an odometer, the last dimension fastest.
            for (i, size) in index.iter_mut().zip(&tensor.shape).rev() {
                *i += 1;
                if *i < *size {
                    break;
                }
                *i = 0;
            }
        }
        let shape = tensor.shape.iter().map(|&n| usize::try_from(n).map_err(|_| lost()));
        Ok(Weight { shape: shape.collect::<Result<_, _>>()?, values })
    }

    fn storage(&mut self, tensor: &TensorView) -> Result<Rc<Vec<u8>>, PytorchError> {
        if let Some((key, bytes)) = &self.last
            && *key == tensor.storage
        {
            return Ok(Rc::clone(bytes));
        }
        let bytes = Rc::new(self.entry(&format!("data/{}", tensor.storage), u64::MAX)?);
        self.last = Some((Rc::clone(&tensor.storage), Rc::clone(&bytes)));
        Ok(bytes)
    }
}

/// The number of a tensor's elements, once it is sure that all lie in its storage and that there
/// are no more of them than the storage has.
fn check(tensor: &TensorView) -> Result<u64, String> {
    if tensor.shape.len() != tensor.stride.len() {
        return Err("has as many strides as it has not dimensions".to_owned());
    }
    if !matches!(tensor.element, Element::F64 | Element::F32 | Element::F16 | Element::Bf16) {
        return Err(format!("holds {:?}: weights are floating point", tensor.element));
    }
    let outside = || {
        format!(
            "of shape {:?}, strides {:?} and offset {} lies outside its storage of {} elements",
            tensor.shape, tensor.stride, tensor.offset, tensor.storage_elements
        )
    };
    let count = tensor.shape.iter().try_fold(1_u64, |n, size| n.checked_mul(*size));
    let count = count.ok_or_else(outside)?;
    if count == 0 {
        return Ok(0);
    }
    let last =
        tensor.shape.iter().zip(&tensor.stride).try_fold(tensor.offset, |at, (n, stride)| {
            at.checked_add(n.saturating_sub(1).checked_mul(*stride)?)
        });
    if last.is_none_or(|last| last >= tensor.storage_elements) || count > tensor.storage_elements {
        return Err(outside());
    }
    Ok(count)
}

fn value(storage: &[u8], element: Element, at: u64) -> Option<f32> {
    let start = usize::try_from(at.checked_mul(element.bytes())?).ok()?;
    let bytes = storage.get(start..)?;
    match element {
        Element::F32 => bytes.first_chunk().map(|b| f32::from_le_bytes(*b)),
        Element::F64 => bytes.first_chunk().map(|b| narrow(f64::from_le_bytes(*b))),
        Element::F16 => bytes.first_chunk().map(|b| half(u16::from_le_bytes(*b))),
        Element::Bf16 => {
            let bits = u16::from_le_bytes(*bytes.first_chunk()?);
            Some(f32::from_bits(u32::from(bits) << 16))
        }
        _ => None,
    }
}

#[expect(
    clippy::as_conversions,
    reason = "rounds to the nearest f32, and to infinity past its range: infinite weights are \
        refused later"
)]
const fn narrow(value: f64) -> f32 {
    value as f32
}

/// IEEE 754 binary16: 1 bit of sign, 5 of exponent (bias 15), 10 of fraction.
fn half(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = ((bits >> 10) & 0x1f, f32::from(bits & 0x3ff));
    match exponent {
        0 => sign * fraction * 2_f32.powi(-24),
        0x1f if fraction == 0.0 => sign * f32::INFINITY,
        0x1f => f32::NAN,
        _ => sign * (1.0 + fraction / 1024.0) * 2_f32.powi(i32::from(exponent) - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_has_ieee_values() {
        let cases = [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 2_f32.powi(-24)),
            (0x0400, 2_f32.powi(-14)),
            (0x3555, 0.333_251_95),
            (0xfc00, f32::NEG_INFINITY),
        ];
        for (bits, expected) in cases {
            assert_eq!(half(bits), expected, "{bits:#06x}");
        }
        assert!(half(0x7e00).is_nan());
    }
}
