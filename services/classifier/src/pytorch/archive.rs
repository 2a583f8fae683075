use std::{
    io::{Read, Seek},
    rc::Rc,
};

use zip::{CompressionMethod, ZipArchive};

use super::{
    PytorchError, Storages, TENSORS_MAX,
    pickle::{self, Pickle, TensorView},
};

const PICKLE_BYTES_MAX: u64 = 16 << 20;
/// Entries of a real archive: one a storage, and a few more.
const ENTRIES_MAX: usize = TENSORS_MAX + 64;

/// A file as PyTorch has written it since 1.6.
pub(super) struct Archive<R> {
    zip: ZipArchive<R>,
    /// The folder that all entries lie in: the file's name when it was saved.
    root: String,
    /// Bytes that may still be read: the file's own size at first, whatever its entries claim.
    budget: u64,
    /// The storage read last; a state dict's views of one storage follow each other.
    last: Option<(Rc<str>, Rc<Vec<u8>>)>,
}

impl<R: Read + Seek> Archive<R> {
    pub(super) fn new(input: R, size: u64) -> Result<Self, PytorchError> {
        let zip = ZipArchive::new(input).map_err(|e| PytorchError::Archive(e.to_string()))?;
        if zip.len() > ENTRIES_MAX {
            return Err(PytorchError::Archive(format!("more than {ENTRIES_MAX} entries")));
        }
        let root = zip
            .file_names()
            .find_map(|name| Some(name.ok()?.strip_suffix("data.pkl")?.to_owned()))
            .ok_or_else(|| PytorchError::Archive("it has no data.pkl".to_owned()))?;
        let mut archive = Self { zip, root, budget: size, last: None };
        if archive.zip.index_for_name(&format!("{}constants.pkl", archive.root)).is_some() {
            return Err(PytorchError::Script);
        }
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

    pub(super) fn pickle(&mut self) -> Result<Pickle, PytorchError> {
        pickle::read(&self.entry("data.pkl", PICKLE_BYTES_MAX)?)
    }
}

impl<R: Read + Seek> Storages for Archive<R> {
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
