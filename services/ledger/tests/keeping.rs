//! What is kept beside a log, and what is taken out of it: nothing of that changes a root.
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::{
    collections::BTreeSet,
    fs,
    io::Cursor,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ed25519_dalek::SigningKey;
use reeve_domain::{Origin, SeededEntropy, SubjectHash, SystemClock, TenantId, Timestamp};
use reeve_ledger::{
    BundleWriter, FindingKind, KekFile, KekProgram, KeyEncryption, Keyring, KeyringFailed, Ledger,
    OpenError, Options, Payload, Reader, Receipt, SealedPayload, VerifierKey, Witness, WitnessKey,
    WitnessRefused, destroy_key, destroy_payloads, expire, expired, kept_payloads, key_name,
    plan_expiry, read_payload, verify, verify_bundle, verify_range, verify_receipt,
    verify_witnessed,
};

fn origin() -> Origin {
    Origin::new("reeve.test/log").unwrap()
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[5; 32])
}

fn verifier() -> VerifierKey {
    VerifierKey::new(origin(), key().verifying_key())
}

fn open(dir: &Path) -> Ledger {
    loop {
        let options = Options {
            dir: dir.to_owned(),
            origin: origin(),
            commit_deadline: Duration::from_secs(2),
            headroom_bytes: 1,
            segment_bytes: 2_000,
        };
        match Ledger::open(options, key(), Arc::new(SystemClock::default())) {
            Err(OpenError::Locked(_)) => std::thread::sleep(Duration::from_millis(10)),
            opened => return opened.unwrap().0,
        }
    }
}

fn keyring(dir: &Path) -> Keyring {
    let entropy = Arc::new(SeededEntropy::new(1));
    let kek = KekFile::load_or_create(&dir.join("kek"), entropy.clone()).unwrap();
    Keyring::new(&dir.join("log"), Arc::new(kek), entropy)
}

fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn subject(n: u8) -> SubjectHash {
    SubjectHash::new(format!("{n:02x}").repeat(32)).unwrap()
}

fn append(ledger: &Ledger, text: &str, payload: Option<SealedPayload>) -> Receipt {
    let sealed = payload.as_ref().map(SealedPayload::commitment);
    let entry = serde_json::json!({ "text": text, "sealed": sealed }).to_string();
    ledger.append_blocking_with(entry.into_bytes(), payload).unwrap()
}

/// Every file below a directory that holds one of the texts.
fn holding(dir: &Path, texts: &[String]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, texts));
        } else {
            let bytes = fs::read(&path).unwrap();
            let has = |text: &String| bytes.windows(text.len()).any(|part| part == text.as_bytes());
            if texts.iter().any(has) {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn a_destroyed_payload_is_gone_and_every_proof_still_holds() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let (ledger, ring) = (open(&log), keyring(dir.path()));
    let mut receipts = Vec::new();
    for n in 0..40_u8 {
        let text = format!("canary-{n}-canary");
        let who = subject(n % 4);
        let sealed = ring.seal(&tenant(), Some(&who), "place", text.as_bytes()).unwrap();
        receipts.push(append(&ledger, &format!("call {n}"), Some(sealed)));
        append(&ledger, "without a payload", None);
    }
    let payload_files = fs::read_dir(log.join("payloads")).unwrap().count();
    assert!(payload_files > 2, "{payload_files} files of payloads");
    let clear: Vec<String> = (0..40).map(|n| format!("canary-{n}-canary")).collect();
    assert_eq!(holding(dir.path(), &clear), Vec::<PathBuf>::new(), "nothing is in the clear");

    let reader = Reader::open(&log).unwrap();
    let before = reader.newest().unwrap();
    let old: Vec<_> = receipts.iter().map(|r| reader.receipt(r.index).unwrap()).collect();
    let kept = |index| read_payload(&log, &origin(), index).unwrap().unwrap();
    let open_it = |index| match kept(index) {
        Payload::Kept(payload) => ring.open(&tenant(), "place", &payload).map(|text| text.to_vec()),
        other => panic!("{other:?}"),
    };
    assert_eq!(open_it(receipts[7].index).unwrap(), b"canary-7-canary");
    let Payload::Kept(sealed) = kept(receipts[7].index) else { panic!("it is kept") };
    assert!(matches!(
        ring.open(&tenant(), "another place", &sealed),
        Err(KeyringFailed::Ciphertext)
    ));

    // The subject 1 is erased, by another process as it were, while the log goes on.
    let ciphertexts: Vec<Vec<u8>> = (0..40)
        .filter(|n| n % 4 == 1)
        .map(|n| match kept(receipts[n].index) {
            Payload::Kept(payload) => payload.ciphertext,
            other => panic!("{other:?}"),
        })
        .collect();
    let name = key_name(&tenant(), Some(&subject(1)));
    assert!(destroy_key(&log, &tenant(), &name).unwrap());
    assert!(!destroy_key(&log, &tenant(), &name).unwrap(), "once");
    assert!(matches!(open_it(receipts[1].index), Err(KeyringFailed::NoKey(_))), "at once");
    let done = destroy_payloads(&log, &origin(), &mut |head| head.key == name).unwrap();
    assert_eq!(done[&name].payloads, 10);
    assert_eq!(kept_payloads(&log, &origin()).unwrap().len(), 30);
    let again = destroy_payloads(&log, &origin(), &mut |head| head.key == name).unwrap();
    assert!(again.is_empty());
    for (n, receipt) in receipts.iter().enumerate() {
        assert_eq!(kept(receipt.index) == Payload::Destroyed, n % 4 == 1, "payload {n}");
    }
    assert_eq!(holding_bytes(dir.path(), &ciphertexts), Vec::<PathBuf>::new());
    let after = append(&ledger, "later", None);
    assert_eq!(after.index, before.size);
    let report = verify(&log, Some(&verifier()));
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.payloads, report.destroyed), (30, 10));
    for receipt in &old {
        verify_receipt(receipt, &verifier()).unwrap();
        verify_receipt(&reader.receipt(receipt.index).unwrap(), &verifier()).unwrap();
    }
    // The subject can come again: with another key.
    let sealed = ring.seal(&tenant(), Some(&subject(1)), "place", b"again").unwrap();
    let again = append(&ledger, "again", Some(sealed));
    assert_eq!(open_it(again.index).unwrap(), b"again");
}

fn holding_bytes(dir: &Path, parts: &[Vec<u8>]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding_bytes(&path, parts));
        } else {
            let bytes = fs::read(&path).unwrap();
            if parts.iter().any(|part| bytes.windows(part.len()).any(|here| here == part)) {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn what_is_done_to_payloads_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let (ledger, ring) = (open(&log), keyring(dir.path()));
    for n in 0..3 {
        let sealed = ring.seal(&tenant(), None, "place", format!("text {n}").as_bytes()).unwrap();
        append(&ledger, "call", Some(sealed));
    }
    drop(ledger);
    drop(open(&log));
    let file = log.join("payloads/00000000000000000000.log");
    let bytes = fs::read(&file).unwrap();
    let kinds = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        let report = verify(&log, Some(&verifier()));
        report.findings.iter().map(|finding| (finding.kind, finding.index)).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&bytes), []);
    let mut flipped = bytes.clone();
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(kinds(&flipped), [(FindingKind::Edit, Some(2))]);
    assert_eq!(kinds(&bytes[..bytes.len() - 1]), [(FindingKind::Deletion, Some(2))]);
    let header = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let length = (bytes.len() - header) / 3;
    let without_first = [&bytes[..header], &bytes[header + length..]].concat();
    assert_eq!(kinds(&without_first), [(FindingKind::Deletion, Some(0))]);
    fs::remove_file(&file).unwrap();
    assert_eq!(verify(&log, None).findings.len(), 3);
    fs::write(&file, &bytes).unwrap();

    // A tail that no entry commits to is what a crash leaves; the next start cuts it off.
    let tail = &bytes[header..];
    fs::write(&file, [&bytes, tail].concat()).unwrap();
    fs::write(&file, [&bytes[..], &[7; 100]].concat()).unwrap();
    assert!(verify(&log, None).is_clean());
    drop(open(&log));
    drop(open(&log));
    assert_eq!(fs::read(&file).unwrap(), bytes);
}

#[test]
fn key_encryption_keys_change_and_no_payload_is_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let (ledger, ring) = (open(&log), keyring(dir.path()));
    for n in 0..5 {
        let sealed = ring.seal(&tenant(), Some(&subject(n)), "place", b"text").unwrap();
        append(&ledger, "call", Some(sealed));
    }
    let payloads = fs::read(log.join("payloads/00000000000000000000.log")).unwrap();
    let entropy = SeededEntropy::new(9);
    let new = KekFile::rotate(&dir.path().join("kek"), &entropy).unwrap();
    // The running process follows: what it makes is wrapped by the new key, what was stays readable.
    ring.seal(&tenant(), Some(&subject(9)), "place", b"text").unwrap();
    assert_eq!(ring.count().unwrap()[&new], 1);
    assert_eq!(keyring(dir.path()).rewrap().unwrap(), 5);
    assert_eq!(ring.count().unwrap(), [(new, 6)].into());
    assert_eq!(KekFile::retire_old(&dir.path().join("kek")).unwrap(), 1);
    let Some(Payload::Kept(payload)) = read_payload(&log, &origin(), 3).unwrap() else {
        panic!("it is kept")
    };
    for ring in [ring, keyring(dir.path())] {
        assert_eq!(*ring.open(&tenant(), "place", &payload).unwrap(), b"text");
    }
    assert_eq!(fs::read(log.join("payloads/00000000000000000000.log")).unwrap(), payloads);
}

#[test]
fn a_program_can_hold_the_key_encryption_key() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("kms.py");
    fs::write(
        &program,
        "import base64, hashlib, json, sys\n\
         q = json.load(sys.stdin)\n\
         b = base64.b64decode\n\
         pad = lambda c: hashlib.sha256(b'secret' + b(c)).digest()\n\
         x = lambda a, c: base64.b64encode(bytes(i ^ j for i, j in zip(b(a), pad(c)))).decode()\n\
         if q['do'] == 'wrap': print(json.dumps({'kek': 'kms-1', 'wrapped': x(q['key'], q['context'])}))\n\
         elif q['kek'] == 'kms-1': print(json.dumps({'key': x(q['wrapped'], q['context'])}))\n\
         else: sys.exit('no such key')\n",
    )
    .unwrap();
    let arguments = vec![program.display().to_string()];
    let kek = KekProgram::new("python3".into(), arguments).unwrap();
    assert_eq!(kek.current().unwrap(), "kms-1");
    let log = dir.path().join("log");
    fs::create_dir(&log).unwrap();
    let ring = Keyring::new(&log, Arc::new(kek), Arc::new(SeededEntropy::new(1)));
    let sealed = ring.seal(&tenant(), None, "place", b"text").unwrap();
    assert_eq!(*ring.open(&tenant(), "place", &sealed).unwrap(), b"text");
    let refused = KekProgram::new("false".into(), Vec::new()).err().unwrap();
    assert!(refused.to_string().contains("`false` failed"), "{refused}");
}

#[test]
fn what_has_expired_is_deleted_and_its_hash_stays() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let (ledger, ring) = (open(&log), keyring(dir.path()));
    for n in 0..300 {
        let payload = (n % 10 == 0).then(|| ring.seal(&tenant(), None, "place", b"text").unwrap());
        append(&ledger, &format!("entry-{n}-entry"), payload);
    }
    let reader = Reader::open(&log).unwrap();
    // Where the reader stands must not lead it astray when the file is another.
    assert_eq!(reader.entries(200).count(), 100);
    let root = reader.newest().unwrap();
    let old = reader.receipt(3).unwrap();
    let chosen = |index: u64, _: &[u8]| index < 200 && index.is_multiple_of(2);
    let plan = plan_expiry(&log, &origin(), &mut { chosen }).unwrap();
    assert!(plan.len() > 3);
    for segment in plan.iter().filter(|segment| segment.is_closed) {
        expire(&log, &origin(), segment).unwrap();
        expire(&log, &origin(), segment).unwrap();
    }
    let open_segment = plan.iter().find(|segment| !segment.is_closed).unwrap();
    assert!(expire(&log, &origin(), open_segment).is_err());

    let gone: BTreeSet<u64> = (0..200).step_by(2).collect();
    let found = expired(&log, &origin()).unwrap();
    let all: BTreeSet<u64> = found.iter().flat_map(|(_, gone, _)| gone.clone()).collect();
    assert_eq!(all, gone);
    for (segment, _, digest) in &found {
        let planned = plan.iter().find(|planned| planned.segment == *segment).unwrap();
        assert_eq!(planned.digest(), *digest);
    }
    let texts: Vec<String> = gone.iter().map(|n| format!("entry-{n}-entry")).collect();
    assert_eq!(holding(dir.path(), &texts), Vec::<PathBuf>::new());

    let report = verify(&log, Some(&verifier()));
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.expired.len(), 100);
    assert_eq!((report.payloads, report.destroyed), (10, 20));
    let left: Vec<u64> = reader.entries(0).map(|entry| entry.unwrap().0).collect();
    assert_eq!(left.len(), 200);
    assert!(!left.contains(&2) && left.contains(&3));
    assert_eq!(reader.entries(150).next().unwrap().unwrap().0, 151);
    assert!(reader.receipt(2).is_err());
    verify_receipt(&old, &verifier()).unwrap();
    verify_receipt(&reader.receipt(3).unwrap(), &verifier()).unwrap();

    // The log goes on, also after a restart.
    append(&ledger, "one more", None);
    drop(ledger);
    drop(open(&log));
    assert_eq!(reader.newest().unwrap().size, 301);
    let proof = reader.consistency_proof(root.size, 301).unwrap();
    let now = reader.newest().unwrap();
    assert!(reeve_ledger::consistency_holds(root.size, 301, &proof, &root.root, &now.root));
    assert!(verify(&log, Some(&verifier())).is_clean());
    assert!(verify_range(&log, Some(&verifier()), 10, 20).is_clean());
}

#[test]
fn a_range_is_verified_and_what_was_changed_in_it_named() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let ledger = open(&log);
    for n in 0..600 {
        append(&ledger, &format!("{n:04}"), None);
    }
    drop(ledger);
    drop(open(&log));
    for (from, until) in [(0, 1), (0, 600), (255, 257), (300, 301), (599, 600), (100, 400)] {
        let report = verify_range(&log, Some(&verifier()), from, until);
        assert!(report.is_clean(), "{from}–{until}: {report:?}");
    }
    let beyond = verify_range(&log, Some(&verifier()), 599, 601);
    assert_eq!(beyond.findings[0].kind, FindingKind::Truncation);
    assert!(!verify_range(&log, None, 5, 5).is_clean());
    let other = VerifierKey::new(origin(), SigningKey::from_bytes(&[6; 32]).verifying_key());
    let report = verify_range(&log, Some(&other), 0, 5);
    assert_eq!(report.findings[0].kind, FindingKind::WrongKey);

    // An entry rewritten, its checksum mended: entry 0, which a range behind it does not read.
    let segment = log.join("segments/00000000000000000000.log");
    let bytes = fs::read(&segment).unwrap();
    let at = bytes.windows(6).position(|part| part == b"\"0000\"").unwrap() + 1;
    let mut changed = bytes.clone();
    changed[at] = b'7';
    let head = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let length = u32::from_le_bytes(changed[head..head + 4].try_into().unwrap());
    let body = head + 8..head + 8 + usize::try_from(length).unwrap();
    let sum = crc32c::crc32c(&changed[body]).to_le_bytes();
    changed[head + 4..head + 8].copy_from_slice(&sum);
    fs::write(&segment, &changed).unwrap();
    let report = verify_range(&log, Some(&verifier()), 0, 10);
    assert_eq!(report.findings[0].kind, FindingKind::Edit, "{report:?}");
    assert_eq!(report.findings[0].index, Some(0));
    assert!(verify_range(&log, Some(&verifier()), 300, 310).is_clean());
    fs::write(&segment, &bytes).unwrap();
    let tile = log.join("tile/0/000");
    let mut hashes = fs::read(&tile).unwrap();
    hashes[40] ^= 1;
    fs::write(&tile, hashes).unwrap();
    let report = verify_range(&log, Some(&verifier()), 300, 310);
    assert_eq!(report.findings[0].file, "tile", "{report:?}");
}

#[test]
fn a_bundle_is_checked_without_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let ledger = open(&log);
    for n in 0..20 {
        append(&ledger, &format!("{n}"), None);
    }
    let reader = Reader::open(&log).unwrap();
    let note = reader.checkpoint().unwrap();
    let about = [("tenant".to_owned(), "acme".to_owned())].into();
    let mut bundle = BundleWriter::new(Cursor::new(Vec::new()), about);
    bundle.file("README.md", b"how to verify").unwrap();
    let receipts = [2, 3, 17].into_iter().map(|index| reader.receipt_under(index, &note));
    assert_eq!(bundle.receipts(&verifier(), &note, receipts).unwrap(), 3);
    let (bytes, manifest) = bundle.finish().unwrap();
    let bytes = bytes.into_inner();
    assert_eq!(manifest.files.len(), 4);
    let check = |bytes: Vec<u8>, key: &VerifierKey| {
        verify_bundle(Cursor::new(bytes), std::slice::from_ref(key))
    };
    let report = check(bytes.clone(), &verifier()).unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.receipts["reeve.test/log"], 3);
    let other = VerifierKey::new(origin(), SigningKey::from_bytes(&[6; 32]).verifying_key());
    assert!(!check(bytes.clone(), &other).unwrap().is_clean());
    // No byte of the archive's content can be changed.
    for place in (0..bytes.len()).step_by(3) {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        if let Ok(changed) = check(changed, &verifier()) {
            // Some bytes of a ZIP archive mean nothing, such as times: what it holds is the same.
            assert!(!changed.is_clean() || changed == report, "at {place}");
        }
    }
    assert!(check(b"no archive".to_vec(), &verifier()).is_err());
}

#[test]
fn a_log_that_is_rolled_back_finds_no_witness() {
    let dir = tempfile::tempdir().unwrap();
    let (log, old) = (dir.path().join("log"), dir.path().join("old"));
    let name = Origin::new("reeve.test/witness").unwrap();
    let witness_key = SigningKey::from_bytes(&[8; 32]);
    let seen_in = dir.path().join("witness");
    let witness = Witness::open(&seen_in, name.clone(), witness_key.clone()).unwrap();
    let knows = |asked: &Origin| (*asked == origin()).then(verifier);
    let now = Timestamp::from_micros(1_700_000_000_000_000);
    let ledger = open(&log);
    append(&ledger, "a", None);
    let reader = Reader::open(&log).unwrap();
    let (request, note) = reader.submission(0).unwrap();
    let line = witness.add_checkpoint(&request, &knows, now).unwrap();
    reader.keep_cosigned(&note, &[line]).unwrap();
    let public: WitnessKey = witness.public().to_string().parse().unwrap();
    let receipt = reader.receipt(0).unwrap();
    verify_receipt(&receipt, &verifier()).unwrap();
    assert_eq!(public.cosigned(&receipt.checkpoint).unwrap(), now);
    assert!(WitnessKey::new(name.clone(), key().verifying_key()).cosigned(&note).is_err());

    // A copy is put aside, the log goes on and is cosigned, and then the copy is put back.
    drop(ledger);
    drop(open(&log));
    copy(&log, &old);
    let ledger = open(&log);
    for n in 0..9 {
        append(&ledger, &format!("{n}"), None);
    }
    let again = witness.add_checkpoint(&request, &knows, now);
    assert!(matches!(again, Err(WitnessRefused::Conflict(1))), "it goes on from what it saw");
    let (request, _) = reader.submission(1).unwrap();
    witness.add_checkpoint(&request, &knows, now).unwrap();
    drop(ledger);
    drop(open(&log));
    fs::remove_dir_all(&log).unwrap();
    fs::rename(&old, &log).unwrap();

    // By itself it is of one piece; a witness that was restarted knows better.
    assert!(verify(&log, Some(&verifier())).is_clean());
    let witness = Witness::open(&seen_in, name, witness_key).unwrap();
    let seen = witness.seen(&origin()).unwrap().unwrap();
    let seen = reeve_ledger::Checkpoint::open(&seen, &verifier()).unwrap();
    assert_eq!(seen.size, 10);
    let report = verify_witnessed(&log, Some(&verifier()), std::slice::from_ref(&seen));
    assert_eq!(report.findings[0].kind, FindingKind::Truncation, "{report:?}");
    let reader = Reader::open(&log).unwrap();
    let (request, _) = reader.submission(1).unwrap();
    let refused = witness.add_checkpoint(&request, &knows, now);
    assert!(matches!(refused, Err(WitnessRefused::Conflict(10))));
    // It writes on and grows past what was seen: another history, which is no continuation.
    let ledger = open(&log);
    for n in 0..30 {
        append(&ledger, &format!("another {n}"), None);
    }
    let (request, _) = reader.submission(10).unwrap();
    let refused = witness.add_checkpoint(&request, &knows, now);
    assert!(matches!(refused, Err(WitnessRefused::Inconsistent)));
    let report = verify_witnessed(&log, Some(&verifier()), &[seen]);
    assert_eq!(report.findings[0].kind, FindingKind::Fork, "{report:?}");

    let unknown = witness.add_checkpoint(&request, &|_| None, now);
    assert!(matches!(unknown, Err(WitnessRefused::Unknown)));
    let wrong = VerifierKey::new(origin(), SigningKey::from_bytes(&[6; 32]).verifying_key());
    let refused = witness.add_checkpoint(&request, &|_| Some(wrong.clone()), now);
    assert!(matches!(refused, Err(WitnessRefused::Signature(_))));
    for bad in ["", "old x\n\nnote", "old 1\nzz\n\nnote", "old 99\n\n"] {
        let bad = if bad == "old 99\n\n" {
            format!("{bad}{}", reader.checkpoint().unwrap())
        } else {
            bad.to_owned()
        };
        let refused = witness.add_checkpoint(&bad, &knows, now);
        assert!(matches!(refused, Err(WitnessRefused::Malformed(_))), "{bad}: {refused:?}");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}
