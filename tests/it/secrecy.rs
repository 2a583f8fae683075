//! Canaries: what must be redacted is nowhere, and a key is nowhere.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
    sync::{Arc, Mutex},
    thread,
};

use aho_corasick::AhoCorasick;
use rand::{SeedableRng as _, rngs::StdRng};
use reeve_domain::{Clock as _, SystemClock, SystemEntropy, UserId};
use reeve_identity::SessionToken;
use reeve_privacy::Detector;
use reeve_tests::{World, WorldOptions};
use serde_json::json;

use crate::canaries::{self, Canary};

#[test]
fn no_canary_reaches_a_pod_a_log_a_metric_the_ledger_or_the_store() {
    let mut world = World::start().unwrap();
    let mut canaries: Vec<String> = Vec::new();
    let client = world.client(&world.eu);
    for n in 0..50 {
        let email = format!("canary{n:03}@leak.example");
        let card = "4111 1111 1111 1111";
        let answer = client.classify(format!("Refund {email}, card {card}, thanks")).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(!answer.body.to_string().contains(&email));
        canaries.push(email);
    }
    // The same in places where a careless error message would repeat it.
    let json_type = ("Content-Type", "application/json");
    let subject = ("Reeve-Subject", "canary-subject-77");
    let bodies: [&[u8]; 3] = [
        br#"{"model":"canary-model@leak.example","input":"x"}"#,
        br#"{"model":"sample","input":{"canary":"canary-field@leak.example"}}"#,
        br#"{"model":"sample","canary-key@leak.example":1,"input":"x"}"#,
    ];
    for body in bodies {
        let answer = client.post_with("/v1/classify", &[json_type, subject], body).unwrap();
        assert!((400..500).contains(&answer.status));
        assert!(!answer.body.to_string().contains("canary"), "{answer:?}");
    }
    client.get("/v1/canary-path@leak.example").unwrap();
    let good = json!({"model": "sample", "input": "hello"}).to_string();
    let answer = client.post_with("/v1/classify", &[json_type, subject], good.as_bytes()).unwrap();
    assert_eq!(answer.status, 200);
    world.wait_indexed().unwrap();
    let metrics = world.stranger().get("/metrics").unwrap();
    assert_eq!(metrics.status, 200);
    assert!(metrics.body.as_str().unwrap().contains("reeve_"), "{metrics:?}");
    assert!(!metrics.body.to_string().contains("canary"));
    world.reeve.stop().unwrap();

    canaries.push("canary-".to_owned());
    canaries.push("4111 1111 1111 1111".to_owned());
    canaries.push(world.eu.secret.clone());
    canaries.push(world.us.secret.clone());
    let mut read = 0;
    search(world.path(), &canaries, &mut read);
    assert!(read > 100_000, "only {read} bytes were searched");
}

fn search(dir: &Path, canaries: &[String], read: &mut usize) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            search(&path, canaries, read);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        *read += bytes.len();
        for canary in canaries {
            let found = bytes.windows(canary.len()).any(|window| window == canary.as_bytes());
            assert!(!found, "`{canary}` stands in {}", path.display());
        }
    }
}

/// A collector of traces and metrics that keeps what it is sent.
fn collector() -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&kept);
    thread::spawn(move || {
        for connection in listener.incoming() {
            let (mut connection, keep) = (connection.unwrap(), Arc::clone(&keep));
            thread::spawn(move || {
                let mut bytes = [0; 65_536];
                let mut head = Vec::new();
                while let Ok(read @ 1..) = connection.read(&mut bytes) {
                    keep.lock().unwrap().extend(&bytes[..read]);
                    head.extend(&bytes[..read]);
                    // A request is whole when as much as its head announces has come behind it.
                    while let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
                        let text = String::from_utf8_lossy(&head[..end]).to_lowercase();
                        let length =
                            text.lines().find_map(|line| line.strip_prefix("content-length: "));
                        let left = end + 4 + length.map_or(0, |length| length.parse().unwrap());
                        if head.len() < left {
                            break;
                        }
                        head.drain(..left);
                        connection
                            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                            .unwrap();
                    }
                }
            });
        }
    });
    (endpoint, kept)
}

/// What the console shows a person with every role.
fn console_pages(world: &World, decision: &str) -> String {
    let now = SystemClock::default().now();
    let (id, token) = (UserId::new("mara").unwrap(), SessionToken::generate(&SystemEntropy));
    let roles = ["operator", "policy-author", "policy-approver", "auditor", "tenant-admin"];
    let user = reeve_store::user::User {
        id: id.clone(),
        display_name: "Mara".to_owned(),
        password_hash: String::new(),
        roles: roles.map(str::to_owned).to_vec(),
        created_at: now,
        disabled: false,
    };
    let session = reeve_store::session::Session {
        token_hash: token.digest(),
        user: id,
        csrf: "unused".to_owned(),
        created_at: now,
        expires_at: now.after(std::time::Duration::from_secs(600)),
    };
    world
        .store
        .write(|c| {
            reeve_store::user::insert(c, &user)?;
            reeve_store::session::insert(c, &session)
        })
        .unwrap();
    let mut pages = String::new();
    for path in
        ["overview", "audit?limit=200", "logs", "policy", "usage", &format!("decisions/{decision}")]
    {
        let mut answer = ureq::get(format!("{}/api/v1/{path}", world.control()))
            .header("Cookie", format!("reeve_session={}", token.reveal()))
            .call()
            .unwrap_or_else(|fault| panic!("{path}: {fault}"));
        pages.push_str(&answer.body_mut().read_to_string().unwrap());
    }
    pages
}

#[test]
fn ten_thousand_canaries_of_every_kind_under_load_are_nowhere() {
    const CALLS: usize = 400;
    const TEXTS: usize = 25;
    let every_kind: Vec<String> = Detector::known_kinds().iter().map(ToString::to_string).collect();
    for kind in &every_kind {
        let left_out = canaries::TOO_SHORT.contains(&kind.as_str());
        assert!(left_out || canaries::kinds().any(|known| known == kind), "no canary of {kind}");
    }
    let mut bundle = reeve_policy::default_bundle();
    let rule = format!(
        "@id(\"everything\") @title(\"t\") @reason(\"r\") @redact(\"{}\") \
         permit (principal, action == Action::\"obligate\", resource);",
        every_kind.join(",")
    );
    bundle.cedar.insert("everything.cedar".to_owned(), rule);
    let (endpoint, exported) = collector();
    let configuration = format!("[telemetry]\notlp_endpoint = \"{endpoint}\"\n");
    let options = WorldOptions { bundle, configuration, ..WorldOptions::default() };
    let world = World::start_with(options).unwrap();

    let detector = Detector::new(&Detector::known_kinds());
    let mut random = StdRng::seed_from_u64(20_260_101);
    let all: Vec<Canary> =
        (0..CALLS * TEXTS).map(|n| canaries::canary(n, &detector, &mut random)).collect();
    let client = world.client(&world.eu);
    let decision = Mutex::new(String::new());
    thread::scope(|scope| {
        for calls in all.chunks(CALLS * TEXTS / 8) {
            scope.spawn(|| {
                for texts in calls.chunks(TEXTS) {
                    let texts: Vec<&str> = texts.iter().map(|one| one.text.as_str()).collect();
                    let answer = client.classify(json!(texts)).unwrap();
                    assert_eq!(answer.status, 200, "{answer:?}");
                    answer.decision().clone_into(&mut decision.lock().unwrap());
                }
            });
        }
    });
    world.wait_indexed().unwrap();
    let inputs = world.pod_inputs("eu-west").unwrap();
    let sent = inputs.matches("is what we have, thank you").count();
    assert!(sent >= CALLS * TEXTS, "only {sent} texts have reached the pod");
    let mut shown = console_pages(&world, &decision.into_inner().unwrap());
    shown.push_str(&world.stranger().get("/metrics").unwrap().body.to_string());
    assert!(shown.contains("everything"), "the console shows the rule");
    // It goes down in the middle of a call, so that whatever a crash writes is there too.
    thread::scope(|scope| {
        let texts: Vec<&str> = all[..TEXTS].iter().map(|one| one.text.as_str()).collect();
        let calls = scope.spawn(move || while client.classify(json!(texts)).is_ok() {});
        thread::sleep(std::time::Duration::from_millis(200));
        world.reeve.signal(nix::sys::signal::Signal::SIGABRT).unwrap();
        calls.join().unwrap();
    });

    let values: Vec<&str> = all.iter().map(|one| one.value.as_str()).collect();
    let search = AhoCorasick::new(&values).unwrap();
    let mut read = 0;
    assert_absent(&search, &values, shown.as_bytes(), "the console");
    let exported = exported.lock().unwrap();
    assert!(exported.len() > 1_000, "only {} bytes of traces and metrics", exported.len());
    assert_absent(&search, &values, &exported, "traces and metrics");
    absent_in(world.path(), &search, &values, &mut read);
    assert!(read > 1_000_000, "only {read} bytes were searched");
}

fn absent_in(dir: &Path, search: &AhoCorasick, values: &[&str], read: &mut usize) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            absent_in(&path, search, values, read);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        *read += bytes.len();
        assert_absent(search, values, &bytes, &path.display().to_string());
    }
}

/// A number that only happens to be part of a longer one, such as a time, is none.
fn assert_absent(search: &AhoCorasick, values: &[&str], bytes: &[u8], place: &str) {
    let inside =
        |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_alphanumeric);
    for found in search.find_overlapping_iter(bytes) {
        let cut = inside(found.start().checked_sub(1)) || inside(Some(found.end()));
        assert!(cut, "{} is in {place}", values[found.pattern().as_usize()]);
    }
}
