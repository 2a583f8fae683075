//! `kill -9` under load: no answer without its two records.

use std::{
    collections::{BTreeMap, HashSet},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rand::Rng as _;
use reeve_domain::{OutcomeStatus, Record, TenantId};
use reeve_tests::{World, binary};

/// Answered calls that lack one of their two records.
pub(crate) fn unanswered(records: &[Record], answered: &[String]) -> Vec<String> {
    let mut intents = HashSet::new();
    let mut outcomes = HashSet::new();
    for record in records {
        match record {
            Record::Intent(intent) => intents.insert(intent.decision_id.to_string()),
            Record::Outcome(outcome) if outcome.status == OutcomeStatus::Completed => {
                outcomes.insert(outcome.decision_id.to_string())
            }
            _ => continue,
        };
    }
    answered
        .iter()
        .filter(|id| !intents.contains(*id) || !outcomes.contains(*id))
        .cloned()
        .collect()
}

/// Intents without any outcome.
pub(crate) fn orphans(records: &[Record]) -> Vec<String> {
    let mut open: Vec<String> = Vec::new();
    for record in records {
        match record {
            Record::Intent(intent) => open.push(intent.decision_id.to_string()),
            Record::Outcome(outcome) => open.retain(|id| *id != outcome.decision_id.to_string()),
            _ => {}
        }
    }
    open
}

#[test]
fn killed_at_random_moments_nothing_answered_is_unrecorded() {
    let mut world = World::start().unwrap();
    let mut answered: Vec<String> = Vec::new();
    let mut random = rand::rng();
    for round in 0..if crate::faults::is_thorough() { 200 } else { 20 } {
        let stop = AtomicBool::new(false);
        let (eu, us) = (world.client(&world.eu), world.client(&world.us));
        let wait = Duration::from_millis(random.random_range(20..400));
        let new = std::thread::scope(|scope| {
            let threads: Vec<_> = [&eu, &us, &eu, &us]
                .into_iter()
                .map(|client| {
                    let stop = &stop;
                    scope.spawn(move || {
                        let mut answered = Vec::new();
                        while !stop.load(Ordering::Relaxed) {
                            match client.classify("my parcel has not arrived") {
                                Ok(answer) if answer.status == 200 => {
                                    answered.push(answer.decision().to_owned());
                                }
                                // Other answers come while the pods are not probed yet.
                                Ok(_) => {}
                                Err(_) => break,
                            }
                        }
                        answered
                    })
                })
                .collect();
            std::thread::sleep(wait);
            world.reeve.kill().unwrap();
            stop.store(true, Ordering::Relaxed);
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        answered.extend(new);
        let report = verify(&world);
        assert!(report.0, "round {round}: {}", report.1);
        world.restart().unwrap();
    }
    assert!(answered.len() > 100, "only {} calls were answered", answered.len());

    world.wait_indexed().unwrap();
    let records = world.records().unwrap();
    let lost = unanswered(&records, &answered);
    assert!(lost.is_empty(), "{} of {} answered calls: {lost:?}", lost.len(), answered.len());
    assert!(orphans(&records).is_empty(), "left open after the restart");
    assert!(verify(&world).0);

    let mut ledger: BTreeMap<TenantId, (u64, i64)> = BTreeMap::new();
    for record in records {
        if let Record::Outcome(outcome) = record
            && outcome.status == OutcomeStatus::Completed
        {
            let sum = ledger.entry(outcome.tenant).or_default();
            sum.0 += outcome.usage.items;
            sum.1 += outcome.cost.micros;
        }
    }
    for (tenant, (items, micros)) in ledger {
        let rows = world
            .store
            .read(|c| reeve_store::usage::by_day(c, Some(&tenant), "2000-01-01", "2999-12-31"))
            .unwrap();
        assert_eq!(rows.iter().map(|row| row.items).sum::<u64>(), items, "{tenant}");
        assert_eq!(rows.iter().map(|row| row.cost.micros).sum::<i64>(), micros, "{tenant}");
    }
}

pub(crate) fn verify(world: &World) -> (bool, String) {
    let output = Command::new(binary("reeve").unwrap())
        .args(["ledger", "verify", "--json", "--log"])
        .arg(world.log_dir())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), text + &String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_changed_byte_in_any_file_of_the_log_is_named() {
    let mut world = World::start().unwrap();
    for _ in 0..3 {
        assert_eq!(world.client(&world.eu).classify("hello").unwrap().status, 200);
    }
    world.reeve.stop().unwrap();
    let (clean, report) = verify(&world);
    assert!(clean, "{report}");
    let mut changed = 0;
    for file in files(&world.log_dir()) {
        let bytes = std::fs::read(&file).unwrap();
        // A lock file or the like holds nothing; the private key is no part of the record.
        if bytes.is_empty() || file.extension().is_some_and(|ext| ext == "pem" || ext == "key") {
            continue;
        }
        for place in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1;
            let mut removed = bytes.clone();
            removed.remove(place);
            let cut = bytes[..place].to_vec();
            for (what, altered) in [("flipped", flipped), ("removed", removed), ("cut", cut)] {
                std::fs::write(&file, altered).unwrap();
                let (clean, report) = verify(&world);
                assert!(!clean, "{what} at {place} of {} was not found", file.display());
                assert!(report.contains("findings"), "{report}");
                changed += 1;
            }
        }
        std::fs::write(&file, bytes).unwrap();
    }
    assert!(changed >= 18, "{changed}");
    assert!(verify(&world).0);
}

fn files(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}
