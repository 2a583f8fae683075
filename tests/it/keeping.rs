//! Payloads that are kept sealed, and erased; logs that are rolled back, published and read by
//! others.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    time::Duration,
};

use ed25519_dalek::SigningKey;
use reeve_domain::{Origin, Record, SystemClock, SystemEntropy, UserId};
use reeve_ledger::{ReceiptProof, VerifierKey, WitnessKey, verify_receipt};
use reeve_policy::Bundle;
use reeve_store::{
    erasure::{self, Erasure},
    testing::PostgresServer,
};
use reeve_tests::{Engine, World, WorldOptions, binary, wait_until};

use crate::faults::is_thorough;

/// The default policy, and every payload is kept.
fn sealing() -> Bundle {
    let mut bundle = reeve_policy::default_bundle();
    let rule = r#"
@id("keep-payloads")
@title("Payloads are kept under seal")
@reason("The texts of this call and its answer are kept under seal.")
@article("Contract")
@log("sealed")
permit (principal, action == Action::"obligate", resource);
"#;
    bundle.cedar.insert("seal.cedar".to_owned(), rule.to_owned());
    bundle
}

/// A word that stands nowhere else and looks like nothing that would be redacted.
fn canary(number: usize) -> String {
    let letters = (0..8).map(|place| {
        let letter = (number >> (place * 2)) % 4 + usize::from(place % 2 == 0) * 4;
        char::from(b"bdfgklmp"[letter])
    });
    format!("zqx{}zqx", letters.collect::<String>())
}

/// Files below `dir` in which one of the words stands. The pods' record of what they received is
/// the tests' own.
fn holding(dir: &Path, words: &BTreeSet<String>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("inputs") {
                found.extend(holding(&path, words));
            }
            continue;
        }
        // A file may be gone meanwhile.
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let has = bytes.windows(14).any(|part| {
            part.starts_with(b"zqx")
                && std::str::from_utf8(part).is_ok_and(|part| words.contains(part))
        });
        if has {
            found.push(path);
        }
    }
    found
}

#[test]
fn the_erased_are_in_no_file_and_nobody_is_in_the_clear() {
    canaries_through(Engine::Sqlite);
    if is_thorough() {
        let server = PostgresServer::start_or_skip().unwrap().expect("PostgreSQL is needed");
        canaries_through(Engine::Postgres(server));
    }
}

fn canaries_through(engine: Engine) {
    let count = if is_thorough() { 10_000 } else { 400 };
    let options = WorldOptions { engine, bundle: sealing(), ..WorldOptions::default() };
    let world = World::start_with(options).unwrap();
    // Each canary is the text and the person that it is about.
    let calls = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (world, calls) = (&world, &calls);
            scope.spawn(move || {
                let client = world.client(&world.eu);
                for number in (thread..count).step_by(4) {
                    let word = canary(number);
                    let body =
                        serde_json::json!({ "model": "sample", "input": word.clone(), "top_k": 3 });
                    let headers =
                        [("Content-Type", "application/json"), ("Reeve-Subject", word.as_str())];
                    let answer = client
                        .post_with("/v1/classify", &headers, body.to_string().as_bytes())
                        .unwrap();
                    assert_eq!(answer.status, 200, "{answer:?}");
                    calls.lock().unwrap().push((number, answer.decision().to_owned()));
                }
            });
        }
    });
    let calls = calls.into_inner().unwrap();
    let all: BTreeSet<String> = (0..count).map(canary).collect();
    assert_eq!(all.len(), count);
    assert_eq!(holding(world.path(), &all), Vec::<PathBuf>::new(), "nothing is in the clear");
    world.wait_indexed().unwrap();
    let client = world.client(&world.eu);
    let receipts: Vec<ReceiptProof> = calls
        .iter()
        .step_by(count / 50)
        .flat_map(|(_, id)| {
            let answer = client.get(&format!("/v1/receipts/{id}")).unwrap();
            let all = answer.at("/receipts").clone();
            serde_json::from_value::<Vec<ReceiptProof>>(all).unwrap()
        })
        .collect();
    assert!(receipts.len() >= 100);

    // Before: every text can be opened with its key; of a few this is looked at.
    let of_call = |number: usize| {
        let id = &calls.iter().find(|(call, _)| *call == number).unwrap().1;
        let records = world.records().unwrap();
        let place = records.iter().position(|record| match record {
            Record::Intent(intent) => intent.decision_id.to_string() == *id,
            _ => false,
        });
        u64::try_from(place.unwrap()).unwrap()
    };
    let (erased, kept) = (of_call(0), of_call(1));
    assert!(payload(&world, erased).contains(&canary(0)));
    assert!(payload(&world, kept).contains(&canary(1)));

    // Every second person is erased.
    let now = reeve_domain::Clock::now(&SystemClock::default());
    world
        .store
        .write(|c| {
            for number in (0..count).step_by(2) {
                erasure::insert(
                    c,
                    &Erasure {
                        id: format!("erasure_{number}"),
                        tenant: world.eu.id.clone(),
                        subject: world.pepper.subject(&canary(number)),
                        reason: "Art. 17".to_owned(),
                        by: UserId::new("test").unwrap(),
                        at: now,
                        done: None,
                    },
                )?;
            }
            Ok::<_, reeve_store::StoreError>(())
        })
        .unwrap();
    let ciphertexts = ciphertexts(&world);
    wait_until("everybody is erased", Duration::from_secs(240), || {
        Ok(world.store.read(erasure::pending)?.is_empty())
    })
    .unwrap();
    let done = world.store.read(|c| erasure::get(c, "erasure_0")).unwrap().done.unwrap();
    assert_eq!((done.keys, done.payloads), (1, 2), "the text and the answer");
    assert!(payload(&world, erased).contains("destroyed"));
    assert!(payload(&world, kept).contains(&canary(1)));
    assert_eq!(holding(world.path(), &all), Vec::<PathBuf>::new(), "nothing is in the clear");
    // Nor is what was encrypted of the erased in any file: half of the ciphertexts is gone.
    let left = self::ciphertexts(&world);
    assert!(ciphertexts.len() >= 2 * count, "{}", ciphertexts.len());
    assert_eq!(ciphertexts.len() - left.len(), count);
    assert!(left.is_subset(&ciphertexts));
    for receipt in &receipts {
        verify_receipt(receipt, &log_key(&world)).unwrap();
    }
    let (clean, report) = crate::crash::verify(&world);
    assert!(clean, "{report}");
    assert!(report.contains(&format!("\"destroyed\": {count}")), "{report}");
}

/// The beginnings of all ciphertexts that are not zeros.
fn ciphertexts(world: &World) -> BTreeSet<Vec<u8>> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(world.log_dir().join("payloads")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let mut at = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        while at < bytes.len() {
            let length = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            let begin = at + 80;
            let end = begin + usize::try_from(length).unwrap();
            if bytes[begin..end].iter().any(|byte| *byte != 0) {
                found.insert(bytes[begin..begin + 40].to_vec());
            }
            at = end;
        }
    }
    found
}

fn reeve(world: &World, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(binary("reeve").unwrap())
        .args(arguments)
        .current_dir(world.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), text + &String::from_utf8_lossy(&output.stderr))
}

fn payload(world: &World, index: u64) -> String {
    let index = index.to_string();
    let origin = "reeve.local/gateway-1";
    let config = ["--config", "reeve.toml", "--origin", origin, "--index", &index];
    reeve(world, &[&["ledger", "payload"][..], &config].concat()).1
}

fn log_key(world: &World) -> VerifierKey {
    std::fs::read_to_string(world.log_dir().join("log.pub")).unwrap().trim().parse().unwrap()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// How many entries of the log witnesses have cosigned.
fn cosigned(dir: &Path) -> u64 {
    let note = std::fs::read_to_string(dir.join("cosigned")).unwrap_or_default();
    note.lines().nth(1).and_then(|size| size.parse::<u64>().ok()).unwrap_or(0)
}

#[test]
fn a_gateway_that_rolls_its_log_back_is_caught() {
    let mut world =
        World::start_with(WorldOptions { witness: true, ..WorldOptions::default() }).unwrap();
    let (mut other, url) = world.start_gateway(2).unwrap();
    let dir = world.path().join("ledger/gateway-2");
    let client = world.client_at(&url, &world.us);
    assert_eq!(client.classify("first").unwrap().status, 200);
    other.stop().unwrap();
    let old = world.path().join("old");
    copy(&dir, &old);
    let size = reeve_ledger::Reader::open(&dir).unwrap().size();
    let (mut other, url) = world.start_gateway(2).unwrap();
    let client = world.client_at(&url, &world.us);
    assert_eq!(client.classify("second").unwrap().status, 200);
    wait_until("the log is cosigned", Duration::from_secs(10), || Ok(cosigned(&dir) > size + 1))
        .unwrap();
    // A receipt bears the cosignature, which whoever has the witness's key can check.
    let receipt = reeve_ledger::Reader::open(&dir).unwrap().receipt(size).unwrap();
    let file = world.path().join("receipt.json");
    std::fs::write(file, serde_json::to_string(&receipt).unwrap()).unwrap();
    let config = reeve_config::Config::load(Some(&world.path().join("reeve.toml"))).unwrap();
    let key = dir.join("log.pub").display().to_string();
    let check = |witness: &str| {
        let arguments = ["ledger", "verify", "--receipt", "receipt.json", "--key", &key];
        reeve(&world, &[&arguments[..], &["--witness", witness]].concat())
    };
    let (holds, text) = check(&config.ledger.witnesses[0].key);
    assert!(holds, "{text}");
    let stranger = SigningKey::from_bytes(&[3; 32]).verifying_key();
    let stranger = WitnessKey::new(Origin::new("reeve.local/witness").unwrap(), stranger);
    assert!(!check(&stranger.to_string()).0);
    other.stop().unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    std::fs::rename(&old, &dir).unwrap();
    let log = dir.display().to_string();
    assert!(reeve(&world, &["ledger", "verify", "--log", &log]).0, "by itself it is of one piece");
    let refused = world.start_gateway(2).err().unwrap().to_string();
    let log = std::fs::read_to_string(world.path().join("logs/gateway-2.log")).unwrap();
    assert!(log.contains("was rolled back or replaced"), "{refused}: {log}");

    // The same for the process that is the witness itself.
    world.reeve.stop().unwrap();
    let (here, old) = (world.log_dir(), world.path().join("old-1"));
    copy(&here, &old);
    world.restart().unwrap();
    let mut size = 0;
    wait_until("calls are cosigned", Duration::from_secs(20), || {
        drop(world.client(&world.eu).classify("third"));
        size = size.max(reeve_ledger::Reader::open(&old)?.size());
        Ok(cosigned(&here) > size + 1)
    })
    .unwrap();
    world.reeve.stop().unwrap();
    std::fs::remove_dir_all(&here).unwrap();
    std::fs::rename(&old, &here).unwrap();
    let started = world.restart();
    assert!(started.is_err());
    assert!(
        world.reeve.output().contains("was rolled back or replaced"),
        "{}",
        world.reeve.output()
    );
}

#[test]
fn a_gateway_that_learns_of_another_history_while_it_serves_takes_no_call_any_more() {
    let world =
        World::start_with(WorldOptions { witness: true, ..WorldOptions::default() }).unwrap();
    let (_other, url) = world.start_gateway(2).unwrap();
    let (dir, copied) = (world.path().join("ledger/gateway-2"), world.path().join("copied"));
    let size = reeve_ledger::Reader::open(&dir).unwrap().size();
    wait_until("the log is cosigned", Duration::from_secs(20), || Ok(cosigned(&dir) == size))
        .unwrap();

    // Somebody who has the key goes on with a copy of the log, and the witness sees that first.
    copy(&dir, &copied);
    let options = reeve_ledger::Options {
        dir: copied.clone(),
        origin: Origin::new("reeve.local/gateway-2").unwrap(),
        commit_deadline: Duration::from_secs(2),
        headroom_bytes: 1,
        segment_bytes: reeve_ledger::SEGMENT_BYTES,
    };
    let key = world.path().join("secrets/gateway-2.pem");
    let key = reeve_ledger::load_or_create_key(&key, &SystemEntropy).unwrap();
    let clock = std::sync::Arc::new(SystemClock::default());
    let (ledger, _) = reeve_ledger::Ledger::open(options, key, clock).unwrap();
    ledger.append_blocking(b"another history".to_vec()).unwrap();
    let (body, _) = reeve_ledger::Reader::open(&copied).unwrap().submission(size).unwrap();
    let config = reeve_config::Config::load(Some(&world.path().join("reeve.toml"))).unwrap();
    let witness = &config.ledger.witnesses[0].url;
    assert!(ureq::post(format!("{witness}/add-checkpoint")).send(body).is_ok());

    let client = world.client_at(&url, &world.us);
    wait_until("the gateway knows", Duration::from_secs(20), || {
        Ok(client.classify("no more")?.code() == "audit-unavailable")
    })
    .unwrap();
    let log = std::fs::read_to_string(world.path().join("logs/gateway-2.log")).unwrap();
    assert!(log.contains("was rolled back or replaced"), "{log}");
}

#[test]
fn keys_are_changed_while_it_serves() {
    let world =
        World::start_with(WorldOptions { bundle: sealing(), ..WorldOptions::default() }).unwrap();
    let client = world.client(&world.eu);
    assert_eq!(client.classify("before").unwrap().status, 200);
    let (done, text) = reeve(&world, &["keyring", "rotate", "--retire", "--config", "reeve.toml"]);
    assert!(done && text.contains("gateway-1: 2 keys were wrapped anew"), "one a tenant: {text}");
    assert_eq!(client.classify("after").unwrap().status, 200);
    let (_, text) = reeve(&world, &["keyring", "show", "--config", "reeve.toml"]);
    assert!(text.contains("2 keys (wraps now)"), "{text}");
    let intents: Vec<usize> = world
        .records()
        .unwrap()
        .iter()
        .enumerate()
        .filter(|(_, record)| matches!(record, Record::Intent(_)))
        .map(|(place, _)| place)
        .collect();
    for (place, word) in intents.into_iter().rev().zip(["after", "before"]) {
        assert!(payload(&world, u64::try_from(place).unwrap()).contains(word));
    }
}
