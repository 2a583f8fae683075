use std::time::Duration;

use reeve_domain::{Clock as _, KeyId, Timestamp};
use reeve_identity::{key_prefix, verify_key};
use reeve_store::api_key;
use serde_json::json;

use crate::world::{Client, World};

const PATH: &str = "/api/v1/tenants/acme/keys";

async fn operator(world: &World) -> Client {
    let client = world.client("operator").await;
    let body = json!({ "id": "acme", "display_name": "Acme", "plan": "standard" });
    assert_eq!(client.post("/api/v1/tenants", &body).await.status, 201);
    client
}

#[actix_web::test]
async fn a_key_is_shown_once_works_and_is_revoked() {
    let world = World::start().await;
    let client = operator(&world).await;
    let body = json!({
        "name": "ci", "scopes": ["classify", "read"], "expires_at": "2026-12-24T00:00:00Z",
    });
    let answer = client.post(PATH, &body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    let created = answer.json();
    let secret = created["secret"].as_str().unwrap().to_owned();
    let key = &created["key"];
    assert_eq!(key_prefix(&secret), key["prefix"].as_str());
    assert_eq!(key["scopes"], json!(["classify", "read"]));
    assert_eq!(key["expires_at"], "2026-12-24T00:00:00.000000Z");
    assert_eq!((&key["revoked_at"], &key["last_used_at"]), (&json!(null), &json!(null)));

    let id = KeyId::new(key["id"].as_str().unwrap()).unwrap();
    let stored = || world.store.read(|c| api_key::get(c, &id)).unwrap().unwrap();
    let works = |at: Timestamp| verify_key(&stored(), &secret, &World::pepper(), at);
    assert!(works(world.clock.now()));
    assert!(!works(world.clock.now().after(Duration::from_secs(40 * 86_400))));

    let event = world.last_event();
    assert_eq!((event.action.as_str(), event.target.as_str()), ("key.create", id.as_str()));
    assert_eq!(event.details["scopes"], "classify read");
    let hidden = secret.rsplit('_').next().unwrap();
    let logged = serde_json::to_string(&world.events()).unwrap();
    assert!(!logged.contains(hidden) && !format!("{:?}", stored()).contains(hidden));

    let listed = client.get(PATH).await;
    assert_eq!(listed.ok()["items"], json!([key]));
    assert!(!listed.text.contains(hidden));
    assert!(!listed.text.contains(&stored().hash.to_string()));

    let path = format!("/api/v1/keys/{id}");
    assert_eq!(client.delete(&path).await.status, 204);
    assert_eq!(world.last_event().action, "key.revoke");
    assert!(!works(world.clock.now()));
    let revoked = client.get(PATH).await.ok()["items"][0]["revoked_at"].clone();
    assert!(revoked.is_string());
    // Again is no fault, and does not move the moment.
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(client.delete(&path).await.status, 204);
    assert_eq!(client.get(PATH).await.ok()["items"][0]["revoked_at"], revoked);
}

#[actix_web::test]
async fn what_is_not_valid_is_told_by_field() {
    let world = World::start().await;
    let client = operator(&world).await;
    let good = json!({ "name": "ci", "scopes": ["classify"] });
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("x".repeat(101))),
        ("scopes", json!([])),
        ("scopes", json!(["admin"])),
        ("scopes", json!("classify")),
        ("expires_at", json!("tomorrow")),
        ("expires_at", json!("2026-11-24T07:00:00Z")),
        ("expires_at", json!(5)),
        ("tenant", json!("umbra")),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let answer = client.post(PATH, &body).await;
        assert_eq!(answer.wrong_fields(), [field], "{answer:?}");
    }
    assert_eq!(client.get(PATH).await.ok()["items"], json!([]));
    client.post("/api/v1/tenants/nobody/keys", &good).await.problem("not-found");
    client.delete("/api/v1/keys/key_none").await.problem("not-found");
    client.delete("/api/v1/keys/no%20key").await.problem("not-found");
}

#[actix_web::test]
async fn last_use_comes_from_the_log() {
    let world = World::start().await;
    let client = operator(&world).await;
    let answer = client.post(PATH, &json!({ "name": "ci", "scopes": ["classify"] })).await;
    let id = answer.json()["key"]["id"].as_str().unwrap().to_owned();
    world.call(&[crate::calls::intent_with_key(1, "acme", &id, 30)]);
    let used = client.get(PATH).await.ok()["items"][0]["last_used_at"].clone();
    assert_eq!(used, "2026-11-24T08:00:30.000000Z");
}
