//! How good a bundle's answers are on labelled texts.

use std::{cmp::Reverse, collections::BTreeMap, fmt::Write as _};

use anyhow::{Result, ensure};
use reeve_classifier::{
    Bin, Bundle, Classifier, Confidence, Dataset, Encoded, Linear, Metrics, Readout, Score,
    Standing, expected_calibration_error, mcnemar, reliability,
};
use serde::Serialize;

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Judgement {
    #[serde(flatten)]
    pub(crate) metrics: Metrics,
    /// The calibration error that logits alone would have.
    pub(crate) uncalibrated_error: f64,
    /// Answers by their probability.
    pub(crate) bins: Vec<Bin>,
    /// What is taken for what, the most frequent first.
    pub(crate) confusions: Vec<Confusion>,
    /// Where the bundle wants some answers to be unsure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sure: Option<Sure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) out_of_scope: Option<Foreign>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) baseline: Option<Comparison>,
    /// Whether each answer is right, in the data's order.
    #[serde(skip)]
    pub(crate) right: Vec<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Confusion {
    pub(crate) label: String,
    pub(crate) taken_for: String,
    pub(crate) texts: u32,
}

/// Answers that are not unsure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Sure {
    /// Their share.
    pub(crate) share: f64,
    /// How many of them are right.
    pub(crate) accuracy: f64,
}

/// Texts about none of the labels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Foreign {
    pub(crate) texts: u32,
    /// The share of them that is found.
    pub(crate) recall: f64,
    /// Of those found, the share that is out of scope indeed.
    pub(crate) precision: f64,
    /// The share of texts in scope that have the right label and are not taken for foreign.
    pub(crate) in_scope_accuracy: f64,
    pub(crate) rule: Option<Score>,
}

/// Against a linear classifier of n-grams.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Comparison {
    pub(crate) accuracy: f64,
    pub(crate) macro_f1: f64,
    /// Texts that only the network has right, and that only the baseline has.
    pub(crate) only_network: u32,
    pub(crate) only_baseline: u32,
    /// McNemar's exact p of a difference so large between equals.
    pub(crate) p: f64,
}

const BATCH: usize = 64;

/// One row of logits a text, in order.
pub(crate) fn logits(classifier: &Classifier, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
    let encoded =
        texts.iter().map(|text| classifier.encode(text)).collect::<Result<Vec<Encoded>, _>>()?;
    // Texts of like length together: little is padded.
    let mut order: Vec<usize> = (0..encoded.len()).collect();
    order.sort_by_key(|at| encoded.get(*at).map(Encoded::tokens));
    let mut rows = vec![Vec::new(); texts.len()];
    for batch in order.chunks(BATCH) {
        let texts: Vec<&Encoded> = batch.iter().filter_map(|at| encoded.get(*at)).collect();
        for (at, row) in batch.iter().zip(classifier.logits(&texts)?) {
            if let Some(place) = rows.get_mut(*at) {
                *place = row;
            }
        }
    }
    Ok(rows)
}

impl Judgement {
    pub(crate) fn of(bundle: &Bundle, data: &Dataset, foreign: &[String]) -> Result<Self> {
        ensure!(
            bundle.architecture().readout != Readout::EveryToken,
            "`{}` finds names: judge it with `tag evaluate`",
            bundle.name()
        );
        let classifier = reeve_torch::load(bundle, reeve_torch::device())?;
        let texts: Vec<&str> = data.examples.iter().map(|e| e.text.as_str()).collect();
        let rows = logits(&classifier, &texts)?;
        let answers: Vec<_> = rows.iter().map(|row| classifier.answer(row)).collect();
        let pairs: Vec<(usize, usize)> =
            data.examples.iter().zip(&answers).map(|(e, answer)| (e.label, answer.label)).collect();
        let right: Vec<bool> = pairs.iter().map(|(truth, said)| truth == said).collect();
        let scored = |confidence: &Confidence| -> Vec<(f32, bool)> {
            let score = |row: &Vec<f32>| confidence.score(Score::Probability, row);
            rows.iter().map(score).zip(right.iter().copied()).collect()
        };
        let judged: Vec<_> =
            rows.iter().cloned().zip(pairs.iter().map(|(truth, _)| *truth)).collect();
        let confidence = bundle.confidence();
        let metrics =
            Metrics::of(bundle.labels(), &pairs).with_calibration_error(confidence, &judged);
        let standings: Vec<(Standing, bool)> =
            answers.iter().map(|answer| answer.standing).zip(right.iter().copied()).collect();
        let foreign: Vec<&str> = foreign.iter().map(String::as_str).collect();
        let foreign: Vec<Standing> = logits(&classifier, &foreign)?
            .iter()
            .map(|row| classifier.answer(row).standing)
            .collect();
        Ok(Self {
            metrics,
            uncalibrated_error: expected_calibration_error(
                scored(&Confidence::default()).into_iter(),
            ),
            bins: reliability(scored(confidence).into_iter()),
            confusions: confusions(bundle.labels(), &pairs),
            sure: sure(confidence, &standings),
            out_of_scope: found(confidence, &standings, &foreign),
            baseline: None,
            right,
        })
    }

    /// With a baseline's answers on the same texts.
    pub(crate) fn beside(self, baseline: &Linear, data: &Dataset) -> Self {
        let pairs: Vec<(usize, usize)> =
            data.examples.iter().map(|e| (e.label, baseline.classify(&e.text))).collect();
        let metrics = Metrics::of(&data.labels, &pairs);
        let (mut only_network, mut only_baseline) = (0_u32, 0_u32);
        for (network, (truth, said)) in self.right.iter().zip(&pairs) {
            match (*network, truth == said) {
                (true, false) => only_network = only_network.saturating_add(1),
                (false, true) => only_baseline = only_baseline.saturating_add(1),
                _ => {}
            }
        }
        let baseline = Some(Comparison {
            accuracy: metrics.accuracy,
            macro_f1: metrics.macro_f1,
            only_network,
            only_baseline,
            p: mcnemar(only_network, only_baseline),
        });
        Self { baseline, ..self }
    }

    /// The figures that matter most, a line each.
    pub(crate) fn summary(&self) -> String {
        let m = &self.metrics;
        let mut text =
            format!("accuracy {:.3}, macro-F1 {:.3} on {} texts", m.accuracy, m.macro_f1, m.texts);
        let mut add = |line: String| {
            // Writing to a text does not fail.
            let _ok = write!(text, "\n{line}");
        };
        if let Some(error) = m.calibration_error {
            add(format!(
                "calibration error {error:.3} ({:.3} without temperature)",
                self.uncalibrated_error
            ));
        }
        if let Some(sure) = self.sure {
            add(format!("sure of {:.3}, of which {:.3} right", sure.share, sure.accuracy));
        }
        if let Some(foreign) = self.out_of_scope {
            add(format!(
                "out of scope: {:.3} of {} texts found, precision {:.3}; right and in scope {:.3}",
                foreign.recall, foreign.texts, foreign.precision, foreign.in_scope_accuracy
            ));
        }
        if let Some(other) = self.baseline {
            add(format!(
                "baseline (TF-IDF and a linear SVM): accuracy {:.3}, macro-F1 {:.3}; only the \
                 network right {}, only the baseline {}, McNemar's p {:.3}",
                other.accuracy, other.macro_f1, other.only_network, other.only_baseline, other.p
            ));
        }
        text
    }
}

fn sure(confidence: &Confidence, standings: &[(Standing, bool)]) -> Option<Sure> {
    if confidence.abstain_below == 0.0 && confidence.labels.is_empty() {
        return None;
    }
    let given: Vec<bool> = standings
        .iter()
        .filter(|(standing, _)| *standing == Standing::Sure)
        .map(|(_, right)| *right)
        .collect();
    let right = given.iter().filter(|right| **right).count();
    Some(Sure { share: ratio(given.len(), standings.len()), accuracy: ratio(right, given.len()) })
}

fn found(
    confidence: &Confidence,
    standings: &[(Standing, bool)],
    foreign: &[Standing],
) -> Option<Foreign> {
    if foreign.is_empty() {
        return None;
    }
    let is_foreign = |standing: &Standing| *standing == Standing::OutOfScope;
    let found = foreign.iter().filter(|standing| is_foreign(standing)).count();
    let wrongly = standings.iter().filter(|(standing, _)| is_foreign(standing)).count();
    let kept = standings.iter().filter(|(standing, right)| *right && !is_foreign(standing)).count();
    Some(Foreign {
        texts: u32::try_from(foreign.len()).unwrap_or(u32::MAX),
        recall: ratio(found, foreign.len()),
        precision: ratio(found, found.saturating_add(wrongly)),
        in_scope_accuracy: ratio(kept, standings.len()),
        rule: confidence.out_of_scope.map(|rule| rule.score),
    })
}

fn confusions(labels: &[String], pairs: &[(usize, usize)]) -> Vec<Confusion> {
    let mut counts: BTreeMap<(usize, usize), u32> = BTreeMap::new();
    for (truth, said) in pairs.iter().filter(|(truth, said)| truth != said) {
        let count = counts.entry((*truth, *said)).or_default();
        *count = count.saturating_add(1);
    }
    let name = |number: usize| labels.get(number).cloned().unwrap_or_default();
    let mut all: Vec<Confusion> = counts
        .into_iter()
        .map(|((truth, said), texts)| Confusion {
            label: name(truth),
            taken_for: name(said),
            texts,
        })
        .collect();
    all.sort_by_key(|confusion| Reverse(confusion.texts));
    all
}

fn ratio(part: usize, whole: usize) -> f64 {
    let small = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    if whole == 0 { 0.0 } else { small(part) / small(whole) }
}
