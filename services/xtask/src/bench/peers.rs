//! Other servers of the same network, each in its own process: FastAPI with and without a batcher,
//! LitServe, TorchServe, and ONNX Runtime behind the same batcher.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};

use super::{
    gateway::wait_for_answer,
    load::{Server, Target},
    pod::Running,
};
use crate::{
    http, place, process,
    step::{command, output, quietly},
};

/// One server in one precision.
pub(super) struct Peer {
    pub(super) name: String,
    pub(super) precision: &'static str,
    python: PathBuf,
    script: &'static str,
    arguments: Vec<&'static str>,
    scratch: PathBuf,
    health: &'static str,
    path: &'static str,
    can_be_halted: bool,
}

/// All that can be set up here, and what is left out and why.
#[expect(
    clippy::disallowed_methods,
    reason = "where torch is, as REEVE_LIBTORCH says it of libtorch"
)]
pub(super) fn all(scratch: &Path) -> anyhow::Result<(Vec<Peer>, Vec<String>)> {
    let python = match environment(scratch) {
        Ok(python) => python,
        Err(fault) => return Ok((Vec::new(), vec![format!("all other servers: {fault:#}")])),
    };
    let mut left_out = Vec::new();
    let torch = std::env::var_os("REEVE_TORCH").map(PathBuf::from);
    let has_torch = torch.as_deref().map(|site| link_torch(&python, site)).transpose()?.is_some();
    let peer = |name: &str, precision, script, arguments: &[&'static str], health| Peer {
        name: name.to_owned(),
        precision,
        python: python.clone(),
        script,
        arguments: arguments.to_vec(),
        scratch: scratch.to_owned(),
        health,
        path: "/predict",
        can_be_halted: true,
    };
    let fastapi = "fastapi_server.py";
    let mut peers = vec![
        peer("ONNX Runtime, batcher", "fp32", fastapi, &["onnx", "fp32", "batch"], "/ready"),
        peer("ONNX Runtime, batcher", "int8", fastapi, &["onnx", "int8", "batch"], "/ready"),
    ];
    if has_torch {
        for precision in ["fp32", "bf16", "int8"] {
            let batch = ["torch", precision, "batch"];
            peers.push(peer("FastAPI, batcher", precision, fastapi, &batch, "/ready"));
        }
        peers.push(peer("FastAPI", "fp32", fastapi, &["torch", "fp32", "plain"], "/ready"));
        peers.push(peer("LitServe", "fp32", "litserve_server.py", &["fp32"], "/health"));
        if output(command("java", &["-version"])).is_ok() {
            let script = "torchserve_server.py";
            let torchserve = peer("TorchServe", "fp32", script, &["fp32"], "/ping");
            // Halted for minutes, it now and then answers nothing for seconds afterwards.
            let (path, can_be_halted) = ("/predictions/article", false);
            peers.push(Peer { path, can_be_halted, ..torchserve });
        } else {
            left_out.push("TorchServe: it needs a Java runtime".to_owned());
        }
    } else {
        left_out.push(
            "servers with torch: set REEVE_TORCH to the site-packages of a Python that has it"
                .to_owned(),
        );
    }
    Ok((peers, left_out))
}

/// A virtual environment of its own, kept between runs.
fn environment(scratch: &Path) -> anyhow::Result<PathBuf> {
    let folder = place::root().join("tests/bench/pods");
    let home = place::target().join("bench-pods");
    let log = scratch.join("peers.txt");
    if !home.join("bin/pip").exists() {
        let mut create = command("python3", &["-m", "venv"]);
        create.arg(&home);
        quietly(create, &log)?;
    }
    for (list, alone) in [("requirements.txt", false), ("requirements-torch.txt", true)] {
        let mut install = Command::new(home.join("bin/pip"));
        install.args(["install", "-q"]);
        if alone {
            install.arg("--no-deps");
        }
        install.arg("-r").arg(folder.join(list));
        quietly(install, &log)?;
    }
    Ok(home.join("bin/python"))
}

/// Lets the environment find a torch that is installed elsewhere; it is too large to have twice.
fn link_torch(python: &Path, site: &Path) -> anyhow::Result<()> {
    let mut ask = Command::new(python);
    ask.args(["-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"]);
    let own = PathBuf::from(output(ask)?.trim());
    fs::write(own.join("torch.pth"), site.display().to_string())?;
    let mut import = Command::new(python);
    import.args(["-c", "import torch"]);
    output(import).context("REEVE_TORCH has no torch that runs").map(drop)
}

impl Peer {
    /// Starts it on a core and waits until it answers.
    pub(super) fn start(&self, home: &Path, core: &str) -> anyhow::Result<Running> {
        let [port] = process::free_ports()?;
        let mut program = Command::new(&self.python);
        program.arg(place::root().join("tests/bench/pods").join(self.script));
        program.arg(port.to_string()).args(&self.arguments);
        program.env("BENCH_HOME", home).env("OMP_NUM_THREADS", "1");
        let log = self.scratch.join("peer.log");
        let mut server = Server::start(&program, Some(core), &log)?;
        let address = process::loopback(port);
        server.wait(&format!("http://{address}{}", self.health))?;
        let bodies = home.join("peer.jsonl");
        let url = format!("http://{address}{}", self.path);
        // Some say that they are well before their model is loaded.
        let first = fs::read_to_string(&bodies)?;
        wait_for_answer(&url, "", first.lines().next().unwrap_or_default())?;
        let target = Target::lines(&self.scratch.join("peer.lua"), url, &[], &bodies)?;
        let can_be_halted = self.can_be_halted;
        Ok(Running { can_be_halted, ..Running::pinned(server, target) })
    }
}

/// Milliseconds from the start of a pod to its first answer, which must be what libtorch computes.
#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
pub(super) fn first_answer(
    pod: &Command,
    address: &str,
    warrant: &str,
    home: &Path,
) -> anyhow::Result<f64> {
    const LIMIT: Duration = Duration::from_secs(30);
    let first = |file: &str| -> anyhow::Result<String> {
        let text = fs::read_to_string(home.join(file))?;
        Ok(text.lines().next().unwrap_or_default().to_owned())
    };
    let (body, logits) = (first("pod.jsonl")?, first("logits.jsonl")?);
    let logits: Vec<Vec<f64>> = serde_json::from_str(&logits)?;
    let url = format!("http://{address}/v2/models/article/infer");
    let begun = Instant::now();
    let server = Server::start(pod, None, &home.join("cold.log"))?;
    let answer = loop {
        if let Some(answer) = http::ask(&url, &[("Reeve-Warrant", warrant)], &body) {
            break answer;
        }
        if begun.elapsed() > LIMIT {
            bail!("the pod does not answer");
        }
        thread::sleep(Duration::from_millis(1));
    };
    let took = begun.elapsed();
    drop(server);
    let answer: serde_json::Value = serde_json::from_str(&answer)?;
    let score = answer.pointer("/outputs/1/data/0").and_then(serde_json::Value::as_f64);
    let row = logits.first().cloned().unwrap_or_default();
    let sum: f64 = row.iter().map(|logit| logit.exp()).sum();
    let best = row.iter().fold(0.0_f64, |best, logit| best.max(logit.exp() / sum));
    ensure!(score.is_some_and(|score| (score - best).abs() < 1e-5), "{answer}");
    Ok(took.as_secs_f64() * 1e3)
}
