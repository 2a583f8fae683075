//! One governed call, end to end.

use reeve_domain::{Kind, OutcomeStatus, Record};
use reeve_tests::{Client, World};
use serde_json::json;

const EMAIL: &str = "erika.mustermann@example.com";
const IBAN: &str = "DE89 3704 0044 0532 0130 00";

#[test]
fn a_european_call_is_redacted_recorded_and_answered() {
    let world = World::start().unwrap();
    let text = format!("I was charged twice, refund me at {EMAIL} to {IBAN} please");
    let answer = world.client(&world.eu).classify(text).unwrap();

    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.at("/governance/region"), "eu-west");
    assert_eq!(answer.header("reeve-region"), Some("eu-west"));
    assert_eq!(answer.at("/governance/redactions/EMAIL_ADDRESS"), 1);
    assert_eq!(answer.at("/governance/redactions/IBAN_CODE"), 1);
    assert!(answer.at("/governance/policy").as_str().unwrap().starts_with("sha256:"));
    assert!(answer.header("ratelimit").is_some() && answer.header("ratelimit-policy").is_some());
    let labels = answer.at("/results/0/labels").as_array().unwrap();
    assert_eq!(labels.len(), 3);
    assert_eq!(answer.at("/results/0/label"), &labels[0]["label"]);
    assert!(answer.at("/usage/tokens").as_u64().unwrap() > 0);
    assert!(answer.at("/usage/cost/micros").as_i64().unwrap() > 0);

    // From what the pod received, not from what the gateway says.
    let received = world.pod_inputs("eu-west").unwrap();
    assert!(received.contains("[EMAIL_ADDRESS]") && received.contains("[IBAN_CODE]"));
    assert!(!received.contains(EMAIL) && !received.contains("0532"), "{received}");
    assert!(!world.pod_inputs("us-east").unwrap().contains("charged twice"));

    let records = world.records().unwrap();
    let index = usize::try_from(answer.at("/governance/receipt/index").as_u64().unwrap()).unwrap();
    let intent =
        usize::try_from(answer.at("/governance/receipt/intent").as_u64().unwrap()).unwrap();
    let Record::Intent(intent) = &records[intent] else { panic!("not an intent") };
    let Record::Outcome(outcome) = &records[index] else { panic!("not an outcome") };
    assert_eq!(intent.decision_id.to_string(), answer.decision());
    assert_eq!(outcome.decision_id, intent.decision_id);
    assert_eq!(outcome.status, OutcomeStatus::Completed);
    assert_eq!(intent.redactions[&Kind::EMAIL_ADDRESS], 1);
    assert_eq!(intent.input.found[&Kind::IBAN_CODE], 1);
    assert_eq!(outcome.cost.micros, answer.at("/usage/cost/micros").as_i64().unwrap());
}

#[test]
fn many_texts_in_two_languages_keep_their_order() {
    let world = World::start().unwrap();
    let texts = ["my parcel never came", "我要退款", "", "the app crashes when I sign in"];
    let together = world.client(&world.us).classify(json!(texts)).unwrap();
    assert_eq!(together.status, 200, "{together:?}");
    assert_eq!(together.at("/usage/items"), texts.len());
    for (i, text) in texts.iter().enumerate() {
        let alone = world.client(&world.us).classify(*text).unwrap();
        let label = alone.at("/results/0/label");
        assert_eq!(label, together.at(&format!("/results/{i}/label")), "{text}");
        let score = |value: &serde_json::Value| value.as_f64().unwrap();
        let difference = score(alone.at("/results/0/score"))
            - score(together.at(&format!("/results/{i}/score")));
        assert!(difference.abs() < 1e-6, "{text}: {difference}");
    }
}

#[test]
fn a_decision_is_explained_and_its_receipt_proven_to_its_tenant_alone() {
    let world = World::start().unwrap();
    let answer = world.client(&world.eu).classify("where is my order").unwrap();
    world.wait_indexed().unwrap();
    let path = format!("/v1/decisions/{}", answer.decision());
    let seen = world.client(&world.eu).get(&path).unwrap();
    assert_eq!(seen.status, 200, "{seen:?}");
    assert_eq!(seen.at("/status"), "completed");
    assert_eq!(seen.at("/permitted/0"), "eu-west");
    assert_eq!(seen.at("/refused/0/region"), "us-east");
    assert_eq!(world.client(&world.us).get(&path).unwrap().code(), "not-found");

    let path = format!("/v1/receipts/{}", answer.decision());
    assert_eq!(world.client(&world.us).get(&path).unwrap().code(), "not-found");
    let proof = world.client(&world.eu).get(&path).unwrap();
    assert_eq!(proof.status, 200, "{proof:?}");
    let receipts = proof.at("/receipts").as_array().unwrap();
    assert_eq!(receipts.len(), 2, "intent and outcome");
    for receipt in receipts {
        let file = world.path().join("receipt.json");
        std::fs::write(&file, receipt.to_string()).unwrap();
        assert!(verify_receipt(&world, &file), "{receipt}");
        let mut forged = receipt.clone();
        let leaf = forged["leaf_hash"].as_str().unwrap();
        let flipped = if leaf.starts_with('0') { "1" } else { "0" };
        forged["leaf_hash"] = json!(format!("{flipped}{}", &leaf[1..]));
        std::fs::write(&file, forged.to_string()).unwrap();
        assert!(!verify_receipt(&world, &file), "a forged receipt was accepted");
    }
}

fn verify_receipt(world: &World, file: &std::path::Path) -> bool {
    std::process::Command::new(reeve_tests::binary("reeve").unwrap())
        .args(["ledger", "verify", "--log"])
        .arg(world.log_dir())
        .arg("--receipt")
        .arg(file)
        .output()
        .unwrap()
        .status
        .success()
}

#[test]
fn usage_in_the_store_equals_usage_in_the_answers() {
    let world = World::start().unwrap();
    let client = world.client(&world.us);
    let before = usage(&world, &client);
    let mut cost = 0;
    for n in 1..=5 {
        let texts = vec!["thank you very much"; n];
        let answer = client.classify(json!(texts)).unwrap();
        cost += answer.at("/usage/cost/micros").as_i64().unwrap();
    }
    let after = usage(&world, &client);
    assert_eq!(after.0 - before.0, 5);
    assert_eq!(after.1 - before.1, 15);
    assert_eq!(after.2 - before.2, cost);
}

fn usage(world: &World, client: &Client) -> (i64, i64, i64) {
    world.wait_indexed().unwrap();
    let report = client.get("/v1/usage").unwrap();
    assert_eq!(report.status, 200, "{report:?}");
    let sum = |pointer: &str| {
        let rows = report.at("/rows").as_array().unwrap();
        rows.iter().map(|row| row.pointer(pointer).unwrap().as_i64().unwrap()).sum()
    };
    (sum("/calls"), sum("/items"), sum("/cost/micros"))
}

#[test]
fn a_call_sent_again_infers_once_and_is_charged_once() {
    let world = World::start().unwrap();
    let client = world.client(&world.us);
    let body = json!({ "model": "sample", "input": "charge me once" }).to_string();
    let send = |key: &str, body: &str| {
        let headers = [("Content-Type", "application/json"), ("Idempotency-Key", key)];
        client.post_with("/v1/classify", &headers, body.as_bytes()).unwrap()
    };
    let first = send("order-7", &body);
    assert_eq!(first.status, 200, "{first:?}");
    assert_eq!(first.header("idempotent-replayed"), None);
    let size = world.records().unwrap().len();
    for _ in 0..3 {
        let again = send("order-7", &body);
        assert_eq!(again.body, first.body);
        assert_eq!(again.decision(), first.decision());
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
    }
    assert_eq!(world.records().unwrap().len(), size, "nothing new was recorded or charged");
    assert_eq!(world.pod_inputs("us-east").unwrap().matches("charge me once").count(), 1);
    let other = send("order-7", &body.replace("once", "twice"));
    assert_eq!((other.status, other.code()), (409, "idempotency-key-reused"));
    assert_eq!(send("order-8", &body).status, 200);

    // Another tenant's key of the same name is another key.
    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "order-7")];
    let theirs =
        world.client(&world.eu).post_with("/v1/classify", &headers, body.as_bytes()).unwrap();
    assert_eq!(theirs.status, 200);
    assert_ne!(theirs.decision(), first.decision());

    // A call that failed may be tried again.
    let empty = send("order-9", &json!({ "model": "sample", "input": [] }).to_string());
    assert_eq!(empty.status, 422);
    assert_eq!(send("order-9", &body).status, 200);
}
