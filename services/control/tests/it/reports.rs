use reeve_domain::{Digest, ModelFacts, ModelName, ModelVersion, Pod, PodId, Region};
use reeve_store::{StoreError, model, pod};
use serde_json::json;

use crate::{calls::story, world::World};

#[actix_web::test]
async fn the_overview_counts_calls() {
    let world = World::start().await;
    world.call(&story());
    let client = world.client("operator").await;
    let view = client.get("/api/v1/overview?days=3").await.ok();
    assert_eq!(
        view["totals"],
        json!({
            "calls": 4, "completed": 2, "failed": 1, "refused": 1, "redacted": 3, "items": 4,
            "cost": [{ "micros": 800, "currency": "EUR" }],
        }),
        "{view}"
    );
    assert_eq!(
        view["by_day"],
        json!([
            { "day": "2026-11-22", "completed": 0, "failed": 0, "refused": 0 },
            { "day": "2026-11-23", "completed": 1, "failed": 0, "refused": 0 },
            { "day": "2026-11-24", "completed": 1, "failed": 1, "refused": 1 },
        ])
    );
    assert_eq!(view["refusals_by_code"], json!([{ "code": "rate-limited", "count": 1 }]));
    assert_eq!(view["logs"].as_array().unwrap().len(), 2);

    let today = client.get("/api/v1/overview?days=1").await.ok();
    assert_eq!(today["totals"]["calls"], 3);
    assert_eq!(client.get("/api/v1/overview").await.ok()["by_day"].as_array().unwrap().len(), 7);
    for days in ["0", "91", "x"] {
        let answer = client.get(&format!("/api/v1/overview?days={days}")).await;
        assert_eq!(answer.wrong_fields(), ["days"]);
    }
}

#[actix_web::test]
async fn usage_is_by_day_tenant_model_and_region() {
    let world = World::start().await;
    world.call(&story());
    let client = world.client("auditor").await;
    let row = |day: &str| {
        json!({
            "day": day, "tenant": "acme", "model": "support", "region": "eu-west", "calls": 1,
            "refusals": 0, "items": 2, "characters": 30, "tokens": 9,
            "cost": { "micros": 400, "currency": "EUR" },
        })
    };
    let report = client.get("/api/v1/usage?tenant=acme").await.ok();
    assert_eq!(report["rows"], json!([row("2026-11-23"), row("2026-11-24")]), "{report}");
    let one = client.get("/api/v1/usage?tenant=acme&from=2026-11-24&until=2026-11-24").await.ok();
    assert_eq!(one["rows"], json!([row("2026-11-24")]));
    let of_umbra = client.get("/api/v1/usage?tenant=umbra").await.ok();
    let refusals: u64 = of_umbra["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["refusals"].as_u64().unwrap())
        .sum();
    assert_eq!(refusals, 1, "{of_umbra}");
    assert_eq!(client.get("/api/v1/usage?until=2026-11-01").await.ok()["rows"], json!([]));
    for (query, field) in
        [("from=24.11.2026", "from"), ("until=2026-13-01", "until"), ("tenant=%20", "tenant")]
    {
        assert_eq!(client.get(&format!("/api/v1/usage?{query}")).await.wrong_fields(), [field]);
    }
}

#[actix_web::test]
async fn the_policy_is_shown_with_its_words() {
    let world = World::start().await;
    let view = world.client("policy-author").await.get("/api/v1/policy").await.ok();
    assert_eq!(view["version"], 1);
    assert_eq!(view["activated_by"], "test");
    assert_eq!(view["activated_at"], "2026-11-24T08:00:00.000000Z");
    let rules = view["rules"].as_array().unwrap();
    assert!(!rules.is_empty());
    for rule in rules {
        for field in ["id", "title", "reason", "effect", "action", "source", "file"] {
            assert!(!rule[field].as_str().unwrap().is_empty(), "{field} of {rule}");
        }
        let file = rule["file"].as_str().unwrap();
        assert!(view["files"].as_object().unwrap().contains_key(file), "{file}");
    }
    let effects: std::collections::BTreeSet<_> =
        rules.iter().map(|rule| rule["effect"].as_str()).collect();
    assert_eq!(effects.into_iter().collect::<Vec<_>>(), [Some("forbid"), Some("permit")]);
    let plans = view["plans"].as_object().unwrap();
    assert!(plans.contains_key("standard") && plans.contains_key("trial"));
    assert_eq!(view["regions"]["eu-west"], json!({ "jurisdiction": "EU" }));
}

#[actix_web::test]
async fn pods_and_models_are_listed() {
    let world = World::start().await;
    let (digest, now) = (Digest::of(b"bundle"), world.now());
    world
        .store
        .write(|c| {
            pod::upsert(
                c,
                &Pod {
                    id: PodId::new("pod-1").unwrap(),
                    region: Region::new("eu-west").unwrap(),
                    url: "http://127.0.0.1:9001".to_owned(),
                    models: vec![digest],
                    draining: true,
                },
            )?;
            let facts = ModelFacts {
                name: ModelName::new("support").unwrap(),
                version: "1".to_owned(),
                digest,
                generative: false,
                risk_class: "limited".to_owned(),
                conformity: false,
                instructions: false,
            };
            let labels = vec!["calm".to_owned(), "angry".to_owned()];
            let version = ModelVersion::approved(facts, labels);
            model::register(c, &model::VersionRow::registered(version, now))?;
            Ok::<_, StoreError>(())
        })
        .unwrap();
    let client = world.client("operator").await;
    assert_eq!(
        client.get("/api/v1/pods").await.ok(),
        json!({ "next": null, "items": [{
        "id": "pod-1", "region": "eu-west", "url": "http://127.0.0.1:9001",
        "models": [digest.to_string()], "draining": true,
    }] })
    );
    assert_eq!(
        client.get("/api/v1/models").await.ok(),
        json!({ "next": null, "items": [{
        "name": "support", "version": "1", "digest": digest.to_string(), "generative": false,
        "risk_class": "limited", "conformity": false, "instructions": false, "labels": ["calm", "angry"],
        "state": "approved", "aliases": ["production"], "size": 0, "created_by": "operator",
        "created_at": now.to_string(),
    }] })
    );
    let papers = json!({ "risk_class": "high", "conformity": true, "instructions": true });
    let path = format!("/api/v1/models/{digest}/papers");
    assert_eq!(client.put(&path, &papers).await.status, 204);
    let listed = client.get("/api/v1/models").await.ok()["items"][0].clone();
    assert_eq!((&listed["risk_class"], &listed["conformity"]), (&json!("high"), &json!(true)));
    let other = json!({ "risk_class": "grave", "conformity": true, "instructions": true });
    client.put(&path, &other).await.problem("invalid-request");
    let unknown = format!("/api/v1/models/{}/papers", Digest::of(b"unknown"));
    client.put(&unknown, &papers).await.problem("not-found");
}
