//! A change of policy from its draft into force, and every way around the second person.

use std::{collections::BTreeMap, path::Path, time::Duration};

use reeve_domain::{Code, Flip};
use reeve_policy::{Engine, default_bundle, replay::Impact};
use reeve_worker::{Solver, prove_next, solver};
use serde_json::{Value, json};

use crate::{
    calls::decided,
    world::{Client, World},
};

const RULE: &str = r#"@id("not-for-acme")
@title("Acme is not served")
@reason("Acme is not served.")
forbid (principal == Tenant::"acme", action == Action::"classify", resource);
"#;

fn files(rule: &str) -> BTreeMap<String, String> {
    let mut files = default_bundle().files();
    files.insert("mine.cedar".to_owned(), rule.to_owned());
    files
}

async fn begin(author: &Client, rule: &str) -> Value {
    let body = json!({ "title": "Acme out", "files": files(rule) });
    let answer = author.post("/api/v1/policy/changes", &body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

fn path(change: &Value, rest: &str) -> String {
    format!("/api/v1/policy/changes/{}{rest}", change["id"].as_str().unwrap())
}

async fn read(client: &Client, change: &Value) -> Value {
    client.get(&path(change, "")).await.ok()
}

/// Lets the simulation of a change be made, as a worker does it.
async fn simulate(world: &World, client: &Client, change: &Value) -> Value {
    let asked = json!({ "from": "2026-11-24T00:00:00Z", "until": "2026-11-25T00:00:00Z" });
    let answer = client.post(&path(change, "/simulations"), &asked).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert!(reeve_worker::simulate_next(&world.store, &*world.clock).unwrap());
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    let made = client.get(&format!("/api/v1/policy/simulations/{id}")).await.ok();
    assert_eq!(made["state"], "done", "{made}");
    made
}

async fn act(client: &Client, change: &Value, action: &str, more: Value) -> crate::world::Answer {
    let now = read(client, change).await;
    let mut body = json!({ "edition": now["change"]["edition"], "action": action });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.post(&path(change, "/actions"), &body).await
}

/// What a reviewer has looked at.
fn seen(simulation: &Value) -> Value {
    json!({ "digest": simulation["draft"], "report": simulation["report_digest"] })
}

fn traffic(world: &World) {
    let engine = Engine::compile(&default_bundle().document()).unwrap();
    let tenants = ["acme", "globex"];
    let calls: Vec<_> = (0_u32..10)
        .map(|number| {
            let tenant = tenants[usize::from(number >= 4)];
            decided(number.into(), tenant, number.into(), &engine)
        })
        .collect();
    world.call(&calls);
}

#[actix_web::test]
async fn a_change_goes_from_draft_into_force() {
    let world = World::start().await;
    traffic(&world);
    let author = world.client("policy-author").await;
    let approver = world.client("policy-approver").await;

    let change = begin(&author, RULE).await;
    let simulation = simulate(&world, &author, &change).await;
    let report: Impact = serde_json::from_value(simulation["report"].clone()).unwrap();
    assert_eq!((report.replayed, report.checked, report.reproduced), (10, 10, 10));
    assert_eq!(report.flips, BTreeMap::from([(Flip::Denied, 4)]));
    let acme: reeve_domain::TenantId = "acme".parse().unwrap();
    assert_eq!(report.by_tenant_and_rule[&acme]["not-for-acme"][&Flip::Denied], 4);
    assert_eq!(report.by_tenant_and_rule.len(), 1);
    assert_eq!(report.examples[&Flip::Denied].len(), 4);
    assert!(report.cost.values().all(|shift| shift.after_micros < shift.before_micros));
    assert!(report.never_matched.iter().any(|rule| rule.as_str() == "prohibited-practice"));

    act(&author, &change, "submit", json!({})).await.ok();
    let waiting = read(&approver, &change).await;
    assert_eq!(waiting["change"]["state"], "in-review");
    assert_eq!(waiting["check"]["valid"], true);
    assert!(waiting["files"].get("mine.cedar").is_some());
    assert!(waiting["base_files"].get("mine.cedar").is_none());
    act(&approver, &change, "comment", json!({ "comment": "why acme?" })).await.ok();
    act(&approver, &change, "approve", seen(&simulation)).await.ok();
    let done = act(&author, &change, "activate", json!({})).await.ok();
    assert_eq!((&done["state"], &done["version"]), (&json!("activated"), &json!(2)));

    let active = author.get("/api/v1/policy").await.ok();
    assert_eq!(active["digest"], simulation["draft"]);
    let versions = author.get("/api/v1/policy/versions").await.ok();
    assert_eq!(versions["items"][0]["change"], change["id"]);
    let steps = read(&author, &change).await["steps"].clone();
    let kinds: Vec<_> =
        steps.as_array().unwrap().iter().map(|step| step["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["begin", "submit", "comment", "approve", "activate"]);
    let recorded: Vec<String> = world
        .events()
        .into_iter()
        .filter(|event| event.action.starts_with("policy."))
        .map(|event| event.action)
        .collect();
    let expected = ["draft", "simulate", "submit", "comment", "approve", "activate"];
    assert_eq!(recorded, expected.map(|word| format!("policy.{word}")));

    // One click back; it is a new version.
    let back = json!({ "version": 1, "reason": "acme pays" });
    author.post("/api/v1/policy/rollback", &back).await.problem("role-required");
    let rolled = approver.post("/api/v1/policy/rollback", &back).await.ok();
    assert_eq!(
        (&rolled["version"], &rolled["digest"]),
        (&json!(3), &versions["items"][1]["digest"])
    );
    approver.post("/api/v1/policy/rollback", &back).await.problem("conflict");
    // What was approved once is not approved for ever.
    act(&author, &change, "activate", json!({})).await.problem("wrong-state");
}

#[actix_web::test]
async fn nobody_gets_around_the_second_person() {
    let world = World::start().await;
    traffic(&world);
    // Writes and approves, in two roles.
    let both = world.client("author-and-approver").await;
    let author = world.client("policy-author").await;
    let approver = world.client("policy-approver").await;
    let last = |world: &World| {
        let event = world.last_event();
        (event.action, event.code)
    };

    // Without a simulation, and without an approval.
    let change = begin(&both, RULE).await;
    act(&both, &change, "activate", json!({})).await.problem("wrong-state");
    assert_eq!(last(&world), ("policy.activate".to_owned(), Some(Code::WrongState)));
    act(&both, &change, "submit", json!({})).await.problem("simulation-required");
    assert_eq!(last(&world), ("policy.submit".to_owned(), Some(Code::SimulationRequired)));
    let simulation = simulate(&world, &both, &change).await;
    act(&both, &change, "submit", json!({})).await.ok();

    // Oneself: by another role, by a token, or as one of several authors.
    act(&both, &change, "approve", seen(&simulation)).await.problem("four-eyes-required");
    assert_eq!(last(&world), ("policy.approve".to_owned(), Some(Code::FourEyesRequired)));
    let made = both.post("/api/v1/tokens", &json!({ "name": "ci", "days": 1 })).await.json();
    let program = Client::with_token(&world.base, made["secret"].as_str().unwrap());
    assert_eq!(program.get("/api/v1/policy").await.status, 200);
    act(&program, &change, "approve", seen(&simulation)).await.problem("four-eyes-required");
    program
        .post("/api/v1/tokens", &json!({ "name": "more", "days": 1 }))
        .await
        .problem("invalid-credential");
    act(&author, &change, "approve", seen(&simulation)).await.problem("role-required");

    // An approval of what is no longer there.
    let old = seen(&simulation);
    let now = read(&both, &change).await;
    let edition = now["change"]["edition"].clone();
    let edited = json!({ "edition": edition, "title": "Acme out", "files": files(&RULE.replace("not-for-acme", "never-acme")) });
    author.put(&path(&change, ""), &edited).await.ok();
    let body = json!({ "edition": edition, "action": "approve", "digest": old["digest"], "report": old["report"] });
    approver.post(&path(&change, "/actions"), &body).await.problem("approval-stale");
    assert_eq!(last(&world), ("policy.approve".to_owned(), Some(Code::ApprovalStale)));
    act(&approver, &change, "approve", old.clone()).await.problem("wrong-state");
    let second = simulate(&world, &author, &change).await;
    act(&author, &change, "submit", json!({})).await.ok();
    act(&approver, &change, "approve", old).await.problem("approval-stale");
    // Whoever edited it is an author too.
    act(&both, &change, "approve", seen(&second)).await.problem("four-eyes-required");
    act(&approver, &change, "approve", seen(&second)).await.ok();

    // An edit drops the approval, whoever makes it.
    let now = read(&both, &change).await;
    let files_now = now["files"].clone();
    let edited =
        json!({ "edition": now["change"]["edition"], "title": "Other words", "files": files_now });
    both.put(&path(&change, ""), &edited).await.ok();
    act(&both, &change, "activate", json!({})).await.problem("wrong-state");
    assert_eq!(author.get("/api/v1/policy").await.ok()["version"], 1);
}

#[actix_web::test]
async fn what_cannot_be_enforced_or_is_behind_does_not_get_in() {
    let world = World::start().await;
    traffic(&world);
    let author = world.client("policy-author").await;
    let approver = world.client("policy-approver").await;
    let approved = async |rule: &str| {
        let change = begin(&author, rule).await;
        let simulation = simulate(&world, &author, &change).await;
        act(&author, &change, "submit", json!({})).await.ok();
        act(&approver, &change, "approve", seen(&simulation)).await.ok();
        change
    };
    // Two changes on top of the same version.
    let first = approved(RULE).await;
    let second = approved(&RULE.replace("acme", "globex")).await;
    act(&author, &first, "activate", json!({})).await.ok();
    act(&author, &second, "activate", json!({})).await.problem("policy-conflict");
    assert_eq!(read(&author, &second).await["up_to_date"], false);
    // Put on top of what is active now, it needs eyes anew.
    let now = read(&author, &second).await;
    let rebased = json!({ "edition": now["change"]["edition"], "title": "Globex out", "files": now["files"], "rebase": true });
    author.put(&path(&second, ""), &rebased).await.ok();
    act(&author, &second, "activate", json!({})).await.problem("wrong-state");
    simulate(&world, &author, &second).await;
    act(&author, &second, "submit", json!({})).await.ok();

    // Retention below what law asks for, with the article named.
    let short = RULE.replace("@reason", "@retain_days(\"182\")\n@reason").replace(
        "forbid (principal == Tenant::\"acme\", action == Action::\"classify\", resource)",
        "permit (principal, action == Action::\"obligate\", resource)",
    );
    let change = begin(&author, &short).await;
    simulate(&world, &author, &change).await;
    let refused = act(&author, &change, "submit", json!({})).await.problem("policy-invalid");
    assert!(refused["detail"].as_str().unwrap().contains("Art. 19, 26(6)"), "{refused}");
    // Words that are no Cedar can be kept, with their faults in their place.
    let change = begin(&author, "permit (principal").await;
    let check = read(&author, &change).await["check"].clone();
    assert_eq!(check["valid"], false);
    assert_eq!(check["faults"][0]["file"], "mine.cedar");
    assert_eq!(check["faults"][0]["line"], 1);
    // Files that are no bundle cannot.
    let body = json!({ "title": "x", "files": { "bundle.toml": "name = 3" } });
    let refused = author.post("/api/v1/policy/changes", &body).await.problem("policy-invalid");
    assert_eq!(refused["errors"][0]["field"], "files.bundle.toml");
    let checked = author
        .post("/api/v1/policy/check", &json!({ "files": { "bundle.toml": "name = 3" } }))
        .await
        .ok();
    assert_eq!(checked["faults"][0]["line"], 1);
}

#[actix_web::test]
async fn a_change_goes_into_force_at_its_time() {
    let world = World::start().await;
    traffic(&world);
    let author = world.client("policy-author").await;
    let approver = world.client("policy-approver").await;
    let change = begin(&author, RULE).await;
    let simulation = simulate(&world, &author, &change).await;
    act(&author, &change, "submit", json!({})).await.ok();
    act(&author, &change, "schedule", json!({ "at": "2026-11-24T20:00:00Z" }))
        .await
        .problem("wrong-state");
    act(&approver, &change, "approve", seen(&simulation)).await.ok();
    act(&author, &change, "schedule", json!({ "at": "2026-11-24T07:00:00Z" }))
        .await
        .problem("invalid-request");
    act(&author, &change, "schedule", json!({ "at": "2026-11-24T08:30:00Z" })).await.ok();
    actix_web::rt::time::sleep(std::time::Duration::from_millis(600)).await;
    assert_eq!(read(&author, &change).await["change"]["state"], "scheduled");
    world.clock.advance(std::time::Duration::from_secs(1800));
    let mut state = Value::Null;
    for _ in 0..50 {
        actix_web::rt::time::sleep(std::time::Duration::from_millis(100)).await;
        state = read(&author, &change).await["change"]["state"].clone();
        if state == "activated" {
            break;
        }
    }
    assert_eq!(state, "activated");
    let event = world.last_event();
    assert_eq!(
        (event.action.as_str(), event.actor),
        ("policy.activate", reeve_domain::Actor::System)
    );
}

#[actix_web::test]
async fn a_decision_is_explained_by_the_rules_that_made_it() {
    let world = World::start().await;
    let mut bundle = default_bundle();
    bundle.cedar.insert("mine.cedar".to_owned(), RULE.to_owned());
    let document = bundle.document();
    let engine = Engine::compile(&document).unwrap();
    world
        .store
        .write(|c| reeve_store::policy::insert_bundle(c, &document, "test", world.now()))
        .unwrap();
    world.call(&[decided(1, "acme", 1, &engine), decided(2, "globex", 2, &engine)]);
    let auditor = world.client("auditor").await;
    let id = crate::calls::decision_id(1);
    let told = auditor.get(&format!("/api/v1/decisions/{id}/explanation")).await.ok();
    assert_eq!(told["reproduced"], true);
    let explained = &told["explanation"];
    assert_eq!(explained["regions"][0]["rules"], json!(["not-for-acme"]));
    assert_eq!(explained["rules"][0]["source"].as_str().unwrap(), RULE.trim());
    assert_eq!(explained["ways"], json!([]), "nothing that a call can change lets acme in");
    let id = crate::calls::decision_id(2);
    let told = auditor.get(&format!("/api/v1/decisions/{id}/explanation")).await.ok();
    assert_eq!(told["explanation"]["regions"][0]["permitted"], true);
    let rules = told["explanation"]["rules"].as_array().unwrap();
    let access = rules.iter().find(|rule| rule["id"] == "classify-in-residency").unwrap();
    assert_eq!(access["attributes"]["principal.residency"], json!(["eu-west"]));
    auditor.get("/api/v1/decisions/nothing/explanation").await.problem("not-found");
}

#[actix_web::test]
async fn an_emergency_has_an_end_and_a_review_by_another() {
    let world = World::start().await;
    let operator = world.client("operator").await;
    let approver = world.client("policy-approver").await;
    let tenant = json!({ "id": "acme", "display_name": "Acme", "plan": "standard" });
    operator.post("/api/v1/tenants", &tenant).await;
    let emergencies = "/api/v1/tenants/acme/emergencies";
    operator
        .post(emergencies, &json!({ "reason": " ", "minutes": 30 }))
        .await
        .problem("invalid-request");
    assert_eq!(world.last_event().code, Some(Code::InvalidRequest));
    operator
        .post(emergencies, &json!({ "reason": "ward 3", "minutes": 241 }))
        .await
        .problem("invalid-request");
    let opened =
        operator.post(emergencies, &json!({ "reason": "ward 3", "minutes": 30 })).await.json();
    assert_eq!(opened["open"], true);
    let review = format!("/api/v1/emergencies/{}/review", opened["id"].as_str().unwrap());
    let findings = json!({ "findings": "it was one" });
    operator.post(&review, &findings).await.problem("four-eyes-required");
    approver.post(&review, &findings).await.ok();
    approver.post(&review, &findings).await.problem("conflict");
    let listed = approver.get("/api/v1/emergencies").await.ok();
    assert_eq!(listed["items"][0]["reviewed_by"], "policy-approver");
    // The file of the tenant can be changed meanwhile, and the emergency stays.
    let file = json!({
        "purposes": ["support"], "agreements": { "dpa": "2027-01-01T00:00:00Z" },
        "instruments": { "US": { "kind": "scc" } }, "overseen": { "support": null },
    });
    let kept = operator.put("/api/v1/tenants/acme/legal", &file).await.ok();
    assert_eq!(kept["agreements"]["dpa"], "2027-01-01T00:00:00.000000Z");
    operator
        .put("/api/v1/tenants/acme/legal", &json!({ "agreements": { "dpa": "soon" } }))
        .await
        .problem("invalid-request");
    let stored = world
        .store
        .read(|c| reeve_store::tenant::get(c, &"acme".parse().unwrap()))
        .unwrap()
        .unwrap();
    assert!(stored.facts.legal.break_glass.is_some());
    assert_eq!(stored.facts.purposes.len(), 1);
}

#[actix_web::test]
async fn without_a_proof_two_must_approve() {
    let world = World::start().await;
    traffic(&world);
    let author = world.client("policy-author").await;
    let approver = world.client("policy-approver").await;
    let another = world.client("author-and-approver").await;
    let change = begin(&author, RULE).await;
    let simulation = simulate(&world, &author, &change).await;
    let asked = author.post(&path(&change, "/proofs"), &json!({})).await;
    assert_eq!((asked.status, &asked.json()["state"]), (202, &json!("queued")));
    assert!(prove_next(&world.store, &*world.clock, None).unwrap());
    assert!(!prove_next(&world.store, &*world.clock, None).unwrap());
    let proof = read(&author, &change).await["proof"].clone();
    assert_eq!(proof["state"], "failed");
    assert!(proof["failure"].as_str().unwrap().contains("no solver is installed"), "{proof}");
    act(&author, &change, "submit", json!({})).await.ok();
    let once = act(&approver, &change, "approve", seen(&simulation)).await.ok();
    assert_eq!(
        (&once["state"], &once["approved_by"]),
        (&json!("in-review"), &json!("policy-approver"))
    );
    act(&approver, &change, "approve", seen(&simulation)).await.problem("four-eyes-required");
    act(&author, &change, "activate", json!({})).await.problem("wrong-state");
    let twice = act(&another, &change, "approve", seen(&simulation)).await.ok();
    assert_eq!(
        (&twice["state"], &twice["approved_with"]),
        (&json!("approved"), &json!("policy-approver"))
    );
    act(&author, &change, "activate", json!({})).await.ok();
}

#[actix_web::test]
async fn an_approval_by_one_ends_where_a_proof_fails_later() {
    let world = World::start().await;
    traffic(&world);
    let author = world.client("policy-author").await;
    let approver = world.client("policy-approver").await;
    let change = begin(&author, RULE).await;
    let simulation = simulate(&world, &author, &change).await;
    act(&author, &change, "submit", json!({})).await.ok();
    act(&approver, &change, "approve", seen(&simulation)).await.ok();
    author.post(&path(&change, "/proofs"), &json!({})).await;
    prove_next(&world.store, &*world.clock, None).unwrap();
    act(&author, &change, "activate", json!({})).await.problem("approval-stale");
}

#[expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "where the solver is, as `./x test` says"
)]
fn installed_solver() -> Option<Solver> {
    let program = std::env::var_os("CVC5").unwrap_or_else(|| "cvc5".into());
    let found = solver(Path::new(&program), Duration::from_secs(120));
    if found.is_none() {
        eprintln!("skipped: there is no cvc5 on this machine (`./x solver` installs one)");
    }
    found
}

#[actix_web::test]
async fn a_solver_shows_a_call_that_a_change_denies() {
    let Some(solver) = installed_solver() else { return };
    let world = World::start().await;
    let author = world.client("policy-author").await;
    let change = begin(&author, RULE).await;
    author.post(&path(&change, "/proofs"), &json!({})).await;
    // It waits for the solver, which no thread of the server may.
    std::thread::scope(|scope| {
        let prove = || prove_next(&world.store, &*world.clock, Some(&solver)).unwrap();
        assert!(scope.spawn(prove).join().unwrap());
    });
    let proof = read(&author, &change).await["proof"].clone();
    assert_eq!(proof["state"], "done", "{proof}");
    assert_eq!(proof["report"]["newly_allowed"], json!({ "answer": "never" }));
    let denied = &proof["report"]["newly_denied"];
    assert_eq!(
        (&denied["answer"], &denied["sample"]["tenant"]),
        (&json!("sometimes"), &json!("acme"))
    );
    assert_eq!(denied["sample"]["rules_after"], json!(["not-for-acme"]));
}
