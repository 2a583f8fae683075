//! Other people's clients, unchanged and from their own packages, governed like every call.

use std::process::Command;

use reeve_domain::Record;
use reeve_tests::{TenantKind, World};
use serde_json::json;

const REQUIREMENTS: &str = include_str!("../clients/requirements.txt");

#[test]
fn other_peoples_clients_are_served_and_governed() {
    let python = reeve_tests::python("clients", REQUIREMENTS).unwrap();
    let mut world = World::start().unwrap();
    let small = world
        .new_tenant("small-eu", &TenantKind { plan: "trial", ..TenantKind::EUROPEAN })
        .unwrap();
    let scene = |world: &World, scene: &str| {
        let configuration = json!({
            "gateway": world.gateway(), "grpc": world.grpc(), "model": "sample", "scene": scene,
            "keys": {
                "good": world.eu.secret, "small": small.secret,
                "wrong": "rv_AAAAAAAA_nobodyhasthiskeyatallnobodyhasthis",
            },
        });
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/clients.py");
        let mut command = Command::new(&python);
        command.arg(script).arg(configuration.to_string());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let wrong = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}\n{wrong}\n{}", world.reeve.output());
        println!("{said}");
    };
    scene(&world, "open");
    // What the pod received is what policy lets out, whoever asked: nothing went elsewhere.
    assert!(!world.pod_inputs("us-east").unwrap().contains("parcel"));
    world.pods.get_mut("eu-west").unwrap().kill().unwrap();
    scene(&world, "closed");
    // Every call left its record: as many intents and refusals as decisions that clients saw.
    let mut routes = std::collections::BTreeSet::new();
    let (mut intents, mut outcomes) = (0, 0);
    for record in world.records().unwrap() {
        match record {
            Record::Intent(_) => intents += 1,
            Record::Outcome(_) => outcomes += 1,
            Record::Refusal(refusal) => drop(routes.insert(refusal.route)),
            _ => {}
        }
    }
    assert_eq!(intents, outcomes);
    for route in [
        "/models/{model}",
        "/v1/moderations",
        "/vllm/v1/classify",
        "/predict",
        "/v2/models/{model}/infer",
        "/v1/models/{model}:predict",
        "/inference.GRPCInferenceService/ModelInfer",
    ] {
        assert!(routes.contains(route), "no refusal of {route} was recorded: {routes:?}");
    }
}
