//! A ledger and a store in one directory.

use std::{
    collections::BTreeSet,
    ops::Range,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use ed25519_dalek::SigningKey;
use reeve_domain::{
    Caller, Clock, Code, Credential, DecisionId, Digest, FixedClock, KeyId, Origin, Record,
    Refusal, TenantId, Timestamp,
};
use reeve_ledger::{Ledger, Options, Reader};
use reeve_store::{Store, audit, usage};
use reeve_worker::{Evidence, Indexer, Tools};

pub(crate) fn origin() -> Origin {
    Origin::new("reeve.test/gateway-1").unwrap()
}

pub(crate) fn wait_for(mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "it did not happen in time");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) store: Store,
    clock: Arc<dyn Clock>,
}

impl World {
    pub(crate) fn on_sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("store")).unwrap();
        let url = format!("sqlite:{}", dir.path().join("store/store.sqlite").display());
        Self::in_dir(dir, &url)
    }

    pub(crate) fn on(url: &str) -> Self {
        Self::in_dir(tempfile::tempdir().unwrap(), url)
    }

    fn in_dir(dir: tempfile::TempDir, url: &str) -> Self {
        let store = Store::connect(url).unwrap();
        store.migrate().unwrap();
        let now = Timestamp::parse("2026-11-24T08:00:00Z").unwrap();
        Self { dir, store, clock: Arc::new(FixedClock::new(now)) }
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    pub(crate) fn log_dir(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    pub(crate) fn tools(&self) -> Tools {
        let evidence = Evidence {
            witness: self.dir.path().join("witness"),
            control: self.dir.path().join("control"),
        };
        Tools { solver: None, evidence, shipper: None, webhook: None }
    }

    pub(crate) fn indexer(&self) -> Indexer {
        Indexer::new(self.store.clone(), vec![(origin(), self.log_dir())])
    }

    pub(crate) fn ledger(&self) -> Ledger {
        let options = Options {
            dir: self.log_dir(),
            origin: origin(),
            commit_deadline: Duration::from_secs(10),
            headroom_bytes: 0,
            segment_bytes: reeve_ledger::SEGMENT_BYTES,
        };
        Ledger::open(options, SigningKey::from_bytes(&[7; 32]), self.clock()).unwrap().0
    }

    /// Appends one refusal for each number, on a thread that may block.
    pub(crate) fn append(&self, ledger: &Ledger, numbers: Range<u128>) {
        std::thread::scope(|scope| scope.spawn(|| self.append_here(ledger, numbers)).join())
            .unwrap();
    }

    fn append_here(&self, ledger: &Ledger, numbers: Range<u128>) {
        for number in numbers {
            let record = Record::Refusal(Box::new(Refusal {
                decision_id: DecisionId::from_uuid(uuid::Uuid::from_u128(number)),
                at: self.clock.now(),
                caller: Caller {
                    tenant: TenantId::new("acme").unwrap(),
                    credential: Credential::ApiKey(KeyId::new("key").unwrap()),
                },
                code: Code::RateLimited,
                route: "/v1/classify".to_owned(),
                input: None,
                decision: None,
                shadow: None,
            }));
            ledger.append_blocking(serde_json::to_vec(&record).unwrap()).unwrap();
        }
    }

    /// Leaves as an indexer reads them.
    pub(crate) fn leaves(&self, from: u64, count: usize) -> Vec<audit::Leaf> {
        let reader = Reader::open(&self.log_dir()).unwrap();
        let entries = reader.entries(from).take(count);
        entries
            .map(|entry| {
                let (index, bytes) = entry.unwrap();
                let mut leaf = vec![0];
                leaf.extend_from_slice(&bytes);
                audit::Leaf::parse(index, *Digest::of(&leaf).as_bytes(), &bytes)
            })
            .collect()
    }

    pub(crate) fn try_indexed(&self) -> Option<u64> {
        self.store.read(|c| audit::cursor(c, &origin())).ok()
    }

    pub(crate) fn indexed(&self) -> u64 {
        self.try_indexed().unwrap()
    }

    pub(crate) fn refusals(&self) -> u64 {
        let rows = self.store.read(|c| usage::by_day(c, None, "0000", "9999")).unwrap();
        assert_eq!(rows.iter().map(|row| &row.tenant).collect::<BTreeSet<_>>().len(), 1);
        rows.iter().map(|row| row.refusals).sum()
    }

    /// Flips one byte of the log's first entry.
    pub(crate) fn damage_first_entry(&self) {
        let segment = self.log_dir().join(format!("segments/{:020}.log", 0));
        let mut bytes = std::fs::read(&segment).unwrap();
        let header = bytes.iter().position(|byte| *byte == b'\n').unwrap();
        bytes[header + 40] ^= 1;
        std::fs::write(&segment, bytes).unwrap();
    }

    /// Flips one byte in the middle of the largest file of the log, which holds the entries.
    pub(crate) fn damage(&self) {
        let mut files = vec![self.log_dir()];
        let mut largest = (0, PathBuf::new());
        while let Some(path) = files.pop() {
            if path.is_dir() {
                files.extend(std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
            } else {
                let size = std::fs::metadata(&path).unwrap().len();
                largest = largest.max((size, path));
            }
        }
        let mut bytes = std::fs::read(&largest.1).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&largest.1, bytes).unwrap();
    }
}
