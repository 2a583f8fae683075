//! Bundles in S3: put in parts, fetched by digest, refused without the right secret.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(missing_docs, reason = "a test")]

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use object_store::aws::AmazonS3Builder;
use reeve_domain::Digest;
use reeve_registry::{Place, Registry, RegistryFailed, scan};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use serde_json::json;

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

/// A bundle with weights of three parts.
fn bundle(dir: &Path) {
    let floats = 5_000_000_usize;
    let header =
        json!({ "w": { "dtype": "F32", "shape": [floats], "data_offsets": [0, 4 * floats] } });
    let header = header.to_string();
    let mut weights = u64::try_from(header.len()).unwrap().to_le_bytes().to_vec();
    weights.extend(header.as_bytes());
    weights.extend((0..4 * floats).map(|n| u8::try_from(n % 251).unwrap()));
    let card = json!({ "risk_class": "minimal", "generative": false }).to_string();
    let files = [("card.json", card.into_bytes()), ("weights.safetensors", weights)];
    let digests: BTreeMap<_, _> =
        files.iter().map(|(name, bytes)| (*name, Digest::of(bytes).to_string())).collect();
    for (name, bytes) in &files {
        fs::write(dir.join(name), bytes).unwrap();
    }
    let manifest = json!({ "name": "m", "version": "1", "labels": ["a"], "files": digests });
    fs::write(dir.join("bundle.json"), manifest.to_string()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_bucket_is_the_bundle() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir_all(home.path().join("s3/models")).unwrap();
    let address = s3(&home.path().join("s3")).await;
    let registry = |secret: &str| {
        let store = AmazonS3Builder::new()
            .with_endpoint(address.as_str())
            .with_allow_http(true)
            .with_region("eu-west-1")
            .with_bucket_name("models")
            .with_access_key_id("an-id")
            .with_secret_access_key(secret)
            .build()
            .unwrap();
        Registry::at(Place::new(Arc::new(store), "reeve"))
    };
    let (from, into) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    bundle(from.path());
    let summary = scan(from.path()).unwrap().summary;
    registry("a-secret").put(from.path(), &summary).await.unwrap();
    assert!(registry("a-secret").has(&summary.digest).await.unwrap());
    let fetched = registry("a-secret").fetch(&summary.digest, into.path()).await.unwrap();
    assert_eq!(fetched, summary);
    let weights = |dir: &Path| fs::read(dir.join("weights.safetensors")).unwrap();
    assert!(weights(from.path()) == weights(into.path()));
    let refused = registry("another").has(&summary.digest).await;
    assert!(matches!(refused, Err(RegistryFailed::Store(_))), "{refused:?}");
}
