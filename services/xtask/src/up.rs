//! `./x up`: from a checkout to a governed call.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use crate::{
    build::{self, Profile},
    demo::Demo,
    http,
    instance::{self, Entry},
    place, process, say, signals, solver,
    step::{self, command, output},
};

/// How long the programs may take until they are ready.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// How long the gateway may take to find its pods.
const PODS_WITHIN: Duration = Duration::from_secs(20);
/// The regions of the demonstration, in the order of their pods' ports.
const REGIONS: [&str; 2] = ["eu-west", "us-east"];
const TEXT: &str = "I was charged twice. Please refund to DE89 3704 0044 0532 0130 00 and write to ada@example.com.";

/// What to start, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Return when everything is ready, and leave it running.
    #[arg(long)]
    detach: bool,
    /// Run the unoptimised build, which is made sooner: for work on Reeve itself.
    #[arg(long)]
    dev: bool,
    /// The directory that holds all data.
    #[arg(long, default_value = place::DATA)]
    data: PathBuf,
    /// Gateway, control plane, the two pods and the gateway's gRPC listen on N, N+1, N+2, N+3, N+4
    /// [default: 8080, 8081, 9001, 9002, 8082].
    #[arg(long, value_name = "N")]
    port_base: Option<u16>,
}

/// Gateway, control plane, pods, and the gateway once more, for gRPC.
pub(crate) struct Ports {
    pub(crate) gateway: u16,
    pub(crate) control: u16,
    pub(crate) pods: [u16; 2],
    pub(crate) grpc: u16,
}

impl Ports {
    fn from_base(base: Option<u16>) -> anyhow::Result<Self> {
        let Some(base) = base else {
            return Ok(Self { gateway: 8080, control: 8081, pods: [9001, 9002], grpc: 8082 });
        };
        let port = |n| {
            base.checked_add(n).filter(|_| base > 0).context("`--port-base` must be 1 to 65531")
        };
        let pods = [port(2)?, port(3)?];
        Ok(Self { gateway: port(0)?, control: port(1)?, pods, grpc: port(4)? })
    }

    /// Any that are free.
    pub(crate) fn free() -> anyhow::Result<Self> {
        let [gateway, control, eu, us, grpc] = process::free_ports()?;
        Ok(Self { gateway, control, pods: [eu, us], grpc })
    }
}

/// An instance whose processes are children of this one.
pub(crate) struct Running {
    pub(crate) data: PathBuf,
    pub(crate) demo: Demo,
    pub(crate) entries: Vec<Entry>,
    children: Vec<Child>,
}

/// `./x up`.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let data = place::data(&arguments.data)?;
    let ports = Ports::from_base(arguments.port_base)?;
    if let Some(entry) = instance::read(&data)?.iter().find(|entry| entry.runs()) {
        println!(
            "an instance already runs in {} ({}, process {}); `./x down` stops it",
            data.display(),
            entry.name(),
            entry.pid
        );
        return Ok(());
    }
    for port in [ports.gateway, ports.control, ports.grpc].into_iter().chain(ports.pods) {
        process::ensure_free(port)?;
    }
    build::console()?;
    let profile = if arguments.dev { Profile::Dev } else { Profile::Release };
    build::programs(profile)?;
    signals::listen()?;
    let mut running = Running::start(profile, &data, &ports)?;
    let shown = running.show();
    match shown {
        Ok(()) if arguments.detach => {
            println!("\nrunning; `./x status` lists the processes, `./x down` stops them");
            Ok(())
        }
        Ok(()) => {
            println!("\nrunning; Ctrl-C stops everything");
            let ended = running.watch();
            running.stop()?;
            ended
        }
        Err(fault) => {
            running.stop()?;
            Err(fault)
        }
    }
}

impl Running {
    /// Prepares the data directory, starts everything and waits until it is ready.
    pub(crate) fn start(profile: Profile, data: &Path, ports: &Ports) -> anyhow::Result<Self> {
        let logs = data.join("logs");
        fs::create_dir_all(&logs).with_context(|| format!("{}", logs.display()))?;
        let bundle = data.join("models/sample");
        build::model(profile, &bundle, &logs)?;
        let demo = prepare(profile, data, ports, &ports.pods.map(url_of))?;
        demo.write(data)?;
        let entries = Vec::new();
        let mut running = Self { data: data.to_owned(), demo, entries, children: Vec::new() };
        let ready = running.start_all(profile, ports, &bundle).and_then(|()| running.wait_ready());
        match ready {
            Ok(()) => Ok(running),
            Err(fault) => {
                running.stop()?;
                Err(fault)
            }
        }
    }

    fn start_all(&mut self, profile: Profile, ports: &Ports, bundle: &Path) -> anyhow::Result<()> {
        for (region, port) in REGIONS.into_iter().zip(ports.pods) {
            let address = process::loopback(port).to_string();
            let mut pod = Command::new(profile.program("reeve-pod"));
            pod.arg("--bundle").arg(bundle);
            pod.args(["--region", region, "--listen", &address]);
            pod.arg("--warrant-key").arg(self.data.join("secrets/warrant.pub"));
            pod.arg("--order-key").arg(self.data.join("secrets/policy.pub"));
            pod.arg("--store").arg(self.data.join("registry"));
            pod.arg("--cache").arg(self.data.join(format!("cache/{region}")));
            let health = format!("http://{address}/v2/health/ready");
            self.spawn(&pod, &[("pod", Some(region), address, health)])?;
        }
        let roles = [("gateway", ports.gateway), ("control", ports.control)].map(|(role, port)| {
            let address = process::loopback(port).to_string();
            let health = format!("http://{address}/health/ready");
            (role, None, address, health)
        });
        let mut serve = serve(profile, &self.data);
        serve.env("REEVE_GATEWAY__GRPC_LISTEN", process::loopback(ports.grpc).to_string());
        self.spawn(&serve, &roles)
    }

    fn spawn(
        &mut self,
        command: &Command,
        roles: &[(&str, Option<&str>, String, String)],
    ) -> anyhow::Result<()> {
        let name = match roles.first() {
            Some((_, Some(region), ..)) => format!("pod-{region}.log"),
            _ => "reeve.log".to_owned(),
        };
        let log = self.data.join("logs").join(name);
        let child = process::start(command, &log)?;
        let pid = i32::try_from(child.id())?;
        self.children.push(child);
        for (role, region, address, health) in roles {
            self.entries.push(Entry {
                role: (*role).to_owned(),
                region: region.map(str::to_owned),
                pid,
                address: address.clone(),
                health: health.clone(),
                log: log.clone(),
                command: process::words(command),
            });
        }
        // At once, so that nothing runs that `./x down` does not know.
        instance::write(&self.data, &self.entries)
    }

    fn wait_ready(&mut self) -> anyhow::Result<()> {
        let end = Instant::now() + READY_WITHIN;
        for entry in self.entries.clone() {
            let work = say::begin(&format!("{} at {}", entry.name(), entry.address));
            while !entry.ready() {
                self.check_alive()?;
                ensure!(!signals::asked_to_stop(), "stopped");
                if Instant::now() > end {
                    bail!(
                        "{} is not ready after {READY_WITHIN:?}; the end of {}:\n{}",
                        entry.name(),
                        entry.log.display(),
                        step::tail(&entry.log, 20)
                    );
                }
                thread::sleep(Duration::from_millis(50));
            }
            work.ended("ready");
        }
        Ok(())
    }

    fn check_alive(&mut self) -> anyhow::Result<()> {
        for child in &mut self.children {
            let Some(status) = child.try_wait()? else { continue };
            let pid = i32::try_from(child.id())?;
            let entry = self.entries.iter().find(|entry| entry.pid == pid);
            let entry = entry.context("a process that nobody knows ended")?;
            bail!(
                "{} ended ({status}); the end of {}:\n{}",
                entry.name(),
                entry.log.display(),
                step::tail(&entry.log, 20)
            );
        }
        Ok(())
    }

    /// Returns when it was asked to stop, or with an error when a process ended by itself.
    fn watch(&mut self) -> anyhow::Result<()> {
        while !signals::asked_to_stop() {
            self.check_alive()?;
            thread::sleep(Duration::from_millis(100));
        }
        println!();
        Ok(())
    }

    /// Stops everything.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        let work = say::begin("stopping");
        let children = &mut self.children;
        let reap = || {
            for child in children.iter_mut() {
                // Only so that what has ended is gone; its status says nothing any more.
                drop(child.try_wait());
            }
        };
        let killed = instance::stop(&self.entries, reap)?;
        instance::forget(&self.data)?;
        work.done();
        ensure!(killed.is_empty(), "these did not stop when asked and were killed: {killed:?}");
        Ok(())
    }

    /// Makes one governed call and prints what people need.
    fn show(&mut self) -> anyhow::Result<()> {
        let key = self.demo.key("acme-eu")?.to_owned();
        let answer = self.classify(&key)?;
        let url = format!("{}/v1/classify", self.demo.gateway);
        println!("\nacme-eu asked: {TEXT}\n{}", serde_json::to_string_pretty(&answer)?);
        println!("\ngateway   {}\nconsole   {}", self.demo.gateway, self.demo.control);
        for user in [&self.demo.console, &self.demo.reviewer].into_iter().flatten() {
            let password = user.password.as_deref().unwrap_or("(shown at the first start)");
            println!("          user {}, password {password}", user.user);
        }
        for tenant in &self.demo.tenants {
            let key = tenant.key.as_deref().unwrap_or("(shown at the first start)");
            println!("tenant    {:<10} {:<8} key {key}", tenant.name, tenant.region);
        }
        println!(
            "\ncurl {url} \\\n  -H 'Authorization: Bearer {key}' \\\n  \
             -H 'Content-Type: application/json' \\\n  -d '{}'",
            call_body()
        );
        Ok(())
    }

    /// Calls until the gateway has found its pods.
    fn classify(&mut self, key: &str) -> anyhow::Result<Value> {
        let url = format!("{}/v1/classify", self.demo.gateway);
        let end = Instant::now() + PODS_WITHIN;
        loop {
            self.check_alive()?;
            let answer = http::post(&url, key, &call_body())?;
            match answer.status {
                200 => return Ok(answer.body),
                503 if Instant::now() < end => thread::sleep(Duration::from_millis(100)),
                status => bail!("the first call was answered with {status}: {}", answer.body),
            }
        }
    }

    /// Waits until calls are answered.
    pub(crate) fn warm(&mut self) -> anyhow::Result<()> {
        let key = self.demo.key("acme-eu")?.to_owned();
        self.classify(&key).map(drop)
    }
}

fn call_body() -> Value {
    json!({ "model": "sample", "input": TEXT, "top_k": 3 })
}

fn url_of(port: u16) -> String {
    format!("http://{}", process::loopback(port))
}

/// Writes configuration, secrets and demonstration data, as far as they are missing.
pub(crate) fn prepare(
    profile: Profile,
    data: &Path,
    ports: &Ports,
    pods: &[String; 2],
) -> anyhow::Result<Demo> {
    let work = say::begin("configuration and demonstration data");
    init(profile, data, ports)?;
    let reeve = profile.program("reeve");
    let mut seed = command(&reeve.to_string_lossy(), &["seed"]);
    seed.arg("--config").arg(data.join("reeve.toml"));
    seed.arg("--bundle").arg(data.join("models/sample"));
    for (region, url) in REGIONS.into_iter().zip(pods) {
        seed.args(["--pod", &format!("pod-{region}={region}={url}")]);
    }
    seed.arg("--json");
    let seeded = output(seed)?;
    let mut demo = Demo::read(data);
    demo.gateway = url_of(ports.gateway);
    demo.control = url_of(ports.control);
    demo.merge(serde_json::from_str(&seeded).context("`reeve seed` printed something else")?);
    work.done();
    Ok(demo)
}

/// Writes configuration and secrets, as far as they are missing.
pub(crate) fn init(profile: Profile, data: &Path, ports: &Ports) -> anyhow::Result<()> {
    let mut init = command(&profile.program("reeve").to_string_lossy(), &["init"]);
    init.arg("--data").arg(data);
    init.args(["--gateway-listen", &process::loopback(ports.gateway).to_string()]);
    init.args(["--control-listen", &process::loopback(ports.control).to_string()]);
    init.arg("--static-dir").arg(place::console_built());
    output(init).map(drop)
}

/// The command that serves all roles from `data`.
pub(crate) fn serve(profile: Profile, data: &Path) -> Command {
    let mut serve = Command::new(profile.program("reeve"));
    serve.arg("serve").arg("--config").arg(data.join("reeve.toml"));
    if let Some(program) = solver::installed() {
        serve.env("REEVE_WORKER__SOLVER", program);
    }
    serve
}
