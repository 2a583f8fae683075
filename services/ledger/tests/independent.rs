//! Another implementation of the same formats reads and believes what this one writes: Cloudflare's
//! `tlog_tiles` and `signed_note`, with nothing of this crate but its files and its public key.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test says what it expects by failing"
)]

use std::{path::Path, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ed25519_dalek::SigningKey;
use reeve_domain::{FixedClock, Origin, Timestamp};
use reeve_ledger::{Ledger, Options, Reader, Witness};
use signed_note::{Note, StandardVerifier, VerifierList};
use tlog_tiles::{
    Checkpoint, Hash, HashReader, check_record, check_tree, record_hash, stored_hashes, tree_hash,
};

const ENTRIES: u64 = 700;

/// A log of some hundred entries; gives its public key as it lies beside it.
fn write(dir: &Path) -> String {
    let options = Options {
        dir: dir.to_owned(),
        origin: Origin::new("reeve.test/independent").unwrap(),
        commit_deadline: Duration::from_secs(10),
        headroom_bytes: 0,
        segment_bytes: reeve_ledger::SEGMENT_BYTES,
    };
    let key = SigningKey::from_bytes(&[3; 32]);
    let clock = Arc::new(FixedClock::new(Timestamp::from_micros(0)));
    let (ledger, _) = Ledger::open(options, key, clock).unwrap();
    for number in 0..ENTRIES {
        ledger.append_blocking(format!("entry {number}").into_bytes()).unwrap();
    }
    std::fs::read_to_string(dir.join("log.pub")).unwrap()
}

/// The checkpoint's text, if the key signed it.
fn opened(note: &[u8], key: &str) -> Option<Checkpoint> {
    let note = Note::from_bytes(note).ok()?;
    let verifiers = VerifierList::new(vec![Box::new(StandardVerifier::new(key.trim()).unwrap())]);
    let (verified, _) = note.verify(&verifiers).ok()?;
    (!verified.is_empty()).then(|| Checkpoint::from_bytes(note.text()).unwrap())
}

/// The tree as the other implementation makes it of the same entries.
struct Stored(Vec<Hash>);

impl Stored {
    fn of_entries() -> Self {
        let mut stored = Self(Vec::new());
        for number in 0..ENTRIES {
            let entry = format!("entry {number}");
            let more = stored_hashes(number, entry.as_bytes(), &stored).unwrap();
            stored.0.extend(more);
        }
        stored
    }
}

impl HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        let hash = |index: &u64| self.0[usize::try_from(*index).unwrap()];
        Ok(indexes.iter().map(hash).collect())
    }
}

fn hashes(proof: &[[u8; 32]]) -> Vec<Hash> {
    proof.iter().map(|hash| Hash(*hash)).collect()
}

#[test]
fn checkpoints_and_proofs_convince_another_implementation() {
    let dir = tempfile::tempdir().unwrap();
    let key = write(dir.path());
    let reader = Reader::open(dir.path()).unwrap();
    let note = reader.checkpoint().unwrap();
    let checkpoint = opened(note.as_bytes(), &key).unwrap();
    assert_eq!((checkpoint.origin(), checkpoint.size()), ("reeve.test/independent", ENTRIES));
    let root = *checkpoint.hash();

    // Inclusion, by receipts as tenants get them.
    for index in [0, 1, 255, 256, 511, 512, 698, 699] {
        let receipt = reader.receipt(index).unwrap();
        let of_receipt = opened(receipt.checkpoint.as_bytes(), &key).unwrap();
        assert_eq!(of_receipt.size(), receipt.tree_size);
        let entry = BASE64.decode(receipt.entry.unwrap()).unwrap();
        assert_eq!(entry, format!("entry {index}").into_bytes());
        let proof = hashes(&reader.inclusion_proof(index, ENTRIES).unwrap());
        let leaf = record_hash(&entry);
        check_record(&proof, ENTRIES, root, index, leaf).unwrap();
        assert!(check_record(&proof, ENTRIES, root, index ^ 1, leaf).is_err());
        assert!(check_record(&proof, ENTRIES, root, index, record_hash(b"other")).is_err());
    }

    // Consistency, from every older checkpoint that is asked for.
    let tree = Stored::of_entries();
    assert_eq!(tree_hash(ENTRIES, &tree).unwrap(), root);
    for size in [1, 2, 255, 256, 257, 512, 699] {
        let older = tree_hash(size, &tree).unwrap();
        let proof = hashes(&reader.consistency_proof(size, ENTRIES).unwrap());
        check_tree(&proof, ENTRIES, root, size, older).unwrap();
        assert!(check_tree(&proof, ENTRIES, root, size, Hash([0; 32])).is_err());
    }
}

#[test]
fn another_implementation_refuses_what_was_changed() {
    let dir = tempfile::tempdir().unwrap();
    let key = write(dir.path());
    let note = Reader::open(dir.path()).unwrap().checkpoint().unwrap();
    let changed = note.replacen("700", "701", 1);
    assert_ne!(changed, note);
    assert!(opened(changed.as_bytes(), &key).is_none());
    let other = SigningKey::from_bytes(&[4; 32]).verifying_key();
    let other = signed_note::new_ed25519_verifier_key("reeve.test/independent", &other);
    assert!(opened(note.as_bytes(), &other).is_none());
}

/// Receipts that the console's own check in the browser is tested with: what this implementation
/// makes, kept as a file. `REEVE_WRITE_FIXTURES=1` writes it anew.
#[test]
#[expect(clippy::disallowed_methods, reason = "who changes the format says so")]
fn the_browsers_fixture_is_what_the_ledger_makes() {
    let dir = tempfile::tempdir().unwrap();
    let vkey = write(dir.path());
    let reader = Reader::open(dir.path()).unwrap();
    let name = Origin::new("reeve.test/witness").unwrap();
    let seen = dir.path().join("witness");
    let witness = Witness::open(&seen, name, SigningKey::from_bytes(&[4; 32])).unwrap();
    let (request, note) = reader.submission(0).unwrap();
    let knows = |_: &Origin| vkey.trim().parse().ok();
    let at = Timestamp::from_micros(1_700_000_000_000_000);
    let line = witness.add_checkpoint(&request, &knows, at).unwrap();
    reader.keep_cosigned(&note, &[line]).unwrap();
    let receipts: Vec<_> =
        [0, 255, 256, 699].iter().map(|index| reader.receipt(*index).unwrap()).collect();
    let fixture = serde_json::json!({
        "keys": [vkey.trim(), witness.public().to_string()],
        "receipts": receipts,
    });
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web-admin/src/receipt/fixture.json");
    let text = serde_json::to_string_pretty(&fixture).unwrap() + "\n";
    if std::env::var("REEVE_WRITE_FIXTURES").is_ok() {
        std::fs::write(&file, &text).unwrap();
    }
    let kept: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(kept, fixture);
}

/// What is published is what the other implementation reads: tiles of every level and width.
#[test]
fn published_tiles_are_read_by_another_implementation() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path());
    let reader = Reader::open(dir.path()).unwrap();
    let published: std::collections::BTreeMap<String, Vec<u8>> = reader
        .resources(0, ENTRIES)
        .map(|resource| resource.map(|resource| (resource.path, resource.bytes)).unwrap())
        .collect();
    let stored = Stored::of_entries();
    let paths = ["tile/0/000", "tile/0/001", "tile/0/002.p/188", "tile/1/000.p/2"];
    for path in paths {
        let theirs = path.replacen("tile/", "tile/8/", 1);
        let tile = tlog_tiles::Tile::from_path(&theirs).unwrap();
        let expected = tile.read_data(&stored).unwrap();
        assert_eq!(published[path], expected, "{path}");
    }
    let mut entries = Vec::new();
    for path in ["tile/entries/000", "tile/entries/001", "tile/entries/002.p/188"] {
        let mut rest = &published[path][..];
        while let Some((length, after)) = rest.split_first_chunk::<2>() {
            let (entry, after) = after.split_at(usize::from(u16::from_be_bytes(*length)));
            entries.push(entry.to_vec());
            rest = after;
        }
    }
    let expected: Vec<Vec<u8>> =
        (0..ENTRIES).map(|number| format!("entry {number}").into_bytes()).collect();
    assert_eq!(entries, expected);
    assert_eq!(published.len(), paths.len() + 3);
    // Grown a little at a time, it is the same.
    let mut grown = std::collections::BTreeMap::new();
    let sizes = [0, 1, 255, 256, 257, 511, 600, ENTRIES];
    for pair in sizes.windows(2) {
        for resource in reader.resources(pair[0], pair[1]) {
            let resource = resource.unwrap();
            grown.insert(resource.path, resource.bytes);
        }
        for path in Reader::superseded(pair[0], pair[1]) {
            assert!(grown.remove(&path).is_some(), "{path}");
        }
    }
    assert_eq!(grown, published);
}
