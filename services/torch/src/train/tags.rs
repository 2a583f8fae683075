//! Learning to label every token.

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use reeve_classifier::{
    Architecture, Body, Device, Encoded, Encoder, Metrics, Readout, TaggedText, TokenizerSettings,
    tagging, vocabulary,
};
use tch::{Reduction, TchError, Tensor};

use super::{
    FitError, Fitted, Progress, Recipe,
    course::{self, Lesson},
    initial::initial,
};
use crate::network::{Dropout, Network, Pass, row};

/// One text in so many is held out to judge by.
const HELD_OUT: usize = 10;

struct Tags<'a> {
    network: &'a Network,
    recipe: &'a Recipe,
    encoder: &'a Encoder,
    rows: Vec<(Encoded, Vec<i64>)>,
    judged: &'a [&'a TaggedText],
    kinds: &'a [String],
    labels: &'a [String],
}

/// Trains a network that labels every token, both ways through the text.
pub fn fit_tagger(
    data: &[TaggedText],
    kinds: &[String],
    recipe: &Recipe,
    device: Device,
    mut progress: impl FnMut(Progress),
) -> Result<Fitted, FitError> {
    recipe.check()?;
    let mut random = StdRng::seed_from_u64(recipe.seed);
    let mut order: Vec<&TaggedText> = data.iter().collect();
    order.shuffle(&mut random);
    let (judged, learned) = order.split_at(order.len() / HELD_OUT);
    let texts = learned.iter().map(|one| one.text.as_str());
    let tokenizer = vocabulary::learn_word_parts(texts, recipe.vocabulary)?;
    let settings = TokenizerSettings {
        max_tokens: recipe.max_tokens,
        empty_token: vocabulary::UNKNOWN.to_owned(),
        ..TokenizerSettings::default()
    };
    let labels = tagging::tag_labels(kinds);
    let size = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let architecture = Architecture {
        body: Body::Lstm,
        vocabulary: size(vocabulary::vocabulary_size(&tokenizer)?),
        embedding: recipe.embedding,
        hidden: recipe.hidden,
        layers: recipe.layers,
        bidirectional: true,
        classes: size(labels.len()),
        activation: recipe.activation,
        readout: Readout::EveryToken,
        wide: None,
    };
    architecture.check().map_err(FitError::Recipe)?;
    let encoder = Encoder::new(&tokenizer, &settings, architecture.vocabulary)?;
    let mut rows: Vec<(Encoded, Vec<i64>)> = Vec::new();
    for (row, text) in (1..).zip(learned) {
        let parts = encoder.parts(&text.text);
        for part in parts.map_err(|source| FitError::Encode { row, source })? {
            let truth = tagging::truth(&part, &text.spans, &labels);
            let truth = truth.into_iter().map(|label| i64::try_from(label).unwrap_or(0));
            rows.push((part.encoded.clone(), truth.collect()));
        }
    }
    let network = Network::new(&architecture, &initial(&architecture, &mut random), device)?;
    let lesson =
        Tags { network: &network, recipe, encoder: &encoder, rows, judged, kinds, labels: &labels };
    let (metrics, history) = course::run(&network, recipe, &lesson, None, &mut progress)?;
    let weights = network.weights()?;
    weights.check(&architecture)?;
    let trained_on = learned.len();
    Ok(Fitted {
        architecture,
        labels,
        tokenizer,
        settings,
        weights,
        metrics,
        trained_on,
        history,
        judged: Vec::new(),
        calibration: None,
        fingerprint: None,
    })
}

impl Lesson for Tags<'_> {
    fn texts(&self) -> usize {
        self.rows.len()
    }

    fn tokens(&self, index: usize) -> usize {
        self.rows.get(index).map_or(0, |(text, _)| text.ids.len())
    }

    fn loss(&self, batch: &[usize], mut random: StdRng) -> Result<Tensor, TchError> {
        /// What stands for padding, and is not judged.
        const NOTHING: i64 = -100;
        let rows: Vec<&(Encoded, Vec<i64>)> =
            batch.iter().filter_map(|index| self.rows.get(*index)).collect();
        let mut texts: Vec<Encoded> = rows.iter().map(|(text, _)| text.clone()).collect();
        for id in texts.iter_mut().flat_map(|text| &mut text.ids) {
            if random.random_bool(self.recipe.unknown_share) {
                // The learned tokenizers have [PAD] at 0 and [UNK] at 1.
                *id = 1;
            }
        }
        let steps = texts.iter().map(|text| text.ids.len()).max().unwrap_or(0);
        let truth: Vec<i64> = rows
            .iter()
            .flat_map(|(_, row)| {
                let padding = steps.saturating_sub(row.len());
                row.iter().copied().chain(std::iter::repeat_n(NOTHING, padding))
            })
            .collect();
        let truth = Tensor::f_from_slice(&truth)?.f_to_device(self.network.device())?;
        let shares = self.recipe.dropout;
        let mut dropout = Dropout {
            embedding: shares.embedding,
            between: shares.between,
            readout: shares.readout,
            grams: 0.0,
            random,
        };
        let texts = self.network.batch(&texts.iter().collect::<Vec<_>>())?;
        let logits = self.network.forward(&texts, &mut Pass::Learn(&mut dropout))?;
        let classes = logits.size().last().copied().unwrap_or(0);
        let logits = logits.f_view([-1, classes])?;
        logits.f_cross_entropy_loss::<Tensor>(&truth, None, Reduction::Mean, NOTHING, 0.0)
    }

    fn judge(&self) -> Result<Metrics, FitError> {
        let mut pairs = Vec::with_capacity(self.judged.len());
        for (row_number, text) in (1..).zip(self.judged) {
            let mut found = Vec::new();
            let parts = self.encoder.parts(&text.text);
            for part in parts.map_err(|source| FitError::Encode { row: row_number, source })? {
                let logits = tch::no_grad(|| {
                    let batch = self.network.batch(&[&part.encoded])?;
                    self.network.forward(&batch, &mut Pass::Serve)
                })?;
                found.extend(tagging::spans(&part, &row(&logits, 0)?, self.labels, 0.5));
            }
            pairs.push(((*text).clone(), found));
        }
        Ok(tagging::span_metrics(self.kinds, &pairs))
    }
}
