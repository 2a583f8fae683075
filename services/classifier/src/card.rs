use reeve_domain::Observed;
use serde::{Deserialize, Serialize};

use crate::Metrics;

/// What a model is for and what it is not for, for those who deploy it and those who are judged
/// by it. The names follow the EU AI Act's words where it has any.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// The model's name, as callers give it.
    pub name: String,
    /// This version of it.
    pub version: String,
    /// What it may be used for.
    pub intended_use: String,
    /// Languages of its training data (BCP 47).
    pub languages: Vec<String>,
    /// SPDX expression.
    pub license: String,
    /// What it cannot do, one sentence each.
    pub limits: Vec<String>,
    /// `minimal`, `limited`, `high`: the risk class of its intended use.
    pub risk_class: String,
    /// Whether it makes content. A classifier does not.
    pub generative: bool,
    /// What it learned from, where that is known.
    pub training_data: Option<TrainingData>,
    /// How well it did on data that it did not learn from, where that was measured.
    pub metrics: Option<Metrics>,
    /// What it answered to that data: labels, confidence, lengths and unknown tokens, counted. What it
    /// answers later is compared with this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Observed>,
    /// What becomes of texts that are longer than what is read at once, in words; the bundle's
    /// tokenizer settings say the same to the machine.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub long_texts: String,
}

/// The data behind a model, without any of its texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingData {
    /// `sha256:` and the digest of the file as it was read.
    pub digest: String,
    /// Texts in the file.
    pub texts: u64,
    /// Texts learned from.
    pub trained_on: u64,
    /// Texts held out, on which the metrics were measured.
    pub validated_on: u64,
}
