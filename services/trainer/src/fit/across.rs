use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::{Context as _, Result, ensure};
use reeve_classifier::Dataset;
use reeve_domain::SystemClock;
use reeve_torch::{Recipe, Training};

use super::{Arguments, Texts};
use crate::lines::Lines;

/// The temperatures of networks, each of which was trained without one group of the texts and
/// calibrated on that group.
pub(super) struct Across {
    column: String,
    /// By group.
    pub(super) temperatures: BTreeMap<String, f32>,
}

impl Across {
    /// Trains without each group that `column` names, with the recipe that the model is to have.
    pub(super) fn find(
        arguments: &Arguments,
        column: &str,
        texts: &Texts,
        recipe: &Recipe,
    ) -> Result<Self> {
        let of = |path: &Path| arguments.files.groups(path, column);
        let groups = of(&arguments.data)?;
        let judged_by = match &arguments.validation {
            Some(path) => of(path)?,
            None => groups.clone(),
        };
        let names: BTreeSet<&String> = groups.values().collect();
        ensure!(names.len() > 1, "`{column}` has {} values: expected at least 2", names.len());
        let mut temperatures = BTreeMap::new();
        for name in names {
            let is_of = |groups: &BTreeMap<u64, String>, row| groups.get(&row) == Some(name);
            let data = only(&texts.data, |row| !is_of(&groups, row));
            let judged = only(&texts.validation, |row| is_of(&judged_by, row));
            for (label, name_of) in data.labels.iter().enumerate() {
                let is_left = data.examples.iter().any(|it| it.label == label);
                ensure!(is_left, "all texts of `{name_of}` are of `{name}` ({column})");
            }
            ensure!(!judged.examples.is_empty(), "no text of `{name}` ({column}) is held out");
            let training = Training {
                validation: Some(&judged),
                outliers: &texts.outliers,
                ..Training::new(&data, recipe, arguments.device()?)
            };
            let clock = SystemClock::default();
            let mut lines = Lines::new(&clock);
            let fitted = training
                .run(|progress| lines.show(progress, &clock))
                .with_context(|| format!("training without `{name}` ({column})"))?;
            let found = fitted.calibration.context("a classifier is calibrated")?;
            temperatures.insert(name.clone(), found.confidence.temperature);
        }
        Ok(Self { column: column.to_owned(), temperatures })
    }

    /// What the group needs that is furthest from the others: to be too sure does more harm than not
    /// to be sure enough.
    pub(super) fn temperature(&self) -> f32 {
        self.temperatures.values().copied().fold(f32::MIN_POSITIVE, f32::max)
    }

    /// In words.
    pub(super) fn said(&self) -> String {
        let each = self.temperatures.iter().map(|(name, t)| format!("{name} {t:.2}"));
        let each = each.collect::<Vec<_>>().join(", ");
        format!("calibrated across {}: temperature {:.2} ({each})", self.column, self.temperature())
    }
}

fn only(data: &Dataset, keep: impl Fn(u64) -> bool) -> Dataset {
    let examples = data.examples.iter().filter(|it| keep(it.row)).cloned().collect();
    Dataset { examples, ..data.clone() }
}
