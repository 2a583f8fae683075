//! A model from its upload into production and out again, and every way around the second person.

use std::{collections::BTreeMap, time::Duration};

use actix_web::http::Method;
use reeve_domain::{
    Code, Comparison, Digest, Observation, Observed, Pod, PodId, Record, Region, TenantId,
};
use reeve_store::{observation, pod, revision};
use reeve_worker::watch_models;
use serde_json::{Value, json};

use crate::{
    calls::{at, decision_id},
    world::{Answer, Client, World},
};

/// A bundle's files as far as anybody can tell who does not run it.
fn files(version: &str) -> Vec<(&'static str, Vec<u8>)> {
    let header = br#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let mut weights = u64::try_from(header.len()).unwrap().to_le_bytes().to_vec();
    weights.extend(header);
    weights.extend([0; 4]);
    let card = json!({ "name": "support", "version": version, "risk_class": "minimal",
        "generative": false, "intended_use": "sort mail",
        "metrics": { "labels": { "calm": { "support": 500 }, "angry": { "support": 500 } } } });
    let others = vec![
        ("card.json", card.to_string().into_bytes()),
        ("tokenizer.json", b"{}".to_vec()),
        ("weights.safetensors", weights),
    ];
    let digests: BTreeMap<_, _> =
        others.iter().map(|(name, bytes)| (*name, Digest::of(bytes).to_string())).collect();
    let manifest = json!({ "format": 1, "name": "support", "version": version,
        "labels": ["calm", "angry"], "files": digests });
    let mut all = vec![("bundle.json", manifest.to_string().into_bytes())];
    all.extend(others);
    all
}

fn archive(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(u64::try_from(bytes.len()).unwrap());
        header.set_mode(0o644);
        builder.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

async fn upload(client: &Client, bytes: Vec<u8>) -> Answer {
    client.send_bytes(Method::POST, "/api/v1/models", "application/x-tar", bytes).await
}

/// Takes a version in and has a pod serve it. Gives its digest.
async fn serve(world: &World, client: &Client, version: &str) -> String {
    let answer = upload(client, archive(&files(version))).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let digest = answer.json()["digest"].as_str().unwrap().to_owned();
    let (id, bundle) = (PodId::new("eu-1").unwrap(), digest.parse().unwrap());
    world
        .store
        .write(|c| {
            if pod::list(c)?.is_empty() {
                let new = Pod {
                    id: id.clone(),
                    region: Region::new("eu-west").unwrap(),
                    url: "http://127.0.0.1:1".to_owned(),
                    models: Vec::new(),
                    draining: false,
                };
                pod::upsert(c, &new)?;
            }
            pod::set_serves(c, &id, &bundle, true)
        })
        .unwrap();
    digest
}

async fn model(client: &Client) -> Value {
    client.get("/api/v1/models/support").await.ok()
}

async fn ask(client: &Client, kind: &str, digest: &str, more: Value) -> Answer {
    let mut body = json!({ "kind": kind, "digest": digest, "reason": "it is better" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.post("/api/v1/models/support/changes", &body).await
}

async fn act(client: &Client, change: &Value, action: &str, more: Value) -> Answer {
    let mut body = json!({ "edition": change["edition"], "action": action,
        "digest": change["digest"] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let id = change["id"].as_str().unwrap();
    client.post(&format!("/api/v1/models/support/changes/{id}/actions"), &body).await
}

/// Asked for by one and approved by another.
async fn promoted(operator: &Client, approver: &Client, digest: &str) {
    let asked = ask(operator, "promote", digest, json!({})).await;
    assert_eq!(asked.status, 201, "{asked:?}");
    let applied = act(approver, &asked.json(), "approve", json!({})).await.ok();
    assert_eq!(applied["state"], "applied");
}

fn in_production(model: &Value) -> &Value {
    let routes = model["routes"].as_array().unwrap();
    &routes.iter().find(|route| route["alias"] == "production").unwrap()["digest"]
}

#[actix_web::test]
async fn what_is_uploaded_is_looked_at_kept_and_taken_in_once() {
    let world = World::start().await;
    let operator = world.client("operator").await;
    let answer = upload(&operator, archive(&files("1"))).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let taken = answer.json();
    assert_eq!((&taken["name"], &taken["state"]), (&json!("support"), &json!("candidate")));
    let digest = taken["digest"].as_str().unwrap();
    let event = world.last_event();
    assert_eq!((event.action.as_str(), event.target.as_str()), ("model.upload", digest));
    let kept = world.dir.path().join("registry/models").join(digest.trim_start_matches("sha256:"));
    assert_eq!(std::fs::read(kept.join("tokenizer.json")).unwrap(), b"{}");
    assert_eq!(upload(&operator, archive(&files("1"))).await.status, 200, "it is there already");
    let detail = model(&operator).await;
    assert_eq!(detail["versions"][0]["card"]["intended_use"], "sort mail");
    assert_eq!(detail["routes"], json!([]), "it answers nobody");

    // Another bundle under the same version, and what is no bundle.
    let mut other = files("1");
    other[0].1.extend(b" ");
    upload(&operator, archive(&other)).await.problem("conflict");
    assert_eq!(world.last_event().code, Some(Code::Conflict));
    let mut changed = files("2");
    changed[2].1 = b"[]".to_vec();
    let mut more = files("2");
    more.push(("run.py", b"print()".to_vec()));
    for (bytes, because) in [
        (b"\x80\x02}q\x00.".to_vec(), "PyTorch"),
        (b"nothing".to_vec(), "tar or ZIP"),
        (archive(&changed), "tokenizer.json"),
        (archive(&more), "run.py"),
        (archive(&files("2")[1..]), "bundle.json"),
    ] {
        let problem = upload(&operator, bytes).await.problem("model-refused");
        assert!(problem["detail"].as_str().unwrap().contains(because), "{problem}");
        assert_eq!(world.last_event().code, Some(Code::ModelRefused));
    }
    let large = upload(&operator, vec![0; 200_000]).await;
    large.problem("payload-too-large");
    let text = operator.send_bytes(Method::POST, "/api/v1/models", "text/plain", vec![1]).await;
    text.problem("unsupported-media-type");
    let unknown = "/api/v1/models?owner=nobody";
    let bytes = archive(&files("3"));
    let unknown = operator.send_bytes(Method::POST, unknown, "application/x-tar", bytes).await;
    assert_eq!(unknown.wrong_fields(), ["owner"]);
}

#[actix_web::test]
async fn a_version_is_promoted_by_two_and_rolled_back_by_one() {
    let world = World::start().await;
    let (operator, approver) =
        (world.client("operator").await, world.client("policy-approver").await);
    let one = serve(&world, &operator, "1").await;
    promoted(&operator, &approver, &one).await;
    let events: Vec<_> = world.events().into_iter().map(|event| event.action).collect();
    assert!(events.ends_with(&["model.propose".to_owned(), "model.approve".to_owned()]));
    let two = serve(&world, &operator, "2").await;
    let asked = ask(&operator, "promote", &two, json!({})).await.json();

    // Not by whoever asked, not of something else, not twice, not by anybody.
    act(&operator, &asked, "approve", json!({})).await.problem("four-eyes-required");
    assert_eq!(world.last_event().code, Some(Code::FourEyesRequired));
    let other = json!({ "digest": one });
    act(&approver, &asked, "approve", other).await.problem("approval-stale");
    act(&approver, &asked, "reject", json!({})).await.wrong_fields();
    act(&approver, &asked, "withdraw", json!({})).await.problem("role-required");
    assert_eq!(in_production(&model(&operator).await), &json!(one));
    let before = world.store.read(revision::current).unwrap();
    assert_eq!(act(&approver, &asked, "approve", json!({})).await.status, 200);
    act(&approver, &asked, "approve", json!({})).await.problem("approval-stale");
    assert!(world.store.read(revision::current).unwrap() > before, "gateways must see it");
    let now = model(&operator).await;
    assert_eq!(in_production(&now), &json!(two));
    assert_eq!(now["history"][0]["kind"], "promote");
    assert_eq!(now["versions"][0]["state"], "approved");

    let path = "/api/v1/models/support/rollback";
    assert_eq!(approver.post(path, &json!({ "reason": " " })).await.wrong_fields(), ["reason"]);
    let back = approver.post(path, &json!({ "reason": "it is worse" })).await.ok();
    assert_eq!(back["digest"], json!(one));
    assert_eq!(world.last_event().details["reason"], "it is worse");
    // What was asked for before something else was put in production is stale.
    let again = ask(&operator, "promote", &two, json!({})).await.json();
    approver.post(path, &json!({ "reason": "no, back" })).await.ok();
    act(&approver, &again, "approve", json!({})).await.problem("approval-stale");
}

#[actix_web::test]
async fn a_canary_and_a_shadow_stand_beside_production() {
    let world = World::start().await;
    let (operator, approver) =
        (world.client("operator").await, world.client("policy-approver").await);
    let one = serve(&world, &operator, "1").await;
    let two = serve(&world, &operator, "2").await;
    let early = ask(&operator, "canary", &two, json!({ "permille": 50 })).await;
    early.problem("wrong-state");
    promoted(&operator, &approver, &one).await;
    for wrong in [json!({}), json!({ "permille": 0 }), json!({ "permille": 1001 })] {
        assert_eq!(ask(&operator, "canary", &two, wrong).await.wrong_fields(), ["permille"]);
    }
    let asked = ask(&operator, "canary", &two, json!({ "permille": 50 })).await.json();
    act(&approver, &asked, "approve", json!({})).await.ok();
    let shadow = json!({ "digest": two, "permille": 1000 });
    operator.put("/api/v1/models/support/shadow", &shadow).await.ok();
    let route = model(&operator).await["routes"][0].clone();
    assert_eq!(route["digest"], json!(one));
    assert_eq!(route["canary"], json!({ "digest": two, "permille": 50, "by": "subject" }));
    assert_eq!(route["shadow"], json!({ "digest": two, "permille": 1000 }));
    let own = json!({ "digest": one, "permille": 1000 });
    operator.put("/api/v1/models/support/shadow", &own).await.problem("wrong-state");
    assert_eq!(approver.delete("/api/v1/models/support/canary").await.status, 204);
    approver.delete("/api/v1/models/support/canary").await.problem("not-found");
    assert_eq!(operator.delete("/api/v1/models/support/shadow").await.status, 204);
    let route = model(&operator).await["routes"][0].clone();
    assert_eq!((&route["canary"], &route["shadow"]), (&Value::Null, &Value::Null));
    assert_eq!(world.last_event().action, "model.shadow-end");
}

#[actix_web::test]
async fn aliases_lead_where_one_person_says_but_production_does_not() {
    let world = World::start().await;
    let operator = world.client("operator").await;
    let one = serve(&world, &operator, "1").await;
    let path = "/api/v1/models/support/aliases/staging";
    let body = json!({ "digest": one });
    assert_eq!(operator.put(path, &body).await.ok()["alias"], "staging");
    assert_eq!(model(&operator).await["versions"][0]["aliases"], json!(["staging"]));
    let production = "/api/v1/models/support/aliases/production";
    operator.put(production, &body).await.problem("four-eyes-required");
    operator.delete(production).await.problem("four-eyes-required");
    assert_eq!(world.last_event().code, Some(Code::FourEyesRequired));
    assert_eq!(operator.delete(path).await.status, 204);
    operator.delete(path).await.problem("not-found");
    let unknown = json!({ "digest": Digest::of(b"x").to_string() });
    operator.put(path, &unknown).await.problem("not-found");
}

#[actix_web::test]
async fn nothing_answers_where_no_pod_serves_it() {
    let world = World::start().await;
    let (operator, approver) =
        (world.client("operator").await, world.client("policy-approver").await);
    let one = serve(&world, &operator, "1").await;
    promoted(&operator, &approver, &one).await;
    let answer = upload(&operator, archive(&files("2"))).await.json();
    let two = answer["digest"].as_str().unwrap().to_owned();
    ask(&operator, "promote", &two, json!({})).await.problem("model-not-placed");
    assert_eq!(world.last_event().code, Some(Code::ModelNotPlaced));
    let path = format!("/api/v1/models/{two}/placement");
    let nowhere = operator.put(&path, &json!({ "regions": ["mars"] })).await;
    assert_eq!(nowhere.wrong_fields(), ["regions"]);
    assert_eq!(operator.put(&path, &json!({ "regions": ["eu-west"] })).await.status, 204);
    let placed = model(&operator).await["placements"][0].clone();
    assert_eq!((&placed["region"], &placed["wanted"]), (&json!("eu-west"), &json!(true)));
    assert_eq!(world.last_event().details["regions"], "eu-west");
    let path = format!("/api/v1/models/{one}/placement");
    operator.put(&path, &json!({ "regions": [] })).await.problem("wrong-state");
}

#[actix_web::test]
async fn a_withdrawn_version_answers_nobody_until_two_restore_it() {
    let world = World::start().await;
    let (operator, approver) =
        (world.client("operator").await, world.client("policy-approver").await);
    let one = serve(&world, &operator, "1").await;
    let two = serve(&world, &operator, "2").await;
    promoted(&operator, &approver, &one).await;
    promoted(&operator, &approver, &two).await;
    operator.put("/api/v1/models/support/aliases/staging", &json!({ "digest": two })).await.ok();
    let withdraw = |digest: &str| format!("/api/v1/models/{digest}/withdrawal");
    let because = json!({ "reason": "it insults people" });
    let done = approver.post(&withdraw(&two), &because).await.ok();
    assert_eq!(done["production"], json!(one), "what answered before answers again");
    assert_eq!(world.last_event().action, "model.withdraw");
    let now = model(&operator).await;
    assert_eq!(in_production(&now), &json!(one));
    assert_eq!(now["routes"].as_array().unwrap().len(), 1, "no alias leads there");
    assert_eq!(now["versions"][0]["state"], "withdrawn");
    let unwanted = &now["placements"][0];
    assert_eq!((&unwanted["digest"], &unwanted["wanted"]), (&json!(two), &json!(false)));
    ask(&operator, "promote", &two, json!({})).await.problem("wrong-state");
    // The last one leaves nothing in production.
    let done = operator.post(&withdraw(&one), &because).await.ok();
    assert_eq!(done["production"], Value::Null);
    let asked = ask(&operator, "restore", &two, json!({})).await.json();
    act(&operator, &asked, "approve", json!({})).await.problem("four-eyes-required");
    act(&approver, &asked, "approve", json!({})).await.ok();
    assert_eq!(model(&operator).await["versions"][0]["state"], "candidate");
    let unknown = withdraw(&Digest::of(b"x").to_string());
    operator.post(&unknown, &because).await.problem("not-found");
}

#[actix_web::test]
async fn a_model_is_offered_on_terms() {
    let world = World::start().await;
    let operator = world.client("operator").await;
    for id in ["acme", "umbra"] {
        let body = json!({ "id": id, "display_name": id, "plan": "standard" });
        assert_eq!(operator.post("/api/v1/tenants", &body).await.status, 201);
    }
    let own = "/api/v1/models?owner=acme";
    let bytes = archive(&files("1"));
    let answer = operator.send_bytes(Method::POST, own, "application/x-tar", bytes).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let first = model(&operator).await;
    assert_eq!((&first["owner"], &first["open"]), (&json!("acme"), &json!(false)));
    let path = "/api/v1/models/support/offer";
    let share = json!({ "tenant": "umbra", "until": "2027-01-01T00:00:00Z",
        "purposes": ["care"], "preview": true, "terms": "for a year" });
    let offer = json!({ "owner": "acme", "open": false, "shares": [share] });
    assert_eq!(operator.put(path, &offer).await.status, 204);
    let event = world.last_event();
    assert_eq!((event.action.as_str(), event.tenant), ("model.offer", TenantId::new("acme").ok()));
    let shared = model(&operator).await["shares"][0].clone();
    assert_eq!((&shared["tenant"], &shared["preview"]), (&json!("umbra"), &json!(true)));
    assert_eq!(shared["purposes"], json!(["care"]));
    for (wrong, field) in [
        (json!({ "open": true, "owner": "nobody" }), "owner"),
        (json!({ "open": true, "shares": [{ "tenant": "nobody" }] }), "shares.tenant"),
        (
            json!({ "open": true, "shares": [{ "tenant": "acme", "until": "soon" }] }),
            "shares.until",
        ),
        (json!({ "open": true, "shares": [{ "tenant": "acme" }, { "tenant": "acme" }] }), "shares"),
    ] {
        assert_eq!(operator.put(path, &wrong).await.wrong_fields(), [field], "{wrong}");
    }
}

#[actix_web::test]
async fn what_is_answered_is_compared_with_the_training_and_told() {
    let world = World::start().await;
    let operator = world.client("operator").await;
    let one: Digest = serve(&world, &operator, "1").await.parse().unwrap();
    let seen = |tenant: &str, seconds, calm, angry| {
        let labels = BTreeMap::from([("calm".to_owned(), calm), ("angry".to_owned(), angry)]);
        Record::Observation(Box::new(Observation {
            from: at(seconds - 60),
            until: at(seconds),
            tenant: TenantId::new(tenant).unwrap(),
            name: "support".to_owned(),
            model: one,
            observed: Observed { texts: calm + angry, labels, ..Observed::default() },
        }))
    };
    world.call(&[seen("acme", 1, 130, 120), seen("umbra", 2, 70, 80)]);
    assert_eq!(watch_models(&world.store, &*world.clock).unwrap(), []);
    let compared = Record::Comparison(Box::new(Comparison {
        decision_id: decision_id(1),
        at: at(3),
        tenant: TenantId::new("acme").unwrap(),
        model: Digest::of(b"other"),
        mirror: one,
        region: Region::new("eu-west").unwrap(),
        pod: None,
        code: None,
        items: 300,
        differing: 150,
        widest_permille: 1,
        took_us: 1,
    }));
    world.call(&[seen("acme", 4, 2000, 10), compared]);
    let news = watch_models(&world.store, &*world.clock).unwrap();
    let raised: Vec<_> = news.iter().map(|it| (it.event, it.measure.as_str())).collect();
    assert_eq!(raised, [("raised", "label-drift"), ("raised", "disagreement")]);
    assert_eq!(watch_models(&world.store, &*world.clock).unwrap(), [], "it is told once");
    let view = operator.get("/api/v1/models/support/observations").await.ok();
    let version = &view["versions"][0];
    assert_eq!(version["seen"]["texts"], 2410);
    assert_eq!((&version["mirrored"], &version["differing"]), (&json!(300), &json!(150)));
    assert_eq!(version["drift"][0]["measure"], "label-drift");
    assert_eq!(version["drift"][0]["passes"], true, "{version}");
    let umbra = operator.get("/api/v1/models/support/observations?tenant=umbra").await.ok();
    assert_eq!(umbra["versions"][0]["seen"]["texts"], 150);
    let alerts = operator.get("/api/v1/alerts").await.ok();
    assert_eq!(alerts["items"].as_array().unwrap().len(), 2);
    // A threshold of one's own, and a day later there is nothing to be told any more.
    let path = "/api/v1/models/support/thresholds/disagreement";
    assert_eq!(operator.put(path, &json!({ "permille": 600 })).await.status, 204);
    assert_eq!(world.last_event().action, "model.threshold");
    let cleared = watch_models(&world.store, &*world.clock).unwrap();
    assert_eq!(cleared.iter().map(|it| it.event).collect::<Vec<_>>(), ["cleared"]);
    world.clock.advance(Duration::from_secs(2 * 86_400));
    assert_eq!(watch_models(&world.store, &*world.clock).unwrap().len(), 1);
    let other = "/api/v1/models/support/thresholds/mood";
    let later = world.client("operator").await;
    later.put(other, &json!({ "permille": 1 })).await.problem("not-found");
    assert_eq!(later.put(path, &json!({ "permille": -1 })).await.wrong_fields(), ["permille"]);
    let wide = "/api/v1/models/support/observations?from=2020-01-01T00:00:00Z";
    assert_eq!(later.get(wide).await.wrong_fields(), ["from"]);
    let window =
        observation::Window { from: at(0), until: at(10), digests: [one].into(), tenant: None };
    let hours = world.store.read(|c| observation::hours(c, &window)).unwrap();
    assert_eq!(hours.len(), 2, "one row an hour and tenant");
}
