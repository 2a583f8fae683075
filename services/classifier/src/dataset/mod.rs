//! Labelled texts from files: CSV, TSV, JSON lines, Parquet.

mod json;
mod parquet;
mod separated;

use std::{collections::BTreeSet, fmt::Write as _, fs, io, path::Path};

use rand::{SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use reeve_domain::Digest;

/// Texts with the label that each should get.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// All labels, sorted. An example's label is an index into them.
    pub labels: Vec<String>,
    /// In the file's order.
    pub examples: Vec<Example>,
    /// Of the file's bytes.
    pub digest: Digest,
}

/// One labelled text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// What a person wrote.
    pub text: String,
    /// Index into the labels.
    pub label: usize,
    /// Where it stands in the file: a line, or of Parquet a row, from 1.
    pub row: u64,
}

/// How a file is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180, UTF-8, with a header.
    Csv,
    /// The same with tabs.
    Tsv,
    /// A JSON object a line.
    JsonLines,
    /// Apache Parquet.
    Parquet,
}

/// The names of the columns that are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// What a person wrote.
    pub text: String,
    /// The label that it should get.
    pub label: String,
}

impl Default for Columns {
    fn default() -> Self {
        Self { text: "text".to_owned(), label: "label".to_owned() }
    }
}

impl Format {
    /// By a file's extension; CSV where it has none that is known.
    pub fn of(path: &Path) -> Self {
        let extension = path.extension().and_then(|extension| extension.to_str());
        match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("tsv" | "tab") => Self::Tsv,
            Some("jsonl" | "ndjson") => Self::JsonLines,
            Some("parquet") => Self::Parquet,
            _ => Self::Csv,
        }
    }
}

/// A text, its label, and where it stands.
type Row = (String, String, u64);

/// Rows as far as they could be read, and what is wrong with the others.
#[derive(Debug, Default)]
struct Rows {
    good: Vec<Row>,
    bad: Vec<String>,
}

impl Rows {
    fn add(&mut self, text: &str, label: &str, row: u64) {
        if label.trim().is_empty() {
            self.bad.push(format!("line {row}: no label"));
        } else {
            self.good.push((text.to_owned(), label.trim().to_owned(), row));
        }
    }
}

/// A data file that cannot be learned from.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The file cannot be read.
    #[error("the data cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The columns are not there.
    #[error("the columns are `{found}`: expected `{}` and `{}` among them", wanted.text, wanted.label)]
    Header {
        /// Those that are.
        found: String,
        /// Those that were to be read.
        wanted: Columns,
    },
    /// Not a file of its format.
    #[error("not a {format:?} file: {detail}")]
    Malformed {
        /// What it was taken for.
        format: Format,
        /// What is wrong.
        detail: String,
    },
    /// No rows.
    #[error("there are no texts in it")]
    Empty,
    /// Rows that are not a text and a label.
    #[error("{count} bad rows:{listed}")]
    Rows {
        /// How many.
        count: usize,
        /// The first ones, each on its own line.
        listed: String,
    },
    /// Nothing to tell apart.
    #[error("{0} labels: expected at least 2, with at least 2 texts each")]
    TooFew(usize),
    /// A label in this file is not one of the model's.
    #[error("label `{0}` is not one of the model's")]
    UnknownLabel(String),
}

/// Bad rows that an error spells out.
const LISTED_MAX: usize = 10;

impl Dataset {
    /// Reads a file with columns `text` and `label`; its extension says its format.
    pub fn read(path: &Path) -> Result<Self, DatasetError> {
        Self::read_columns(path, &Columns::default())
    }

    /// As [`Dataset::read`], with other columns.
    pub fn read_columns(path: &Path, columns: &Columns) -> Result<Self, DatasetError> {
        Self::parse_as(Format::of(path), &fs::read(path)?, columns)
    }

    /// As [`Dataset::read`], from the bytes of a CSV file.
    pub fn parse(bytes: &[u8]) -> Result<Self, DatasetError> {
        Self::parse_as(Format::Csv, bytes, &Columns::default())
    }

    /// As [`Dataset::read_columns`], from bytes.
    pub fn parse_as(format: Format, bytes: &[u8], columns: &Columns) -> Result<Self, DatasetError> {
        let rows = match format {
            Format::Csv => separated::read(bytes, b',', columns)?,
            Format::Tsv => separated::read(bytes, b'\t', columns)?,
            Format::JsonLines => json::read(bytes, columns),
            Format::Parquet => parquet::read(bytes, columns)?,
        };
        let Rows { good, bad } = rows;
        if !bad.is_empty() {
            let listed = bad.iter().take(LISTED_MAX).fold(String::new(), |mut listed, row| {
                let _infallible = write!(listed, "\n  {row}");
                listed
            });
            return Err(DatasetError::Rows { count: bad.len(), listed });
        }
        if good.is_empty() {
            return Err(DatasetError::Empty);
        }
        let labels: BTreeSet<&String> = good.iter().map(|(_, label, _)| label).collect();
        let labels: Vec<String> = labels.into_iter().cloned().collect();
        let examples = good
            .into_iter()
            .filter_map(|(text, label, row)| {
                labels.binary_search(&label).ok().map(|label| Example { text, label, row })
            })
            .collect();
        Ok(Self { labels, examples, digest: Digest::of(bytes) })
    }

    /// Takes the examples of a label out, and the label with them: texts about none of the others.
    pub fn take_label(&mut self, label: &str) -> Vec<String> {
        let Some(number) = self.labels.iter().position(|known| known == label) else {
            return Vec::new();
        };
        self.labels.remove(number);
        let (taken, kept) = std::mem::take(&mut self.examples)
            .into_iter()
            .partition::<Vec<Example>, _>(|example| example.label == number);
        self.examples = kept
            .into_iter()
            .map(|example| {
                let label = example.label - usize::from(example.label > number);
                Example { label, ..example }
            })
            .collect();
        taken.into_iter().map(|example| example.text).collect()
    }

    /// Whether there is something to tell apart.
    pub fn check(&self) -> Result<(), DatasetError> {
        if self.labels.len() < 2 {
            return Err(DatasetError::TooFew(self.labels.len()));
        }
        Ok(())
    }

    /// The same examples, numbered by a model's labels.
    pub fn with_labels(self, labels: &[String]) -> Result<Self, DatasetError> {
        let numbers = self
            .labels
            .iter()
            .map(|label| {
                labels
                    .iter()
                    .position(|known| known == label)
                    .ok_or_else(|| DatasetError::UnknownLabel(label.clone()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let examples = self.examples.into_iter().filter_map(|Example { text, label, row }| {
            numbers.get(label).map(|&label| Example { text, label, row })
        });
        Ok(Self { labels: labels.to_vec(), examples: examples.collect(), digest: self.digest })
    }

    /// Splits into examples to learn from and examples to judge by: of every label one in
    /// `every`, at least one. The same seed gives the same split.
    pub fn hold_out(self, every: usize, seed: u64) -> Result<(Self, Self), DatasetError> {
        let mut random = StdRng::seed_from_u64(seed);
        let (mut learned, mut judged) = (Vec::new(), Vec::new());
        for label in 0..self.labels.len() {
            let mut of_label: Vec<Example> =
                self.examples.iter().filter(|example| example.label == label).cloned().collect();
            of_label.shuffle(&mut random);
            let held = of_label.len().checked_div(every.max(2)).unwrap_or(0).max(1);
            let rest = of_label.split_off(held.min(of_label.len()));
            if rest.is_empty() {
                return Err(DatasetError::TooFew(self.labels.len()));
            }
            learned.extend(rest);
            judged.extend(of_label);
        }
        // Learned and judged by turns, no label should come all at once.
        learned.shuffle(&mut random);
        judged.shuffle(&mut random);
        let judged = Self { examples: judged, ..self.clone() };
        Ok((Self { examples: learned, ..self }, judged))
    }
}
