//! The pod over HTTP, beside the bare forward pass with as many workers.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use serde::Serialize;

use super::{
    Window,
    load::{Server, Target},
    median, model,
};
use crate::{
    build::Profile,
    process, say,
    step::{command, output},
    up::{self, Ports},
};

const CONNECTIONS: u32 = 32;
/// Both are measured with one, so that wrk has the other core.
const WORKERS: &str = "1";
const BODY: &str = r#"{"parameters":{"top_k":1},"inputs":[{"name":"text","shape":[1],"datatype":"BYTES","data":["I was charged twice, please write to [EMAIL_ADDRESS]"]}]}"#;

/// Texts a second.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pub(super) pod_per_second: f64,
    pub(super) pod_p50_us: f64,
    pub(super) pod_p99_us: f64,
    pub(super) connections: u32,
    /// By size of the batch.
    pub(super) forward_per_second: BTreeMap<u32, f64>,
}

/// Measures.
pub(super) fn measure(scratch: &Path, window: Window) -> anyhow::Result<Figures> {
    let home = scratch.join("pod");
    let bundle = model()?;
    // `reeve init` makes the key pair of the warrants.
    fs::create_dir_all(home.join("models"))?;
    let key = home.join("secrets/warrant.key");
    init(&home)?;
    let [port] = process::free_ports()?;
    let address = process::loopback(port).to_string();
    let mut pod = Command::new(Profile::Release.program("reeve-pod"));
    pod.arg("--bundle").arg(&bundle).arg("--warrant-key").arg(home.join("secrets/warrant.pub"));
    pod.args(["--region", "eu-west", "--listen", &address, "--workers", WORKERS]);
    let mut server = Server::start(&pod, None, &home.join("pod.log"))?;
    server.wait(&format!("http://{address}/v2/health/ready"))?;

    let mut warrant = command(
        "cargo",
        &["run", "-q", "--release", "-p", "reeve-protocol", "--example", "warrant", "--"],
    );
    warrant.arg(&key).arg("eu-west").arg(&bundle);
    let warrant = output(warrant)?;
    let headers = [("Reeve-Warrant", warrant.trim())];
    let url = format!("http://{address}/v2/models/sample/infer");
    let target = Target::new(&home.join("pod.lua"), url, &headers, BODY)?;
    target.load(None, CONNECTIONS, window.warm_up())?;
    let mut measured = Vec::new();
    for repetition in 1..=window.repetitions {
        let work = say::begin(&format!("pod: {CONNECTIONS} connections, window {repetition}"));
        measured.push(target.load(None, CONNECTIONS, window.measured())?);
        work.done();
    }
    drop(server);

    // One text again and again, the pod's: what is compared is the way to it.
    let corpus = home.join("text.csv");
    fs::write(
        &corpus,
        "text,label\n\"I was charged twice, please write to [EMAIL_ADDRESS]\",billing\n\
         \"I was charged twice, please write to [EMAIL_ADDRESS] \",other\n",
    )?;
    let work = say::begin("pod: the bare forward pass");
    let mut forward = command(
        "cargo",
        &["run", "-q", "--release", "-p", "reeve-classifier", "--example", "forward", "--"],
    );
    forward.arg(&bundle).arg(&corpus).arg(window.measured_s.to_string()).arg(WORKERS);
    let forward_per_second = serde_json::from_str(output(forward)?.trim())?;
    work.done();
    Ok(Figures {
        pod_per_second: median(measured.iter().map(|m| m.per_second).collect()),
        pod_p50_us: median(measured.iter().map(|m| m.p50_us).collect()),
        pod_p99_us: median(measured.iter().map(|m| m.p99_us).collect()),
        connections: CONNECTIONS,
        forward_per_second,
    })
}

fn init(home: &Path) -> anyhow::Result<()> {
    up::init(Profile::Release, home, &Ports::free()?)
}
