//! Unpacking what somebody uploaded: a tar or a ZIP archive of a bundle's files. It is taken for
//! hostile: names, numbers and sizes are bounded before anything is written.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read, Seek as _, SeekFrom, Write as _},
    path::{Component, Path},
};

/// What an archive may hold at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of all files together, unpacked.
    pub bytes: u64,
    /// Files.
    pub files: usize,
}

/// An upload that is not taken in.
#[derive(Debug, thiserror::Error)]
pub enum UploadRefused {
    /// A file of this machine cannot be read or written.
    #[error("the upload cannot be unpacked: {0}")]
    Io(io::Error),
    /// Neither a tar nor a ZIP archive.
    #[error("expected a bundle's files as a tar or ZIP archive")]
    NotAnArchive,
    /// A Python pickle, or what `torch.save` wrote.
    #[error(
        "a PyTorch file: nothing of Python is taken in here; make a bundle of it with \
         `reeve model import`"
    )]
    Pickle,
    /// The archive is damaged.
    #[error("the archive is damaged: {0}")]
    Damaged(String),
    /// Something that is no plain file of a bundle.
    #[error("`{0}` is not a file of a bundle: expected plain names such as `bundle.json`")]
    Name(String),
    /// The same name twice.
    #[error("`{0}` is there twice")]
    Twice(String),
    /// It unpacks to more than it may.
    #[error("the archive holds more than {bytes} bytes or {files} files")]
    TooLarge {
        /// Bytes that it may hold.
        bytes: u64,
        /// Files that it may hold.
        files: usize,
    },
}

/// Unpacks an archive into a directory that is there and empty.
pub fn unpack(archive: &mut File, into: &Path, limits: Limits) -> Result<(), UploadRefused> {
    let mut start = [0_u8; 512];
    archive.seek(SeekFrom::Start(0)).map_err(UploadRefused::Io)?;
    let read = read_up_to(archive, &mut start).map_err(UploadRefused::Io)?;
    archive.seek(SeekFrom::Start(0)).map_err(UploadRefused::Io)?;
    let start = start.get(..read).unwrap_or_default();
    let mut into = Unpacked { into, limits, left: limits.bytes, names: BTreeSet::new() };
    if start.starts_with(b"PK\x03\x04") {
        into.zip(archive)
    } else if start.get(257..262) == Some(b"ustar") {
        into.tar(archive)
    } else if matches!(start, [0x80, 0..=5, ..]) {
        // The first byte of every pickle since protocol 2 (PEP 307), and of a .pth before 1.6.
        Err(UploadRefused::Pickle)
    } else {
        Err(UploadRefused::NotAnArchive)
    }
}

fn read_up_to(from: &mut File, into: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = into.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match from.read(rest)? {
            0 => break,
            n => filled = filled.saturating_add(n),
        }
    }
    Ok(filled)
}

struct Unpacked<'a> {
    into: &'a Path,
    limits: Limits,
    left: u64,
    names: BTreeSet<String>,
}

impl Unpacked<'_> {
    fn zip(&mut self, archive: &mut File) -> Result<(), UploadRefused> {
        let damaged = |why: zip::result::ZipError| UploadRefused::Damaged(why.to_string());
        let mut zip = zip::ZipArchive::new(archive).map_err(damaged)?;
        if zip.len() > self.limits.files.saturating_mul(2) {
            return Err(self.too_large());
        }
        for index in 0..zip.len() {
            let mut entry = zip.by_index(index).map_err(damaged)?;
            let name = entry.name().map_err(damaged)?.into_owned();
            // What torch.save writes is a ZIP with a pickle in a directory.
            if name.ends_with(".pkl") {
                return Err(UploadRefused::Pickle);
            }
            if entry.is_dir() && is_here(&name) {
                continue;
            }
            if !entry.is_file() {
                return Err(UploadRefused::Name(shown(&name)));
            }
            self.take(&name, &mut entry)?;
        }
        Ok(())
    }

    fn tar(&mut self, archive: &mut File) -> Result<(), UploadRefused> {
        let damaged = |why: io::Error| UploadRefused::Damaged(why.to_string());
        let mut tar = tar::Archive::new(archive);
        for entry in tar.entries().map_err(damaged)? {
            let mut entry = entry.map_err(damaged)?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let kind = entry.header().entry_type();
            if kind.is_dir() && is_here(&name) {
                continue;
            }
            // No link, no device: only what is a file itself.
            if !kind.is_file() {
                return Err(UploadRefused::Name(shown(&name)));
            }
            self.take(&name, &mut entry)?;
        }
        Ok(())
    }

    fn take(&mut self, name: &str, entry: &mut impl Read) -> Result<(), UploadRefused> {
        let name = plain(name).ok_or_else(|| UploadRefused::Name(shown(name)))?;
        if self.names.len() >= self.limits.files {
            return Err(self.too_large());
        }
        if !self.names.insert(name.clone()) {
            return Err(UploadRefused::Twice(name));
        }
        // Whatever the archive says of sizes: bytes are counted as they come.
        let mut file = File::create_new(self.into.join(&name)).map_err(UploadRefused::Io)?;
        let mut buffer = vec![0_u8; 1 << 16];
        loop {
            let read =
                entry.read(&mut buffer).map_err(|why| UploadRefused::Damaged(why.to_string()))?;
            if read == 0 {
                break;
            }
            let bytes = u64::try_from(read).unwrap_or(u64::MAX);
            self.left = self.left.checked_sub(bytes).ok_or_else(|| self.too_large())?;
            let chunk = buffer.get(..read).unwrap_or_default();
            file.write_all(chunk).map_err(UploadRefused::Io)?;
        }
        file.sync_all().map_err(UploadRefused::Io)
    }

    const fn too_large(&self) -> UploadRefused {
        UploadRefused::TooLarge { bytes: self.limits.bytes, files: self.limits.files }
    }
}

/// The archive's own root.
fn is_here(name: &str) -> bool {
    matches!(name, "./" | "." | "")
}

/// A name of a file in the archive's root, in the letters that bundles use.
fn plain(name: &str) -> Option<String> {
    let name = name.strip_prefix("./").unwrap_or(name);
    let mut parts = Path::new(name).components();
    let only = matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None));
    let letters = name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    (only && letters).then(|| name.to_owned())
}

/// What an upload called something, as it may be repeated.
fn shown(name: &str) -> String {
    name.escape_debug().to_string().chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    const LIMITS: Limits = Limits { bytes: 1000, files: 4 };

    fn tar_of(entries: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, bytes) in entries {
            let mut header = tar::Header::new_ustar();
            // By hand, since the crate itself refuses to write such names.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(u64::try_from(bytes.len()).unwrap());
            header.set_mode(0o644);
            header.set_cksum();
            builder.append(&header, *bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn zip_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in entries {
            let options = zip::write::SimpleFileOptions::default();
            zip.start_file(*name, options).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn unpacked(bytes: &[u8]) -> Result<Vec<String>, UploadRefused> {
        let (from, into) = (tempfile::tempfile().unwrap(), tempfile::tempdir().unwrap());
        let mut from = from;
        from.write_all(bytes).unwrap();
        unpack(&mut from, into.path(), LIMITS)?;
        let mut names: Vec<_> = std::fs::read_dir(into.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        Ok(names)
    }

    #[test]
    fn plain_files_are_unpacked_from_either() {
        let file = tar::EntryType::Regular;
        let tar = tar_of(&[
            ("./", tar::EntryType::Directory, b""),
            ("./a.json", file, b"1"),
            ("b.json", file, b"2"),
        ]);
        assert_eq!(unpacked(&tar).unwrap(), ["a.json", "b.json"]);
        assert_eq!(unpacked(&zip_of(&[("a.json", b"1")])).unwrap(), ["a.json"]);
    }

    #[test]
    fn what_is_no_plain_file_is_refused() {
        let file = tar::EntryType::Regular;
        for name in ["../a", "/etc/passwd", "a/b", ".hidden", "a b", ".."] {
            let refused = unpacked(&tar_of(&[(name, file, b"1")])).unwrap_err();
            assert!(matches!(refused, UploadRefused::Name(_)), "{name}: {refused}");
        }
        for kind in [tar::EntryType::Symlink, tar::EntryType::Link, tar::EntryType::Fifo] {
            let refused = unpacked(&tar_of(&[("a.json", kind, b"")])).unwrap_err();
            assert!(matches!(refused, UploadRefused::Name(_)), "{refused}");
        }
        let twice = tar_of(&[("a.json", file, b"1"), ("./a.json", file, b"2")]);
        assert!(matches!(unpacked(&twice), Err(UploadRefused::Twice(_))));
    }

    #[test]
    fn no_more_is_unpacked_than_may_be() {
        let file = tar::EntryType::Regular;
        let large = tar_of(&[("a.json", file, &[0; 1001])]);
        assert!(matches!(unpacked(&large), Err(UploadRefused::TooLarge { .. })));
        // A kilobyte that unpacks to a megabyte.
        let bomb = zip_of(&[("a.json", &[0; 1_000_000])]);
        assert!(bomb.len() < 2000);
        assert!(matches!(unpacked(&bomb), Err(UploadRefused::TooLarge { .. })));
        let many: Vec<_> = ["1", "2", "3", "4", "5"].map(|name| (name, file, &b"x"[..])).into();
        assert!(matches!(unpacked(&tar_of(&many)), Err(UploadRefused::TooLarge { .. })));
    }

    #[test]
    fn pickles_are_known_and_refused() {
        for bytes in [&b"\x80\x02}q\x00."[..], b"\x80\x04\x95"] {
            assert!(matches!(unpacked(bytes), Err(UploadRefused::Pickle)));
        }
        let torch = zip_of(&[("model/data.pkl", b"\x80\x02}."), ("model/data/0", b"1234")]);
        assert!(matches!(unpacked(&torch), Err(UploadRefused::Pickle)));
        assert!(matches!(unpacked(b"hello"), Err(UploadRefused::NotAnArchive)));
        assert!(matches!(unpacked(b"PK\x03\x04broken"), Err(UploadRefused::Damaged(_))));
    }
}
