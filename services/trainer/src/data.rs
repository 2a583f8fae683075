use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result};
use reeve_classifier::{Columns, Dataset};

/// How data files are read.
#[derive(Debug, clap::Args)]
pub(crate) struct DataArguments {
    /// The column with the texts.
    #[arg(long, default_value = "text")]
    text_column: String,
    /// The column with the labels.
    #[arg(long, default_value = "label")]
    label_column: String,
    /// The label of texts that are about none of the others.
    #[arg(long)]
    out_of_scope_label: Option<String>,
}

impl DataArguments {
    /// What a column says of each row of a file.
    pub(crate) fn groups(&self, path: &Path, column: &str) -> Result<BTreeMap<u64, String>> {
        let columns = Columns { text: self.text_column.clone(), label: column.to_owned() };
        let data = Dataset::read_columns(path, &columns)
            .with_context(|| format!("`{}`", path.display()))?;
        let labels = data.labels;
        let named = |row: u64, label: usize| Some((row, labels.get(label)?.clone()));
        Ok(data.examples.into_iter().filter_map(|it| named(it.row, it.label)).collect())
    }

    /// The labelled texts of a file, and those that are out of scope.
    pub(crate) fn read(&self, path: &Path) -> Result<(Dataset, Vec<String>)> {
        let columns = Columns { text: self.text_column.clone(), label: self.label_column.clone() };
        let mut data = Dataset::read_columns(path, &columns)
            .with_context(|| format!("`{}`", path.display()))?;
        let foreign = self.out_of_scope_label.as_deref().map(|label| data.take_label(label));
        Ok((data, foreign.unwrap_or_default()))
    }

    /// As [`Self::read`], numbered by a model's labels.
    pub(crate) fn read_for(
        &self,
        path: &Path,
        labels: &[String],
    ) -> Result<(Dataset, Vec<String>)> {
        let (data, foreign) = self.read(path)?;
        let data = data.with_labels(labels).with_context(|| format!("`{}`", path.display()))?;
        Ok((data, foreign))
    }
}
