use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use crate::segment::FileId;

/// The file with the newest checkpoint.
///
/// It is overwritten where it lies, with every commit: a rename for each would cost as much as the
/// sync. A note is shorter than a sector, so that no crash leaves half of one; whoever reads it
/// while it is written reads it again ([`crate::reader`]).
pub(super) struct Newest {
    path: PathBuf,
    file: File,
    length: usize,
}

impl Newest {
    /// Puts a new file in the place of the one before, in a single step.
    pub(super) fn begin(dir: &Path, note: &str) -> io::Result<Self> {
        let (new, path) = (dir.join("checkpoint.new"), dir.join("checkpoint"));
        fs::write(&new, note)?;
        fs::rename(new, &path)?;
        let file = OpenOptions::new().write(true).open(&path)?;
        Ok(Self { path, file, length: note.len() })
    }

    pub(super) fn write(&mut self, note: &str) -> io::Result<()> {
        let (there, open) = (fs::metadata(&self.path)?, self.file.metadata()?);
        if FileId::of(&there) != FileId::of(&open) {
            return Err(io::Error::other("`checkpoint` was replaced by another file"));
        }
        // Sizes only grow, and with them the note.
        if note.len() < self.length {
            return Err(io::Error::other("the checkpoint would be shorter than the one before"));
        }
        self.file.write_all_at(note.as_bytes(), 0)?;
        self.length = note.len();
        Ok(())
    }
}
