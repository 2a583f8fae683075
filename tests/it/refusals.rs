//! Every refusal is a problem with a stable code, and leaves a record.

use std::{collections::BTreeMap, sync::Barrier, time::Duration};

use reeve_domain::{Code, Kind, Record, TenantId, TenantStatus};
use reeve_privacy::{Confidence, RecogniserSpec};
use reeve_tests::{Answer, Client, World, WorldOptions, wait_until};
use serde_json::json;

fn check(answer: &Answer, code: Code) {
    assert_eq!(answer.code(), code.as_str(), "{answer:?}");
    assert_eq!(answer.status, code.status());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.at("/type"), &format!("urn:reeve:problem:{code}"));
    assert_eq!(answer.at("/title"), code.title());
    assert_eq!(answer.at("/status"), code.status());
    assert!(answer.decision().starts_with("dec_"));
    if matches!(code.status(), 429 | 503) {
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    }
}

/// The record that a refusal of a known caller left.
fn recorded(world: &World, answer: &Answer) -> Code {
    let found = world.records().unwrap().into_iter().find_map(|record| match record {
        Record::Refusal(refusal) if refusal.decision_id.to_string() == answer.decision() => {
            Some(refusal.code)
        }
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no record of {answer:?}"))
}

#[test]
fn known_callers_refusals_are_recorded_one_by_one() {
    let world = World::start().unwrap();
    let client = world.client(&world.us);
    let json_type = [("Content-Type", "application/json")];
    let reader = world.new_key(&world.us.id, &["read"]).unwrap();
    let reader = Client::new(&world.gateway(), Some(&reader.secret));
    wait_until("the key is known", Duration::from_secs(2), || {
        Ok(reader.get("/v1/models")?.status == 200)
    })
    .unwrap();
    let purpose = [("Content-Type", "application/json"), ("Reeve-Purpose", "social-scoring")];
    let big = format!(r#"{{"model":"sample","input":"{}"}}"#, "a".repeat(1_100_000));
    let good = br#"{"model":"sample","input":"hello"}"#;

    let cases: Vec<(Answer, Code)> = vec![
        (client.post_with("/v1/classify", &json_type, b"{").unwrap(), Code::MalformedJson),
        (
            client
                .post_with("/v1/classify", &[json_type[0], ("Reeve-Purpose", "a b")], good)
                .unwrap(),
            Code::InvalidHeader,
        ),
        (reader.classify("hello").unwrap(), Code::MissingScope),
        (client.post_with("/v1/classify", &purpose, good).unwrap(), Code::DeniedByPolicy),
        (client.get("/v1/nowhere").unwrap(), Code::RouteNotFound),
        (
            client.post("/v1/classify", &json!({"model": "other", "input": "x"})).unwrap(),
            Code::ModelNotFound,
        ),
        (client.get("/v1/classify").unwrap(), Code::MethodNotAllowed),
        (
            client.post_with("/v1/classify", &json_type, big.as_bytes()).unwrap(),
            Code::PayloadTooLarge,
        ),
        (
            client.post_with("/v1/classify", &[("Content-Type", "text/plain")], good).unwrap(),
            Code::UnsupportedMediaType,
        ),
        (client.post("/v1/classify", &json!({"model": "sample"})).unwrap(), Code::InvalidRequest),
        (
            client.post("/v1/classify", &json!({"model": "sample", "input": []})).unwrap(),
            Code::InvalidRequest,
        ),
    ];
    for (answer, code) in &cases {
        check(answer, *code);
        assert_eq!(recorded(&world, answer), *code);
    }
    let invalid = &cases[9].0;
    assert_eq!(invalid.at("/errors/0/field"), "input");
    let denied = &cases[3].0;
    assert!(denied.at("/rules/0/reason").as_str().is_some(), "{denied:?}");
}

#[test]
fn a_suspended_tenant_is_refused_within_a_second() {
    let world = World::start().unwrap();
    let client = world.client(&world.us);
    world
        .store
        .write(|c| reeve_store::tenant::set_status(c, &world.us.id, TenantStatus::Suspended))
        .unwrap();
    wait_until("the tenant is refused", Duration::from_secs(1), || {
        Ok(client.classify("hello")?.status == 403)
    })
    .unwrap();
    let answer = client.classify("hello").unwrap();
    check(&answer, Code::TenantSuspended);
    assert_eq!(recorded(&world, &answer), Code::TenantSuspended);
}

#[test]
fn limits_answer_429_with_the_time_to_wait() {
    let mut bundle = reeve_policy::default_bundle();
    let plan = bundle.plans.values_mut().next().unwrap();
    *plan = reeve_policy::Plan {
        requests_per_second: 1,
        burst: 3,
        concurrency: 100,
        monthly_items: 20,
        ..plan.clone()
    };
    let small = plan.clone();
    for plan in bundle.plans.values_mut() {
        *plan = small.clone();
    }
    let world = World::start_with(WorldOptions { bundle, ..WorldOptions::default() }).unwrap();
    let client = world.client(&world.us);
    std::thread::sleep(Duration::from_secs(3));
    let answers: Vec<Answer> = (0..8).map(|_| client.classify("hello").unwrap()).collect();
    let limited: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert!(limited.len() >= 3, "{answers:?}");
    for answer in limited {
        check(answer, Code::RateLimited);
        assert!(answer.header("ratelimit").is_some());
        assert_eq!(recorded(&world, answer), Code::RateLimited);
    }
    std::thread::sleep(Duration::from_secs(3));
    let answer = client.classify(json!(vec!["hello"; 21])).unwrap();
    check(&answer, Code::QuotaExhausted);
    assert_eq!(recorded(&world, &answer), Code::QuotaExhausted);
}

#[test]
fn strangers_are_refused_and_counted_together() {
    let world = World::start().unwrap();
    let stranger = world.stranger();
    let liar =
        Client::new(&world.gateway(), Some("rv_AAAAAAAA_nobodyhasthiskeyatallnobodyhasthis"));
    let barrier = Barrier::new(2);
    std::thread::scope(|scope| {
        for client in [&stranger, &liar] {
            scope.spawn(|| {
                barrier.wait();
                for _ in 0..100 {
                    assert_eq!(client.classify("hello").unwrap().status, 401);
                }
            });
        }
    });
    check(&stranger.classify("hello").unwrap(), Code::MissingCredential);
    check(&liar.classify("hello").unwrap(), Code::InvalidCredential);
    check(&stranger.get("/nowhere").unwrap(), Code::MissingCredential);
    let mut counts: BTreeMap<Code, u64> = BTreeMap::new();
    wait_until("all are recorded", Duration::from_secs(3), || {
        counts.clear();
        for record in world.records()? {
            if let Record::RefusalAggregate(aggregate) = record {
                for (code, count) in aggregate.counts {
                    *counts.entry(code).or_default() += count;
                }
            }
        }
        Ok(counts.values().sum::<u64>() >= 203)
    })
    .unwrap();
    assert_eq!(counts[&Code::MissingCredential], 102);
    assert_eq!(counts[&Code::InvalidCredential], 101);
    let entries = world
        .records()
        .unwrap()
        .iter()
        .filter(|record| matches!(record, Record::RefusalAggregate(_)))
        .count();
    assert!(entries <= 10, "a flood of {entries} entries");
}

#[test]
fn a_text_that_costs_too_much_to_search_is_refused_and_not_forwarded() {
    let mut bundle = reeve_policy::default_bundle();
    bundle.privacy.recognisers = vec![RecogniserSpec {
        kind: Kind::of("HOSTILE"),
        tenants: [TenantId::new("acme-eu").unwrap()].into(),
        patterns: vec!["aa".to_owned()],
        words: Vec::new(),
        checksum: None,
        context: Vec::new(),
        confidence: Confidence::new(0.6).unwrap(),
    }];
    let world = World::start_with(WorldOptions { bundle, ..WorldOptions::default() }).unwrap();
    let text = "a".repeat(10_000);
    let answer = world.client(&world.eu).classify(text.as_str()).unwrap();
    assert_eq!((answer.status, answer.code()), (503, "detector-failed"), "{answer:?}");
    assert!(!world.pod_inputs("eu-west").unwrap().contains("aaaa"));
    // It is one tenant's pattern: the others do not notice.
    assert_eq!(world.client(&world.us).classify(text.as_str()).unwrap().status, 200);
}
