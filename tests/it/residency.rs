//! A call is processed in a permitted region or not at all.

use reeve_domain::{Code, OutcomeStatus, Record};
use reeve_tests::World;

#[test]
fn without_its_region_a_tenant_gets_503_and_no_other_region_sees_a_byte() {
    let mut world = World::start().unwrap();
    let before = world.pod_inputs("us-east").unwrap();
    world.pods.get_mut("eu-west").unwrap().kill().unwrap();

    // At once, before any probe has noticed, and again after it has.
    for _ in 0..20 {
        let answer = world.client(&world.eu).classify("for european eyes only").unwrap();
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(answer.code(), "no-pod-in-permitted-region");
        assert!(answer.header("retry-after").is_some());
        std::thread::sleep(std::time::Duration::from_millis(60));
    }
    assert_eq!(world.pod_inputs("us-east").unwrap(), before);
    assert_eq!(world.client(&world.us).classify("still served").unwrap().status, 200);

    let failed = world
        .records()
        .unwrap()
        .into_iter()
        .filter(|record| {
            matches!(record, Record::Outcome(outcome)
                if outcome.status == OutcomeStatus::Failed
                    && outcome.code == Some(Code::NoPodInPermittedRegion)
                    && outcome.usage.items == 0
                    && outcome.cost.micros == 0)
        })
        .count();
    assert!(failed >= 20, "{failed}");

    world.restart_pod("eu-west").unwrap();
    assert_eq!(world.client(&world.eu).classify("served again").unwrap().status, 200);
}

#[test]
fn a_pod_refuses_what_has_no_warrant_for_it() {
    let world = World::start().unwrap();
    let pod = world.pod_client("eu-west").unwrap();
    let body = serde_json::json!({
        "inputs": [{ "name": "text", "shape": [1], "datatype": "BYTES", "data": ["let me in"] }]
    });
    let answer = pod.post("/v2/models/sample/infer", &body).unwrap();
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(answer.at("/error").as_str().unwrap().contains("warrant"));
    // Nobody's key, another region's, another model's: the protocol's own tests have them all.
    let forged = [("Content-Type", "application/json"), ("Reeve-Warrant", "a.b.c")];
    let answer =
        pod.post_with("/v2/models/sample/infer", &forged, body.to_string().as_bytes()).unwrap();
    assert_eq!(answer.status, 403, "{answer:?}");
    let metrics = pod.get("/metrics").unwrap().body.to_string();
    assert!(metrics.contains("status=\\\"403\\\""), "{metrics}");
}
