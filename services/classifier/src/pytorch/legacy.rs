//! Files from before PyTorch 1.6, or saved with `_use_new_zipfile_serialization=False`: pickles of
//! a magic number, a version, the machine, the object and its storages' keys; then the storages,
//! each a 64-bit count of elements and their bytes. See `_legacy_save` in PyTorch's
//! torch/serialization.py.

use std::{collections::BTreeMap, rc::Rc};

use super::{
    PytorchError, Storages,
    pickle::{self, Pickle, TensorView, Value},
};

/// 0x1950a86a20f9469cfc6c, as a pickle holds it.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// Where it must be found: behind a few opcodes.
const MAGIC_WITHIN: usize = 32;
const VERSION: i64 = 1001;

/// What lies behind the pickles.
pub(super) struct Behind {
    /// Each storage's bytes by its key.
    storages: BTreeMap<Rc<str>, Rc<Vec<u8>>>,
}

pub(super) fn read(bytes: &[u8]) -> Result<(Pickle, Behind), PytorchError> {
    let head = bytes.get(..MAGIC_WITHIN.min(bytes.len())).unwrap_or_default();
    if !head.windows(MAGIC.len()).any(|window| window == MAGIC) {
        return Err(PytorchError::Format);
    }
    let mut rest = bytes;
    let _magic = pickle::read_first(&mut rest)?;
    let version = pickle::read_first(&mut rest)?;
    if !matches!(version.top, Value::Int(VERSION)) {
        return Err(PytorchError::Format);
    }
    let machine = pickle::read_first(&mut rest)?;
    let entries = machine.entries(&machine.top).unwrap_or_default();
    let little = entries.iter().find(|(key, _)| &**key == "little_endian");
    if !matches!(little, Some((_, Value::Bool(true)))) {
        return Err(PytorchError::Pickle("its byte order is not little-endian".to_owned()));
    }
    let object = pickle::read_first(&mut rest)?;
    let keys = pickle::read_first(&mut rest)?;
    let keys = keys.texts(&keys.top).ok_or_else(|| lost("its list of storages is none"))?;
    let sizes = object.storages();
    let mut storages = BTreeMap::new();
    for key in keys {
        let element = sizes.get(&key).ok_or_else(|| lost("a storage that no tensor uses"))?;
        let (count, behind) =
            rest.split_first_chunk().ok_or_else(|| lost("it ends before its storages do"))?;
        let length = u64::from_le_bytes(*count).checked_mul(element.bytes());
        let (storage, behind) = length
            .and_then(|length| behind.split_at_checked(usize::try_from(length).ok()?))
            .ok_or_else(|| lost("it ends before its storages do"))?;
        storages.insert(key, Rc::new(storage.to_vec()));
        rest = behind;
    }
    Ok((object, Behind { storages }))
}

fn lost(detail: &str) -> PytorchError {
    PytorchError::Pickle(detail.to_owned())
}

impl Storages for Behind {
    fn storage(&mut self, tensor: &TensorView) -> Result<Rc<Vec<u8>>, PytorchError> {
        let storage = self.storages.get(&tensor.storage);
        storage.cloned().ok_or_else(|| lost("a tensor without its storage"))
    }
}
