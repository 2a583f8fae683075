//! Evidence bundles: what an authority or a court asks for, in one archive that can be checked
//! without this installation.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{Seek as _, SeekFrom},
    str::FromStr,
};

use reeve_domain::{Origin, Record, TenantId, Timestamp};
use reeve_ledger::{BundleFailed, BundleWriter, VerifierKey};
use reeve_store::{
    Connection, Store, StoreError,
    audit::{self, AuditFilter, EventKind},
    log::{self, Log},
    model, policy, policy_change,
};

use crate::files::LogDirs;

/// Why evidence is asked for: it decides what the bundle holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Article {
    /// Its name in requests.
    pub(crate) name: &'static str,
    /// Its title.
    pub(crate) title: &'static str,
    /// The records of calls.
    calls: bool,
    /// The policies that were in force, and who approved them.
    policies: bool,
    /// The models.
    models: bool,
    /// Which records of the control plane, by the beginnings of their actions.
    actions: &'static [&'static str],
}

const OVERSIGHT: &[&str] = &["policy.", "stop.", "emergency.", "model."];

impl Article {
    /// All articles.
    pub(crate) const ALL: &'static [Self] = &[
        Self {
            name: "ai-act-12",
            title: "Regulation (EU) 2024/1689 Art. 12, 19, 26(6): records of operation",
            calls: true,
            policies: true,
            models: true,
            actions: &["policy.activate", "policy.roll-back", "retention."],
        },
        Self {
            name: "ai-act-13",
            title: "Regulation (EU) 2024/1689 Art. 11, 13: what the models are",
            calls: false,
            policies: false,
            models: true,
            actions: &["model."],
        },
        Self {
            name: "ai-act-14",
            title: "Regulation (EU) 2024/1689 Art. 14: human oversight",
            calls: false,
            policies: true,
            models: false,
            actions: OVERSIGHT,
        },
        Self {
            name: "gdpr-5",
            title: "Regulation (EU) 2016/679 Art. 5(2), 24, 30: accountability",
            calls: true,
            policies: true,
            models: true,
            actions: &[""],
        },
        Self {
            name: "gdpr-17",
            title: "Regulation (EU) 2016/679 Art. 17: erasure",
            calls: false,
            policies: false,
            models: false,
            actions: &["subject.", "hold.", "retention."],
        },
        Self {
            name: "gdpr-44",
            title: "Regulation (EU) 2016/679 Art. 44–49: transfers to third countries",
            calls: true,
            policies: true,
            models: false,
            actions: &["policy.", "tenant.legal"],
        },
    ];
}

impl FromStr for Article {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known: Vec<&str> = Self::ALL.iter().map(|article| article.name).collect();
        let found = Self::ALL.iter().find(|article| article.name == text).copied();
        found.ok_or_else(|| format!("must be one of {}", known.join(", ")))
    }
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) tenant: TenantId,
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
    pub(crate) article: Article,
    pub(crate) made_at: Timestamp,
}

/// A bundle cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DossierFailed {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Bundle(#[from] BundleFailed),
    #[error("the log `{0}` cannot be read")]
    Log(Origin),
    #[error("a temporary file cannot be used: {0}")]
    Io(#[from] std::io::Error),
    #[error("a file of the bundle cannot be written: {0}")]
    Json(#[from] serde_json::Error),
}

/// Rows that are read at once.
const PAGE: usize = 1000;

/// Makes a bundle in a temporary file, which is gone when it is closed. Blocks.
pub(crate) fn make(store: &Store, files: &LogDirs, asked: &Asked) -> Result<File, DossierFailed> {
    let about = BTreeMap::from([
        ("tenant".to_owned(), asked.tenant.to_string()),
        ("from".to_owned(), asked.from.to_string()),
        ("until".to_owned(), asked.until.to_string()),
        ("article".to_owned(), asked.article.name.to_owned()),
        ("title".to_owned(), asked.article.title.to_owned()),
        ("made_at".to_owned(), asked.made_at.to_string()),
    ]);
    let mut bundle = BundleWriter::new(tempfile::tempfile()?, about);
    let logs = store.read(log::list)?;
    let chosen = store.read(|c| choose(c, asked))?;
    let mut digests = BTreeSet::new();
    let mut models = BTreeSet::new();
    for (origin, indices) in &chosen {
        let failed = || DossierFailed::Log(origin.clone());
        let key = key(&logs, origin).ok_or_else(failed)?;
        let reader = files.reader(origin).ok_or_else(failed)?;
        let note = match reader.cosigned() {
            // It counts if it covers what is asked for.
            Ok(Some(note)) if covers(&note, indices.last()) => note,
            _ => reader.checkpoint().map_err(|_| failed())?,
        };
        let mut seen = |entry: &[u8]| {
            if let Ok(Record::Intent(intent)) = serde_json::from_slice(entry) {
                digests.insert(intent.decision.policy);
                models.insert(intent.input.model.digest);
            }
        };
        let receipts = indices.iter().map(|index| {
            let receipt = reader.receipt_under(*index, &note)?;
            if let Some((_, entry)) = reader.entries(*index).next().transpose()? {
                seen(&entry);
            }
            Ok(receipt)
        });
        bundle.receipts(&key, &note, receipts)?;
    }
    if asked.article.policies {
        let of_calls = digests;
        let (activations, changes) = store.read(|c| policies(c, asked))?;
        for activation in &activations {
            let name = format!("policies/activation-{}.json", activation.version);
            let text = serde_json::json!({
                "version": activation.version,
                "digest": activation.digest.to_string(),
                "activated_at": activation.activated_at.to_string(),
                "activated_by": activation.activated_by,
                "author": activation.author,
                "change": activation.change,
                "statement": activation.statement,
            });
            bundle.file(&name, &serde_json::to_vec_pretty(&text)?)?;
        }
        let in_force = activations.iter().map(|activation| activation.digest);
        let all: BTreeSet<_> = in_force.chain(of_calls).collect();
        for digest in all {
            if let Some(found) = store.read(|c| policy::bundle(c, &digest))? {
                let name = format!("policies/{}.json", digest.short());
                bundle.file(&name, found.document.as_bytes())?;
            }
        }
        for (id, change) in changes {
            bundle.file(&format!("approvals/{id}.json"), &serde_json::to_vec_pretty(&change)?)?;
        }
    }
    if asked.article.models {
        for version in store.read(model::list)? {
            // Those that calls of the period used; without calls in the bundle, all.
            if models.contains(&version.facts.digest) || !asked.article.calls {
                let name =
                    format!("models/{}-{}.json", version.facts.name, version.facts.digest.short());
                bundle.file(&name, &serde_json::to_vec_pretty(&version)?)?;
            }
        }
    }
    bundle.file("README.md", README.as_bytes())?;
    bundle.file("verify.py", VERIFY.as_bytes())?;
    let (mut file, _) = bundle.finish()?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

const README: &str = include_str!("dossier/README.md");
const VERIFY: &str = include_str!("dossier/verify.py");

fn covers(note: &str, last: Option<&u64>) -> bool {
    let size = note.lines().nth(1).and_then(|size| size.parse::<u64>().ok());
    size.zip(last).is_some_and(|(size, last)| size > *last)
}

fn key(logs: &[Log], origin: &Origin) -> Option<VerifierKey> {
    logs.iter().find(|log| log.origin == *origin)?.vkey.parse().ok()
}

/// Which entries of which logs.
fn choose(
    c: &mut Connection,
    asked: &Asked,
) -> Result<BTreeMap<Origin, BTreeSet<u64>>, StoreError> {
    let mut chosen: BTreeMap<Origin, BTreeSet<u64>> = BTreeMap::new();
    let period =
        AuditFilter { from: Some(asked.from), until: Some(asked.until), ..AuditFilter::default() };
    if asked.article.calls {
        let filter = AuditFilter {
            tenant: Some(asked.tenant.clone()),
            kinds: vec![EventKind::Intent, EventKind::Outcome, EventKind::Refusal],
            ..period.clone()
        };
        each(c, &filter, |row| {
            chosen.entry(row.origin).or_default().insert(row.index);
        })?;
    }
    let filter = AuditFilter { kinds: vec![EventKind::Control], ..period };
    each(c, &filter, |row| {
        let of_others = row.tenant.as_ref().is_some_and(|tenant| *tenant != asked.tenant);
        let action = row.action.unwrap_or_default();
        if !of_others && asked.article.actions.iter().any(|begin| action.starts_with(begin)) {
            chosen.entry(row.origin).or_default().insert(row.index);
        }
    })?;
    Ok(chosen)
}

fn each(
    c: &mut Connection,
    filter: &AuditFilter,
    mut found: impl FnMut(audit::AuditRow),
) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let page = audit::search(c, filter, after.as_ref(), PAGE)?;
        let full = page.len() == PAGE;
        after = page.last().map(audit::AuditRow::cursor);
        page.into_iter().for_each(&mut found);
        if !full {
            return Ok(());
        }
    }
}

type Changes = BTreeMap<String, serde_json::Value>;

/// The activations that were in force in the period, and the changes that led to them.
fn policies(
    c: &mut Connection,
    asked: &Asked,
) -> Result<(Vec<policy::Activation>, Changes), StoreError> {
    let mut history = policy::history(c)?;
    history.sort_by_key(|activation| activation.version);
    let mut chosen: Vec<policy::Activation> = Vec::new();
    for activation in history {
        if activation.activated_at >= asked.until {
            break;
        }
        if activation.activated_at <= asked.from {
            // What was in force before is not any more.
            chosen.clear();
        }
        chosen.push(activation);
    }
    let mut changes = Changes::new();
    for id in chosen.iter().filter_map(|activation| activation.change.clone()) {
        let Some(change) = policy_change::get(c, &id)? else { continue };
        let steps: Vec<_> = policy_change::steps(c, &id)?
            .into_iter()
            .map(|step| {
                serde_json::json!({
                    "at": step.at.to_string(),
                    "by": step.by,
                    "step": step.kind,
                    "digest": step.digest.to_string(),
                    "comment": step.comment,
                })
            })
            .collect();
        let approval = change.approval.map(|approval| {
            serde_json::json!({
                "by": approval.by.to_string(),
                "with": approval.with.map(|with| with.to_string()),
                "at": approval.at.to_string(),
                "digest": approval.digest.to_string(),
                "report": approval.report.to_string(),
            })
        });
        let document = serde_json::json!({
            "id": id,
            "title": change.title,
            "author": change.author.to_string(),
            "digest": change.digest.to_string(),
            "version": change.version,
            "approval": approval,
            "steps": steps,
        });
        changes.insert(id, document);
    }
    Ok((chosen, changes))
}
