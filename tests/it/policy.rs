//! A change of policy as people and tenants meet it: simulated on what was recorded, put in force
//! by two, in effect on every gateway within a second, explained afterwards.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Barrier, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use reeve_domain::{Clock as _, ModelName, Record, Region, Stop, StopTarget, SystemClock, UserId};
use reeve_store::testing::PostgresServer;
use reeve_tests::{Answer, Client, Engine, World, WorldOptions, wait_until};
use serde_json::{Value, json};

const ONE_SECOND: Duration = Duration::from_secs(1);
const RULE: &str = "@id(\"stop-globex\")\n@title(\"Stop\")\n@reason(\"Globex is not served.\")\n\
    forbid (principal == Tenant::\"globex-us\", action == Action::\"classify\", resource);\n";

/// On the monotonic clock.
fn now() -> Duration {
    static CLOCK: OnceLock<SystemClock> = OnceLock::new();
    CLOCK.get_or_init(SystemClock::default).monotonic()
}

fn stop(target: StopTarget) -> Stop {
    let (by, at) = (UserId::new("operator").unwrap(), SystemClock::default().now());
    Stop { target, reason: "a test".to_owned(), by, at }
}

/// Calls that are made one after the other against each gateway, with the time of their answers.
struct Load {
    stop: Arc<AtomicBool>,
    answers: Arc<Mutex<Vec<(Duration, Answer)>>>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Load {
    fn on(clients: impl IntoIterator<Item = Client>) -> Self {
        let (stop, answers) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let threads = clients.into_iter().map(|client| {
            let (stop, answers) = (Arc::clone(&stop), Arc::clone(&answers));
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let answer = client.classify("hello").unwrap();
                    let answers: &Mutex<Vec<_>> = &answers;
                    answers.lock().unwrap().push((now(), answer));
                }
            })
        });
        let threads = threads.collect();
        Self { stop, answers, threads }
    }

    fn end(self) -> Vec<(Duration, Answer)> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
        Arc::into_inner(self.answers).unwrap().into_inner().unwrap()
    }
}

#[test]
fn on_three_gateways_under_load_a_change_is_in_effect_within_a_second() {
    on_three_gateways(&World::start().unwrap());
}

#[test]
fn on_postgresql_as_well() {
    let Some(server) = PostgresServer::start_or_skip().unwrap() else { return };
    let options = WorldOptions { engine: Engine::Postgres(server), ..WorldOptions::default() };
    let world = World::start_with(options).unwrap();
    on_three_gateways(&world);
}

fn on_three_gateways(world: &World) {
    let more = [world.start_gateway(2).unwrap(), world.start_gateway(3).unwrap()];
    let mut gateways = vec![world.gateway()];
    gateways.extend(more.iter().map(|(_, url)| url.clone()));
    let clients = || gateways.iter().map(|url| world.client_at(url, &world.us));
    let load = Load::on(clients().chain(clients()));
    thread::sleep(ONE_SECOND);
    let mut bundle = reeve_policy::default_bundle();
    let before = bundle.document().digest.to_string();
    bundle.cedar.insert("stop.cedar".to_owned(), RULE.to_owned());
    let after = bundle.document().digest.to_string();
    world.activate(&bundle).unwrap();
    let changed = now();
    thread::sleep(ONE_SECOND * 2);
    let answers = load.end();
    let mut late = 0;
    for (at, answer) in &answers {
        // What an answer says and which policy it names never come from two bundles.
        let policy = answer.header("reeve-policy");
        match answer.status {
            200 => assert_eq!(policy, Some(before.as_str())),
            403 => {
                assert_eq!(policy, Some(after.as_str()));
                assert_eq!(answer.at("/rules/0/id"), "stop-globex");
            }
            other => panic!("{other}: {answer:?}"),
        }
        late += usize::from(answer.status == 200 && *at > changed + ONE_SECOND);
    }
    assert_eq!(late, 0, "of {}", answers.len());
    let denied = answers.iter().filter(|(_, answer)| answer.status == 403).count();
    assert!(denied > 30 && answers.len() - denied > 30, "{denied} of {}", answers.len());
}

#[test]
fn a_stop_ends_answers_on_three_gateways_within_a_second() {
    let world = World::start().unwrap();
    let more = [world.start_gateway(2).unwrap(), world.start_gateway(3).unwrap()];
    let mut gateways = vec![world.gateway()];
    gateways.extend(more.iter().map(|(_, url)| url.clone()));
    for (target, code) in [
        (StopTarget::Region(Region::new("us-east").unwrap()), "region-stopped"),
        (StopTarget::Model(ModelName::new("sample").unwrap()), "model-stopped"),
    ] {
        let load = Load::on(gateways.iter().map(|url| world.client_at(url, &world.us)));
        thread::sleep(ONE_SECOND / 2);
        let row = stop(target.clone());
        world.store.write(|c| reeve_store::stop::insert(c, &row)).unwrap();
        let stopped = now();
        thread::sleep(ONE_SECOND * 2);
        // Other regions go on as long as only a region is stopped.
        let elsewhere = world.client(&world.eu).classify("hello").unwrap();
        assert_eq!(elsewhere.status == 200, matches!(target, StopTarget::Region(_)));
        let answers = load.end();
        assert!(answers.iter().any(|(_, answer)| answer.status == 200));
        for (at, answer) in &answers {
            let answered = answer.status == 200;
            assert!(!answered || *at < stopped + ONE_SECOND, "answered {:?} later", *at - stopped);
            assert!(answered || answer.code() == code, "{answer:?}");
        }
        world.store.write(|c| reeve_store::stop::delete(c, &target)).unwrap();
        for url in &gateways {
            let client = world.client_at(url, &world.us);
            wait_until("it goes on", ONE_SECOND, || Ok(client.classify("hello")?.status == 200))
                .unwrap();
        }
    }
}

/// A person at the console.
struct Person {
    base: String,
    cookie: String,
    csrf: String,
}

impl Person {
    fn sign_in(world: &World, user: &str) -> Self {
        let base = world.control();
        let body = json!({ "user": user, "password": reeve_tests::PASSWORD });
        let answer = Client::new(&base, None).post("/api/v1/session", &body).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        let csrf = answer.at("/csrf").as_str().unwrap().to_owned();
        Self { base, cookie, csrf }
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        let headers = [("Cookie", self.cookie.as_str()), ("X-CSRF-Token", self.csrf.as_str())];
        let client = Client::new(&self.base, None);
        let path = format!("/api/v1/policy/{path}");
        match method {
            "GET" => client.get_with(&path, &headers).unwrap(),
            _ => {
                let all = [("Content-Type", "application/json"), headers[0], headers[1]];
                client.post_with(&path, &all, body.to_string().as_bytes()).unwrap()
            }
        }
    }

    fn ok(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.send(method, path, body);
        assert!(answer.status < 300, "{method} {path}: {answer:?}");
        answer.body.clone()
    }

    fn act(&self, change: &str, action: &str, more: &Value) -> Value {
        let now = self.ok("GET", &format!("changes/{change}"), &Value::Null);
        let mut body = json!({ "edition": now["change"]["edition"], "action": action });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.ok("POST", &format!("changes/{change}/actions"), &body)
    }

    fn simulated(&self, change: &str) -> Value {
        self.made(&self.asked_to_simulate(change))
    }

    fn asked_to_simulate(&self, change: &str) -> String {
        let queued = self.ok("POST", &format!("changes/{change}/simulations"), &json!({}));
        format!("simulations/{}", queued["id"].as_str().unwrap())
    }

    fn made(&self, simulation: &str) -> Value {
        wait_until("the simulation is made", Duration::from_secs(20), || {
            Ok(self.ok("GET", simulation, &Value::Null)["state"] == "done")
        })
        .unwrap();
        self.ok("GET", simulation, &Value::Null)
    }
}

#[test]
fn what_a_simulation_says_is_what_then_happens() {
    let world = World::start().unwrap();
    world.add_person("ann", &["policy-author"]).unwrap();
    world.add_person("bob", &["policy-approver"]).unwrap();
    let (eu, us) = (world.client(&world.eu), world.client(&world.us));
    for number in 0..12 {
        assert_eq!(eu.classify(format!("mail {number}@example.com")).unwrap().status, 200);
        assert_eq!(us.classify("hello").unwrap().status, 200);
    }
    world.wait_indexed().unwrap();

    let (ann, bob) = (Person::sign_in(&world, "ann"), Person::sign_in(&world, "bob"));
    let mut files = reeve_policy::default_bundle().files();
    files.insert("stop.cedar".to_owned(), RULE.to_owned());
    let begun = ann.ok("POST", "changes", &json!({ "title": "Stop Globex", "files": files }));
    let change = begun["id"].as_str().unwrap();
    let simulation = ann.simulated(change);
    let report = &simulation["report"];
    assert_eq!(report["checked"], report["reproduced"], "{report}");

    let of_globex = &report["by_tenant_and_rule"]["globex-us"]["stop-globex"]["denied"];
    assert!(of_globex.as_u64().unwrap() >= 12, "{report}");
    assert_eq!(report["by_tenant_and_rule"].as_object().unwrap().len(), 1, "{report}");
    assert!(report["regions"]["us-east"]["after"] == 0, "{report}");

    ann.act(change, "submit", &json!({}));
    let seen = json!({ "digest": simulation["draft"], "report": simulation["report_digest"] });
    bob.act(change, "approve", &seen);
    ann.act(change, "activate", &json!({}));
    wait_until("the rule denies", ONE_SECOND, || Ok(us.classify("hello")?.status == 403)).unwrap();
    // Exactly those.
    for _ in 0..5 {
        assert_eq!(us.classify("hello").unwrap().at("/rules/0/id"), "stop-globex");
        assert_eq!(eu.classify("hello").unwrap().status, 200);
    }
    world.wait_indexed().unwrap();

    // And the comparison says so: the same rows, and all of Globex's calls.
    ann.simulated(change);
    let comparison = ann.ok("GET", &format!("changes/{change}/comparison"), &Value::Null);
    let rows = comparison["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{comparison}");
    assert_eq!(rows[0]["tenant"], "globex-us");
    assert_eq!((&rows[0]["rule"], &rows[0]["flip"]), (&json!("stop-globex"), &json!("denied")));
    assert_eq!(
        (&rows[0]["predicted_share"], &rows[0]["happened_share"]),
        (&json!(1.0), &json!(1.0))
    );
    assert!(rows[0]["happened_calls"].as_u64().unwrap() >= 5);

    // The tenant is told why, by the rule at that version.
    let denied = us.classify("hello").unwrap();
    world.wait_indexed().unwrap();
    let told = us.get(&format!("/v1/decisions/{}", denied.decision())).unwrap();
    let rule = told.at("/explanation/rules/0");
    assert_eq!(rule["id"], "stop-globex");
    assert!(
        rule["source"].as_str().unwrap().contains("forbid (principal == Tenant::\"globex-us\"")
    );
}

#[test]
fn a_policy_in_shadow_differs_without_effect() {
    let world = World::start().unwrap();
    world.add_person("ann", &["policy-author"]).unwrap();
    let mut bundle = reeve_policy::default_bundle();
    bundle.cedar.insert("stop.cedar".to_owned(), RULE.to_owned());
    let document = bundle.document();
    let started_at = SystemClock::default().now();
    let shadow = reeve_store::policy::Shadow {
        digest: document.digest,
        started_at,
        started_by: "ann".to_owned(),
    };
    world
        .store
        .write(|c| {
            reeve_store::policy::insert_bundle(c, &document, "ann", started_at)?;
            reeve_store::policy::set_shadow(c, Some(&shadow))
        })
        .unwrap();
    thread::sleep(ONE_SECOND);
    let (eu, us) = (world.client(&world.eu), world.client(&world.us));
    let mut decisions = BTreeSet::new();
    for _ in 0..3 {
        let answer = us.classify("hello").unwrap();
        assert_eq!(answer.status, 200);
        decisions.insert(answer.decision().to_owned());
        assert_eq!(eu.classify("hello").unwrap().status, 200);
    }
    world.wait_indexed().unwrap();
    let seen = Person::sign_in(&world, "ann").ok("GET", "shadow", &Value::Null);
    assert_eq!(seen["flips"], json!({ "denied": 3 }), "{seen}");
    assert_eq!(seen["by_tenant"], json!({ "globex-us": { "denied": 3 } }));
    let examples = seen["examples"].as_array().unwrap();
    let shown: BTreeSet<String> = examples
        .iter()
        .map(|example| example["decision_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(shown, decisions);
    assert_eq!(examples[0]["flips"], json!({ "denied": ["stop-globex"] }));
}

#[test]
fn only_a_signed_policy_is_enforced() {
    let mut world = World::start().unwrap();
    let policy = |world: &World| {
        let answer = world.client(&world.us).classify("hello").unwrap();
        answer.header("reeve-policy").map(str::to_owned)
    };
    let first = policy(&world);
    assert!(first.is_some());
    let mut bundle = reeve_policy::default_bundle();
    bundle.cedar.insert("stop.cedar".to_owned(), RULE.to_owned());
    let document = bundle.document();
    let statement_of =
        |world: &World| world.store.read(reeve_store::policy::active).unwrap().unwrap().statement;
    let old = statement_of(&world);
    // Whoever can write to the store puts a bundle in: unsigned, then with another's statement.
    let forge = |world: &World, statement: &str| {
        let now = SystemClock::default().now();
        world.store.write(|c| {
            reeve_store::policy::insert_bundle(c, &document, "mallory", now)?;
            reeve_store::policy::activate(c, &document.digest, "mallory", None, now, &|_| {
                statement.to_owned()
            })
        })
    };
    for statement in ["", &old] {
        forge(&world, statement).unwrap();
        thread::sleep(ONE_SECOND);
        assert_eq!(policy(&world), first, "{statement}");
    }
    // Nor after a restart.
    world.reeve.kill().unwrap();
    world.restart().unwrap();
    wait_until("the pods are known again", ONE_SECOND * 5, || {
        Ok(world.client(&world.us).classify("hello")?.code() != "no-pod-in-permitted-region")
    })
    .unwrap();
    assert_eq!(policy(&world), first);
    // Signed, it is enforced at once; what was signed before it does not come back.
    world.activate(&bundle).unwrap();
    let second = Some(document.digest.to_string());
    wait_until("it is enforced", ONE_SECOND, || Ok(policy(&world) == second)).unwrap();
    let default = reeve_policy::default_bundle().document();
    let now = SystemClock::default().now();
    let replayed = world.store.write(|c| {
        let replay = |_| old.clone();
        reeve_store::policy::activate(c, &default.digest, "mallory", None, now, &replay)
    });
    replayed.unwrap();
    thread::sleep(ONE_SECOND);
    assert_eq!(policy(&world), second);
}

const AT_MOST_20: &str = "@id(\"few-leave\")\n@title(\"Few leave\")\n@reason(\"Enough have left.\")\n\
    forbid (principal, action == Action::\"classify\", resource)\n\
    when { context.laws.contains(\"CN\") && context.jurisdiction != \"CN\" && context.transferred > 20 };\n";

fn of_subject(client: &Client, subject: &str) -> Answer {
    let headers = [
        ("Content-Type", "application/json"),
        ("Reeve-Subject", subject),
        ("Reeve-Subject-Country", "CN"),
    ];
    let body = json!({ "model": "sample", "input": "hello" }).to_string();
    client.post_with("/v1/classify", &headers, body.as_bytes()).unwrap()
}

#[test]
fn of_many_persons_no_more_leave_than_may_whichever_gateway_they_come_to() {
    let world = World::start().unwrap();
    let mut bundle = reeve_policy::default_bundle();
    bundle.cedar.insert("few.cedar".to_owned(), AT_MOST_20.to_owned());
    world.activate(&bundle).unwrap();
    let (_second, url) = world.start_gateway(2).unwrap();
    let wanted = Some(bundle.document().digest.to_string());
    for url in [&world.gateway(), &url] {
        let client = world.client_at(url, &world.us);
        wait_until("the rule is in force", ONE_SECOND * 5, || {
            Ok(client.classify("hello")?.header("reeve-policy").map(str::to_owned) == wanted)
        })
        .unwrap();
    }
    // Sixteen at once, eight at each gateway; every person comes twice, to two gateways.
    let (gateways, together) = ([world.gateway(), url], Barrier::new(16));
    let answers: Vec<(String, Answer)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|number| {
                let client = world.client_at(&gateways[number / 8], &world.us);
                let together = &together;
                scope.spawn(move || {
                    let subjects = (0..4).map(|at| format!("subject-{}", (number % 8) * 4 + at));
                    let ask = |name: String| {
                        together.wait();
                        (name.clone(), of_subject(&client, &name))
                    };
                    subjects.map(ask).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let left: BTreeSet<&String> =
        answers.iter().filter(|(_, answer)| answer.status == 200).map(|(name, _)| name).collect();
    assert_eq!(left.len(), 20, "{left:?}");
    let refused = answers.iter().filter(|(_, answer)| answer.status != 200);
    for (name, answer) in refused {
        assert!(answer.code() == "denied-by-policy", "{name}: {answer:?}");
    }
    let totals = world.store.read(reeve_store::transfer::totals).unwrap();
    assert_eq!(totals.len(), 1);
    assert_eq!((totals[0].entity.as_str(), totals[0].count.subjects), ("tenant:globex-us", 20));
    // Who has left may leave again; who has not may not, and is told why.
    let client = world.client(&world.us);
    assert_eq!(of_subject(&client, left.first().unwrap()).status, 200);
    let late = of_subject(&client, "somebody-else");
    assert_eq!((late.status, late.code()), (403, "denied-by-policy"));
    assert_eq!(late.at("/rules/0/id"), "few-leave");
    // Calls about others are not counted.
    assert_eq!(client.classify("hello").unwrap().status, 200);
    // The record tells how many there were.
    let records = world.records().unwrap();
    let counted = records.iter().filter_map(|record| match record {
        Record::Outcome(outcome) => outcome.transfer.as_ref(),
        _ => None,
    });
    assert!(counted.clone().count() > 5);
    assert!(counted.clone().all(|(transfer, count)| transfer.law == "CN" && count.subjects <= 20));
}

/// Whoever is in the middle of it, what is left is one of the two policies, and the rest goes on.
#[test]
fn a_crash_while_a_change_is_simulated_and_put_in_force_leaves_one_policy() {
    let mut world = World::start().unwrap();
    world.add_person("ann", &["policy-author"]).unwrap();
    world.add_person("bob", &["policy-approver"]).unwrap();
    for _ in 0..5 {
        assert_eq!(world.client(&world.us).classify("hello").unwrap().status, 200);
    }
    world.wait_indexed().unwrap();
    let mut files = reeve_policy::default_bundle().files();
    files.insert("stop.cedar".to_owned(), RULE.to_owned());
    let (ann, bob) = (Person::sign_in(&world, "ann"), Person::sign_in(&world, "bob"));
    let begun = ann.ok("POST", "changes", &json!({ "title": "Stop Globex", "files": files }));
    let change = begun["id"].as_str().unwrap();
    let simulation = ann.asked_to_simulate(change);
    world.reeve.kill().unwrap();
    world.restart().unwrap();
    // The simulation that was in the queue or half made is made.
    let simulation = ann.made(&simulation);
    ann.act(change, "submit", &json!({}));
    let seen = json!({ "digest": simulation["draft"], "report": simulation["report_digest"] });
    bob.act(change, "approve", &seen);
    let document = ann.ok("GET", &format!("changes/{change}"), &Value::Null);
    let body = json!({ "edition": document["change"]["edition"], "action": "activate" });
    let path = format!("/api/v1/policy/changes/{change}/actions");
    let (base, cookie, csrf) = (world.control(), bob.cookie.clone(), bob.csrf.clone());
    let activating = thread::spawn(move || {
        let headers = [
            ("Content-Type", "application/json"),
            ("Cookie", cookie.as_str()),
            ("X-CSRF-Token", csrf.as_str()),
        ];
        Client::new(&base, None).post_with(&path, &headers, body.to_string().as_bytes())
    });
    thread::sleep(Duration::from_millis(3));
    world.reeve.kill().unwrap();
    drop(activating.join().unwrap());
    world.restart().unwrap();
    let active = world.store.read(reeve_store::policy::active).unwrap().unwrap();
    let after = ann.ok("GET", &format!("changes/{change}"), &Value::Null);
    let in_force = after["change"]["state"] == "activated";
    // The change and the policy say the same, and gateways follow.
    assert_eq!(active.digest.to_string() == document["change"]["digest"], in_force);
    let expected = if in_force { 403 } else { 200 };
    let client = world.client(&world.us);
    wait_until("it is enforced", ONE_SECOND, || Ok(client.classify("hello")?.status == expected))
        .unwrap();
    if !in_force {
        bob.act(change, "activate", &json!({}));
        wait_until("it is enforced", ONE_SECOND, || Ok(client.classify("hello")?.status == 403))
            .unwrap();
    }
}
