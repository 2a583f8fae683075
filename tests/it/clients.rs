//! Other people's clients, unchanged and from their own packages, governed like every call.

use std::process::Command;

use reeve_domain::Record;
use reeve_tests::{TenantKind, TestTenant, World};
use serde_json::json;

/// A tenant that may not do much.
fn small(world: &World) -> TestTenant {
    let kind = TenantKind { plan: "trial", ..TenantKind::EUROPEAN };
    world.new_tenant("small-eu", &kind).unwrap()
}

/// Runs a script of calls in a scene.
fn run(script: &mut Command, world: &World, small: &TestTenant, scene: &str, kserve: bool) {
    let configuration = json!({
        "kserve": kserve,
        "gateway": world.gateway(), "grpc": world.grpc(), "model": "sample", "scene": scene,
        "keys": {
            "good": world.eu.secret, "small": small.secret,
            "wrong": "rv_AAAAAAAA_nobodyhasthiskeyatallnobodyhasthis",
            "log": std::fs::read_to_string(world.log_dir().join("log.pub")).unwrap().trim(),
        },
    });
    let output = script.arg(configuration.to_string()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{wrong}\n{}", world.reeve.output());
    println!("{said}");
}

const REQUIREMENTS: &str = include_str!("../clients/requirements.txt");

#[test]
fn other_peoples_clients_are_served_and_governed() {
    let python = reeve_tests::python("clients", REQUIREMENTS).unwrap();
    let mut world = World::start().unwrap();
    let small = small(&world);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/clients.py");
    let scene = |world: &World, scene: &str| {
        for kserve in [false, true] {
            run(Command::new(&python).arg(script), world, &small, scene, kserve);
        }
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

#[test]
fn our_own_clients_retry_and_check_receipts() {
    let clients = concat!(env!("CARGO_MANIFEST_DIR"), "/../services/clients");
    // From the source as it is, so that no stale copy is tested.
    let requirements = "cryptography==50.0.2\nhttpx==0.28.1\n";
    let python = reeve_tests::python("own-client", requirements).unwrap();
    let npm = |arguments: &[&str]| {
        let output = Command::new("npm")
            .args(arguments)
            .current_dir(format!("{clients}/typescript"))
            .output()
            .unwrap();
        let wrong = String::from_utf8_lossy(&output.stderr);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "npm {arguments:?}: {said}\n{wrong}");
    };
    npm(&["ci", "--no-audit", "--no-fund"]);
    npm(&["run", "build"]);
    let mut world = World::start().unwrap();
    let (one, other) = (small(&world), {
        let kind = TenantKind { plan: "trial", ..TenantKind::EUROPEAN };
        world.new_tenant("small-eu-2", &kind).unwrap()
    });
    let scene = |world: &World, scene: &str| {
        let mut script = Command::new(&python);
        script.env("PYTHONPATH", format!("{clients}/python/src"));
        run(script.arg(format!("{clients}/python/tests/live.py")), world, &one, scene, false);
        let mut script = Command::new("node");
        run(
            script.arg(format!("{clients}/typescript/tests/live.mjs")),
            world,
            &other,
            scene,
            false,
        );
    };
    scene(&world, "open");
    world.pods.get_mut("eu-west").unwrap().kill().unwrap();
    scene(&world, "closed");
}
