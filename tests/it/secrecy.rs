//! Canaries: what must be redacted is nowhere, and a key is nowhere.

use std::path::Path;

use reeve_tests::World;
use serde_json::json;

#[test]
fn no_canary_reaches_a_pod_a_log_a_metric_the_ledger_or_the_store() {
    let mut world = World::start().unwrap();
    let mut canaries: Vec<String> = Vec::new();
    let client = world.client(&world.eu);
    for n in 0..50 {
        let email = format!("canary{n:03}@leak.example");
        let card = "4111 1111 1111 1111";
        let answer = client.classify(format!("Refund {email}, card {card}, thanks")).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(!answer.body.to_string().contains(&email));
        canaries.push(email);
    }
    // The same in places where a careless error message would repeat it.
    let json_type = ("Content-Type", "application/json");
    let subject = ("Reeve-Subject", "canary-subject-77");
    let bodies: [&[u8]; 3] = [
        br#"{"model":"canary-model@leak.example","input":"x"}"#,
        br#"{"model":"sample","input":{"canary":"canary-field@leak.example"}}"#,
        br#"{"model":"sample","canary-key@leak.example":1,"input":"x"}"#,
    ];
    for body in bodies {
        let answer = client.post_with("/v1/classify", &[json_type, subject], body).unwrap();
        assert!((400..500).contains(&answer.status));
        assert!(!answer.body.to_string().contains("canary"), "{answer:?}");
    }
    client.get("/v1/canary-path@leak.example").unwrap();
    let good = json!({"model": "sample", "input": "hello"}).to_string();
    let answer = client.post_with("/v1/classify", &[json_type, subject], good.as_bytes()).unwrap();
    assert_eq!(answer.status, 200);
    world.wait_indexed().unwrap();
    let metrics = world.stranger().get("/metrics").unwrap();
    assert_eq!(metrics.status, 200);
    assert!(metrics.body.as_str().unwrap().contains("reeve_"), "{metrics:?}");
    assert!(!metrics.body.to_string().contains("canary"));
    world.reeve.stop().unwrap();

    canaries.push("canary-".to_owned());
    canaries.push("4111 1111 1111 1111".to_owned());
    canaries.push(world.eu.secret.clone());
    canaries.push(world.us.secret.clone());
    let mut read = 0;
    search(world.path(), &canaries, &mut read);
    assert!(read > 100_000, "only {read} bytes were searched");
}

fn search(dir: &Path, canaries: &[String], read: &mut usize) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            search(&path, canaries, read);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        *read += bytes.len();
        for canary in canaries {
            let found = bytes.windows(canary.len()).any(|window| window == canary.as_bytes());
            assert!(!found, "`{canary}` stands in {}", path.display());
        }
    }
}
