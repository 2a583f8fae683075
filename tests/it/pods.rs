//! Pods that die, hang, lie and move, under load: no wrong answer, no call outside its region, and
//! how long it takes until all is well again.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::TcpListener,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use nix::sys::signal::Signal;
use reeve_domain::{Clock as _, Record, SystemClock};
use reeve_tests::{Program, Trick, Trickster, World, WorldOptions, free_port, wait_until};

const TEXTS: [&str; 3] = ["my parcel never came", "我要退款", "the app crashes when I sign in"];

/// What became of calls under load: moments in milliseconds since the begin, by status and code.
#[derive(Default)]
struct Load {
    answered: AtomicU64,
    wrong: Mutex<Vec<String>>,
    failed: Mutex<Vec<(u64, String)>>,
    slowest: AtomicU64,
}

impl Load {
    /// Calls of the European tenant from four threads while `during` runs.
    fn while_running(world: &World, during: impl FnOnce(&Self)) -> Self {
        let expected: Vec<String> = TEXTS
            .iter()
            .map(|text| {
                let answer = world.client(&world.eu).classify(*text).unwrap();
                assert_eq!(answer.status, 200, "{answer:?}");
                answer.at("/results/0/label").to_string()
            })
            .collect();
        let load = Self::default();
        let (clock, stop) = (SystemClock::default(), AtomicBool::new(false));
        let begun = clock.monotonic();
        thread::scope(|scope| {
            for number in 0..4_usize {
                let client = world.client(&world.eu);
                let (load, clock, stop, expected) = (&load, &clock, &stop, &expected);
                scope.spawn(move || {
                    for turn in number.. {
                        if stop.load(Ordering::Relaxed) {
                            return;
                        }
                        let (text, label) = (TEXTS[turn % 3], &expected[turn % 3]);
                        let asked = clock.monotonic();
                        let answer = client.classify(text).unwrap();
                        let now = clock.monotonic();
                        let took = u64::try_from((now - asked).as_millis()).unwrap();
                        load.slowest.fetch_max(took, Ordering::Relaxed);
                        let at = u64::try_from((now - begun).as_millis()).unwrap();
                        if answer.status != 200 {
                            let what = format!("{} {}", answer.status, answer.code());
                            load.failed.lock().unwrap().push((at, what));
                            // As a client that is told to wait would, only shorter.
                            thread::sleep(Duration::from_millis(20));
                            continue;
                        }
                        load.answered.fetch_add(1, Ordering::Relaxed);
                        let seen = answer.at("/results/0/label").to_string();
                        if seen != *label || answer.at("/governance/region") != "eu-west" {
                            load.wrong.lock().unwrap().push(format!("{text}: {answer:?}"));
                        }
                    }
                });
            }
            during(&load);
            stop.store(true, Ordering::Relaxed);
        });
        load
    }

    fn failures(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (_, what) in &*self.failed.lock().unwrap() {
            *counts.entry(what.clone()).or_default() += 1;
        }
        counts
    }

    fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Says what happened, and fails if anything of it may never happen.
    fn judge(&self, what: &str, world: &World) {
        let wrong = self.wrong.lock().unwrap();
        assert!(wrong.is_empty(), "{what}: {wrong:?}");
        let elsewhere = world.pod_inputs("us-east").unwrap();
        assert!(!TEXTS.iter().any(|text| elsewhere.contains(text)), "{what}: left its region");
        let counts = self.failures();
        let failed = self.failed.lock().unwrap();
        let last = failed.iter().map(|(at, _)| *at).max().unwrap_or(0);
        let first = failed.iter().map(|(at, _)| *at).min().unwrap_or(0);
        println!(
            "{what}: {} answered, {} failed {:?}, failing for {} ms, slowest {} ms",
            self.answered(),
            failed.len(),
            counts,
            last - first,
            self.slowest.load(Ordering::Relaxed)
        );
    }
}

fn pause(seconds: u64) {
    thread::sleep(Duration::from_secs(seconds));
}

/// A second pod of the European region, and the world that has it.
fn with_second() -> (World, Program, u16) {
    let world = World::start().unwrap();
    let (pod, port) = world.start_more("second", "eu-west").unwrap();
    world.register("second", "eu-west", &format!("http://127.0.0.1:{port}")).unwrap();
    wait_until("the second pod is asked too", Duration::from_secs(10), || {
        world.client(&world.eu).classify("hello")?;
        Ok(!world.pod_inputs("second")?.is_empty())
    })
    .unwrap();
    (world, pod, port)
}

#[test]
fn a_pod_that_drains_under_load_fails_no_call() {
    let (world, mut pod, port) = with_second();
    let load = Load::while_running(&world, |_| {
        for _ in 0..3 {
            pause(1);
            assert!(pod.stop().unwrap().success());
            pod = world.start_more_at("second", "eu-west", port).unwrap();
        }
        pause(1);
    });
    load.judge("drained three times", &world);
    assert_eq!(load.failures(), BTreeMap::new());
    assert!(load.answered() > 100);
}

#[test]
fn a_pod_that_is_killed_under_load_fails_no_call_that_another_can_answer() {
    let (world, mut pod, port) = with_second();
    let load = Load::while_running(&world, |_| {
        for _ in 0..3 {
            pause(1);
            pod.kill().unwrap();
            pause(1);
            pod = world.start_more_at("second", "eu-west", port).unwrap();
        }
    });
    load.judge("killed three times", &world);
    assert_eq!(load.failures(), BTreeMap::new());
}

#[test]
fn without_its_last_pod_a_region_fails_at_once_and_recovers_at_once() {
    let mut world = World::start().unwrap();
    let mut recovery = None;
    let eu = world.pod_port("eu-west").unwrap();
    let mut killed = world.pods.remove("eu-west").unwrap();
    let load = Load::while_running(&world, |load| {
        pause(1);
        killed.kill().unwrap();
        pause(1);
        let pod = world.start_more_at("eu-west", "eu-west", eu).unwrap();
        let before = load.answered();
        let took = wait_until("calls are answered", Duration::from_secs(5), || {
            Ok(load.answered() > before)
        });
        recovery = Some((took.unwrap(), pod));
        pause(1);
    });
    load.judge("the last pod killed", &world);
    let (took, pod) = recovery.unwrap();
    world.pods.insert("eu-west".to_owned(), pod);
    println!("answered again {took:?} after the pod said that it is ready");
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(
        load.failures()
            .keys()
            .all(|what| { what == "503 no-pod-in-permitted-region" || what == "502 pod-failed" })
    );
    assert!(load.slowest.load(Ordering::Relaxed) < 2_000, "a dead pod holds nobody up");
}

#[test]
fn a_pod_that_plays_tricks_is_spared_and_nothing_wrong_is_told() {
    let gateway = "deadline_ms = 3000\npod_timeout_ms = 500\n".to_owned();
    let world = World::start_with(WorldOptions { gateway, ..WorldOptions::default() }).unwrap();
    let trickster = Trickster::before(world.pod_port("eu-west").unwrap()).unwrap();
    world.register("trickster", "eu-west", &trickster.url()).unwrap();
    wait_until("it is asked too", Duration::from_secs(10), || {
        world.client(&world.eu).classify("hello")?;
        Ok(!trickster.heads().is_empty())
    })
    .unwrap();
    // One label less, another label, a probability above one, another number of texts, no JSON.
    let output = |shape: &str, label: &str, score: &str| {
        format!(
            r#"{{"model_name":"sample","model_version":"1","outputs":[
            {{"name":"label","datatype":"BYTES","shape":{shape},"data":{label}}},
            {{"name":"score","datatype":"FP32","shape":{shape},"data":{score}}},
            {{"name":"tokens","datatype":"UINT32","shape":[1],"data":[3]}}]}}"#
        )
    };
    let tricks = [
        Trick::Hang,
        Trick::BreakOff,
        Trick::Refuse(500),
        Trick::Lie("nonsense".to_owned()),
        Trick::Lie(output("[1,1]", r#"["refund"]"#, "[7.5]")),
        Trick::Lie(output("[2,1]", r#"["refund","refund"]"#, "[0.5,0.5]")),
        Trick::Lie(output("[1,1]", r#"["no label of this model"]"#, "[0.5]")),
        Trick::Slow(Duration::from_millis(150)),
    ];
    for trick in tricks {
        let before = trickster.heads().len();
        let load = Load::while_running(&world, |_| {
            trickster.play(trick.clone());
            pause(3);
            trickster.play(Trick::None);
            pause(1);
        });
        let what = format!("{trick:?}").chars().take(40).collect::<String>();
        load.judge(&what, &world);
        assert_eq!(load.failures(), BTreeMap::new(), "{what}");
        let asked = trickster.heads().len() - before;
        println!("{what}: asked {asked} times of {}", load.answered());
        assert!(load.answered() > 50, "{what}");
    }
    // When all is well it is asked again.
    let before = trickster.heads().len();
    wait_until("it is trusted again", Duration::from_secs(20), || {
        world.client(&world.eu).classify("hello")?;
        Ok(trickster.heads().len() > before + 3)
    })
    .unwrap();
}

#[test]
fn a_gateway_that_stood_still_does_not_blame_its_pods() {
    let gateway = "deadline_ms = 3000\npod_timeout_ms = 1500\n".to_owned();
    let world = World::start_with(WorldOptions { gateway, ..WorldOptions::default() }).unwrap();
    let trickster = Trickster::before(world.pod_port("eu-west").unwrap()).unwrap();
    world.register("pod-eu-west", "eu-west", &trickster.url()).unwrap();
    let call = || world.client(&world.eu).classify("hello").unwrap();
    wait_until("the pod has moved", Duration::from_secs(10), || {
        Ok(call().status == 200 && !trickster.heads().is_empty())
    })
    .unwrap();
    // More are under way when the gateway is halted than open a breaker.
    trickster.play(Trick::Hang);
    let before = trickster.heads().len();
    thread::scope(|scope| {
        let calls: Vec<_> = (0..6).map(|_| scope.spawn(call)).collect();
        wait_until("all are under way", Duration::from_secs(1), || {
            Ok(trickster.heads().len() >= before + 6)
        })
        .unwrap();
        world.reeve.signal(Signal::SIGSTOP).unwrap();
        trickster.play(Trick::None);
        pause(4);
        world.reeve.signal(Signal::SIGCONT).unwrap();
        for call in calls {
            let answer = call.join().unwrap();
            assert_eq!((answer.status, answer.code()), (504, "deadline-exceeded"), "{answer:?}");
        }
    });
    for _ in 0..20 {
        let answer = call();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[test]
fn a_slow_pod_is_hedged_where_the_plan_says_so_and_the_record_tells() {
    let mut bundle = reeve_policy::default_bundle();
    for plan in bundle.plans.values_mut() {
        plan.hedge_after_ms = std::num::NonZeroU32::new(100);
    }
    let world = World::start_with(WorldOptions { bundle, ..WorldOptions::default() }).unwrap();
    let trickster = Trickster::before(world.pod_port("eu-west").unwrap()).unwrap();
    trickster.play(Trick::Slow(Duration::from_secs(2)));
    world.register("trickster", "eu-west", &trickster.url()).unwrap();
    let client = world.client(&world.eu);
    wait_until("the slow one is asked", Duration::from_secs(20), || {
        let clock = SystemClock::default();
        let begun = clock.monotonic();
        assert_eq!(client.classify("hello")?.status, 200);
        let took = clock.monotonic() - begun;
        assert!(took < Duration::from_millis(1500), "waited for the slow one: {took:?}");
        Ok(!trickster.heads().is_empty())
    })
    .unwrap();
    let hedged = world.records().unwrap().into_iter().find_map(|record| match record {
        Record::Outcome(outcome) if !outcome.others.is_empty() => Some(outcome),
        _ => None,
    });
    let hedged = hedged.expect("the record names every pod that the texts were sent to");
    assert_eq!(hedged.pod.unwrap().as_str(), "pod-eu-west");
    assert_eq!(hedged.others[0].pod.as_str(), "trickster");
    assert_eq!(hedged.others[0].region.as_str(), "eu-west");
    assert_eq!(world.pod_inputs("us-east").unwrap().matches("hello").count(), 1, "the start's own");
}

#[test]
fn a_pod_is_told_how_long_the_caller_waits() {
    let mut world = World::start().unwrap();
    let trickster = Trickster::before(world.pod_port("eu-west").unwrap()).unwrap();
    world.register("pod-eu-west", "eu-west", &trickster.url()).unwrap();
    let client = world.client(&world.eu);
    wait_until("the pod has moved", Duration::from_secs(10), || {
        Ok(client.classify("hello")?.status == 200 && !trickster.heads().is_empty())
    })
    .unwrap();
    let told = |head: &str| {
        let line = head.lines().find(|l| l.to_ascii_lowercase().starts_with("reeve-deadline-ms"));
        line.unwrap().split(':').nth(1).unwrap().trim().parse::<u64>().unwrap()
    };
    let usual = told(trickster.heads().last().unwrap());
    assert!((1_000..=5_000).contains(&usual), "{usual}");
    trickster.play(Trick::Hang);
    let clock = SystemClock::default();
    let begun = clock.monotonic();
    let headers = [("Content-Type", "application/json"), ("Reeve-Deadline-Ms", "300")];
    let body = br#"{"model":"sample","input":"hello"}"#;
    let answer = client.post_with("/v1/classify", &headers, body).unwrap();
    let took = clock.monotonic() - begun;
    assert_eq!((answer.status, answer.code()), (504, "deadline-exceeded"), "{answer:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(told(trickster.heads().last().unwrap()) <= 300);
    world.pods.clear();
}

/// How the warrant of a call was made, by its header (RFC 7515, section 4.1.1).
fn algorithm(head: &str) -> String {
    let line = head.lines().find(|l| l.to_ascii_lowercase().starts_with("reeve-warrant:")).unwrap();
    let token = line.split(':').nth(1).unwrap().trim();
    let header = BASE64.decode(token.split('.').next().unwrap()).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
    header["alg"].as_str().unwrap().to_owned()
}

#[test]
fn who_has_met_a_pod_seals_its_warrants_and_a_new_pod_gets_signed_ones() {
    let mut world = World::start().unwrap();
    let trickster = Trickster::before(world.pod_port("eu-west").unwrap()).unwrap();
    world.register("pod-eu-west", "eu-west", &trickster.url()).unwrap();
    let client = world.client(&world.eu);
    let is = |alg: &str| trickster.heads().last().is_some_and(|head| algorithm(head) == alg);
    wait_until("warrants are sealed", Duration::from_secs(10), || {
        Ok(client.classify("hello")?.status == 200 && is("HS256"))
    })
    .unwrap();
    // The next process knows nobody, until it is probed; no call fails for that.
    drop(world.pods.remove("eu-west"));
    world.restart_pod("eu-west").unwrap();
    wait_until("the new pod answers", Duration::from_secs(10), || {
        Ok(client.classify("hello")?.status == 200)
    })
    .unwrap();
    let before = trickster.heads().len();
    wait_until("warrants are sealed again", Duration::from_secs(10), || {
        let answer = client.classify("hello")?;
        anyhow::ensure!(answer.status == 200, "{answer:?}");
        Ok(is("HS256"))
    })
    .unwrap();
    let seen: Vec<String> =
        trickster.heads().iter().skip(before - 1).map(|it| algorithm(it)).collect();
    assert!(seen.iter().all(|alg| alg == "HS256" || alg == "EdDSA"), "{seen:?}");
}

#[test]
fn after_a_restart_ready_means_that_pods_are_known() {
    let mut world = World::start().unwrap();
    for _ in 0..3 {
        assert!(world.reeve.stop().unwrap().success());
        world.restart().unwrap();
        // The very first call.
        let answer = world.client(&world.eu).classify("at once").unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[test]
fn pods_are_found_by_name_and_by_kubernetes() {
    let api_port = free_port().unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("token"), "let-me-in\n").unwrap();
    let gateway = "discover_ms = 200\n".to_owned();
    let configuration = format!(
        "[gateway.kubernetes]\napi = \"http://127.0.0.1:{api_port}\"\ntoken = {:?}\n",
        dir.path().join("token")
    );
    let options = WorldOptions { gateway, configuration, ..WorldOptions::default() };
    let mut world = World::start_with(options).unwrap();
    let eu = world.pod_port("eu-west").unwrap();
    let works = |what: &str, status: u16| {
        wait_until(what, Duration::from_secs(10), || {
            Ok(world.client(&world.eu).classify("hello")?.status == status)
        })
        .unwrap();
    };
    world.register("pod-eu-west", "eu-west", &format!("dns+http://localhost:{eu}")).unwrap();
    works("found by name", 200);

    let endpoints = Arc::new(Mutex::new(vec![(eu, true)]));
    let served = Arc::clone(&endpoints);
    let listener = TcpListener::bind(("127.0.0.1", api_port)).unwrap();
    thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let mut head = [0; 4096];
            let Ok(n) = connection.read(&mut head) else { continue };
            let head = String::from_utf8_lossy(&head[..n]).into_owned();
            let known = head.starts_with("GET /apis/discovery.k8s.io/v1/namespaces/reeve/endpointslices?labelSelector=kubernetes.io/service-name%3Dpods ")
                && head.to_ascii_lowercase().contains("authorization: bearer let-me-in");
            let items: Vec<_> = served.lock().unwrap().iter().map(|(port, ready)| serde_json::json!({
                "addressType": "IPv4", "ports": [{ "name": "http", "port": port }],
                "endpoints": [{ "addresses": ["127.0.0.1"], "conditions": { "ready": ready } }],
            })).collect();
            let (status, body) = if known {
                ("200 OK", serde_json::json!({ "kind": "EndpointSliceList", "items": items }))
            } else {
                ("401 Unauthorized", serde_json::json!({ "kind": "Status" }))
            };
            let body = body.to_string();
            drop(write!(
                connection,
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            ));
        }
    });
    let address = "kubernetes+http://pods.reeve:http";
    world.register("pod-eu-west", "eu-west", address).unwrap();
    works("found by Kubernetes", 200);
    endpoints.lock().unwrap()[0].1 = false;
    works("no endpoint is ready", 503);
    let (second, port) = world.start_more("second", "eu-west").unwrap();
    endpoints.lock().unwrap().push((port, true));
    works("another endpoint is", 200);
    assert!(world.pod_inputs("second").unwrap().contains("hello"));
    drop(second);
    world.pods.clear();
}

#[test]
fn a_server_of_kserve_is_asked_like_a_pod() {
    let requirements = include_str!("../clients/requirements.txt");
    let python = reeve_tests::python("clients", requirements).unwrap();
    let world = World::start().unwrap();
    let port = free_port().unwrap();
    let mut command = Command::new(python);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/kserve_pod.py");
    command.arg(script).arg(port.to_string());
    let server = Program::start("kserve", command, &world.path().join("logs/kserve.log")).unwrap();
    let url = format!("oip+http://127.0.0.1:{port}");
    world.register_foreign("keywords", &["billing", "delivery", "other"], "eu-west", &url).unwrap();
    let client = world.client(&world.eu);
    let body = serde_json::json!({ "model": "keywords", "input": ["我要退款", "my parcel", "hm"] });
    let mut answer = None;
    let asked = wait_until("KServe's server answers", Duration::from_secs(60), || {
        let seen = client.post("/v1/classify", &body)?;
        let done = seen.status == 200;
        answer = Some(seen);
        Ok(done)
    });
    asked.unwrap_or_else(|why| panic!("{why}: {answer:?}\n{}", server.output()));
    let answer = answer.unwrap();
    let labels = ["billing", "delivery", "other"];
    for (at, label) in labels.iter().enumerate() {
        assert_eq!(answer.at(&format!("/results/{at}/label")), label, "{answer:?}");
        assert_eq!(answer.at(&format!("/results/{at}/score")), 0.875);
    }
    assert_eq!(answer.at("/governance/region"), "eu-west");
    // It explains nothing, and so is not asked to.
    let explainer = world.client(&world.new_key(&world.eu.id, &["classify", "explain"]).unwrap());
    let mut explained = body.clone();
    explained["explain"] = true.into();
    let known = || Ok(explainer.post("/v1/classify", &body)?.status == 200);
    wait_until("the key is known", Duration::from_secs(5), known).unwrap();
    let refused = explainer.post("/v1/classify", &explained).unwrap();
    assert_eq!(
        (refused.status, refused.code()),
        (503, "no-pod-in-permitted-region"),
        "{refused:?}"
    );
    // What is governed is governed there too: the American tenant may not go where it stands.
    assert_eq!(world.client(&world.us).post("/v1/classify", &body).unwrap().status, 403);
}
