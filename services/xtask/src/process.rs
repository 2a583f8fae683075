//! One of Reeve's programs, running: starting it, knowing it again, stopping it.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::ffi::OsStrExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// How long a program may take to stop.
const GRACE: Duration = Duration::from_secs(30);

/// Starts a program in a session of its own, so that neither Ctrl-C nor the terminal's end reaches
/// it. Its process id is the child's: `setsid` becomes the program.
pub(crate) fn start(command: &Command, log: &Path) -> anyhow::Result<Child> {
    let output = File::options().create(true).append(true).open(log)?;
    let mut session = Command::new("setsid");
    session.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => session.env(name, value),
            None => session.env_remove(name),
        };
    }
    session
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .with_context(|| format!("{} does not start", command.get_program().to_string_lossy()))
}

/// The words of a command, to know its process again.
pub(crate) fn words(command: &Command) -> Vec<String> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect()
}

/// Whether the process `pid` runs and was started with exactly these words. Ids are given again to
/// others, and nobody else's process may be signalled.
pub(crate) fn runs(pid: i32, words: &[String]) -> bool {
    let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let expected = words.iter().flat_map(|word| {
        std::ffi::OsStr::new(word).as_bytes().iter().copied().chain(std::iter::once(0))
    });
    !line.is_empty() && line.into_iter().eq(expected)
}

/// Asks all to stop, waits, and kills what is left. Returns the ids that had to be killed.
pub(crate) fn stop(all: &[(i32, Vec<String>)], mut reap: impl FnMut()) -> anyhow::Result<Vec<i32>> {
    let left = || all.iter().filter(|(pid, words)| runs(*pid, words)).map(|(pid, _)| *pid);
    for pid in left() {
        signal(pid, Signal::SIGTERM)?;
    }
    let end = Instant::now() + GRACE;
    while Instant::now() < end {
        reap();
        if left().next().is_none() {
            return Ok(Vec::new());
        }
        thread::sleep(Duration::from_millis(50));
    }
    let killed: Vec<i32> = left().collect();
    for pid in &killed {
        signal(*pid, Signal::SIGKILL)?;
    }
    Ok(killed)
}

fn signal(pid: i32, signal: Signal) -> anyhow::Result<()> {
    match kill(Pid::from_raw(pid), signal) {
        // It has just ended by itself.
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(fault) => bail!("process {pid} cannot be stopped: {fault}"),
    }
}

/// Fails with one clear line if somebody listens there.
pub(crate) fn ensure_free(port: u16) -> anyhow::Result<()> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(_) => bail!("port {port} is in use: choose others with `--port-base N`"),
    }
}

/// Ports of the loopback address that nobody listens on now.
pub(crate) fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    // All are held until the last is found, so that they differ.
    let mut held = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// A loopback address.
pub(crate) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
