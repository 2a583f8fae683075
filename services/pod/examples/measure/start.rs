//! A pod that is measured: started, warranted, asked.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command},
    thread,
    time::Duration,
};

use ed25519_dalek::SigningKey;
use reeve_domain::{Clock as _, Entropy as _, Region, SystemClock, SystemEntropy, TenantId};
use reeve_protocol::{
    keys::write_key_pair,
    model::BundleSummary,
    text::{TextRequest, TextResponse},
    warrant::{Claims, Priority, USUAL_WEIGHT, WARRANT_HEADER, WarrantSigner},
};

use crate::Fault;

/// Ends the pod, whatever happens.
pub(crate) struct Pod {
    child: Child,
    key: SigningKey,
    bundle: PathBuf,
    pub(crate) address: String,
    pub(crate) agent: ureq::Agent,
    pub(crate) texts: Vec<String>,
    pub(crate) clock: SystemClock,
}

impl Drop for Pod {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Pod {
    /// Starts one with what the example `article` wrote, and waits until it is ready. `program` may have
    /// words before it, such as `taskset`.
    pub(crate) fn start(program: &str, dir: &Path, arguments: &[&str]) -> Result<Self, Fault> {
        let mut words = program.split_whitespace();
        let (private, public) = (dir.join("warrant.key"), dir.join("warrant.pub"));
        for old in [&private, &public] {
            drop(fs::remove_file(old));
        }
        let key = write_key_pair(&private, &public, &SystemEntropy)?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let bundle = dir.join("bundle");
        let child = Command::new(words.next().ok_or("no program")?)
            .args(words)
            .args(["--region", "eu-west", "--listen", &address, "--log", "warn"])
            .arg("--warrant-key")
            .arg(&public)
            .arg("--bundle")
            .arg(&bundle)
            .args(arguments)
            .spawn()?;
        let texts = fs::read_to_string(dir.join("texts.jsonl"))?;
        let texts = texts.lines().map(serde_json::from_str).collect::<Result<Vec<String>, _>>()?;
        let agent = ureq::Agent::config_builder().max_idle_connections_per_host(512).build().into();
        let clock = SystemClock::default();
        let pod = Self { child, key, bundle, address, agent, texts, clock };
        let end = pod.clock.monotonic() + Duration::from_secs(120);
        while pod.agent.get(format!("http://{}/v2/health/ready", pod.address)).call().is_err() {
            if pod.clock.monotonic() > end {
                return Err("the pod does not get ready".into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(pod)
    }

    /// A warrant for calls of a tenant.
    pub(crate) fn warrant(&self, tenant: &str) -> Result<String, Fault> {
        let now = self.clock.now();
        let claims = Claims {
            iss: String::new(),
            dec: SystemEntropy.decision_id(now),
            tenant: TenantId::new(tenant)?,
            model: BundleSummary::read(&self.bundle)?.digest,
            region: Region::new("eu-west")?,
            iat: now.as_seconds(),
            exp: now.as_seconds() + 3600,
            weight: USUAL_WEIGHT,
            priority: Priority::default(),
        };
        Ok(WarrantSigner::new(self.key.clone(), "reeve.local/bench", &SystemEntropy).sign(&claims))
    }

    /// Asks for the labels of texts; an answer other than 200 is an error that says its status.
    pub(crate) fn ask(
        &self,
        warrant: &str,
        texts: &[&str],
        top_k: u32,
    ) -> Result<TextResponse, Fault> {
        let body = TextRequest { texts: texts.to_vec(), top_k }.to_json();
        let url = format!("http://{}/v2/models/article/infer", self.address);
        let answer = self.agent.post(url).header(WARRANT_HEADER, warrant).send(&body)?;
        Ok(TextResponse::parse(&answer.into_body().read_to_vec()?, texts.len())?)
    }

    /// What the process holds of memory, in MiB.
    pub(crate) fn memory_mb(&self) -> Result<u64, Fault> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.split_whitespace().next().ok_or("no VmRSS")?.parse::<u64>()? / 1024)
    }
}

/// Has callers call until all are done.
pub(crate) fn at_once<T: Send>(
    callers: usize,
    call: impl Fn(usize) -> Result<T, Fault> + Sync,
) -> Result<Vec<T>, Fault> {
    thread::scope(|scope| {
        let call = &call;
        let threads: Vec<_> = (0..callers).map(|n| scope.spawn(move || call(n))).collect();
        let lost = |_| Err(Fault::from("a caller ended"));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(lost)).collect()
    })
}
