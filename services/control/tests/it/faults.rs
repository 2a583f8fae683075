use std::time::Duration;

use reeve_domain::{Code, KeyId, TenantId, TenantStatus};
use reeve_store::{api_key, revision, tenant};
use serde_json::json;

use crate::world::{PASSWORD, World, control};

#[actix_web::test]
async fn what_cannot_be_recorded_is_not_done() {
    let world = World::start().await;
    let client = world.client("demo").await;
    let new = |id: &str| json!({ "id": id, "display_name": "A", "plan": "standard" });
    assert_eq!(client.post("/api/v1/tenants", &new("acme")).await.status, 201);
    let keys = "/api/v1/tenants/acme/keys";
    let key = json!({ "name": "ci", "scopes": ["classify"] });
    let created = client.post(keys, &key).await.json();
    let id = KeyId::new(created["key"]["id"].as_str().unwrap()).unwrap();
    let before = world.store.read(revision::current).unwrap();

    let (here, away) = (world.log_dir(&control()), world.dir.path().join("away"));
    std::fs::rename(&here, &away).unwrap();
    let login = json!({ "user": "demo", "password": PASSWORD });
    let suspend = json!({ "status": "suspended" });
    for answer in [
        client.post("/api/v1/tenants", &new("umbra")).await,
        client.put("/api/v1/tenants/acme/status", &suspend).await,
        client.post(keys, &key).await,
        client.delete(&format!("/api/v1/keys/{id}")).await,
        client.delete("/api/v1/session").await,
        world.anonymous().post("/api/v1/session", &login).await,
        client.get("/api/v1/audit").await,
        client.get("/api/v1/decisions/dec_00000000000000000000000000000001").await,
    ] {
        answer.problem("audit-unavailable");
        assert_eq!(answer.header("retry-after"), "1");
        assert!(!answer.headers.contains_key("set-cookie"));
    }
    assert_eq!(world.store.read(revision::current).unwrap(), before);
    world
        .store
        .read(|c| {
            let acme = TenantId::new("acme").unwrap();
            assert_eq!(tenant::list(c, None, 10)?.len(), 1);
            assert_eq!(tenant::get(c, &acme)?.unwrap().status, TenantStatus::Active);
            let keys = api_key::list(c, &acme)?;
            assert!(keys.len() == 1 && keys[0].revoked_at.is_none());
            Ok::<_, reeve_store::StoreError>(())
        })
        .unwrap();
    // What is not recorded can still be read.
    client.get("/api/v1/tenants").await.ok();
    client.get("/health/live").await.ok();

    std::fs::rename(&away, &here).unwrap();
    let mut answer = client.post("/api/v1/tenants", &new("umbra")).await;
    for _ in 0..50 {
        if answer.status == 201 {
            break;
        }
        actix_web::rt::time::sleep(Duration::from_millis(100)).await;
        // The log tries again by the same clock.
        world.clock.advance(Duration::from_secs(1));
        answer = client.post("/api/v1/tenants", &new("umbra")).await;
    }
    assert_eq!(answer.status, 201, "{answer:?}");
    let report = reeve_ledger::verify(&here, None);
    assert!(report.is_clean(), "{:?}", report.findings);
}

#[actix_web::test]
async fn every_change_is_recorded_before_it_is_answered() {
    let world = World::start().await;
    let client = world.client("demo").await;
    let new = json!({ "id": "acme", "display_name": "A", "plan": "standard" });
    client.post("/api/v1/tenants", &new).await;
    client.put("/api/v1/tenants/acme/status", &json!({ "status": "suspended" })).await.ok();
    let key = json!({ "name": "ci", "scopes": ["read"] });
    let created = client.post("/api/v1/tenants/acme/keys", &key).await.json();
    let id = created["key"]["id"].as_str().unwrap();
    client.delete(&format!("/api/v1/keys/{id}")).await;
    client.delete("/api/v1/session").await;
    let actions: Vec<_> = world.events().into_iter().map(|event| event.action).collect();
    assert_eq!(
        actions,
        [
            "session.create",
            "tenant.create",
            "tenant.suspend",
            "key.create",
            "key.revoke",
            "session.delete",
        ]
    );
}

#[actix_web::test]
async fn a_store_that_goes_away_is_told_as_such_and_comes_back() {
    let world = World::start().await;
    let client = world.client("demo").await;
    client.get("/health/ready").await.ok();
    let before = world.events().len();
    let (here, away) =
        (world.dir.path().join("store.sqlite"), world.dir.path().join("away.sqlite"));
    std::fs::rename(&here, &away).unwrap();
    for answer in [client.get("/health/ready").await, client.get("/api/v1/tenants").await] {
        answer.problem("store-unavailable");
        assert_eq!(answer.header("retry-after"), "1");
    }
    client.get("/health/live").await.ok();
    std::fs::rename(&away, &here).unwrap();
    client.get("/api/v1/tenants").await.ok();
    assert_eq!(world.events().len(), before);
}

#[actix_web::test]
async fn a_change_that_fails_after_its_record_is_recorded_as_failed() {
    let world = World::start().await;
    let client = world.client("demo").await;
    let (begun, is_begun) = std::sync::mpsc::channel();
    let (end, is_over) = std::sync::mpsc::channel::<()>();
    let store = world.store.clone();
    // Somebody else holds the only lock for writing for longer than anybody waits for it.
    let other = std::thread::spawn(move || {
        store.write(|_| {
            begun.send(()).unwrap();
            is_over.recv().unwrap();
            Ok::<_, reeve_store::StoreError>(())
        })
    });
    is_begun.recv().unwrap();
    let new = json!({ "id": "acme", "display_name": "A", "plan": "standard" });
    let answer = client.post("/api/v1/tenants", &new).await;
    end.send(()).unwrap();
    other.join().unwrap().unwrap();
    answer.problem("store-unavailable");
    let events = world.events();
    let codes: Vec<_> =
        events.iter().filter(|it| it.action == "tenant.create").map(|it| it.code).collect();
    assert_eq!(codes, [None, Some(Code::StoreUnavailable)]);
    client.get("/api/v1/tenants/acme").await.problem("not-found");
}
