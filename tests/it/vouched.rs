//! A model from its import to the pods where only signed ones are taken, through an object store; and
//! the word that goes out when what it answers drifts.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    path::Path,
    process::{Command, Output},
    sync::mpsc,
    thread,
    time::Duration,
};

use reeve_domain::Digest;
use reeve_tests::{
    Bucket, Client, Program, World, WorldOptions, binary, free_port, sample_bundle, wait_until,
};
use serde_json::{Value, json};

const WHILE: Duration = Duration::from_secs(60);

fn model(world: &World, person: &str, arguments: &[&str], import: &[&str]) -> Output {
    let mut command = Command::new(binary("reeve").unwrap());
    command.arg("model").args(arguments).args(["--url", &world.control()]);
    command.arg("--token-file").arg(world.path().join(person));
    if !import.is_empty() {
        command.arg("--").args(import);
    }
    command.output().unwrap()
}

fn said(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

/// `reeve-train sign`, which makes the key where there is none.
fn sign(bundle: &Path, key: &Path) {
    let mut command = Command::new(binary("reeve-train").unwrap());
    command.arg("sign").arg("--bundle").arg(bundle).arg("--key").arg(key);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", said(&output.stderr));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A pod that wants models signed by this key.
fn pod(dir: &Path, bundle: &Path, key: &Path, port: u16) -> Program {
    let mut command = Command::new(binary("reeve-pod").unwrap());
    command.args(["--region", "eu-west", "--listen", &format!("127.0.0.1:{port}")]);
    command.args(["--workers", "1", "--bundle"]).arg(bundle);
    command.arg("--warrant-key").arg(key).arg("--model-key").arg(key);
    Program::start("pod", command, &dir.join("pod.log")).unwrap()
}

#[test]
fn a_pod_serves_what_somebody_trusted_vouches_for() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = dir.path().join("bundle");
    copy(&sample_bundle().unwrap(), &bundle);
    let at = |name: &str| dir.path().join(name);
    // Another model's statement, of the same key, and one of a stranger: neither is about this one.
    copy(&bundle, &at("other"));
    sign(&at("other"), &at("stranger.pem"));
    sign(&at("other"), &at("trusted.pem"));
    let port = free_port().unwrap();
    let ends = |because: &str| {
        let mut pod = pod(dir.path(), &bundle, &at("trusted.pub"), port);
        wait_until("the pod ends", WHILE, || Ok(!pod.runs())).unwrap();
        assert!(pod.output().contains(because), "{}", pod.output());
        fs::remove_file(at("pod.log")).unwrap();
    };
    ends("has no `bundle.jws`");
    sign(&bundle, &at("stranger.pem"));
    ends("is not signed by a key that is trusted here");
    sign(&bundle, &at("trusted.pem"));
    let mut pod = pod(dir.path(), &bundle, &at("trusted.pub"), port);
    let client = Client::new(&format!("http://127.0.0.1:{port}"), None);
    wait_until("the pod is ready", WHILE, || {
        assert!(pod.runs(), "{}", pod.output());
        Ok(client.get("/v2/health/ready").is_ok_and(|answer| answer.status == 200))
    })
    .unwrap();
}

/// Takes in what is posted to it.
fn webhook() -> (String, mpsc::Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/alerts", listener.local_addr().unwrap());
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut line, mut length) = (String::new(), 0);
            while stream.read_line(&mut line).unwrap() > 2 {
                let lower = line.to_ascii_lowercase();
                if let Some(bytes) = lower.strip_prefix("content-length:") {
                    length = bytes.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            stream.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
            if tell.send(serde_json::from_slice(&body).unwrap()).is_err() {
                return;
            }
        }
    });
    (address, told)
}

#[test]
fn an_imported_model_goes_through_the_bucket_to_the_pods_and_its_drift_is_told() {
    let away = tempfile::tempdir().unwrap();
    let bucket = Bucket::serve(away.path(), "models").unwrap();
    let (trusted, stranger) = (away.path().join("trusted.pem"), away.path().join("stranger.pem"));
    let other = away.path().join("other");
    copy(&sample_bundle().unwrap(), &other);
    sign(&other, &trusted);
    let (address, posted) = webhook();
    let options = WorldOptions {
        configuration: format!(
            "[registry]\nstore = {:?}\nmodel_keys = [{:?}]\n\
             [worker]\nwatch_every_s = 1\nalert_webhook = {address:?}\n",
            bucket.address(),
            trusted.with_extension("pub"),
        ),
        gateway: "observe_every_s = 1\n".into(),
        bucket: Some(bucket),
        ..WorldOptions::default()
    };
    let world = World::start_with(options).unwrap();
    for person in ["ann", "bob"] {
        world.add_person(person, &["operator"]).unwrap();
        fs::write(world.path().join(person), world.token(person).unwrap()).unwrap();
    }

    // What a training elsewhere leaves behind: weights, a tokenizer, the labels.
    let sample = sample_bundle().unwrap();
    let manifest: Value =
        serde_json::from_slice(&fs::read(sample.join("bundle.json")).unwrap()).unwrap();
    let labels: Vec<&str> =
        manifest["labels"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    fs::write(away.path().join("labels.txt"), labels.join("\n")).unwrap();
    let file = |path: &Path| path.to_str().unwrap().to_owned();
    let (weights, tokenizer) =
        (file(&sample.join("weights.safetensors")), file(&sample.join("tokenizer.json")));
    let labels = file(&away.path().join("labels.txt"));
    let import = [
        "--weights",
        &weights,
        "--tokenizer",
        &tokenizer,
        "--labels",
        &labels,
        "--name",
        "brought",
        "--version",
        "7",
        "--readout",
        "last-real",
        "--intended-use",
        "sorting mail",
        "--license",
        "MIT",
    ];
    let refused = model(&world, "ann", &["import"], &import);
    assert!(!refused.status.success());
    assert!(said(&refused.stderr).contains("nobody vouches for the model"), "{refused:?}");
    let refused = model(&world, "ann", &["import", "--key", &file(&stranger)], &import);
    assert!(said(&refused.stderr).contains("not signed by a key that is trusted"), "{refused:?}");
    let taken = model(&world, "ann", &["import", "--key", &file(&trusted)], &import);
    assert!(taken.status.success(), "{taken:?}");
    let taken = said(&taken.stdout);
    assert!(taken.contains("brought@7"), "{taken}");
    let digest: Digest = taken.split_whitespace().last().unwrap().parse().unwrap();

    let placed = model(&world, "ann", &["place", "brought@7", "--regions", "eu-west"], &[]);
    assert!(placed.status.success(), "{placed:?}");
    wait_until("the pod serves it", WHILE, || {
        let all = world.store.read(reeve_store::pod::list)?;
        Ok(all.iter().any(|pod| pod.models.contains(&digest)))
    })
    .unwrap();
    let asked = model(&world, "ann", &["promote", "brought@7", "--reason", "it is new"], &[]);
    let change = said(&asked.stdout).split_whitespace().next().unwrap().to_owned();
    let approved = model(&world, "bob", &["approve", "brought", &change], &[]);
    assert!(said(&approved.stdout).contains("applied"), "{approved:?}");
    let client = world.client(&world.eu);
    let body = |text: &str| json!({ "model": "brought", "input": vec![text; 50] });
    wait_until("it answers", WHILE, || {
        Ok(client.post("/v1/classify", &body("please refund my order"))?.status == 200)
    })
    .unwrap();

    // It was imported without a word of what it was trained on, the sample was not: texts that it
    // knows no word of are far from those.
    for _ in 0..6 {
        let body = json!({ "model": "sample", "input": vec!["zzkq xqqv wvvq jjkz"; 50] });
        assert_eq!(client.post("/v1/classify", &body).unwrap().status, 200);
    }
    let news = posted.recv_timeout(WHILE).unwrap();
    assert_eq!((&news["event"], &news["model"]), (&json!("raised"), &json!("sample")), "{news}");
    assert!(news["value_permille"].as_i64() > news["threshold_permille"].as_i64(), "{news}");
}
