use std::{collections::BTreeMap, path::PathBuf};

use reeve_domain::Origin;
use reeve_ledger::{Checkpoint, Ledger, Reader, VerifierKey, inclusion_holds};

use crate::evidence::{
    Appending, ControlLog, Inclusion, LogFault, LogFiles, LogKey, LogUnavailable, Verified,
};

impl ControlLog for Ledger {
    fn append(&self, entry: Vec<u8>) -> Appending<'_> {
        Box::pin(async move {
            Self::append(self, entry).await.map(drop).map_err(|reason| {
                tracing::error!(%reason, "the control plane's log takes no record");
                LogUnavailable
            })
        })
    }
}

/// Logs in directories of this machine.
#[derive(Clone, Debug)]
pub struct LogDirs(pub BTreeMap<Origin, PathBuf>);

impl LogDirs {
    fn reader(&self, origin: &Origin) -> Option<Reader> {
        Reader::open(self.0.get(origin)?).ok()
    }
}

impl LogFiles for LogDirs {
    fn head(&self, origin: &Origin) -> Option<(u64, [u8; 32])> {
        let newest = self.reader(origin)?.newest().ok()?;
        Some((newest.size, newest.root))
    }

    fn prove(
        &self,
        origin: &Origin,
        index: u64,
        leaf_hash: &[u8; 32],
        key: Option<&LogKey>,
    ) -> Option<Inclusion> {
        let reader = self.reader(origin)?;
        let signed = key.and_then(|key| {
            let key: VerifierKey = key.0.parse().ok()?;
            Checkpoint::open(&reader.checkpoint().ok()?, &key).ok()
        });
        let trusted = signed.is_some() || key.is_none();
        let newest = signed.map_or_else(|| reader.newest().ok(), Some)?;
        let proof = reader.inclusion_proof(index, newest.size).ok()?;
        let verified =
            trusted && inclusion_holds(leaf_hash, index, newest.size, &proof, &newest.root);
        Some(Inclusion { tree_size: newest.size, root: newest.root, proof, verified })
    }

    fn verify(&self, origin: &Origin, key: Option<&LogKey>) -> Option<Verified> {
        let dir = self.0.get(origin)?;
        let parsed = key.map(|key| key.0.parse::<VerifierKey>());
        let unusable = matches!(parsed, Some(Err(_))).then(|| LogFault {
            kind: "wrong-key".to_owned(),
            file: String::new(),
            index: None,
            detail: "the key that is registered for the log cannot be read".to_owned(),
        });
        let parsed = parsed.and_then(Result::ok);
        let report = reeve_ledger::verify(dir, parsed.as_ref());
        let found = report.findings.into_iter().map(|finding| LogFault {
            kind: serde_json::to_value(finding.kind)
                .ok()
                .and_then(|kind| kind.as_str().map(str::to_owned))
                .unwrap_or_default(),
            file: finding.file,
            index: finding.index,
            detail: finding.detail,
        });
        let faults = unusable.into_iter().chain(found).collect();
        Some(Verified { size: report.size, root: self.head(origin).map(|(_, root)| root), faults })
    }
}
