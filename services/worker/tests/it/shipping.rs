//! Logs are published to a directory and to S3, and no log that is no continuation.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use ed25519_dalek::SigningKey;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use object_store::{ObjectStore, ObjectStoreExt as _, aws::AmazonS3Builder, path::Path as Key};
use reeve_domain::{Origin, SystemClock};
use reeve_ledger::{Ledger, Options, Reader, VerifierKey, expire, plan_expiry};
use reeve_registry::Place;
use reeve_worker::{ShipFailed, Shipper};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};

fn origin() -> Origin {
    Origin::new("reeve.test/shipped").unwrap()
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[5; 32])
}

fn verifier() -> VerifierKey {
    VerifierKey::new(origin(), key().verifying_key())
}

/// Adds entries to the log in `dir`.
fn append(dir: &Path, texts: std::ops::Range<u32>) {
    let options = Options {
        dir: dir.to_owned(),
        origin: origin(),
        commit_deadline: Duration::from_secs(10),
        headroom_bytes: 0,
        segment_bytes: 10_000,
    };
    // A thread of its own: waiting for a commit would block the runtime.
    let write = move || {
        let (ledger, _) = Ledger::open(options, key(), Arc::new(SystemClock::default())).unwrap();
        for number in texts {
            ledger.append_blocking(format!("entry {number}").into_bytes()).unwrap();
        }
    };
    std::thread::spawn(write).join().unwrap();
}

/// What must be published of the log in `dir`.
fn expected(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let reader = Reader::open(dir).unwrap();
    let mut files: BTreeMap<String, Vec<u8>> = reader
        .resources(0, reader.size())
        .map(|resource| resource.map(|resource| (resource.path, resource.bytes)).unwrap())
        .collect();
    files.insert("checkpoint".to_owned(), reader.checkpoint().unwrap().into_bytes());
    files
}

fn files(root: &Path, dir: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(root, &path, found);
        } else {
            let name = path.strip_prefix(root).unwrap().display().to_string();
            found.insert(name, std::fs::read(&path).unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_directory_is_the_log_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let (log, to) = (home.path().join("log"), home.path().join("published"));
    let published = || {
        let root = to.join(origin().as_str());
        let mut found = BTreeMap::new();
        files(&root, &root, &mut found);
        found
    };
    let mut shipper = Shipper::new(&to.display().to_string()).unwrap();
    for (from, until) in [(0, 1), (1, 300), (300, 300), (300, 700)] {
        append(&log, from..until);
        let size = shipper.ship(&origin(), &log, &verifier()).await.unwrap();
        assert_eq!(size, u64::from(until));
        assert_eq!(published(), expected(&log), "{until}");
    }
    // What is deleted from the log is deleted there.
    let plan = plan_expiry(&log, &origin(), &mut |index, _| index % 7 == 3).unwrap();
    for segment in plan.iter().filter(|segment| segment.is_closed) {
        expire(&log, &origin(), segment).unwrap();
    }
    shipper.ship(&origin(), &log, &verifier()).await.unwrap();
    let bundle = &published()["tile/entries/000"];
    // With its length in front, since `entry 3` is also the beginning of `entry 30`.
    assert!(!bundle.windows(9).any(|part| part == b"\0\x07entry 3"));
    assert!(bundle.windows(9).any(|part| part == b"\0\x07entry 4"));
    assert_eq!(published(), expected(&log));

    // Another log of the same name and key, shorter or longer, is none that goes on from there.
    for size in [10, 900] {
        let other = home.path().join(format!("other-{size}"));
        append(&other, 1000..1000 + size);
        let refused = Shipper::new(&to.display().to_string())
            .unwrap()
            .ship(&origin(), &other, &verifier())
            .await;
        assert!(matches!(refused, Err(ShipFailed::RolledBack { .. })), "{size}: {refused:?}");
    }
    let stranger = VerifierKey::new(origin(), SigningKey::from_bytes(&[6; 32]).verifying_key());
    let refused = shipper.ship(&origin(), &log, &stranger).await;
    assert!(matches!(refused, Err(ShipFailed::Foreign { .. })));
    assert_eq!(published(), expected(&log));
    for wrong in ["", "gs://bucket/x", "http://example.org"] {
        assert!(matches!(Shipper::new(wrong), Err(ShipFailed::Address(_))), "{wrong}");
    }
}

/// A server that speaks S3, with signatures, and keeps what it gets below `dir`.
async fn s3(dir: &Path) -> String {
    let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(dir).unwrap());
    service.set_auth(SimpleAuth::from_single("an-id", "a-secret"));
    let service = service.build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let service = service.clone();
            tokio::spawn(async move {
                let server = Builder::new(TokioExecutor::new());
                drop(server.serve_connection(TokioIo::new(socket), service).await);
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_bucket_is_the_log() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(home.path().join("s3/audit")).unwrap();
    let address = s3(&home.path().join("s3")).await;
    let store = |secret: &str| -> Arc<dyn ObjectStore> {
        let builder = AmazonS3Builder::new()
            .with_endpoint(address.as_str())
            .with_allow_http(true)
            .with_region("eu-west-1")
            .with_bucket_name("audit")
            .with_access_key_id("an-id")
            .with_secret_access_key(secret);
        Arc::new(builder.build().unwrap())
    };
    let log = home.path().join("log");
    let mut shipper = Shipper::to(Place::new(store("a-secret"), "logs"));
    for (from, until) in [(0, 260), (260, 600)] {
        append(&log, from..until);
        shipper.ship(&origin(), &log, &verifier()).await.unwrap();
        for (path, bytes) in expected(&log) {
            let key = Key::from(format!("logs/{}/{path}", origin()));
            let found = store("a-secret").get(&key).await.unwrap().bytes().await.unwrap();
            assert_eq!(found, bytes, "{path}");
        }
    }
    let refused =
        Shipper::to(Place::new(store("another"), "logs")).ship(&origin(), &log, &verifier()).await;
    assert!(matches!(refused, Err(ShipFailed::Store(_))), "{refused:?}");
}
