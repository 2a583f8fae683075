//! The log from outside: what is acknowledged stays, and what is changed is named.
#![expect(
    clippy::as_conversions,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test says what it expects by failing"
)]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use ed25519_dalek::SigningKey;
use reeve_domain::{Origin, SystemClock};
use reeve_ledger::{
    AppendError, FindingKind, Ledger, OpenError, Options, Reader, Recovery, VerifierKey,
    consistency_holds, leaf_hash, verify, verify_receipt,
};

const CRASHER: &str = "REEVE_LEDGER_CRASHER";

fn origin() -> Origin {
    Origin::new("reeve.test/log").unwrap()
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[5; 32])
}

fn verifier() -> VerifierKey {
    VerifierKey::new(origin(), key().verifying_key())
}

fn try_open(dir: &Path, key: SigningKey) -> Result<(Ledger, Recovery), OpenError> {
    let options = Options {
        dir: dir.to_owned(),
        origin: origin(),
        commit_deadline: Duration::from_secs(2),
        headroom_bytes: 1,
        segment_bytes: reeve_ledger::SEGMENT_BYTES,
    };
    Ledger::open(options, key, Arc::new(SystemClock::default()))
}

fn open(dir: &Path) -> (Ledger, Recovery) {
    // The writer of a log that was dropped a moment ago may still hold its lock.
    for _ in 0..200 {
        match try_open(dir, key()) {
            Err(OpenError::Locked(_)) => std::thread::sleep(Duration::from_millis(10)),
            opened => return opened.unwrap(),
        }
    }
    panic!("the lock was not released")
}

/// A log with `n` entries, each committed alone, and nobody who writes it.
fn log_of(dir: &Path, n: u64) {
    let (ledger, _) = open(dir);
    for i in 0..n {
        let receipt = ledger.append_blocking(format!("entry {i}").into_bytes()).unwrap();
        assert_eq!(receipt.index, i);
        assert_eq!(receipt.leaf_hash, leaf_hash(format!("entry {i}").as_bytes()));
    }
    drop(ledger);
    drop(open(dir));
    while try_open(dir, key()).is_err() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn entries(dir: &Path) -> Vec<Vec<u8>> {
    Reader::open(dir).unwrap().entries(0).map(|entry| entry.unwrap().1).collect()
}

#[test]
fn what_is_appended_is_read_proven_and_verified_across_restarts() {
    let dir = tempfile::tempdir().unwrap();
    log_of(dir.path(), 300);
    let (ledger, recovery) = open(dir.path());
    assert_eq!(recovery, Recovery { size: 300, discarded_bytes: 0 });
    let receipt = ledger.append_blocking(b"one more".to_vec()).unwrap();
    assert_eq!((receipt.index, receipt.size), (300, 301));
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(reader.size(), 301);
    for index in [0, 1, 255, 256, 299, 300] {
        let proof = reader.receipt(index).unwrap();
        verify_receipt(&proof, &verifier()).unwrap();
        let mut wrong = proof.clone();
        wrong.index ^= 1;
        assert!(verify_receipt(&wrong, &verifier()).is_err());
        let mut wrong = proof;
        wrong.entry = Some("AAAA".to_owned());
        assert!(verify_receipt(&wrong, &verifier()).is_err());
    }
    assert!(reader.receipt(301).is_err());
    let from: Vec<u64> = reader.entries(298).map(|entry| entry.unwrap().0).collect();
    assert_eq!(from, [298, 299, 300]);
    let report = verify(dir.path(), Some(&verifier()));
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.size, 301);

    let older = reader.inclusion_proof(7, 100).unwrap();
    assert!(!older.is_empty());
    let proof = reader.consistency_proof(100, 301).unwrap();
    let root = |size: u64| {
        let dir = tempfile::tempdir().unwrap();
        let (log, _) = open(dir.path());
        for entry in entries_of(&reader, size) {
            log.append_blocking(entry).unwrap();
        }
        hex(&verify(dir.path(), None).root)
    };
    assert!(consistency_holds(100, 301, &proof, &root(100), &root(301)));
}

fn entries_of(reader: &Reader, size: u64) -> Vec<Vec<u8>> {
    reader.entries(0).take(size as usize).map(|entry| entry.unwrap().1).collect()
}

fn hex(text: &str) -> [u8; 32] {
    let bytes: Vec<u8> =
        (0..64).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect();
    bytes.try_into().unwrap()
}

#[test]
fn those_who_wait_together_share_a_commit() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let receipts: Vec<_> = runtime.block_on(async {
        let tasks: Vec<_> = (0..2000)
            .map(|i| {
                let ledger = ledger.clone();
                tokio::spawn(async move { ledger.append(format!("e{i}").into_bytes()).await })
            })
            .collect();
        let mut receipts = Vec::new();
        for task in tasks {
            receipts.push(task.await.unwrap().unwrap());
        }
        receipts
    });
    let mut sizes: Vec<u64> = receipts.iter().map(|receipt| receipt.size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    assert!(sizes.len() < 1000, "{} commits for 2000 entries", sizes.len());
    let mut indices: Vec<u64> = receipts.iter().map(|receipt| receipt.index).collect();
    indices.sort_unstable();
    assert_eq!(indices, (0..2000).collect::<Vec<_>>());
    assert!(verify(dir.path(), None).is_clean());
}

#[test]
fn a_second_writer_and_another_key_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    ledger.append_blocking(b"a".to_vec()).unwrap();
    assert!(matches!(try_open(dir.path(), key()), Err(OpenError::Locked(_))));
    drop(ledger);
    let other = SigningKey::from_bytes(&[6; 32]);
    loop {
        match try_open(dir.path(), other.clone()) {
            Err(OpenError::Locked(_)) => std::thread::sleep(Duration::from_millis(5)),
            Err(OpenError::Key { .. }) => break,
            _ => panic!("a log was opened with another key"),
        }
    }
    let wrong = VerifierKey::new(origin(), other.verifying_key());
    let report = verify(dir.path(), Some(&wrong));
    assert!(report.findings.iter().any(|finding| finding.kind == FindingKind::WrongKey));
}

fn all_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all_files(&path, found) } else { found.push(path) }
    }
}

/// Every byte of every file of a small log: flipped, taken out, and everything behind it cut off.
#[test]
fn every_changed_byte_is_found() {
    let dir = tempfile::tempdir().unwrap();
    log_of(dir.path(), 3);
    assert!(verify(dir.path(), Some(&verifier())).is_clean());
    let mut files = Vec::new();
    all_files(dir.path(), &mut files);
    let mut changes = 0;
    for file in files {
        let bytes = fs::read(&file).unwrap();
        for place in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[place] ^= 0x20;
            let mut removed = bytes.clone();
            removed.remove(place);
            for altered in [flipped, removed, bytes[..place].to_vec()] {
                fs::write(&file, &altered).unwrap();
                for key in [Some(&verifier()), None] {
                    let report = verify(dir.path(), key);
                    assert!(!report.is_clean(), "{} at {place}", file.display());
                }
                changes += 1;
            }
        }
        fs::write(&file, &bytes).unwrap();
    }
    assert!(changes > 2_000, "{changes}");
    assert!(verify(dir.path(), Some(&verifier())).is_clean());
}

#[test]
fn a_changed_tile_is_found_and_a_missing_one_made_again() {
    let dir = tempfile::tempdir().unwrap();
    log_of(dir.path(), 260);
    let tile = dir.path().join("tile/0/000");
    let bytes = fs::read(&tile).unwrap();
    for place in [0, 4000, 8191] {
        let mut flipped = bytes.clone();
        flipped[place] ^= 1;
        fs::write(&tile, flipped).unwrap();
        let report = verify(dir.path(), None);
        assert_eq!(report.findings[0].kind, FindingKind::Edit, "{report:?}");
        assert_eq!(report.findings[0].file, "tile/0/000");
    }
    fs::remove_file(&tile).unwrap();
    drop(open(dir.path()));
    assert_eq!(fs::read(&tile).unwrap(), bytes);
    fs::write(dir.path().join("tile/0/001"), bytes).unwrap();
    assert_eq!(verify(dir.path(), None).findings[0].kind, FindingKind::Insertion);
}

/// What an attacker does who knows the format and mends the checksums.
#[test]
fn what_was_done_is_named() {
    let dir = tempfile::tempdir().unwrap();
    log_of(dir.path(), 4);
    let segment = dir.path().join("segments/00000000000000000000.log");
    let bytes = fs::read(&segment).unwrap();
    let (header, frames) = frames(&bytes);
    let names = |frames: Vec<Vec<u8>>| {
        fs::write(&segment, [header.clone(), frames.concat()].concat()).unwrap();
        let report = verify(dir.path(), Some(&verifier()));
        report.findings[0].kind
    };
    let without = |n: usize| {
        let mut rest = frames.clone();
        rest.remove(n);
        rest
    };
    assert_eq!(names(without(2)), FindingKind::Deletion, "an entry taken out");
    let mut twice = frames.clone();
    twice.insert(2, frames[2].clone());
    assert_eq!(names(twice), FindingKind::Insertion, "an entry put in");
    let mut edited = frames.clone();
    edited[2] = reframe(&frames[2], b"entry X");
    assert_eq!(names(edited), FindingKind::Edit, "an entry rewritten, its checksum mended");
    assert_eq!(names(frames[..6].to_vec()), FindingKind::Truncation, "the last batch cut off");
    assert_eq!(names(Vec::new()), FindingKind::Truncation, "everything cut off");
    assert!(matches!(try_open(dir.path(), key()), Err(OpenError::Tampered { .. })));
    fs::write(&segment, &bytes).unwrap();
    assert!(verify(dir.path(), Some(&verifier())).is_clean());

    // Another history, signed with the real key: the log rolled back and written anew.
    let other = tempfile::tempdir().unwrap();
    let (ledger, _) = open(other.path());
    for i in 0..4 {
        ledger.append_blocking(format!("another {i}").into_bytes()).unwrap();
    }
    fs::copy(other.path().join("segments/00000000000000000000.log"), &segment).unwrap();
    assert_eq!(verify(dir.path(), None).findings[0].kind, FindingKind::Fork);
    assert!(matches!(try_open(dir.path(), key()), Err(OpenError::Tampered { .. })));
    fs::remove_file(&segment).unwrap();
    assert!(!verify(dir.path(), None).is_clean());
    assert!(matches!(try_open(dir.path(), key()), Err(OpenError::Tampered { .. })));
}

fn frames(bytes: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let begin = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let (mut at, mut frames) = (begin, Vec::new());
    while at < bytes.len() {
        let length = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize + 8;
        frames.push(bytes[at..at + length].to_vec());
        at += length;
    }
    (bytes[..begin].to_vec(), frames)
}

fn reframe(frame: &[u8], payload: &[u8]) -> Vec<u8> {
    let body = [&frame[8..17], payload].concat();
    let length = (body.len() as u32).to_le_bytes();
    [&length[..], &crc32c::crc32c(&body).to_le_bytes(), &body].concat()
}

#[test]
fn a_tail_that_was_never_acknowledged_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    log_of(dir.path(), 2);
    let segment = dir.path().join("segments/00000000000000000000.log");
    let whole = fs::read(&segment).unwrap();
    let next = reframe(&[&[0; 8][..], &[1, 2, 0, 0, 0, 0, 0, 0, 0]].concat(), b"entry 2");
    for tail in [&next[..], &next[..20], &[0; 3], &[0xff; 40]] {
        fs::write(&segment, [&whole[..], tail].concat()).unwrap();
        assert!(verify(dir.path(), None).is_clean(), "a crash is no crime");
        let (ledger, recovery) = open(dir.path());
        assert_eq!(recovery.size, 2);
        let blank = tail.iter().all(|byte| *byte == 0);
        assert_eq!(recovery.discarded_bytes, if blank { 0 } else { tail.len() as u64 });
        drop(ledger);
        while try_open(dir.path(), key()).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(fs::read(&segment).unwrap(), whole);
    }
}

#[test]
fn a_log_that_goes_away_is_unavailable_and_comes_back() {
    let root = tempfile::tempdir().unwrap();
    let (here, away) = (root.path().join("log"), root.path().join("away"));
    let (ledger, _) = open(&here);
    ledger.append_blocking(b"a".to_vec()).unwrap();
    fs::rename(&here, &away).unwrap();
    for _ in 0..3 {
        let refused = ledger.append_blocking(b"lost".to_vec()).unwrap_err();
        assert_eq!(refused, AppendError::Unavailable);
        assert!(!ledger.is_available());
    }
    fs::rename(&away, &here).unwrap();
    let mut tries = 0;
    while ledger.append_blocking(b"b".to_vec()).is_err() {
        std::thread::sleep(Duration::from_millis(50));
        tries += 1;
        assert!(tries < 40, "it did not come back");
    }
    assert!(ledger.is_available());
    assert_eq!(entries(&here), [b"a".to_vec(), b"b".to_vec()]);
    assert!(verify(&here, Some(&verifier())).is_clean());

    // Deleted for good: never silently begun anew.
    fs::remove_dir_all(&here).unwrap();
    fs::create_dir_all(here.join("segments")).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(ledger.append_blocking(b"c".to_vec()).is_err());
    std::thread::sleep(Duration::from_millis(300));
    assert!(ledger.append_blocking(b"c".to_vec()).is_err());
}

#[test]
fn a_full_disk_refuses_before_it_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        dir: dir.path().to_owned(),
        origin: origin(),
        commit_deadline: Duration::from_secs(2),
        headroom_bytes: u64::MAX,
        segment_bytes: reeve_ledger::SEGMENT_BYTES,
    };
    let (ledger, _) = Ledger::open(options, key(), Arc::new(SystemClock::default())).unwrap();
    assert_eq!(ledger.append_blocking(b"a".to_vec()).unwrap_err(), AppendError::Full);
    assert_eq!(entries(dir.path()), Vec::<Vec<u8>>::new());
}

#[test]
fn a_write_that_the_system_refuses_is_survived() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    ledger.append_blocking(b"a".to_vec()).unwrap();
    let segment = dir.path().join("segments/00000000000000000000.log");
    // Somebody else writes into the segment: the log must not go on behind what it does not know.
    let mut bytes = fs::read(&segment).unwrap();
    bytes.extend_from_slice(b"not by the writer");
    let file = fs::OpenOptions::new().write(true).open(&segment).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
    assert_eq!(ledger.append_blocking(b"b".to_vec()).unwrap_err(), AppendError::Unavailable);
    let mut tries = 0;
    while ledger.append_blocking(b"c".to_vec()).is_err() {
        std::thread::sleep(Duration::from_millis(50));
        tries += 1;
        assert!(tries < 40, "it did not come back");
    }
    assert_eq!(entries(dir.path()), [b"a".to_vec(), b"c".to_vec()]);
    assert!(verify(dir.path(), Some(&verifier())).is_clean());
    let segments = fs::read_dir(dir.path().join("segments")).unwrap().count();
    assert_eq!(segments, 2, "the segment that failed is left, another begun");
}

/// Not a test by itself: the process that the next test kills. It prints what was acknowledged.
#[test]
fn crasher() {
    #[expect(clippy::disallowed_methods, reason = "how the parent test speaks to its child")]
    let Ok(dir) = std::env::var(CRASHER) else { return };
    let (ledger, _) = open(Path::new(&dir));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let ledger = &ledger;
            scope.spawn(move || {
                for i in 0.. {
                    let entry = format!("{thread}-{i}-{}", "x".repeat(i % 700));
                    let receipt = ledger.append_blocking(entry.clone().into_bytes()).unwrap();
                    println!("ack {} {entry}", receipt.index);
                }
            });
        }
    });
}

#[test]
fn killed_at_any_moment_nothing_acknowledged_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged: Vec<(usize, String)> = Vec::new();
    for round in 0..20_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["crasher", "--exact", "--nocapture"])
            .env(CRASHER, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = child.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).collect::<Vec<_>>()
        });
        std::thread::sleep(Duration::from_millis(30 + (round * 37) % 140));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in reader.join().unwrap() {
            let mut words = line.split(' ');
            // A line that was being printed may be cut off: only whole ones count.
            if let (Some("ack"), Some(index), Some(entry)) =
                (words.next(), words.next(), words.next())
                && entry
                    .split('-')
                    .nth(1)
                    .and_then(|i| i.parse::<usize>().ok())
                    .is_some_and(|i| entry.split('-').nth(2).is_some_and(|x| x.len() == i % 700))
            {
                acknowledged.push((index.parse().unwrap(), entry.to_owned()));
            }
        }
        let report = verify(dir.path(), Some(&verifier()));
        assert!(report.is_clean(), "round {round}: {report:?}");
    }
    drop(open(dir.path()));
    let entries = entries(dir.path());
    assert!(acknowledged.len() > 500, "only {}", acknowledged.len());
    for (index, entry) in acknowledged {
        assert_eq!(entries[index], entry.as_bytes(), "entry {index}");
    }
}
