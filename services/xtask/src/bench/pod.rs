//! The pod over HTTP beside other model servers with the same weights, and beside the bare forward
//! pass: the article's network, texts of 64 tokens and of real lengths.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Window, governed,
    load::{Measured, Server, Target},
    median, peers,
};
use crate::{
    build::{self, Profile},
    http, place, process, say,
    step::{command, output, quietly},
    up::{self, Ports},
};

pub(super) const CONNECTIONS: [u32; 3] = [1, 32, 256];
/// For how long a server is asked before each of its windows, uncounted.
const AFTER_HALT: Duration = Duration::from_secs(1);
/// For how long it is left alone before it is halted: what wrk left behind when its time was over
/// would be past its deadline when the server goes on.
const BEFORE_HALT: Duration = Duration::from_millis(500);
/// With how many the bare pass takes its turn: with as many as fill the pod's batches.
const ENOUGH: u32 = 32;
/// Every server stands on this core with one worker, wrk on the other.
const CORE: &str = "0";
const LOAD_CORE: &str = "1";
/// The header in which a pod tells its public key.
const POD_KEY: &str = "Reeve-Pod-Key";
pub(super) const PRECISIONS: [&str; 3] = ["fp32", "bf16", "int8"];
/// What `forward` can measure: what it is called in the figures, its precision, and the word for it.
const PASSES: [(&str, &str, &str); 5] = [
    ("bare pass of libtorch", "fp32", "libtorch"),
    ("bare pass of libtorch", "bf16", "libtorch-bf16"),
    ("bare pass of the pod", "fp32", "fp32"),
    ("bare pass of the pod", "bf16", "bf16"),
    ("bare pass of the pod", "int8", "int8"),
];

/// What was measured.
#[derive(Debug, Default, Serialize)]
pub(super) struct Figures {
    pub(super) lines: Vec<Line>,
    /// Texts a second by length of the texts, precision and size of the batch, in one window each.
    pub(super) forward: Vec<Forward>,
    /// From the start of the process to the first answer, which was compared with libtorch's.
    pub(super) cold_start_ms: Option<f64>,
    /// Why other servers were left out.
    pub(super) left_out: Vec<String>,
}

/// One server under one load, or the bare pass in batches of the size that the pod computes.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    pub(super) server: String,
    pub(super) precision: &'static str,
    pub(super) texts: &'static str,
    pub(super) connections: u32,
    pub(super) per_second: f64,
    /// None of a bare pass, which nobody calls.
    pub(super) latency: Option<Latency>,
    pub(super) memory_mb: Option<u64>,
    /// How many times as fast the pod of the same precision is, right before and after it.
    pub(super) pod_is_faster: Option<Range>,
}

/// Times of calls in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Latency {
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
}

/// What several turns gave.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Range {
    pub(super) least: f64,
    pub(super) median: f64,
    pub(super) most: f64,
}

impl Range {
    fn of(values: Vec<f64>) -> Option<Self> {
        let least = values.iter().copied().min_by(f64::total_cmp)?;
        let most = values.iter().copied().max_by(f64::total_cmp)?;
        Some(Self { least, median: median(values), most })
    }
}

/// The forward pass in a loop, on one core.
#[derive(Debug, Serialize)]
pub(super) struct Forward {
    pub(super) texts: &'static str,
    pub(super) name: &'static str,
    pub(super) precision: &'static str,
    pub(super) per_second: BTreeMap<u32, f64>,
}

/// Weights and texts that all servers get.
pub(super) struct Work {
    pub(super) texts: &'static str,
    /// How many of its texts the pod computes at once when enough wait: 384 tokens, or 32 texts.
    batch: u32,
    pub(super) home: PathBuf,
}

/// Measures the pod among other servers, and all of Reeve.
pub(super) fn measure(scratch: &Path, window: Window) -> anyhow::Result<Figures> {
    let works = works(scratch)?;
    let mut figures = Figures::default();
    let pods = Pods::new(scratch)?;
    let (peers, left_out) = peers::all(scratch)?;
    figures.left_out = left_out;
    for work in &works {
        // All stand on the same core, and all but the one that is asked are halted.
        let mut all = Vec::new();
        for precision in PRECISIONS {
            all.push(Contender::server(POD, precision, pods.start(work, precision)?));
        }
        for peer in &peers {
            let running = peer.start(&work.home, CORE)?;
            all.push(Contender::server(&peer.name, peer.precision, running));
        }
        for (name, precision, word) in PASSES {
            all.push(Contender { name: name.to_owned(), precision, what: What::Pass(word) });
        }
        by_turns(&mut figures, work, &all, window)?;
        for (name, precision, word) in PASSES {
            let said = say::begin(&format!("pod: {}, {name}, {precision}", work.texts));
            let per_second = forward(work, word, window.measured_s.div_ceil(5), None)?;
            figures.forward.push(Forward { texts: work.texts, name, precision, per_second });
            said.done();
        }
    }
    all_of_reeve(&mut figures, scratch, &works, window)?;
    figures.cold_start_ms = Some(pods.cold_start(&works)?);
    Ok(figures)
}

/// Measures all of Reeve only.
pub(super) fn measure_governed(scratch: &Path, window: Window) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    all_of_reeve(&mut figures, scratch, &works(scratch)?, window)?;
    Ok(figures)
}

fn all_of_reeve(
    figures: &mut Figures,
    scratch: &Path,
    works: &[Work],
    window: Window,
) -> anyhow::Result<()> {
    for work in works {
        let mut all = Vec::new();
        for precision in PRECISIONS {
            let running = governed::start(Profile::Release, scratch, work, precision)?;
            all.push(Contender::server("all of Reeve, both cores", precision, running));
        }
        by_turns(figures, work, &all, window)?;
    }
    Ok(())
}

/// Makes the article's network and its texts, in both lengths.
pub(super) fn works(scratch: &Path) -> anyhow::Result<Vec<Work>> {
    let examples = ["-p", "reeve-protocol", "-p", "reeve-torch", "--examples"];
    quietly(build::release(&examples)?, &scratch.join("examples.txt"))?;
    let mut works = vec![make(("64 tokens", 6), &scratch.join("article"), None)?];
    match clinc_lengths(scratch)? {
        Some(lengths) => {
            let work = ("lengths of CLINC150", 32);
            works.push(make(work, &scratch.join("clinc"), Some(&lengths))?);
        }
        None => println!("no CLINC150 beside the checkout: its lengths are left out"),
    }
    Ok(works)
}

/// A server that runs, and where it is asked. Between its windows it is halted.
pub(super) struct Running {
    pub(super) server: Server,
    pub(super) target: Target,
    /// Where the load stands; on any core if none.
    pub(super) load_core: Option<&'static str>,
    /// Another server that this one asks.
    pub(super) behind: Option<Server>,
    /// Whether it goes on as before when it was halted; if not, it is left running.
    pub(super) can_be_halted: bool,
}

impl Running {
    /// One that has a core of its own.
    pub(super) const fn pinned(server: Server, target: Target) -> Self {
        Self { server, target, load_core: Some(LOAD_CORE), behind: None, can_be_halted: true }
    }

    /// Puts load on it, all others being halted: first for as long as it may need to come to itself
    /// again.
    pub(super) fn load(&self, connections: u32, time: Duration) -> anyhow::Result<Measured> {
        let all = || self.behind.iter().chain([&self.server]);
        all().try_for_each(Server::go_on)?;
        self.target.load(self.load_core, connections, AFTER_HALT)?;
        let measured = self.target.load(self.load_core, connections, time)?;
        ensure!(measured.per_second > 0.0, "{} answered nothing", self.target.url);
        if self.can_be_halted {
            thread::sleep(BEFORE_HALT);
            all().try_for_each(Server::halt)?;
        }
        Ok(measured)
    }
}

/// What the pod is called in the figures.
const POD: &str = "reeve-pod";

/// One that takes its turn.
struct Contender {
    name: String,
    precision: &'static str,
    what: What,
}

enum What {
    Server(Box<Running>),
    /// The bare pass, by `forward`'s word for it.
    Pass(&'static str),
}

/// What one did in one window.
#[derive(Clone, Copy)]
struct Did {
    per_second: f64,
    latency: Option<Latency>,
}

impl Contender {
    fn server(name: &str, precision: &'static str, running: Running) -> Self {
        Self { name: name.to_owned(), precision, what: What::Server(Box::new(running)) }
    }

    fn is_pod(&self) -> bool {
        self.name == POD
    }

    fn takes_part(&self, connections: u32) -> bool {
        matches!(self.what, What::Server(_)) || connections == ENOUGH
    }

    fn measure(&self, work: &Work, connections: u32, window: Window) -> anyhow::Result<Did> {
        match &self.what {
            What::Server(running) => {
                let load = running.load(connections, window.measured())?;
                let Measured { per_second, p50_us, p99_us, .. } = load;
                Ok(Did { per_second, latency: Some(Latency { p50_us, p99_us }) })
            }
            What::Pass(word) => {
                let rates = forward(work, word, window.measured_s, Some(work.batch))?;
                let per_second = rates.get(&work.batch).copied().context("no such batch")?;
                Ok(Did { per_second, latency: None })
            }
        }
    }

    fn memory_mb(&self) -> Option<u64> {
        let What::Server(running) = &self.what else { return None };
        let Running { server, behind, .. } = &**running;
        match behind {
            None => server.memory_mb(),
            Some(behind) => server.memory_mb().zip(behind.memory_mb()).map(|(a, b)| a + b),
        }
    }
}

/// In which order all are measured in one turn: the pod before and after each other one of its
/// precision, since the machine's speed changes within seconds.
fn order(all: &[Contender], connections: u32) -> Vec<usize> {
    let taking_part = || all.iter().enumerate().filter(|(_, one)| one.takes_part(connections));
    let mut order = Vec::new();
    for (pod, one) in taking_part().filter(|(_, one)| one.is_pod()) {
        order.push(pod);
        for (other, _) in taking_part().filter(|(_, o)| !o.is_pod() && o.precision == one.precision)
        {
            order.extend([other, pod]);
        }
    }
    let alone: Vec<usize> =
        taking_part().map(|(at, _)| at).filter(|at| !order.contains(at)).collect();
    order.extend(alone);
    order
}

/// How many times as fast the pod was as each one that stood between two of its windows, by their
/// mean.
fn beside(turn: &[(usize, &Contender, Did)]) -> Vec<(usize, f64)> {
    let compare = |three: &[(usize, &Contender, Did)]| {
        let [(_, before, pod), (at, one, other), (_, after, again)] = three else { return None };
        let is_between = before.is_pod() && after.is_pod() && !one.is_pod();
        let pod = f64::midpoint(pod.per_second, again.per_second);
        is_between.then(|| (*at, pod / other.per_second))
    };
    turn.windows(3).filter_map(compare).collect()
}

/// Measures all one after the other, again and again: a machine that is slower for a while is so
/// for all, and what is compared stood side by side.
fn by_turns(
    figures: &mut Figures,
    work: &Work,
    all: &[Contender],
    window: Window,
) -> anyhow::Result<()> {
    for one in all {
        if let What::Server(running) = &one.what {
            running.load(ENOUGH, window.warm_up())?;
        }
    }
    for connections in CONNECTIONS {
        let order = order(all, connections);
        let mut measured: Vec<Vec<Did>> = vec![Vec::new(); all.len()];
        let mut faster: Vec<Vec<f64>> = vec![Vec::new(); all.len()];
        for turn in 1..=window.repetitions {
            let said =
                say::begin(&format!("pod: {}, {connections} connections, turn {turn}", work.texts));
            let mut turn = Vec::new();
            for &at in &order {
                let one = all.get(at).context("in order")?;
                turn.push((at, one, one.measure(work, connections, window)?));
            }
            for &(at, _, did) in &turn {
                measured.get_mut(at).context("in order")?.push(did);
            }
            for (at, times) in beside(&turn) {
                faster.get_mut(at).context("in order")?.push(times);
            }
            said.done();
        }
        for ((one, measured), faster) in all.iter().zip(&measured).zip(faster) {
            if measured.is_empty() {
                continue;
            }
            let of = |pick: fn(&Latency) -> f64| {
                median(measured.iter().filter_map(|did| did.latency.as_ref().map(pick)).collect())
            };
            let has_latency = measured.iter().any(|did| did.latency.is_some());
            figures.lines.push(Line {
                server: one.name.clone(),
                precision: one.precision,
                texts: work.texts,
                connections,
                per_second: median(measured.iter().map(|did| did.per_second).collect()),
                latency: has_latency
                    .then(|| Latency { p50_us: of(|l| l.p50_us), p99_us: of(|l| l.p99_us) }),
                memory_mb: one.memory_mb(),
                pod_is_faster: Range::of(faster),
            });
        }
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

/// Texts a second by size of the batch: of one, or of all that `forward` knows.
fn forward(
    work: &Work,
    word: &str,
    seconds: u64,
    batch: Option<u32>,
) -> anyhow::Result<BTreeMap<u32, f64>> {
    let mut forward = command("taskset", &["-c", CORE]);
    forward.arg(example("forward")).arg(work.home.join("bundle"));
    forward.arg(work.home.join("texts.jsonl"));
    forward.args([&seconds.to_string(), "1", word]).args(batch.map(|batch| batch.to_string()));
    Ok(serde_json::from_str(output(forward)?.trim())?)
}

/// A pod with one worker that takes the warrants of the instance in `instance`.
pub(super) fn pod_command(
    profile: Profile,
    instance: &Path,
    work: &Path,
    precision: &str,
    address: &str,
) -> Command {
    let mut pod = Command::new(profile.program("reeve-pod"));
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
        let pod = pod_command(Profile::Release, &self.home, &work.home, precision, &address);
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
            let pod = pod_command(Profile::Release, &self.home, &work.home, "fp32", &address);
            times.push(peers::first_answer(&pod, &address, &warrant, &work.home)?);
        }
        said.done();
        Ok(median(times))
    }
}

#[cfg(test)]
mod tests {
    use super::{Contender, Did, ENOUGH, POD, What, beside, order};

    fn one(name: &str, precision: &'static str) -> Contender {
        Contender { name: name.to_owned(), precision, what: What::Pass("none") }
    }

    #[test]
    fn the_pod_stands_on_both_sides_of_each_other_one() {
        let all = [
            one(POD, "fp32"),
            one(POD, "int8"),
            one("a", "int8"),
            one("b", "fp32"),
            one("c", "fp32"),
            one("without a pod", "bf16"),
        ];
        assert_eq!(order(&all, ENOUGH), [0, 3, 0, 4, 0, 1, 2, 1, 5]);
        assert!(order(&all, 1).is_empty(), "a bare pass has no connections");
    }

    #[test]
    fn another_is_compared_with_the_mean_of_the_pod_before_and_after_it() {
        let (pod, other) = (one(POD, "fp32"), one("other", "fp32"));
        let did = |per_second| Did { per_second, latency: None };
        let turn = [
            (0, &pod, did(10.0)),
            (1, &other, did(2.0)),
            (0, &pod, did(30.0)),
            (0, &pod, did(50.0)),
            (1, &other, did(1.0)),
        ];
        assert_eq!(beside(&turn), [(1, 10.0)]);
    }
}
