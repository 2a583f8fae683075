//! Load by wrk, and other programs pinned to a core.

use std::{
    path::Path,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use serde::Deserialize;

use crate::{
    http, process, signals,
    step::{self, command, output},
};

/// Prints what is measured as one line of JSON, latencies in microseconds. It looks at no answer by
/// itself: wrk, which counts those of status 400 and above, would make a table of each one's headers,
/// on a core that it shares with what is measured.
const SCRIPT: &str = r#"wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
@HEADERS@
@BODY@
requests, turn = {}, 0
function init()
  for i, body in ipairs(bodies) do requests[i] = wrk.format(nil, nil, nil, body) end
end
function request()
  turn = turn % #requests + 1
  return requests[turn]
end
function done(summary, latency)
  local e = summary.errors
  local bad = e.status + e.connect + e.read + e.write + e.timeout
  io.write(string.format('\n@@{"per_second":%.2f,"p50_us":%d,"p99_us":%d,"bad":%d}\n',
    summary.requests / (summary.duration / 1e6),
    latency:percentile(50), latency:percentile(99), bad))
end
"#;

/// What wrk measured in one window.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Measured {
    pub(super) per_second: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    bad: u64,
}

/// One kind of request.
pub(super) struct Target {
    pub(super) url: String,
    script: std::path::PathBuf,
}

impl Target {
    /// Posts of `body` to `url`, with these headers.
    pub(super) fn new(
        script: &Path,
        url: String,
        headers: &[(&str, &str)],
        body: &str,
    ) -> anyhow::Result<Self> {
        Self::written(script, url, headers, &format!("bodies = {{ [==[{body}]==] }}"))
    }

    /// Posts of a file's lines to `url`, by turns.
    pub(super) fn lines(
        script: &Path,
        url: String,
        headers: &[(&str, &str)],
        bodies: &Path,
    ) -> anyhow::Result<Self> {
        let bodies = bodies.display();
        let read = format!(
            "bodies = {{}}\nfor line in io.lines(\"{bodies}\") do bodies[#bodies + 1] = line end"
        );
        Self::written(script, url, headers, &read)
    }

    fn written(
        script: &Path,
        url: String,
        headers: &[(&str, &str)],
        bodies: &str,
    ) -> anyhow::Result<Self> {
        let lines: Vec<String> = headers
            .iter()
            .map(|(name, value)| format!("wrk.headers[\"{name}\"] = \"{value}\""))
            .collect();
        let text = SCRIPT.replace("@HEADERS@", &lines.join("\n")).replace("@BODY@", bodies);
        std::fs::write(script, text)?;
        Ok(Self { url, script: script.to_owned() })
    }

    /// Puts load on it. A call that failed or was refused voids the window.
    pub(super) fn load(
        &self,
        core: Option<&str>,
        connections: u32,
        time: Duration,
    ) -> anyhow::Result<Measured> {
        ensure!(!signals::asked_to_stop(), "stopped");
        let (connections, time) = (connections.to_string(), format!("{}s", time.as_secs()));
        let mut wrk = match core {
            Some(core) => command("taskset", &["-c", core, "wrk"]),
            None => command("wrk", &[]),
        };
        wrk.args(["-t", "1", "-c", &connections, "-d", &time, "--timeout", "10s", "-s"]);
        wrk.arg(&self.script).arg(&self.url);
        let printed = output(wrk)?;
        let line = printed.lines().find_map(|line| line.strip_prefix("@@"));
        let measured: Measured = serde_json::from_str(line.context("wrk printed no figures")?)?;
        if measured.bad > 0 {
            bail!("{}: {} calls failed or were refused", self.url, measured.bad);
        }
        Ok(measured)
    }
}

/// A program that is stopped when this is dropped.
pub(super) struct Server {
    child: Child,
    words: Vec<String>,
    log: std::path::PathBuf,
}

impl Server {
    /// Starts a program, on one core if one is given.
    pub(super) fn start(command: &Command, core: Option<&str>, log: &Path) -> anyhow::Result<Self> {
        let mut pinned = match core {
            Some(core) => {
                let mut pinned = Command::new("taskset");
                pinned.args(["-c", core]).arg(command.get_program());
                pinned
            }
            None => Command::new(command.get_program()),
        };
        pinned.args(command.get_args());
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                pinned.env(name, value);
            }
        }
        let child = process::start(&pinned, log)?;
        Ok(Self { child, words: process::words(command), log: log.to_owned() })
    }

    /// Waits until `url` is answered with 200.
    pub(super) fn wait(&mut self, url: &str) -> anyhow::Result<()> {
        let end = Instant::now() + Duration::from_secs(60);
        while !http::is_ok(url) {
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() > end {
                bail!("{url} does not answer:\n{}", step::tail(&self.log, 20));
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Halts it and all that it started: an idle server too looks round now and then, and would take
    /// part in what is measured of another.
    pub(super) fn halt(&self) -> anyhow::Result<()> {
        self.signal_all(Signal::SIGSTOP)
    }

    /// Lets it go on.
    pub(super) fn go_on(&self) -> anyhow::Result<()> {
        self.signal_all(Signal::SIGCONT)
    }

    fn signal_all(&self, signal: Signal) -> anyhow::Result<()> {
        let group = Pid::from_raw(i32::try_from(self.child.id())?);
        killpg(group, signal).with_context(|| format!("{signal} to {}", self.words.join(" ")))
    }

    /// Memory that it holds now, in MB: resident, of the one process.
    pub(super) fn memory_mb(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kb| kb / 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Ok(pid) = i32::try_from(self.child.id()) else { return };
        // One that is halted does not hear that it is to stop.
        drop(self.go_on());
        let child = &mut self.child;
        let stopped = process::stop(&[(pid, self.words.clone())], || drop(child.try_wait()));
        if stopped.is_err() {
            drop(self.child.kill());
        }
        // Workers that it left behind would take part in what is measured next.
        _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        drop(self.child.wait());
    }
}
