use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use reeve_domain::{BundleDocument, Digest, Kind, ModelName, Money, PlanName, Region, Usage};
use reeve_privacy::{Confidence, RecogniserSpec};
use serde::{Deserialize, Serialize};

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
}

/// What calls cost. Both in the same currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// For each text.
    pub per_item: Money,
    /// For each thousand Unicode code points, counted to the millionth of the currency's unit.
    pub per_thousand_characters: Money,
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
        let micros = amount(self.per_item, usage.items, 1).saturating_add(amount(
            self.per_thousand_characters,
            usage.characters,
            1000,
        ));
        Money::new(i64::try_from(micros).unwrap_or(i64::MAX), self.per_item.currency)
    }
}

/// What holds in a region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionRules {
    /// The law that applies there: `EU`, `US`, `CN`.
    pub jurisdiction: String,
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
    /// `bundle.toml` is not what it must be.
    #[error("`{path}`: {fault}")]
    Toml {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its place.
        fault: Box<toml::de::Error>,
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

impl Bundle {
    /// Reads a directory with `bundle.toml` and Cedar files.
    pub fn from_dir(dir: &Path) -> Result<Self, BundleUnreadable> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |fault| BundleUnreadable::Io { path, fault }
        };
        let path = dir.join("bundle.toml");
        let text = fs::read_to_string(&path).map_err(io(&path))?;
        let mut bundle: Self = toml::from_str(&text)
            .map_err(|fault| BundleUnreadable::Toml { path, fault: Box::new(fault) })?;
        for entry in fs::read_dir(dir).map_err(io(dir))? {
            let path = entry.map_err(io(dir))?.path();
            if path.extension().is_some_and(|extension| extension == "cedar")
                && let Some(name) = path.file_name().and_then(|name| name.to_str())
            {
                let text = fs::read_to_string(&path).map_err(io(&path))?;
                bundle.cedar.insert(name.to_owned(), text);
            }
        }
        Ok(bundle)
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
    bundle
}
