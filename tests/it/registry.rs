//! A second version of a model, from its push to its withdrawal, while tenants call: no call fails,
//! every answer names the bundle that gave it, and the pods give the memory back.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use reeve_domain::{Digest, Record};
use reeve_ledger::Reader;
use reeve_tests::{Client, World, WorldOptions, sample_version, wait_until};
use serde_json::{Value, json};

const WHILE: Duration = Duration::from_secs(60);

/// `reeve model …`, as the person whose token it is. Gives what it prints.
fn model(world: &World, person: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(reeve_tests::binary("reeve").unwrap());
    command.arg("model").args(arguments).args(["--url", &world.control()]);
    command.arg("--token-file").arg(world.path().join(person));
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Asked for by one person and approved by another.
fn by_two(world: &World, arguments: &[&str]) {
    let said = model(world, "ann", arguments);
    let change = said.split_whitespace().next().unwrap();
    assert!(model(world, "bob", &["approve", "sample", change]).contains("applied"));
}

/// What answered each call, by the call's id; and what the caller named as the person.
#[derive(Default)]
struct Answered {
    digests: BTreeMap<String, String>,
    of_persons: BTreeMap<String, BTreeSet<String>>,
    others: Vec<String>,
}

/// Calls again and again until told to stop.
fn call(client: &Client, thread: u32, stop: &AtomicBool) -> Answered {
    let mut answered = Answered::default();
    for number in 0_u32.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let person = format!("person-{thread}-{}", number % 40);
        let headers = [("Content-Type", "application/json"), ("Reeve-Subject", person.as_str())];
        let body = json!({ "model": "sample", "input": "I was charged twice, please refund" });
        let answer = client.post_with("/v1/classify", &headers, body.to_string().as_bytes());
        let answer = answer.unwrap();
        if answer.status == 200 {
            let digest = answer.at("/model/digest").as_str().unwrap().to_owned();
            answered.digests.insert(answer.decision().to_owned(), digest.clone());
            answered.of_persons.entry(person).or_default().insert(digest);
        } else {
            answered.others.push(format!("{answer:?}"));
        }
    }
    answered
}

fn versions(world: &World, calls: usize) -> BTreeMap<String, usize> {
    let mut seen = BTreeMap::new();
    for _ in 0..calls {
        let answer = world.client(&world.eu).classify("where is my parcel").unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        let version = answer.at("/model/version").as_str().unwrap().to_owned();
        *seen.entry(version).or_default() += 1;
    }
    seen
}

fn serve_it(world: &World, digest: Digest, pods: usize) {
    wait_until("the pods serve it", WHILE, || {
        let all = world.store.read(reeve_store::pod::list)?;
        Ok(all.iter().filter(|pod| pod.models.contains(&digest)).count() == pods)
    })
    .unwrap();
}

/// Anonymous memory of a pod, in kilobytes.
fn memory(pod: &reeve_tests::Program) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pod.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn deeds(world: &World) -> Vec<(String, Value)> {
    let dir = world.path().join("ledger/control");
    let reader = Reader::open(&dir).unwrap();
    reader
        .entries(0)
        .filter_map(|entry| match serde_json::from_slice(&entry.unwrap().1).unwrap() {
            Record::Control(event) => Some((event.action, json!(event.actor))),
            _ => None,
        })
        .collect()
}

#[test]
fn a_version_comes_and_goes_while_tenants_call() {
    let options = WorldOptions {
        configuration: "[registry]\nunload_after_ms = 2000\n[worker]\nwatch_every_s = 1\n".into(),
        gateway: "observe_every_s = 1\n".into(),
        ..WorldOptions::default()
    };
    let world = World::start_with(options).unwrap();
    world.add_person("ann", &["operator"]).unwrap();
    world.add_person("bob", &["operator"]).unwrap();
    for person in ["ann", "bob"] {
        std::fs::write(world.path().join(person), world.token(person).unwrap()).unwrap();
    }
    let before: BTreeMap<_, _> =
        world.pods.iter().map(|(region, pod)| (region.clone(), memory(pod))).collect();

    let bundle = sample_version("2").unwrap();
    let pushed = model(&world, "ann", &["push", bundle.to_str().unwrap()]);
    let two: Digest = pushed.split_whitespace().last().unwrap().parse().unwrap();
    assert!(model(&world, "ann", &["list"]).contains("sample@2\tcandidate"));
    let named = |name: &str| {
        let body = json!({ "model": name, "input": "hello" });
        world.client(&world.eu).post("/v1/classify", &body).unwrap()
    };
    assert_eq!(named("sample@2").code(), "model-not-found", "nobody may preview it");

    let stop = AtomicBool::new(false);
    let answered: Vec<Answered> = std::thread::scope(|scope| {
        let threads: Vec<_> = [&world.eu, &world.us]
            .into_iter()
            .zip(0..)
            .map(|(tenant, thread)| {
                let client = world.client(tenant);
                let stop = &stop;
                scope.spawn(move || call(&client, thread, stop))
            })
            .collect();
        let story = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            model(&world, "ann", &["place", "sample@2", "--regions", "eu-west,us-east"]);
            serve_it(&world, two, 2);
            model(&world, "ann", &["shadow", "sample@2"]);
            wait_until("a comparison is recorded", WHILE, || {
                Ok(world.records()?.iter().any(|record| match record {
                    Record::Comparison(one) => one.mirror == two && one.code.is_none(),
                    _ => false,
                }))
            })
            .unwrap();
            assert_eq!(versions(&world, 20).keys().collect::<Vec<_>>(), ["1"], "without effect");
            model(&world, "ann", &["shadow", "sample", "--end"]);
            by_two(&world, &["canary", "sample@2", "--permille", "300", "--reason", "try it"]);
            wait_until("the canary answers", WHILE, || Ok(versions(&world, 20).len() == 2))
                .unwrap();
            std::thread::sleep(Duration::from_secs(2));
            by_two(&world, &["promote", "sample@2", "--reason", "it is better"]);
            wait_until("version 2 answers", WHILE, || Ok(versions(&world, 20).keys().eq(["2"])))
                .unwrap();
            assert_eq!(named("sample@1").at("/model/version"), "1");
            model(&world, "bob", &["withdraw", "sample@2", "--reason", "it insults people"]);
            wait_until("version 1 answers", WHILE, || Ok(versions(&world, 20).keys().eq(["1"])))
                .unwrap();
            assert_eq!(named("sample@2").code(), "model-withdrawn");
            wait_until("the pods have unloaded it", WHILE, || {
                let placed = world.store.read(reeve_store::placement::list)?;
                Ok(placed.is_empty())
            })
            .unwrap();
        }));
        stop.store(true, Ordering::Relaxed);
        let answered = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        if let Err(why) = story {
            std::panic::resume_unwind(why);
        }
        answered
    });

    let calls: usize = answered.iter().map(|one| one.digests.len()).sum();
    assert!(calls > 200, "{calls} calls");
    for one in &answered {
        assert!(one.others.is_empty(), "{} of {calls} failed: {:?}", one.others.len(), one.others);
    }
    // Every record names the bundle that the answer names.
    let mut recorded = BTreeMap::new();
    let mut routed = 0;
    for record in world.records().unwrap() {
        if let Record::Intent(intent) = record {
            routed += usize::from(intent.routed.is_some_and(|routed| routed.canary));
            recorded.insert(intent.decision_id.to_string(), intent.input.model.digest.to_string());
        }
    }
    for (decision, digest) in answered.iter().flat_map(|one| &one.digests) {
        assert_eq!(recorded.get(decision), Some(digest), "{decision}");
    }
    assert!(routed > 0, "the canary's calls are recorded as such");

    // What was answered was counted, and nobody's single answer.
    wait_until("what was answered is counted", WHILE, || {
        let client = Client::new(&world.control(), Some(&world.token("ann")?));
        let seen = client.get("/api/v1/models/sample/observations")?;
        let versions = seen.at("/versions").as_array().cloned().unwrap_or_default();
        Ok(versions.iter().filter(|it| it["seen"]["texts"].as_u64() > Some(50)).count() == 2)
    })
    .unwrap();
    for record in world.records().unwrap() {
        if let Record::Observation(seen) = record {
            assert!(seen.observed.texts >= 10, "{seen:?}");
        }
    }

    let deeds = deeds(&world);
    let who = |action: &str| deeds.iter().find(|(it, _)| it == action).map(|(_, who)| who.clone());
    for action in ["model.upload", "model.place", "model.shadow", "model.propose"] {
        assert_eq!(who(action), Some(json!({ "user": "ann" })), "{action}");
    }
    for action in ["model.approve", "model.withdraw"] {
        assert_eq!(who(action), Some(json!({ "user": "bob" })), "{action}");
    }
    for action in ["model.load", "model.unload"] {
        assert_eq!(deeds.iter().filter(|(it, _)| it == action).count(), 2, "{action}: {deeds:?}");
    }
    for (region, pod) in &world.pods {
        let (was, is) = (before[region], memory(pod));
        assert!(is < was + was / 4 + 20_000, "{region}: {was} kB before, {is} kB after");
    }
}
