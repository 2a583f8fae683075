//! Reads what `torch.save(model.state_dict(), "model.pth")` writes, without Python and without
//! running anything that is in the file.
//!
//! The format since PyTorch 1.6 is a zip archive: `<name>/data.pkl` describes the tensors, `<name>/data/<key>` holds
//! each storage's bytes, `<name>/byteorder` says `little`. Before, the same lay one behind another
//! in a file (`legacy.rs`). A file is taken for hostile: what it
//! can make us allocate is bounded by its own size.

mod archive;
mod legacy;
mod pickle;
mod tensor;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::Path,
    rc::Rc,
};

use self::{
    archive::Archive,
    pickle::{Pickle, TensorView, Value},
};
use crate::{Weight, Weights};

/// A PyTorch file that cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum PytorchError {
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Nothing that torch.save writes.
    #[error(
        "neither a zip archive nor a file in PyTorch's format from before 1.6: expected what \
         `torch.save(model.state_dict(), path)` writes"
    )]
    Format,
    /// A TorchScript module, which is more than weights.
    #[error("the file is a TorchScript module: import it as one, with `--script`")]
    Script,
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
    /// Something in the state dict is not a tensor.
    #[error("`{0}` is not a tensor: a state dict holds nothing else")]
    NotTensor(String),
    /// No state dict at the top, nor under a usual key.
    #[error("no state dict: expected a dictionary of tensors, or one under {KEYS:?}")]
    NoStateDict,
}

/// Where training scripts put the state dict when they save more than that.
const KEYS: [&str; 4] = ["model", "state_dict", "model_state_dict", "model_state"];
/// What `DataParallel`, `torch.compile` and Lightning put before all names.
const WRAPPERS: [&str; 3] = ["module.", "_orig_mod.", "model."];
const TENSORS_MAX: usize = 4096;

/// Where the storages' bytes come from.
trait Storages {
    fn storage(&mut self, tensor: &TensorView) -> Result<Rc<Vec<u8>>, PytorchError>;
}

/// The weights in a PyTorch file: every tensor of its state dict as 32-bit floats. Prefixes that
/// wrappers put before all names (`module.`, `_orig_mod.`) are taken off.
pub fn read_state_dict(path: &Path) -> Result<Weights, PytorchError> {
    read_archive(BufReader::new(File::open(path)?))
}

/// As [`read_state_dict`], from anything that can seek.
pub fn read_archive(mut input: impl Read + Seek) -> Result<Weights, PytorchError> {
    let size = input.seek(SeekFrom::End(0))?;
    input.rewind()?;
    let mut magic = [0; 2];
    let zip = input.read_exact(&mut magic).is_ok() && magic == *b"PK";
    input.rewind()?;
    if zip {
        let mut archive = Archive::new(input, size)?;
        let pickle = archive.pickle()?;
        return weights(&pickle, &mut archive, size);
    }
    let mut bytes = Vec::new();
    input.take(size).read_to_end(&mut bytes)?;
    let (pickle, mut storages) = legacy::read(&bytes)?;
    weights(&pickle, &mut storages, size)
}

fn weights(
    pickle: &Pickle,
    storages: &mut impl Storages,
    size: u64,
) -> Result<Weights, PytorchError> {
    let tensors = state_dict(pickle)?;
    if tensors.len() > TENSORS_MAX {
        return Err(PytorchError::Pickle(format!("more than {TENSORS_MAX} tensors")));
    }
    let mut weights: BTreeMap<String, Weight> = BTreeMap::new();
    // Names may share a storage (tied weights), so values can outgrow the file, but not by much.
    let mut budget = size.saturating_mul(2);
    for (name, view) in tensors {
        let weight = tensor::read(&name, &view, storages, &mut budget)?;
        if weights.insert(name.to_string(), weight).is_some() {
            return Err(PytorchError::Pickle(format!("`{name}` is there twice")));
        }
    }
    for prefix in WRAPPERS {
        if weights.keys().all(|name| name.starts_with(prefix)) {
            let bare = |name: String| name.strip_prefix(prefix).map(str::to_owned).unwrap_or(name);
            weights = weights.into_iter().map(|(name, weight)| (bare(name), weight)).collect();
        }
    }
    Ok(Weights(weights))
}

type Tensors = Vec<(Rc<str>, Rc<TensorView>)>;

/// The tensors of the dictionary at the top or, where that holds more, of the one under a usual
/// key, or of the only one that holds nothing but tensors.
fn state_dict(pickle: &Pickle) -> Result<Tensors, PytorchError> {
    let top = pickle.entries(&pickle.top).ok_or(PytorchError::NoStateDict)?;
    let not_tensor = match tensors(&top) {
        Ok(tensors) => return Ok(tensors),
        Err(name) => name,
    };
    if let Some((_, value)) = top.iter().find(|(key, _)| KEYS.contains(&&**key)) {
        let entries = pickle.entries(value).ok_or(PytorchError::NoStateDict)?;
        return tensors(&entries).map_err(|name| match name {
            Some(name) => PytorchError::NotTensor(name),
            None => PytorchError::NoStateDict,
        });
    }
    let nested = top.iter().filter_map(|(_, value)| tensors(&pickle.entries(value)?).ok());
    let mut nested: Vec<Tensors> = nested.collect();
    let holds_tensors = top.iter().any(|(_, value)| matches!(value, Value::Tensor(_)));
    match (nested.pop(), nested.is_empty()) {
        (Some(only), true) if !holds_tensors => Ok(only),
        _ => Err(match not_tensor.filter(|_| holds_tensors) {
            Some(name) => PytorchError::NotTensor(name),
            None => PytorchError::NoStateDict,
        }),
    }
}

/// All values as tensors, where they all are and there is one at least; else the first that is not.
fn tensors(entries: &[(Rc<str>, Value)]) -> Result<Tensors, Option<String>> {
    let tensor = |(name, value): &(Rc<str>, Value)| match value {
        Value::Tensor(tensor) => Ok((Rc::clone(name), Rc::clone(tensor))),
        _ => Err(Some(name.to_string())),
    };
    let tensors = entries.iter().map(tensor).collect::<Result<Tensors, _>>()?;
    if tensors.is_empty() { Err(None) } else { Ok(tensors) }
}
