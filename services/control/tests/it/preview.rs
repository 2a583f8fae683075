use std::collections::BTreeSet;

use reeve_domain::{
    Digest, LegalFacts, ModelFacts, ModelName, ModelVersion, PlanName, Region, Tenant, TenantFacts,
    TenantId, TenantStatus,
};
use reeve_store::{StoreError, model, tenant};
use serde_json::json;

use crate::world::World;

const TEXT: &str = "我叫李雷，card 4111 1111 1111 1111, jo@example.com, order 10482231";

fn seed(world: &World) {
    let tenant = |id: &str, region: Option<&str>| Tenant {
        facts: TenantFacts {
            id: TenantId::new(id).unwrap(),
            residency: region.map(|name| Region::new(name).unwrap()).into_iter().collect(),
            purposes: BTreeSet::new(),
            labels: [("jurisdiction".to_owned(), "EU".to_owned())].into(),
            legal: LegalFacts::default(),
        },
        display_name: id.to_owned(),
        status: TenantStatus::Active,
        plan: PlanName::new("standard").unwrap(),
        created_at: world.now(),
    };
    let facts = ModelFacts {
        name: ModelName::new("support").unwrap(),
        version: "1".to_owned(),
        digest: Digest::of(b"bundle"),
        generative: false,
        risk_class: "minimal".to_owned(),
        conformity: false,
        instructions: false,
    };
    let model = ModelVersion::approved(facts, vec!["calm".to_owned()]);
    let now = world.now();
    world
        .store
        .write(|c| {
            tenant::insert(c, &tenant("tried", Some("eu-west")))?;
            tenant::insert(c, &tenant("nowhere", None))?;
            model::register(c, &model::VersionRow::registered(model, now))?;
            Ok::<_, StoreError>(())
        })
        .unwrap();
}

#[actix_web::test]
async fn a_text_is_tried_against_the_active_policy() {
    let world = World::start().await;
    seed(&world);
    let author = world.client("policy-author").await;
    let asked = json!({ "tenant": "tried", "text": TEXT });
    let tried = author.post("/api/v1/policy/preview", &asked).await.ok();
    assert_eq!(tried["permitted"], true, "{tried}");
    assert_eq!(tried["redacted"], "我叫李雷，card [CREDIT_CARD], [EMAIL_ADDRESS], order 10482231");
    let card = &tried["findings"][0];
    assert_eq!(card["kind"], "CREDIT_CARD");
    assert_eq!((&card["start"], &card["end"]), (&json!(10), &json!(29)), "in code points");
    assert_eq!(card["redaction"], "replace");
    assert_eq!(card["category"], "financial");
    assert!(card["why"].as_str().unwrap().contains("Luhn"), "{card}");
    assert_eq!(tried["findings"][1]["kind"], "EMAIL_ADDRESS");
    assert_eq!(tried["findings"].as_array().unwrap().len(), 2);

    // A call that would be refused tells why, and nothing would leave.
    let asked = json!({ "tenant": "nowhere", "text": TEXT });
    let refused = author.post("/api/v1/policy/preview", &asked).await.ok();
    assert_eq!((&refused["permitted"], &refused["redacted"]), (&json!(false), &json!(null)));
    assert_eq!(refused["findings"].as_array().unwrap().len(), 2);
}

#[actix_web::test]
async fn a_text_is_neither_kept_nor_tried_for_strangers() {
    let world = World::start().await;
    seed(&world);
    let author = world.client("policy-author").await;
    let canary = "canary-4711@leak.example";
    let asked = json!({ "tenant": "tried", "text": canary });
    assert_eq!(author.post("/api/v1/policy/preview", &asked).await.status, 200);
    for file in world.every_file() {
        let bytes = std::fs::read(&file).unwrap();
        let found = bytes.windows(canary.len()).any(|part| part == canary.as_bytes());
        assert!(!found, "{}", file.display());
    }
    let operator = world.client("operator").await;
    operator.post("/api/v1/policy/preview", &asked).await.problem("role-required");
    let unknown = json!({ "tenant": "nobody", "text": "x" });
    author.post("/api/v1/policy/preview", &unknown).await.problem("not-found");
    for (wrong, field) in [
        (json!({ "tenant": "tried", "text": "" }), "text"),
        (json!({ "tenant": "tried", "text": "x".repeat(40_000) }), "text"),
        (json!({ "tenant": "No!", "text": "x" }), "tenant"),
    ] {
        let answer = author.post("/api/v1/policy/preview", &wrong).await;
        assert_eq!(answer.wrong_fields(), [field]);
    }
}
