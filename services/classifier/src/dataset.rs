use std::{collections::BTreeSet, fmt::Write as _, io, path::Path};

use rand::{rngs::StdRng, seq::SliceRandom as _};
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
}

/// A data file that cannot be learned from.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The file cannot be read.
    #[error("the data cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The first line is not the header.
    #[error("the first line is `{0}`: expected the header `text,label`")]
    Header(String),
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
    /// Reads a CSV file (RFC 4180, UTF-8) with the header `text,label`.
    pub fn read(path: &Path) -> Result<Self, DatasetError> {
        Self::parse(&std::fs::read(path)?)
    }

    /// As [`Dataset::read`], from bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, DatasetError> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
        let header = reader.headers().cloned().unwrap_or_default();
        let header: Vec<&str> =
            header.iter().map(|name| name.trim_start_matches('\u{feff}').trim()).collect();
        if header != ["text", "label"] {
            return Err(DatasetError::Header(header.join(",")));
        }
        let (mut rows, mut bad) = (Vec::new(), Vec::new());
        for record in reader.records() {
            match record {
                Ok(record) => {
                    let line = record.position().map_or(0, csv::Position::line);
                    match (record.len(), record.get(0), record.get(1).map(str::trim)) {
                        (_, _, Some("")) => bad.push(format!("line {line}: no label")),
                        (2, Some(text), Some(label)) => {
                            rows.push((text.to_owned(), label.to_owned()));
                        }
                        (n, ..) => bad.push(format!("line {line}: {n} fields instead of 2")),
                    }
                }
                // Its message names the line.
                Err(error) => bad.push(error.to_string()),
            }
        }
        if !bad.is_empty() {
            let listed = bad.iter().take(LISTED_MAX).fold(String::new(), |mut listed, row| {
                let _infallible = write!(listed, "\n  {row}");
                listed
            });
            return Err(DatasetError::Rows { count: bad.len(), listed });
        }
        let labels: BTreeSet<&String> = rows.iter().map(|(_, label)| label).collect();
        let labels: Vec<String> = labels.into_iter().cloned().collect();
        let examples = rows
            .into_iter()
            .filter_map(|(text, label)| {
                labels.binary_search(&label).ok().map(|label| Example { text, label })
            })
            .collect();
        Ok(Self { labels, examples, digest: Digest::of(bytes) })
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
        let examples = self.examples.into_iter().filter_map(|Example { text, label }| {
            numbers.get(label).map(|&label| Example { text, label })
        });
        Ok(Self { labels: labels.to_vec(), examples: examples.collect(), digest: self.digest })
    }

    /// Splits into examples to learn from and examples to judge by: of every label one in
    /// `every`, at least one. The same generator gives the same split.
    pub fn split(
        &self,
        every: usize,
        random: &mut StdRng,
    ) -> Result<(Vec<&Example>, Vec<&Example>), DatasetError> {
        let (mut learned, mut judged) = (Vec::new(), Vec::new());
        for label in 0..self.labels.len() {
            let mut of_label: Vec<&Example> =
                self.examples.iter().filter(|example| example.label == label).collect();
            of_label.shuffle(random);
            let held = of_label.len().checked_div(every.max(2)).unwrap_or(0).max(1);
            let rest = of_label.split_off(held.min(of_label.len()));
            if rest.is_empty() {
                return Err(DatasetError::TooFew(self.labels.len()));
            }
            learned.extend(rest);
            judged.extend(of_label);
        }
        if self.labels.len() < 2 {
            return Err(DatasetError::TooFew(self.labels.len()));
        }
        Ok((learned, judged))
    }
}
