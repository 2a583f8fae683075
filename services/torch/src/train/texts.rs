//! Learning to classify texts.

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use reeve_classifier::{
    Architecture, Body, Confidence, Encoded, Encoder, Example, Grams, Judged, Metrics,
    TokenizerSettings, WIDE_IDF, calibrate, largest, vocabulary,
};
use reeve_domain::Observed;
use tch::{Kind, TchError, Tensor};

use super::{
    BodyKind, FitError, Fitted, Progress, Recipe, Training,
    checkpoint::Checkpoints,
    course::{self, Lesson},
    initial::initial,
    loss,
    loss::Criterion,
};
use crate::network::{Dropout, Network, Pass};

/// One text in so many is held out to judge by, where no others are given.
const HELD_OUT: usize = 10;
/// Texts about none of the labels that a step looks at.
const OUTLIERS_A_STEP: usize = 16;
/// What the n-grams' own generator is seeded with, beside the recipe's seed.
const OF_WEIGHTS: u64 = 0x5eed;

struct Texts<'a> {
    network: &'a Network,
    recipe: &'a Recipe,
    criterion: Criterion,
    learned: Vec<(Encoded, usize)>,
    judged: Vec<(Encoded, usize)>,
    outliers: Vec<Encoded>,
    labels: &'a [String],
    unknown: i64,
}

pub(super) fn fit(
    training: &Training<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Fitted, FitError> {
    let Training { data, recipe, device, .. } = *training;
    recipe.check()?;
    data.check()?;
    let held_out;
    let (data, validation) = match training.validation {
        Some(validation) => (data, validation),
        None => {
            held_out = data.clone().hold_out(HELD_OUT, recipe.seed)?;
            (&held_out.0, &held_out.1)
        }
    };
    let (learned, judged) = (&data.examples, &validation.examples);
    let texts = || learned.iter().map(|example| example.text.as_str());
    let tokenizer = match training.tokenizer {
        Some(json) => json.to_vec(),
        None => vocabulary::learn(
            recipe.tokenizer,
            texts().collect::<Vec<_>>().into_iter(),
            recipe.vocabulary,
            recipe.least_frequency,
        )?,
    };
    let settings = TokenizerSettings {
        max_tokens: recipe.max_tokens,
        empty_token: match training.empty_token {
            Some(token) => token.to_owned(),
            None => vocabulary::UNKNOWN.to_owned(),
        },
        long: recipe.long,
    };
    let grams = recipe.wide.map(|wide| Grams::count(wide.shape, wide.least, texts()));
    let architecture = architecture(recipe, &tokenizer, data.labels.len())?;
    let encoder =
        Encoder::new(&tokenizer, &settings, architecture.vocabulary)?.with_grams(grams.clone());
    let rows = |examples: &[Example]| -> Result<Vec<(Encoded, usize)>, FitError> {
        let encode = |e: &Example| {
            let encoded = encoder.encode(&e.text);
            let encoded = encoded.map_err(|source| FitError::Encode { row: e.row, source })?;
            Ok((encoded, e.label))
        };
        examples.iter().map(encode).collect()
    };
    let (learned, judged) = (rows(learned)?, rows(judged)?);
    let outliers = encode_all(&encoder, training.outliers)?;

    let mut weights = initial(&architecture, &mut StdRng::seed_from_u64(recipe.seed ^ OF_WEIGHTS));
    if let (Some(grams), Some(idf)) = (&grams, weights.0.get_mut(WIDE_IDF)) {
        idf.values = grams.idf().to_vec();
    }
    let network = Network::new(&architecture, &weights, device)?.computes_in(recipe.kind());
    let mut counts = vec![0_u32; data.labels.len()];
    for (_, label) in &learned {
        if let Some(count) = counts.get_mut(*label) {
            *count = count.saturating_add(1);
        }
    }
    let lesson = Texts {
        network: &network,
        recipe,
        criterion: Criterion::new(recipe, &counts, network.device())?,
        learned,
        judged,
        outliers,
        labels: &data.labels,
        unknown: encoder.empty_id(),
    };
    let checkpoints = training
        .checkpoints
        .as_ref()
        .map(|place| {
            let digests = [data.digest, validation.digest];
            Checkpoints::new(&place.dir, recipe, &digests, place.every, place.resume)
        })
        .transpose()?;
    let (metrics, history) =
        course::run(&network, recipe, &lesson, checkpoints.as_ref(), progress)?;
    let weights = network.weights()?;
    weights.check(&architecture)?;
    let judged = lesson.judged_logits()?;
    let foreign = encode_all(&encoder, training.foreign)?;
    let foreign = logits(&network, &foreign.iter().collect::<Vec<_>>(), recipe.batch)?;
    let calibration = calibrate(&data.labels, &judged, &foreign, training.wishes);
    let fingerprint =
        fingerprint(&encoder, &data.labels, &calibration.confidence, &lesson, &judged);
    let trained_on = lesson.learned.len();
    if let Some(checkpoints) = checkpoints {
        checkpoints.remove()?;
    }
    Ok(Fitted {
        architecture,
        labels: data.labels.clone(),
        tokenizer,
        settings,
        weights,
        metrics: metrics.with_calibration_error(&calibration.confidence, &judged),
        trained_on,
        history,
        judged,
        calibration: Some(calibration),
        fingerprint: Some(fingerprint),
    })
}

/// What the network answers to the held-out texts, counted: what it answers in service is compared
/// with this.
fn fingerprint(
    encoder: &Encoder,
    labels: &[String],
    confidence: &Confidence,
    lesson: &Texts<'_>,
    judged: &[Judged],
) -> Observed {
    let mut seen = Observed::default();
    let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    for ((logits, _), (text, _)) in judged.iter().zip(&lesson.judged) {
        let answer = confidence.answer(labels, logits);
        let (label, score) = (labels.get(answer.label), answer.scores.get(answer.label));
        if let (Some(label), Some(score)) = (label, score) {
            let unknown = Some(small(encoder.unknown(text)));
            seen.count(label, *score, small(text.tokens()), unknown);
        }
    }
    seen
}

fn architecture(
    recipe: &Recipe,
    tokenizer: &[u8],
    labels: usize,
) -> Result<Architecture, FitError> {
    let size = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let architecture = Architecture {
        body: match recipe.body {
            BodyKind::Lstm => Body::Lstm,
            BodyKind::Transformer { heads } => {
                Body::Transformer { heads, positions: recipe.max_tokens }
            }
        },
        vocabulary: size(vocabulary::vocabulary_size(tokenizer)?),
        embedding: recipe.embedding,
        hidden: recipe.hidden,
        layers: recipe.layers,
        bidirectional: recipe.bidirectional,
        classes: size(labels),
        activation: recipe.activation,
        readout: recipe.readout,
        wide: recipe.wide.map(|wide| wide.shape),
    };
    architecture.check().map_err(FitError::Recipe)?;
    Ok(architecture)
}

fn encode_all(encoder: &Encoder, texts: &[String]) -> Result<Vec<Encoded>, FitError> {
    let encode = |(row, text): (u64, &String)| {
        encoder.encode(text).map_err(|source| FitError::Encode { row, source })
    };
    (1..).zip(texts).map(encode).collect()
}

fn logits(network: &Network, texts: &[&Encoded], batch: usize) -> Result<Vec<Vec<f32>>, TchError> {
    let mut rows = Vec::with_capacity(texts.len());
    for batch in texts.chunks(batch.max(1)) {
        rows.extend(network.rows(batch)?);
    }
    Ok(rows)
}

impl Texts<'_> {
    fn judged_logits(&self) -> Result<Vec<Judged>, TchError> {
        let texts: Vec<&Encoded> = self.judged.iter().map(|(text, _)| text).collect();
        let rows = logits(self.network, &texts, self.recipe.batch)?;
        Ok(rows.into_iter().zip(&self.judged).map(|(row, (_, label))| (row, *label)).collect())
    }

    fn with_unknown(&self, text: &Encoded, random: &mut StdRng) -> Encoded {
        let mut text = text.clone();
        for id in &mut text.ids {
            if random.random_bool(self.recipe.unknown_share) {
                *id = self.unknown;
            }
        }
        text
    }
}

impl Lesson for Texts<'_> {
    fn texts(&self) -> usize {
        self.learned.len()
    }

    fn tokens(&self, index: usize) -> usize {
        self.learned.get(index).map_or(0, |(text, _)| text.ids.len())
    }

    fn loss(&self, batch: &[usize], mut random: StdRng) -> Result<Tensor, TchError> {
        let rows: Vec<&(Encoded, usize)> =
            batch.iter().filter_map(|index| self.learned.get(*index)).collect();
        let texts: Vec<Encoded> =
            rows.iter().map(|(text, _)| self.with_unknown(text, &mut random)).collect();
        let labels: Vec<i64> =
            rows.iter().map(|(_, label)| i64::try_from(*label).unwrap_or(-1)).collect();
        let truth = Tensor::f_from_slice(&labels)?.f_to_device(self.network.device())?;
        let outliers: Vec<Encoded> = if self.recipe.outlier_weight > 0.0 {
            let drawn = self.outliers.choose_multiple(&mut random, OUTLIERS_A_STEP);
            drawn.cloned().collect()
        } else {
            Vec::new()
        };
        let shares = self.recipe.dropout;
        let mut dropout = Dropout {
            embedding: shares.embedding,
            between: shares.between,
            readout: shares.readout,
            grams: shares.grams,
            random,
        };
        let mut pass = Pass::Learn(&mut dropout);
        let texts = self.network.batch(&texts.iter().collect::<Vec<_>>())?;
        let logits = self.network.both(&texts, &mut pass)?;
        let mut loss = self.criterion.of(&logits.whole, &truth)?;
        let own = self.recipe.wide.map_or(0.0, |wide| wide.own_loss);
        if let Some((deep, wide)) = logits.parts.filter(|_| own > 0.0) {
            let parts = self.criterion.of(&deep, &truth)? + self.criterion.of(&wide, &truth)?;
            loss = loss.f_add(&parts.f_mul_scalar(own)?)?;
        }
        if !outliers.is_empty() {
            let outliers = self.network.batch(&outliers.iter().collect::<Vec<_>>())?;
            let even = loss::from_even(&self.network.forward(&outliers, &mut pass)?)?;
            loss = loss.f_add(&even.f_mul_scalar(self.recipe.outlier_weight)?)?;
        }
        loss.f_to_kind(Kind::Float)
    }

    fn judge(&self) -> Result<Metrics, FitError> {
        let pairs: Vec<(usize, usize)> =
            self.judged_logits()?.iter().map(|(row, label)| (*label, largest(row))).collect();
        Ok(Metrics::of(self.labels, &pairs))
    }
}
