use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    num::{NonZeroU16, NonZeroU32},
    path::{Path, PathBuf},
    time::Duration,
};

use reeve_domain::{BundleDocument, Digest, Kind, ModelName, Money, PlanName, Region, Usage};
use reeve_privacy::{Confidence, RecogniserSpec};
use serde::{Deserialize, Serialize};

use crate::{cases::Case, packs::Pack};

/// A policy bundle: immutable once it is written down, named by the digest of its document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// The name for people.
    pub name: String,
    /// Cedar policies by file name.
    #[serde(default)]
    pub cedar: BTreeMap<String, String>,
    /// Limits and prices by name.
    pub plans: BTreeMap<PlanName, Plan>,
    /// Regions that exist.
    pub regions: BTreeMap<Region, RegionRules>,
    /// What is looked for in texts.
    pub privacy: Privacy,
    /// What the bundle must decide, by file name: a bundle that decides otherwise is not activated.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cases: BTreeMap<String, Vec<Case>>,
}

/// Limits and prices of the tenants that name the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Calls a second, over time.
    pub requests_per_second: u32,
    /// Calls at once after a pause.
    pub burst: u32,
    /// Calls under way at the same time.
    pub concurrency: u32,
    /// Texts in a calendar month.
    pub monthly_items: u64,
    /// Price in a calendar month; none: not limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monthly_budget: Option<Money>,
    /// What calls cost.
    pub prices: Prices,
    /// The tenant's share of a pod against the others that wait there: one of twice the weight gets
    /// twice as much; 100 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<NonZeroU16>,
    /// Whether somebody waits for the answers.
    #[serde(default, skip_serializing_if = "Urgency::is_usual")]
    pub urgency: Urgency,
    /// A call that no pod has answered after so many milliseconds is sent to a second one as well,
    /// in a region that is permitted too; none: it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hedge_after_ms: Option<NonZeroU32>,
}

impl Plan {
    /// After how long a call is sent to a second pod as well, if it is at all.
    pub fn hedge_after(&self) -> Option<Duration> {
        self.hedge_after_ms.map(|millis| Duration::from_millis(u64::from(millis.get())))
    }
}

/// Who goes first at a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Urgency {
    /// Somebody waits.
    #[default]
    Interactive,
    /// Nobody does: these calls are computed when a pod has little else to do.
    Batch,
}

impl Urgency {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    const fn is_usual(&self) -> bool {
        matches!(self, Self::Interactive)
    }
}

/// What calls cost. Both in the same currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// For each text.
    pub per_item: Money,
    /// For each thousand Unicode code points, counted to the millionth of the currency's unit.
    pub per_thousand_characters: Money,
    /// For each text that is explained, besides; nothing if it is not said. An explanation takes
    /// some hundred times as long to compute as a label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_explanation: Option<Money>,
}

impl Prices {
    /// What a call that used so much costs; parts of a millionth are rounded up.
    pub fn cost(&self, usage: &Usage) -> Money {
        let amount = |price: Money, units: u64, per: i128| {
            i128::from(price.micros)
                .saturating_mul(i128::from(units))
                .saturating_add(per.saturating_sub(1))
                .checked_div(per)
                .unwrap_or(0)
        };
        let micros = amount(self.per_item, usage.items, 1)
            .saturating_add(amount(self.per_thousand_characters, usage.characters, 1000))
            .saturating_add(
                self.per_explanation.map_or(0, |each| amount(each, usage.explained, 1)),
            );
        Money::new(i64::try_from(micros).unwrap_or(i64::MAX), self.per_item.currency)
    }
}

/// What holds in a region.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionRules {
    /// The law that applies there: `EU`, `US`, `CN`.
    pub jurisdiction: String,
    /// Jurisdictions whose data may go there without an instrument of transfer, such as by an
    /// adequacy decision (GDPR Art. 45).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub adequate_for: BTreeSet<String>,
    /// Kinds of instruments that transfers there can rest on; empty: every kind.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub instruments: BTreeSet<String>,
}

/// What is looked for in texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Privacy {
    /// Kinds of personal data that rules may ask about. What a rule redacts is looked for as well.
    #[serde(default)]
    pub detect: BTreeSet<Kind>,
    /// From which confidence on a value counts as found.
    #[serde(default = "acted_upon", skip_serializing_if = "is_acted_upon")]
    pub minimum: Confidence,
    /// The same for single kinds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub thresholds: BTreeMap<Kind, Confidence>,
    /// The model that finds names and addresses, for rules that take them out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<NameFinder>,
    /// Recognisers of tenants' own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recognisers: Vec<RecogniserSpec>,
}

/// A model that labels every token. It is offered to no tenant; its newest version is asked, in
/// regions that are permitted to the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameFinder {
    /// Its name.
    pub model: ModelName,
    /// From which probability on a name is taken out.
    #[serde(default = "as_likely_as_not")]
    pub minimum: Confidence,
}

fn as_likely_as_not() -> Confidence {
    Confidence::new(0.5).unwrap_or(Confidence::ACTED_UPON)
}

fn acted_upon() -> Confidence {
    Confidence::ACTED_UPON
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_acted_upon(confidence: &Confidence) -> bool {
    *confidence == Confidence::ACTED_UPON
}

/// A bundle that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BundleUnreadable {
    /// A file cannot be read.
    #[error("`{path}` cannot be read: {fault}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        fault: io::Error,
    },
    /// There is no `bundle.toml`.
    #[error("`bundle.toml` is missing")]
    NoManifest,
    /// `bundle.toml` is not what it must be.
    #[error("`bundle.toml`: {fault}")]
    Toml {
        /// What is wrong, with its place.
        fault: Box<toml::de::Error>,
    },
    /// A file of golden cases is not what it must be.
    #[error("`{file}`: {fault}")]
    Cases {
        /// The file.
        file: String,
        /// What is wrong, with its place.
        fault: serde_json::Error,
    },
    /// A file that no bundle has.
    #[error(
        "`{name}` is not a file of a bundle: those are `*.cedar`, `packs/*.cedar`, `cases/*.json`"
    )]
    File {
        /// As it was written.
        name: String,
    },
    /// There is no such pack.
    #[error("`{name}` is not a pack: there are {known}", known = Pack::names().join(", "))]
    Pack {
        /// As it was written.
        name: String,
    },
    /// A document is not a bundle.
    #[error("the document is not a policy bundle: {0}")]
    Document(#[from] serde_json::Error),
    /// A document has another digest than it is known by.
    #[error("the document's digest is {found}, not {expected}")]
    Digest {
        /// What it should be.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
}

/// `bundle.toml`: the bundle without its files, and the packs that are taken in.
#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    packs: Vec<String>,
    #[serde(flatten)]
    rest: toml::Table,
}

impl Bundle {
    /// Puts a bundle together from its files by name: `bundle.toml`, Cedar files beside it and under
    /// `packs/`, and golden cases under `cases/`. A pack that `bundle.toml` names and that has no
    /// file is the program's own.
    pub fn from_files(files: &BTreeMap<String, String>) -> Result<Self, BundleUnreadable> {
        let text = files.get(MANIFEST).ok_or(BundleUnreadable::NoManifest)?;
        let toml = |fault| BundleUnreadable::Toml { fault: Box::new(fault) };
        // Read as a whole first, so that a fault has its place in the file.
        let manifest: Manifest = toml::from_str(text).map_err(toml)?;
        let mut bundle: Self = match manifest.packs.as_slice() {
            [] => toml::from_str(text).map_err(toml)?,
            _ => manifest.rest.try_into().map_err(toml)?,
        };
        for pack in &manifest.packs {
            let pack =
                Pack::named(pack).ok_or_else(|| BundleUnreadable::Pack { name: pack.clone() })?;
            pack.add_to(&mut bundle);
        }
        for (name, text) in files.iter().filter(|(name, _)| *name != MANIFEST) {
            let path = name.strip_prefix("packs/").unwrap_or(name);
            if let Some(cases) = name.strip_prefix("cases/").filter(|name| is_file(name, ".json")) {
                let list = serde_json::from_str(text)
                    .map_err(|fault| BundleUnreadable::Cases { file: name.clone(), fault })?;
                bundle.cases.insert(cases.to_owned(), list);
            } else if is_file(path, ".cedar") {
                bundle.cedar.insert(name.clone(), text.clone());
            } else {
                return Err(BundleUnreadable::File { name: name.clone() });
            }
        }
        Ok(bundle)
    }

    /// The bundle as files, which [`Self::from_files`] puts together again.
    pub fn files(&self) -> BTreeMap<String, String> {
        let without_files = Self { cedar: BTreeMap::new(), cases: BTreeMap::new(), ..self.clone() };
        // Maps, texts and numbers always have a TOML form.
        let manifest = toml::Table::try_from(&without_files)
            .map(|mut table| {
                table.remove("cedar");
                toml::to_string_pretty(&table).unwrap_or_default()
            })
            .unwrap_or_default();
        let cases = self.cases.iter().map(|(name, cases)| {
            let text = serde_json::to_string_pretty(cases).unwrap_or_default();
            (format!("cases/{name}"), text + "\n")
        });
        let cedar = self.cedar.iter().map(|(name, text)| (name.clone(), text.clone()));
        cedar.chain(cases).chain([(MANIFEST.to_owned(), manifest)]).collect()
    }

    /// Reads a directory of such files.
    pub fn from_dir(dir: &Path) -> Result<Self, BundleUnreadable> {
        let path = dir.join(MANIFEST);
        let manifest = fs::read_to_string(&path)
            .map_err(|fault| BundleUnreadable::Io { path: path.clone(), fault })?;
        let mut files = BTreeMap::from([(MANIFEST.to_owned(), manifest)]);
        for (folder, ending) in FOLDERS {
            for name in names(dir, folder, ending)? {
                let path = dir.join(&name);
                let text = fs::read_to_string(&path)
                    .map_err(|fault| BundleUnreadable::Io { path, fault })?;
                files.insert(name, text);
            }
        }
        Self::from_files(&files)
    }

    /// Writes the bundle's files into a directory, which is made if there is none. Files of before
    /// that the bundle does not have are removed.
    pub fn write_dir(&self, dir: &Path) -> Result<(), BundleUnreadable> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |fault| BundleUnreadable::Io { path, fault }
        };
        let files = self.files();
        for (folder, ending) in FOLDERS {
            let path = dir.join(folder);
            fs::create_dir_all(&path).map_err(io(&path))?;
            for name in names(dir, folder, ending)?.into_iter().filter(|it| !files.contains_key(it))
            {
                let path = dir.join(name);
                fs::remove_file(&path).map_err(io(&path))?;
            }
        }
        for (name, text) in files {
            let path = dir.join(name);
            fs::write(&path, text).map_err(io(&path))?;
        }
        Ok(())
    }

    /// Reads a document as it is stored.
    pub fn parse(document: &BundleDocument) -> Result<Self, BundleUnreadable> {
        let found = Digest::of(document.document.as_bytes());
        if found != document.digest {
            return Err(BundleUnreadable::Digest { expected: document.digest, found });
        }
        Ok(serde_json::from_str(&document.document)?)
    }

    /// The bundle as it is stored: JSON with fields and keys in a fixed order, and its digest.
    pub fn document(&self) -> BundleDocument {
        // Texts, numbers and maps with text keys always have a JSON form.
        let document = serde_json::to_string(self).unwrap_or_default();
        BundleDocument { digest: Digest::of(document.as_bytes()), document }
    }
}

/// Where a bundle's files are, and how their names end.
const FOLDERS: [(&str, &str); 3] = [("", ".cedar"), ("packs", ".cedar"), ("cases", ".json")];
const MANIFEST: &str = "bundle.toml";

/// Whether a text is the name of a file, with this ending, and not a path.
fn is_file(name: &str, ending: &str) -> bool {
    let stem = name.strip_suffix(ending).unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !stem.is_empty() && name.len() <= 80 && stem.bytes().all(plain) && !stem.starts_with('.')
}

/// The names of the files of a folder that have an ending, with the folder; none if there is no
/// such folder.
fn names(dir: &Path, folder: &str, ending: &str) -> Result<Vec<String>, BundleUnreadable> {
    let path = dir.join(folder);
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    let io = |fault| BundleUnreadable::Io { path: path.clone(), fault };
    let mut found = Vec::new();
    for entry in fs::read_dir(&path).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        if let Some(name) = name.to_str().filter(|name| is_file(name, ending)) {
            let within = if folder.is_empty() { String::new() } else { format!("{folder}/") };
            found.push(within + name);
        }
    }
    Ok(found)
}

/// The bundle that comes with the program.
#[expect(clippy::expect_used, reason = "built in, and read by every test")]
pub fn default_bundle() -> Bundle {
    let mut bundle: Bundle =
        toml::from_str(include_str!("../bundles/default/bundle.toml")).expect("the default bundle");
    for (name, text) in [
        ("access.cedar", include_str!("../bundles/default/access.cedar")),
        ("obligations.cedar", include_str!("../bundles/default/obligations.cedar")),
    ] {
        bundle.cedar.insert(name.to_owned(), text.to_owned());
    }
    let cases = include_str!("../bundles/default/cases/decisions.json");
    bundle.cases.insert(
        "decisions.json".to_owned(),
        serde_json::from_str(cases).expect("the default bundle's cases"),
    );
    bundle
}
