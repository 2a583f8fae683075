use reeve_domain::{Actor, Code, UserId};
use reeve_store::log;
use serde_json::{Value, json};

use crate::{
    calls::{decision_id, intent, outcome, refusal, story},
    world::{Client, World, control, gateway},
};

const PATH: &str = "/api/v1/audit";

async fn found(client: &Client, query: &str) -> Vec<(String, u64)> {
    let page = client.get(&format!("{PATH}?{query}")).await.ok();
    let items = page["items"].as_array().unwrap().clone();
    items.iter().map(place).collect()
}

fn place(item: &Value) -> (String, u64) {
    (item["kind"].as_str().unwrap().to_owned(), item["index"].as_u64().unwrap())
}

fn indices(found: Vec<(String, u64)>) -> Vec<u64> {
    found.into_iter().map(|(_, index)| index).collect()
}

#[actix_web::test]
async fn a_row_tells_the_whole_call() {
    let world = World::start().await;
    world.call(&story());
    let client = world.client("auditor").await;
    let id = decision_id(2);
    let page = client.get(&format!("{PATH}?decision={id}&kind=outcome")).await.ok();
    assert_eq!(page["next"], json!(null));
    let mut row = page["items"][0].clone();
    let hash = row["leaf_hash"].take();
    assert_eq!(hash.as_str().unwrap().len(), 64);
    let policy = row["policy"].take();
    assert!(policy.as_str().unwrap().starts_with("sha256:"));
    assert_eq!(
        row,
        json!({
            "origin": gateway().as_str(), "index": 3, "leaf_hash": null,
            "at": "2026-11-24T08:00:02.000000Z", "kind": "outcome", "decision_id": id.to_string(),
            "tenant": "acme", "credential": "key:key-1", "model": "support", "action": "classify",
            "region": "eu-west", "status": "completed", "code": null, "policy": null, "items": 2,
            "characters": 30, "tokens": 9, "cost": { "micros": 400, "currency": "EUR" },
            "redactions": { "EMAIL_ADDRESS": 3 },
        })
    );
}

#[actix_web::test]
async fn each_filter_narrows_the_search() {
    let world = World::start().await;
    world.call(&story());
    let client = world.client("auditor").await;
    for (query, expected) in [
        ("tenant=umbra", vec![6, 5, 4]),
        ("kind=outcome,refusal", vec![6, 4, 3, 1]),
        ("kind=intent&status=pending", vec![7]),
        ("status=failed&kind=outcome", vec![6]),
        ("code=rate-limited", vec![4]),
        ("region=eu-west", vec![3, 1]),
        ("from=2026-11-24T08:00:03Z", vec![7, 6, 5, 4]),
        ("until=2026-11-24T00:00:00Z", vec![1, 0]),
        ("from=2026-11-24T08:00:01Z&until=2026-11-24T08:00:03Z", vec![3, 2]),
        ("tenant=nobody", vec![]),
        ("tenant=&kind=&after=", vec![7, 6, 5, 4, 3, 2, 1, 0]),
    ] {
        assert_eq!(indices(found(&client, query).await), expected, "{query}");
    }
    for (query, field) in [
        ("tenant=a%20b", "tenant"),
        ("from=yesterday", "from"),
        ("until=0", "until"),
        ("kind=intent,nonsense", "kind"),
        ("status=done", "status"),
        ("code=nonsense", "code"),
        ("region=%2F", "region"),
        ("decision=dec_1", "decision"),
        ("after=nonsense", "after"),
        ("after=AAAA", "after"),
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
    ] {
        assert_eq!(client.get(&format!("{PATH}?{query}")).await.wrong_fields(), [field]);
    }
}

#[actix_web::test]
async fn pages_are_stable_while_rows_arrive() {
    let world = World::start().await;
    world.call(&story());
    let client = world.client("auditor").await;
    let (mut seen, mut query) = (Vec::new(), "limit=3".to_owned());
    let mut pages: u32 = 0;
    loop {
        let page = client.get(&format!("{PATH}?{query}")).await.ok();
        seen.extend(page["items"].as_array().unwrap().iter().map(place));
        pages += 1;
        // Newer rows, and one at the same moment as the last of the first page.
        let number = 100 + u128::from(pages);
        world.call(&[
            refusal(number, "acme", 60, Code::RateLimited),
            intent(number + 50, "acme", 5),
        ]);
        let Some(next) = page["next"].as_str() else { break };
        query = format!("limit=3&after={next}");
    }
    assert_eq!(pages, 3);
    assert_eq!(indices(seen), [7, 6, 5, 4, 3, 2, 1, 0]);
}

#[actix_web::test]
async fn what_auditors_read_is_recorded() {
    let world = World::start().await;
    world.call(&story());
    let client = world.client("auditor").await;
    client.get(&format!("{PATH}?tenant=acme&status=pending")).await.ok();
    let event = world.last_event();
    assert_eq!((event.action.as_str(), event.target.as_str()), ("audit.read", "audit"));
    assert_eq!(event.actor, Actor::User(UserId::new("auditor").unwrap()));
    assert_eq!(event.tenant.unwrap().as_str(), "acme");
    assert_eq!(event.details["filters"], "tenant status");

    let id = decision_id(2).to_string();
    client.get(&format!("/api/v1/decisions/{id}")).await.ok();
    let event = world.last_event();
    assert_eq!((event.action, event.target), ("audit.read".to_owned(), id));

    // The reading is evidence too.
    world.index(&control());
    let page = client.get(&format!("{PATH}?kind=control")).await.ok();
    let actions: Vec<_> =
        page["items"].as_array().unwrap().iter().map(|it| &it["action"]).collect();
    assert_eq!(actions, ["audit.read", "audit.read", "session.create"]);
    assert_eq!(page["items"][0]["credential"], "user:auditor");
}

#[actix_web::test]
async fn a_decision_comes_with_proofs_that_hold() {
    let world = World::start().await;
    world.call(&story());
    let client = world.client("auditor").await;
    let id = decision_id(2);
    let path = format!("/api/v1/decisions/{id}");
    let view = client.get(&path).await.ok();
    assert_eq!(view["decision_id"], id.to_string());
    assert_eq!((&view["tenant"], &view["status"]), (&json!("acme"), &json!("completed")));
    assert_eq!(view["at"], "2026-11-24T08:00:01.000000Z");
    assert_eq!(view["intent"]["type"], "intent");
    assert_eq!(view["outcome"]["usage"]["tokens"], 9);
    assert!(view.get("refusal").is_none());
    let stages: Vec<_> = view["stages"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(stages, ["decide", "redact", "record", "forward", "settle"]);
    assert_eq!(view["stages"][0]["duration_us"], 11);
    assert_eq!(view["stages"][1]["detail"], "3 values redacted");

    let entries = view["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    for entry in entries {
        let inclusion = &entry["inclusion"];
        assert_eq!(inclusion["verified"], true, "{entry}");
        assert_eq!(inclusion["tree_size"], 8);
        assert!(proof_holds(entry));
    }
    let refused = client.get(&format!("/api/v1/decisions/{}", decision_id(3))).await.ok();
    assert_eq!(refused["refusal"]["code"], "rate-limited");
    assert_eq!(refused["stages"][0]["name"], "refuse");

    for unknown in [decision_id(99).to_string(), "dec_1".to_owned(), "x".to_owned()] {
        client.get(&format!("/api/v1/decisions/{unknown}")).await.problem("not-found");
    }
}

/// Computes the root from what was answered alone.
fn proof_holds(entry: &Value) -> bool {
    let hash = |text: &Value| -> [u8; 32] {
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_str().unwrap().as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        }
        bytes
    };
    let inclusion = &entry["inclusion"];
    let proof: Vec<_> = inclusion["proof"].as_array().unwrap().iter().map(hash).collect();
    reeve_ledger::inclusion_holds(
        &hash(&entry["leaf_hash"]),
        entry["index"].as_u64().unwrap(),
        inclusion["tree_size"].as_u64().unwrap(),
        &proof,
        &hash(&inclusion["root"]),
    )
}

#[actix_web::test]
async fn a_log_signed_by_another_key_proves_nothing() {
    let world = World::start().await;
    world.call(&story());
    let client = world.client("auditor").await;
    let verify = format!("/api/v1/logs/verify?origin={}", gateway());
    let post = |path: String| {
        let client = client.clone();
        async move { client.send(actix_web::http::Method::POST, &path, None).await.ok() }
    };
    let good = post(verify.clone()).await;
    assert_eq!((&good["healthy"], &good["findings"]), (&json!(true), &json!([])), "{good}");
    assert_eq!(good["size"], 8);
    assert_eq!(world.last_event().action, "log.verify");

    // As if somebody had replaced the log and the key beside it: the store has another one.
    let registered = world.store.read(log::list).unwrap();
    let other = registered.iter().find(|log| log.origin == control()).unwrap();
    let own = registered.iter().find(|log| log.origin == gateway()).unwrap();
    let of_control = other.vkey.split('+').collect::<Vec<_>>();
    assert_ne!(own.vkey.split('+').nth(2), of_control.get(2).copied());
    for key in [other_key(), "not a key".to_owned()] {
        world.store.write(|c| log::register(c, &gateway(), &key, &own.dir)).unwrap();
        let bad = post(verify.clone()).await;
        assert_eq!(bad["healthy"], false, "{key}: {bad}");
        assert!(bad["findings"].as_array().unwrap().iter().any(|it| it["kind"] == "wrong-key"));
        let view = client.get(&format!("/api/v1/decisions/{}", decision_id(2))).await.ok();
        assert_eq!(view["entries"][0]["inclusion"]["verified"], false);
        let listed = client.get("/api/v1/logs").await.ok();
        let listed = listed.as_array().unwrap().iter().find(|it| it["origin"] == bad["origin"]);
        assert_eq!(listed.unwrap()["healthy"], false);
    }
    let unknown = "/api/v1/logs/verify?origin=reeve.test/none";
    client.send(actix_web::http::Method::POST, unknown, None).await.problem("not-found");
    let missing = client.send(actix_web::http::Method::POST, "/api/v1/logs/verify", None).await;
    assert_eq!(missing.wrong_fields(), ["origin"]);
}

/// The key of another log of the same name.
fn other_key() -> String {
    let key = ed25519_dalek::SigningKey::from_bytes(&[77; 32]).verifying_key();
    reeve_ledger::VerifierKey::new(gateway(), key).to_string()
}

#[actix_web::test]
async fn a_log_that_was_changed_is_found_out() {
    let world = World::start().await;
    world.call(&story());
    world.call(&[intent(9, "acme", 20), outcome(9, "acme", 21)]);
    let client = world.client("auditor").await;
    let segments = world.log_dir(&gateway()).join("segments");
    let segment = std::fs::read_dir(segments).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read(&segment).unwrap();
    let place = text.windows(5).position(|bytes| bytes == b"umbra").unwrap();
    let mut changed = text.clone();
    changed[place] = b'o';
    std::fs::write(&segment, changed).unwrap();
    let path = format!("/api/v1/logs/verify?origin={}", gateway());
    let answer = client.send(actix_web::http::Method::POST, &path, None).await.ok();
    assert_eq!(answer["healthy"], false);
    assert!(!answer["findings"].as_array().unwrap().is_empty(), "{answer}");
    let overview = client.get("/api/v1/overview").await.ok();
    let logs = overview["logs"].as_array().unwrap();
    let shown = logs.iter().find(|log| log["origin"] == answer["origin"]).unwrap();
    assert_eq!((&shown["healthy"], &shown["findings"]), (&json!(false), &answer["findings"]));
}
