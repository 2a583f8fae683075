use reeve_domain::{Actor, Code, TenantId, TenantStatus, UserId};
use reeve_store::{revision, tenant};
use serde_json::json;

use crate::world::World;

const PATH: &str = "/api/v1/tenants";

#[actix_web::test]
async fn a_tenant_from_its_creation_to_its_suspension() {
    let world = World::start().await;
    let client = world.client("operator").await;
    let begun = world.store.read(revision::current).unwrap();
    let body = json!({
        "id": "acme", "display_name": " Acme GmbH ", "plan": "standard",
        "residency": ["eu-west"], "purposes": ["support"], "labels": { "jurisdiction": "EU" },
    });
    let answer = client.post(PATH, &body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let created = answer.json();
    assert_eq!(
        created,
        json!({
            "id": "acme", "display_name": "Acme GmbH", "plan": "standard", "status": "active",
            "residency": ["eu-west"], "purposes": ["support"], "labels": { "jurisdiction": "EU" },
            "created_at": "2026-11-24T08:00:06.000000Z",
        })
    );
    let event = world.last_event();
    assert_eq!((event.action.as_str(), event.target.as_str()), ("tenant.create", "acme"));
    assert_eq!(event.tenant, Some(TenantId::new("acme").unwrap()));
    assert_eq!(event.actor, Actor::User(UserId::new("operator").unwrap()));
    assert_eq!(event.code, None);
    let after_creation = world.store.read(revision::current).unwrap();
    assert!(after_creation > begun, "a gateway must see it");

    assert_eq!(client.get("/api/v1/tenants/acme").await.ok(), created);
    assert_eq!(client.get(PATH).await.ok(), json!({ "items": [created], "next": null }));

    client.post(PATH, &body).await.problem("conflict");
    assert_eq!(world.last_event().code, Some(Code::Conflict));

    let status = "/api/v1/tenants/acme/status";
    for (word, action, is) in [
        ("suspended", "tenant.suspend", TenantStatus::Suspended),
        ("active", "tenant.activate", TenantStatus::Active),
    ] {
        assert_eq!(client.put(status, &json!({ "status": word })).await.ok()["status"], word);
        assert_eq!(world.last_event().action, action);
        let id = TenantId::new("acme").unwrap();
        assert_eq!(world.store.read(|c| tenant::get(c, &id)).unwrap().unwrap().status, is);
    }
    assert!(world.store.read(revision::current).unwrap() > after_creation);
}

#[actix_web::test]
async fn what_is_not_valid_is_told_by_field_and_changes_nothing() {
    let world = World::start().await;
    let client = world.client("operator").await;
    let good = json!({ "id": "acme", "display_name": "Acme", "plan": "standard" });
    for (field, value) in [
        ("id", json!("a b")),
        ("id", json!(7)),
        ("display_name", json!("  ")),
        ("display_name", json!(null)),
        ("plan", json!("gold")),
        ("residency", json!("eu-west")),
        ("residency", json!(["e u"])),
        ("residency", json!(["eu-west", "mars"])),
        ("purposes", json!(["p/q"])),
        ("labels", json!([])),
        ("colour", json!("red")),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let answer = client.post(PATH, &body).await;
        assert_eq!(answer.wrong_fields(), [field], "{answer:?}");
    }
    let without = json!({ "id": "acme", "display_name": "Acme" });
    assert_eq!(client.post(PATH, &without).await.wrong_fields(), ["plan"]);
    assert_eq!(client.get(PATH).await.ok()["items"], json!([]));

    assert_eq!(client.post(PATH, &good).await.status, 201);
    let answer = client.put("/api/v1/tenants/acme/status", &json!({ "status": "gone" })).await;
    assert_eq!(answer.wrong_fields(), ["status"]);
    let message = answer.json()["errors"][0]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("`active`") && message.contains("`suspended`"), "{message}");
}

#[actix_web::test]
async fn what_does_not_exist_is_not_found() {
    let world = World::start().await;
    let client = world.client("operator").await;
    for path in ["/api/v1/tenants/nobody", "/api/v1/tenants/no%20body", "/api/v1/tenants/a/keys"] {
        client.get(path).await.problem("not-found");
    }
    let body = json!({ "status": "active" });
    client.put("/api/v1/tenants/nobody/status", &body).await.problem("not-found");
}

#[actix_web::test]
async fn pages_go_on_behind_the_last_tenant() {
    let world = World::start().await;
    let client = world.client("operator").await;
    for id in ["b", "d", "a", "c", "e"] {
        let body = json!({ "id": id, "display_name": id, "plan": "trial" });
        assert_eq!(client.post(PATH, &body).await.status, 201);
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("{PATH}?limit=2&after={after}")).await.ok();
        let items = page["items"].as_array().unwrap();
        seen.extend(items.iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        after = next.to_owned();
    }
    assert_eq!(seen, ["a", "b", "c", "d", "e"]);
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=ten", "limit"),
        ("after=%2F%2F", "after"),
    ] {
        assert_eq!(client.get(&format!("{PATH}?{query}")).await.wrong_fields(), [field]);
    }
}
