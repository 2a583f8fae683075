//! Triton's and KServe's own clients, unchanged and from their own packages, against a pod.

use std::{fs, path::Path, process::Command, time::Duration};

use reeve_domain::{
    Clock as _, Digest, Entropy as _, Region, SystemClock, SystemEntropy, TenantId,
};
use reeve_protocol::{
    keys::write_key_pair,
    model::BundleSummary,
    order::{Action, Order, OrderSigner},
    warrant::{Claims, Priority, USUAL_WEIGHT, WarrantSigner},
};
use reeve_tests::{Client, Program, binary, free_port, sample_bundle, wait_until};
use serde_json::{Value, json};

const REQUIREMENTS: &str = include_str!("../clients/requirements.txt");

/// The sample model under another name.
fn renamed(bundle: &Path, into: &Path, name: &str) {
    fs::create_dir_all(into).unwrap();
    for file in ["tokenizer.json", "weights.safetensors"] {
        fs::copy(bundle.join(file), into.join(file)).unwrap();
    }
    let read = |file: &str| -> Value {
        serde_json::from_slice(&fs::read(bundle.join(file)).unwrap()).unwrap()
    };
    let (mut card, mut manifest) = (read("card.json"), read("bundle.json"));
    card["name"] = name.into();
    manifest["name"] = name.into();
    let card = serde_json::to_vec(&card).unwrap();
    manifest["files"]["card.json"] = Digest::of(&card).to_string().into();
    fs::write(into.join("card.json"), card).unwrap();
    fs::write(into.join("bundle.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
}

#[test]
fn triton_s_and_kserve_s_clients_are_served_by_a_pod() {
    let python = reeve_tests::python("clients", REQUIREMENTS).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let bundle = sample_bundle().unwrap();
    renamed(&bundle, &dir.path().join("store/second"), "second");
    let (private, public) = (dir.path().join("key"), dir.path().join("key.pub"));
    let key = write_key_pair(&private, &public, &SystemEntropy).unwrap();
    let place = || format!("127.0.0.1:{}", free_port().unwrap());
    let (http, grpc) = (place(), place());
    let mut command = Command::new(binary("reeve-pod").unwrap());
    command.args(["--region", "eu-west", "--device", "cpu", "--listen", &http]);
    command.args(["--grpc-listen", &grpc, "--workers", "1"]).arg("--bundle").arg(&bundle);
    command.arg("--warrant-key").arg(&public).arg("--model-store").arg(dir.path().join("store"));
    let pod = Program::start("pod", command, &dir.path().join("pod.log")).unwrap();
    let client = Client::new(&format!("http://{http}"), None);
    wait_until("the pod is ready", Duration::from_secs(60), || {
        Ok(client.get("/v2/health/ready").is_ok_and(|answer| answer.status == 200))
    })
    .unwrap();

    let now = SystemClock::default().now();
    let region = Region::new("eu-west").unwrap();
    let warrant =
        WarrantSigner::new(key.clone(), "reeve.local/test", &SystemEntropy).sign(&Claims {
            iss: String::new(),
            dec: SystemEntropy.decision_id(now),
            tenant: TenantId::new("acme").unwrap(),
            model: BundleSummary::read(&bundle).unwrap().digest,
            region: region.clone(),
            iat: now.as_seconds(),
            exp: now.as_seconds() + 600,
            weight: USUAL_WEIGHT,
            priority: Priority::default(),
        });
    let orders = OrderSigner::new(key, "reeve.local/control");
    let second = BundleSummary::read(&dir.path().join("store/second")).unwrap();
    let order = |action| {
        orders.sign(&Order {
            iss: String::new(),
            action,
            name: second.name.clone(),
            model: second.digest,
            region: region.clone(),
            iat: now.as_seconds(),
            exp: now.as_seconds() + 600,
        })
    };
    let configuration = json!({
        "http": http, "grpc": grpc, "model": "sample", "second": "second", "warrant": warrant,
        "load": order(Action::Load), "unload": order(Action::Unload),
    });
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/pod.py");
    let output = Command::new(&python).arg(script).arg(configuration.to_string()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{wrong}\n{}", pod.output());
    assert!(said.contains("repository"), "{said}");
    println!("{said}");
}
