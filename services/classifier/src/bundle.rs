use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use reeve_domain::Digest;
use serde::{Deserialize, Serialize};

use crate::{
    Architecture, Card, Confidence, Encoder, InvalidTokenizer, Metrics, Source, TokenizerSettings,
    Weights, WeightsError,
    architecture::{Body, WIDE_IDF},
    grams::Grams,
    weights,
};

/// The only format version there is.
const FORMAT: u32 = 1;
const MANIFEST: &str = "bundle.json";
const CARD: &str = "card.json";
const TOKENIZER: &str = "tokenizer.json";
const WEIGHTS: &str = "weights.safetensors";
const TEXT_BYTES_MAX: u64 = 64 << 20;
const WEIGHTS_BYTES_MAX: u64 = (1 << 30) + (1 << 20);
const LABEL_CHARACTERS_MAX: usize = 128;

/// A classifier as one immutable, content-addressed directory: `bundle.json` (what follows here),
/// `weights.safetensors`, `tokenizer.json`, `card.json`. An open bundle was checked in full: every
/// digest, the architecture, every weight's name, type and shape, the tokenizer, the labels.
#[derive(Debug, Clone)]
pub struct Bundle {
    digest: String,
    manifest: Manifest,
    confidence: Confidence,
    card: Card,
    encoder: Encoder,
    weights: Arc<Weights>,
    script: Option<Arc<[u8]>>,
}

/// `bundle.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    name: String,
    version: String,
    architecture: Architecture,
    labels: Vec<String>,
    tokenizer: TokenizerSettings,
    metrics: Option<Metrics>,
    /// Absent where nothing was calibrated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    confidence: Option<Confidence>,
    /// The other files' digests.
    files: BTreeMap<String, Digest>,
}

/// A directory that is not a bundle, or not the bundle that it says it is.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is larger than any that is served.
    #[error("{}: larger than the {limit} bytes that a bundle may hold there", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// A file is not what its name says.
    #[error("`{file}` cannot be read: {detail}")]
    Malformed {
        /// Which file.
        file: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// Written by another release.
    #[error("bundle format {0} is unknown: this release reads format {FORMAT}")]
    Format(u32),
    /// A file was changed after the bundle was made.
    #[error("`{file}` was changed: its digest is {found}, bundle.json says {expected}")]
    DigestMismatch {
        /// Which file.
        file: &'static str,
        /// What bundle.json says.
        expected: Digest,
        /// What the file has.
        found: Digest,
    },
    /// The list of files is not the three that there must be.
    #[error("bundle.json must list exactly {CARD}, {TOKENIZER} and {WEIGHTS}, it lists {0:?}")]
    Files(Vec<String>),
    /// Parts that do not go together.
    #[error("the bundle contradicts itself: {0}")]
    Inconsistent(String),
    /// Weights that do not fit the architecture.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A tokenizer that does not fit.
    #[error("`{TOKENIZER}`: {0}")]
    Tokenizer(#[from] InvalidTokenizer),
}

/// Everything that [`Bundle::write`] makes a bundle of.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The network's shape.
    pub architecture: Architecture,
    /// One name for each row of the output, in order.
    pub labels: Vec<String>,
    /// How texts become tokens.
    pub settings: TokenizerSettings,
    /// The tokenizer, as `tokenizer.json`.
    pub tokenizer: Vec<u8>,
    /// All weights; none with a script.
    pub weights: Weights,
    /// The TorchScript module, where that is the architecture's body.
    pub script: Option<Vec<u8>>,
    /// What was learned of how far answers can be trusted.
    pub confidence: Option<Confidence>,
    /// What the model is for. Its name, version and metrics become the bundle's.
    pub card: Card,
}

impl Bundle {
    /// Opens a directory and checks all of it.
    pub fn open(dir: &Path) -> Result<Self, BundleError> {
        let manifest_bytes = read(dir, MANIFEST, TEXT_BYTES_MAX)?;
        // The version first: another format may have other fields.
        let version: FormatOnly = parse(MANIFEST, &manifest_bytes)?;
        if version.format != FORMAT {
            return Err(BundleError::Format(version.format));
        }
        let manifest: Manifest = parse(MANIFEST, &manifest_bytes)?;
        if manifest.files.keys().ne([CARD, TOKENIZER, WEIGHTS]) {
            return Err(BundleError::Files(manifest.files.into_keys().collect()));
        }
        let checked = |file, limit| -> Result<Vec<u8>, BundleError> {
            let bytes = read(dir, file, limit)?;
            let found = Digest::of(&bytes);
            match manifest.files.get(file) {
                Some(expected) if *expected == found => Ok(bytes),
                Some(&expected) => Err(BundleError::DigestMismatch { file, expected, found }),
                None => Err(BundleError::Files(manifest.files.keys().cloned().collect())),
            }
        };
        let card: Card = parse(CARD, &checked(CARD, TEXT_BYTES_MAX)?)?;
        let tokenizer = checked(TOKENIZER, TEXT_BYTES_MAX)?;
        let weights = checked(WEIGHTS, WEIGHTS_BYTES_MAX)?;
        check(&manifest, &card)?;
        let architecture = &manifest.architecture;
        let encoder = Encoder::new(&tokenizer, &manifest.tokenizer, architecture.vocabulary)?;
        let (weights, script) = if architecture.body == Body::Script {
            (Weights::default(), Some(weights::script_in(&weights)?.into()))
        } else {
            (Weights::from_safetensors(&weights, architecture)?, None)
        };
        let grams = architecture.wide.zip(weights.0.get(WIDE_IDF));
        let grams = grams.map(|(shape, idf)| Grams::new(shape, &idf.values));
        let encoder = encoder.with_grams(grams);
        let digest = digest(&manifest_bytes, &manifest.files).to_string();
        let confidence = manifest.confidence.clone().unwrap_or_default();
        let weights = Arc::new(weights);
        Ok(Self { digest, manifest, confidence, card, encoder, weights, script })
    }

    /// Writes a bundle into a directory, which is made if need be, and opens it again, so that
    /// what cannot be opened is never left behind as a success. The same parts give the same
    /// digest.
    pub fn write(dir: &Path, parts: Parts) -> Result<Self, BundleError> {
        let Parts { architecture, labels, settings: tokenizer, weights, card, .. } = parts;
        let weights = match &parts.script {
            Some(script) => weights::with_script(script)?,
            None => weights.to_safetensors()?,
        };
        let contents =
            [(CARD, json(CARD, &card)?), (TOKENIZER, parts.tokenizer), (WEIGHTS, weights)];
        let manifest = Manifest {
            format: FORMAT,
            name: card.name.clone(),
            version: card.version.clone(),
            architecture,
            labels,
            tokenizer,
            metrics: card.metrics.clone(),
            confidence: parts.confidence,
            files: contents
                .iter()
                .map(|(name, bytes)| ((*name).to_owned(), Digest::of(bytes)))
                .collect(),
        };
        check(&manifest, &card)?;
        fs::create_dir_all(dir)
            .map_err(|source| BundleError::Io { path: dir.to_owned(), source })?;
        // bundle.json last: a directory without it, or with an old one, is refused.
        let manifest = (MANIFEST, json(MANIFEST, &manifest)?);
        for (name, bytes) in contents.iter().chain([&manifest]) {
            let path = dir.join(name);
            fs::write(&path, bytes).map_err(|source| BundleError::Io { path, source })?;
        }
        Self::open(dir)
    }

    /// `sha256:` and the digest of what `sha256sum bundle.json card.json tokenizer.json
    /// weights.safetensors` prints: one name for the whole model, which anybody can compute.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// The model's version.
    pub fn version(&self) -> &str {
        &self.manifest.version
    }

    /// One label for each logit, in order.
    pub fn labels(&self) -> &[String] {
        &self.manifest.labels
    }

    /// What the model is for.
    pub const fn card(&self) -> &Card {
        &self.card
    }

    /// How far answers can be trusted.
    pub const fn confidence(&self) -> &Confidence {
        &self.confidence
    }

    /// How texts become tokens, and what becomes of long ones.
    pub const fn tokenizer(&self) -> &TokenizerSettings {
        &self.manifest.tokenizer
    }

    /// The TorchScript module, where that is what computes.
    pub fn script(&self) -> Option<&[u8]> {
        self.script.as_deref()
    }

    /// What its network is made of.
    pub fn source(&self) -> Source<'_> {
        Source {
            architecture: self.architecture(),
            weights: self.weights(),
            script: self.script(),
            classes: self.labels().len(),
            empty_token: self.encoder.empty_id(),
        }
    }

    /// The most tokens of a text that are read at once.
    pub const fn max_tokens(&self) -> u32 {
        self.manifest.tokenizer.max_tokens
    }

    /// The network's shape.
    pub const fn architecture(&self) -> &Architecture {
        &self.manifest.architecture
    }

    /// Makes texts into token ids; shared by threads.
    pub fn encoder(&self) -> Encoder {
        self.encoder.clone()
    }

    /// The weights, checked.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }
}

/// The part of `bundle.json` that every format has.
#[derive(Deserialize)]
struct FormatOnly {
    format: u32,
}

fn check(manifest: &Manifest, card: &Card) -> Result<(), BundleError> {
    let wrong = |detail: String| Err(BundleError::Inconsistent(detail));
    if let Err(detail) = manifest.architecture.check() {
        return wrong(detail);
    }
    let (labels, classes) = (&manifest.labels, manifest.architecture.classes);
    if u32::try_from(labels.len()) != Ok(classes) {
        return wrong(format!("{} labels for {classes} classes", labels.len()));
    }
    let mut seen = std::collections::BTreeSet::new();
    for label in labels {
        let usable = !label.is_empty()
            && label.chars().count() <= LABEL_CHARACTERS_MAX
            && !label.chars().any(char::is_control);
        if !usable || !seen.insert(label) {
            return wrong(format!(
                "label `{}` is empty, too long or there twice",
                label.escape_debug()
            ));
        }
    }
    if (&manifest.name, &manifest.version) != (&card.name, &card.version) {
        return wrong(format!(
            "bundle.json is of `{} {}`, card.json of `{} {}`",
            manifest.name, manifest.version, card.name, card.version
        ));
    }
    if let Body::Transformer { positions, .. } = manifest.architecture.body
        && positions < manifest.tokenizer.max_tokens
    {
        let tokens = manifest.tokenizer.max_tokens;
        return wrong(format!("{tokens} tokens are read at once, {positions} places are known"));
    }
    if let Some(Err(detail)) = manifest.confidence.as_ref().map(|c| c.check(labels)) {
        return wrong(detail);
    }
    if manifest.metrics != card.metrics {
        return wrong("bundle.json and card.json hold different metrics".to_owned());
    }
    Ok(())
}

/// The digest over the lines `<hex>  <name>`, sorted by name, `bundle.json` among them.
fn digest(manifest: &[u8], files: &BTreeMap<String, Digest>) -> Digest {
    let mut all: BTreeMap<&str, Digest> = files.iter().map(|(n, d)| (n.as_str(), *d)).collect();
    all.insert(MANIFEST, Digest::of(manifest));
    let lines: String =
        all.iter().map(|(name, d)| format!("{}  {name}\n", hex::encode(d.as_bytes()))).collect();
    Digest::of(lines.as_bytes())
}

fn read(dir: &Path, file: &str, limit: u64) -> Result<Vec<u8>, BundleError> {
    let path = dir.join(file);
    let mut bytes = Vec::new();
    let read =
        File::open(&path).and_then(|f| f.take(limit.saturating_add(1)).read_to_end(&mut bytes));
    match read {
        Ok(n) if u64::try_from(n).is_ok_and(|n| n <= limit) => Ok(bytes),
        Ok(_) => Err(BundleError::TooLarge { path, limit }),
        Err(source) => Err(BundleError::Io { path, source }),
    }
}

fn parse<'a, T: Deserialize<'a>>(file: &'static str, bytes: &'a [u8]) -> Result<T, BundleError> {
    serde_json::from_slice(bytes)
        .map_err(|error| BundleError::Malformed { file, detail: error.to_string() })
}

fn json<T: Serialize>(file: &'static str, value: &T) -> Result<Vec<u8>, BundleError> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|error| BundleError::Malformed { file, detail: error.to_string() })?;
    bytes.push(b'\n');
    Ok(bytes)
}
