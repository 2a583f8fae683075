//! The pod over HTTP beside other model servers with the same weights, and beside the bare forward
//! pass: the article's network, texts of 64 tokens and of real lengths.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Window, governed,
    load::{Measured, Server, Target},
    median, peers,
};
use crate::{
    build::Profile,
    http, place, process, say,
    step::{command, output, quietly},
    up::{self, Ports},
};

const CONNECTIONS: [u32; 3] = [1, 32, 256];
/// Every server stands on this core with one worker, wrk on the other.
const CORE: &str = "0";
const LOAD_CORE: &str = "1";
/// The header in which a pod tells its public key.
const POD_KEY: &str = "Reeve-Pod-Key";
const PRECISIONS: [&str; 3] = ["fp32", "bf16", "int8"];

/// What was measured.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pub(super) lines: Vec<Line>,
    /// Texts a second by length of the texts, precision and size of the batch.
    pub(super) forward: Vec<Forward>,
    /// From the start of the process to the first answer, which was compared with libtorch's.
    pub(super) cold_start_ms: f64,
    /// Why other servers were left out.
    pub(super) left_out: Vec<String>,
}

/// One server under one load.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    pub(super) server: String,
    pub(super) precision: String,
    pub(super) texts: &'static str,
    pub(super) connections: u32,
    pub(super) per_second: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) memory_mb: Option<u64>,
    /// How many times as fast the pod of the same precision is, in the same turn.
    pub(super) pod_is_faster: Option<f64>,
    /// The share of the bare pass's rate, in the same turn, at the size of a batch that the pod computes.
    pub(super) of_bare: Option<f64>,
}

/// The forward pass in a loop, on one core.
#[derive(Debug, Serialize)]
pub(super) struct Forward {
    pub(super) texts: &'static str,
    pub(super) precision: String,
    pub(super) per_second: BTreeMap<u32, f64>,
}

/// Weights and texts that all servers get.
pub(super) struct Work {
    pub(super) texts: &'static str,
    /// How many of its texts the pod computes at once when enough wait: 384 tokens, or 32 texts.
    batch: u32,
    pub(super) home: PathBuf,
}

/// Measures.
pub(super) fn measure(scratch: &Path, window: Window) -> anyhow::Result<Figures> {
    let build = ["build", "--release", "-p", "reeve-protocol", "-p", "reeve-torch", "--examples"];
    quietly(command("cargo", &build), &scratch.join("examples.txt"))?;
    let mut works = vec![make(("64 tokens", 6), &scratch.join("article"), None)?];
    match clinc_lengths(scratch)? {
        Some(lengths) => {
            let work = ("lengths of CLINC150", 32);
            works.push(make(work, &scratch.join("clinc"), Some(&lengths))?);
        }
        None => println!("no CLINC150 beside the checkout: its lengths are left out"),
    }
    let mut figures = Figures {
        lines: Vec::new(),
        forward: Vec::new(),
        cold_start_ms: 0.0,
        left_out: Vec::new(),
    };
    let pods = Pods::new(scratch)?;
    let (peers, left_out) = peers::all(scratch)?;
    figures.left_out = left_out;
    for work in &works {
        // All stand on the same core, and only the one that is asked does anything.
        let mut all = Vec::new();
        for precision in PRECISIONS {
            all.push(Contender::new(POD, precision, pods.start(work, precision)?));
        }
        for peer in &peers {
            all.push(Contender::new(&peer.name, peer.precision, peer.start(&work.home, CORE)?));
        }
        by_turns(&mut figures, work, &all, window)?;
    }
    for work in &works {
        let mut all = Vec::new();
        for precision in ["fp32", "bf16"] {
            let running = governed::start(scratch, work, precision)?;
            all.push(Contender::new("all of Reeve, both cores", precision, running));
        }
        by_turns(&mut figures, work, &all, window)?;
    }
    figures.cold_start_ms = pods.cold_start(&works)?;
    Ok(figures)
}

/// A server that runs, and where it is asked.
pub(super) struct Running {
    pub(super) server: Server,
    pub(super) target: Target,
    /// Where the load stands; on any core if none.
    pub(super) load_core: Option<&'static str>,
    /// Another server that this one asks.
    pub(super) behind: Option<Server>,
}

impl Running {
    /// One that has a core of its own.
    pub(super) const fn pinned(server: Server, target: Target) -> Self {
        Self { server, target, load_core: Some(LOAD_CORE), behind: None }
    }
}

/// What the pod is called in the figures.
const POD: &str = "reeve-pod";

/// One that takes its turn.
struct Contender {
    name: String,
    precision: String,
    running: Running,
}

impl Contender {
    fn new(name: &str, precision: &str, running: Running) -> Self {
        Self { name: name.to_owned(), precision: precision.to_owned(), running }
    }
}

/// Measures all one after the other, again and again: a machine that is slower for a while is so
/// for all, and what is compared stood side by side.
fn by_turns(
    figures: &mut Figures,
    work: &Work,
    all: &[Contender],
    window: Window,
) -> anyhow::Result<()> {
    let has_pods = all.iter().any(|one| one.name == POD);
    for one in all {
        one.running.target.load(one.running.load_core, 32, window.warm_up())?;
    }
    let mut bare: BTreeMap<&str, Vec<BTreeMap<u32, f64>>> = BTreeMap::new();
    for connections in CONNECTIONS {
        let mut measured: Vec<Vec<Measured>> = vec![Vec::new(); all.len()];
        let mut alike: Vec<BTreeMap<&str, f64>> = Vec::new();
        for turn in 1..=window.repetitions {
            let said =
                say::begin(&format!("pod: {}, {connections} connections, turn {turn}", work.texts));
            if has_pods && connections == 32 {
                let mut of_turn = BTreeMap::new();
                for precision in ["libtorch", "libtorch-bf16", "fp32", "bf16", "int8"] {
                    let rates = forward(work, precision, window)?;
                    of_turn.extend(rates.get(&work.batch).map(|rate| (precision, *rate)));
                    bare.entry(precision).or_default().push(rates);
                }
                alike.push(of_turn);
            }
            for (one, into) in all.iter().zip(&mut measured) {
                let Running { target, load_core, .. } = &one.running;
                into.push(target.load(*load_core, connections, window.measured())?);
            }
            said.done();
        }
        let pods: BTreeMap<&str, &Vec<Measured>> = all
            .iter()
            .zip(&measured)
            .filter(|(one, _)| one.name == POD)
            .map(|(one, measured)| (one.precision.as_str(), measured))
            .collect();
        for (one, measured) in all.iter().zip(&measured) {
            let is_pod = one.name == POD;
            let of = |pick: fn(&Measured) -> f64| median(measured.iter().map(pick).collect());
            let pod = pods.get(one.precision.as_str()).filter(|_| !is_pod);
            let faster = |pod: &&Vec<Measured>| {
                let turns = pod.iter().zip(measured);
                median(turns.map(|(pod, other)| pod.per_second / other.per_second).collect())
            };
            let shares: Vec<f64> = alike
                .iter()
                .zip(measured)
                .filter_map(|(bare, m)| Some(m.per_second / bare.get(one.precision.as_str())?))
                .collect();
            let Running { server, behind, .. } = &one.running;
            figures.lines.push(Line {
                server: one.name.clone(),
                precision: one.precision.clone(),
                texts: work.texts,
                connections,
                per_second: of(|m| m.per_second),
                p50_us: of(|m| m.p50_us),
                p99_us: of(|m| m.p99_us),
                memory_mb: match behind {
                    None => server.memory_mb(),
                    Some(behind) => server.memory_mb().zip(behind.memory_mb()).map(|(a, b)| a + b),
                },
                pod_is_faster: pod.map(faster),
                of_bare: (is_pod && !shares.is_empty()).then(|| median(shares)),
            });
        }
    }
    for (precision, turns) in bare {
        let sizes = turns.first().map(|rates| rates.keys().copied().collect::<Vec<_>>());
        let middle = |size: u32| {
            let of_size = turns.iter().filter_map(|rates| rates.get(&size).copied());
            (size, median(of_size.collect()))
        };
        let per_second = sizes.unwrap_or_default().into_iter().map(middle).collect();
        let precision = precision.to_owned();
        figures.forward.push(Forward { texts: work.texts, precision, per_second });
    }
    Ok(())
}

fn example(name: &str) -> PathBuf {
    place::target().join("release/examples").join(name)
}

fn make(
    (texts, batch): (&'static str, u32),
    home: &Path,
    lengths: Option<&Path>,
) -> anyhow::Result<Work> {
    fs::create_dir_all(home)?;
    let mut article = Command::new(example("article"));
    article.arg(home).args(lengths);
    output(article)?;
    // Bodies of requests: texts for the pod, ids for the others, which have no tokenizer. That is
    // in the others' favour.
    let lines = |file: &str, body: fn(Value) -> Value| -> anyhow::Result<String> {
        let text = fs::read_to_string(home.join(file))?;
        let bodies = text.lines().map(|line| Ok(body(serde_json::from_str(line)?).to_string()));
        Ok(bodies.collect::<anyhow::Result<Vec<_>>>()?.join("\n"))
    };
    let pod = |text: Value| {
        let input = json!({ "name": "text", "shape": [1], "datatype": "BYTES", "data": [text] });
        json!({ "parameters": { "top_k": 4 }, "inputs": [input] })
    };
    let call = |text: Value| json!({ "model": "article", "input": text, "top_k": 4 });
    fs::write(home.join("pod.jsonl"), lines("texts.jsonl", pod)?)?;
    fs::write(home.join("governed.jsonl"), lines("texts.jsonl", call)?)?;
    fs::write(home.join("peer.jsonl"), lines("ids.jsonl", |ids| json!({ "ids": ids }))?)?;
    Ok(Work { texts, batch, home: home.to_owned() })
}

/// How many words the test questions of CLINC150 have, where the data stand beside the checkout.
#[expect(clippy::disallowed_methods, reason = "where data are, as REEVE_CACHE is")]
fn clinc_lengths(scratch: &Path) -> anyhow::Result<Option<PathBuf>> {
    let data = std::env::var_os("REEVE_DATA").map(PathBuf::from);
    let data = data.unwrap_or_else(|| place::root().join("../shared/data"));
    let Ok(bytes) = fs::read(data.join("text/clinc150/data_full.json")) else { return Ok(None) };
    let all: BTreeMap<String, Vec<(String, String)>> = serde_json::from_slice(&bytes)?;
    let questions = all.get("test").cloned().unwrap_or_default();
    let count = |(text, _): &(String, String)| text.split_whitespace().count().clamp(1, 64);
    // Spread over the set, which is sorted by intent.
    let lengths: Vec<usize> = questions.iter().step_by(8).map(count).collect();
    let file = scratch.join("lengths.json");
    fs::write(&file, serde_json::to_vec(&lengths)?)?;
    Ok(Some(file))
}

/// Texts a second by size of the batch.
fn forward(work: &Work, precision: &str, window: Window) -> anyhow::Result<BTreeMap<u32, f64>> {
    let mut forward = command("taskset", &["-c", CORE]);
    forward.arg(example("forward")).arg(work.home.join("bundle"));
    forward.arg(work.home.join("texts.jsonl"));
    forward.args([&window.measured_s.div_ceil(5).to_string(), "1", precision]);
    Ok(serde_json::from_str(output(forward)?.trim())?)
}

/// A pod with one worker that takes the warrants of the instance in `instance`.
pub(super) fn pod_command(instance: &Path, work: &Path, precision: &str, address: &str) -> Command {
    let mut pod = Command::new(Profile::Release.program("reeve-pod"));
    pod.arg("--bundle").arg(work.join("bundle"));
    pod.arg("--warrant-key").arg(instance.join("secrets/warrant.pub"));
    pod.args(["--region", "eu-west", "--listen", address, "--workers", "1"]);
    pod.args(["--precision", precision, "--log", "warn"]);
    pod
}

/// Pods that only the measurement calls.
struct Pods {
    home: PathBuf,
}

impl Pods {
    fn new(scratch: &Path) -> anyhow::Result<Self> {
        let home = scratch.join("pod");
        // `reeve init` makes the key pair of the warrants.
        fs::create_dir_all(home.join("models"))?;
        up::init(Profile::Release, &home, &Ports::free()?)?;
        Ok(Self { home })
    }

    /// A warrant; for a pod that told this key a sealed one, behind what introduces the gateway.
    fn warrant(&self, work: &Work, pod: Option<&str>) -> anyhow::Result<String> {
        let mut warrant = Command::new(example("warrant"));
        warrant.arg(self.home.join("secrets/warrant.key")).arg("eu-west");
        warrant.arg(work.home.join("bundle")).args(pod);
        Ok(output(warrant)?.trim().to_owned())
    }

    /// A warrant for the pod that listens at `address`, sealed, as a gateway's are that it knows.
    fn sealed(&self, work: &Work, address: &str) -> anyhow::Result<String> {
        let url = format!("http://{address}/v2/health/ready");
        let key = http::header(&url, &[], POD_KEY).context("the pod tells no key")?;
        let said = self.warrant(work, Some(&key))?;
        let (introduction, warrant) = said.split_once('\n').context("two lines")?;
        http::header(&url, &[("Reeve-Introduction", introduction)], POD_KEY)
            .context("the pod takes no introduction")?;
        Ok(warrant.to_owned())
    }

    fn start(&self, work: &Work, precision: &str) -> anyhow::Result<Running> {
        let [port] = process::free_ports()?;
        let address = process::loopback(port).to_string();
        let pod = pod_command(&self.home, &work.home, precision, &address);
        let mut server = Server::start(&pod, Some(CORE), &self.home.join("pod.log"))?;
        server.wait(&format!("http://{address}/v2/health/ready"))?;
        let warrant = self.sealed(work, &address)?;
        let url = format!("http://{address}/v2/models/article/infer");
        let headers = [("Reeve-Warrant", warrant.as_str())];
        let bodies = work.home.join("pod.jsonl");
        // Each has a warrant of its own.
        let script = self.home.join(format!("pod-{port}.lua"));
        let target = Target::lines(&script, url, &headers, &bodies)?;
        Ok(Running::pinned(server, target))
    }

    /// The median of starts on both cores, files in memory.
    fn cold_start(&self, works: &[Work]) -> anyhow::Result<f64> {
        let Some(work) = works.first() else { return Ok(f64::NAN) };
        let said = say::begin("pod: from its start to the first answer");
        let warrant = self.warrant(work, None)?;
        let mut times = Vec::new();
        for _ in 0..9 {
            let [port] = process::free_ports()?;
            let address = process::loopback(port).to_string();
            let pod = pod_command(&self.home, &work.home, "fp32", &address);
            times.push(peers::first_answer(&pod, &address, &warrant, &work.home)?);
        }
        said.done();
        Ok(median(times))
    }
}
