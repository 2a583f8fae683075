use std::{
    fs::File,
    io::{self, Write as _},
    path::Path,
};

use parking_lot::Mutex;
use serde::Serialize;

/// Writes down every text that the pod receives, so that a test can show what reached it. It is
/// off unless asked for, since it defeats what redaction is for.
pub(crate) struct Recorder {
    file: Mutex<File>,
}

#[derive(Serialize)]
struct Line<'a> {
    at: String,
    text: &'a str,
}

impl Recorder {
    /// Appends to the file at `path`.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Self { file: Mutex::new(file) })
    }

    /// One JSON line a text.
    pub(crate) fn write(&self, at: reeve_domain::Timestamp, texts: &[String]) -> io::Result<()> {
        let mut lines = Vec::new();
        for text in texts {
            serde_json::to_writer(&mut lines, &Line { at: at.to_string(), text })?;
            lines.push(b'\n');
        }
        self.file.lock().write_all(&lines)
    }
}
