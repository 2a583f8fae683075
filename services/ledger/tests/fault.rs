//! Faults at every system call that touches a log's files: nothing that was acknowledged is lost,
//! and the log always verifies. A few of them with every run of the tests; with
//! `REEVE_CHAOS=1`, which `./x chaos` sets, each kind of fault at each of its first moments.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test says what it expects by failing, and speaks to its child by the environment"
)]

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use ed25519_dalek::SigningKey;
use reeve_domain::{Origin, SeededEntropy, SystemClock, TenantId};
use reeve_ledger::{
    KekFile, Keyring, Ledger, Options, Payload, Reader, SealedPayload, VerifierKey, destroy_key,
    destroy_payloads, expire, key_name, plan_expiry, read_payload, verify,
};

const CHILD: &str = "REEVE_LEDGER_FAULTS";
const CHAOS: &str = "REEVE_CHAOS";

fn origin() -> Origin {
    Origin::new("reeve.test/log").unwrap()
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[5; 32])
}

fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn options(dir: &Path) -> Options {
    Options {
        dir: dir.join("log"),
        origin: origin(),
        commit_deadline: Duration::from_secs(1),
        headroom_bytes: 1,
        // Small, so that segments are begun, too.
        segment_bytes: 2_500,
    }
}

fn keyring(dir: &Path) -> Keyring {
    let entropy = Arc::new(SeededEntropy::new(1));
    let kek = KekFile::load_or_create(&dir.join("kek"), entropy.clone()).unwrap();
    Keyring::new(&dir.join("log"), Arc::new(kek), entropy)
}

/// Not a test by itself: what runs under the fault. It says over a socket what was acknowledged,
/// so that no fault hits the saying.
#[test]
fn child() {
    let Ok(address) = std::env::var(CHILD) else { return };
    let (address, dir) = address.split_once(' ').unwrap();
    let dir = Path::new(dir);
    let mut parent = TcpStream::connect(address).unwrap();
    let ring = keyring(dir);
    let Ok((ledger, _)) = Ledger::open(options(dir), key(), Arc::new(SystemClock::default()))
    else {
        return;
    };
    let begun = Instant::now();
    let (mut number, mut refused) = (0, 0);
    while number < 60 && begun.elapsed() < Duration::from_millis(2_500) {
        let text = format!("entry {number} {}", "x".repeat(number % 90));
        let sealed = if number % 3 == 0 {
            // A key that cannot be made keeps the call from being recorded, which is all right.
            let Ok(sealed) = ring.seal(&tenant(), None, "place", text.as_bytes()) else {
                refused += 1;
                std::thread::sleep(Duration::from_millis(40));
                continue;
            };
            Some(sealed)
        } else {
            None
        };
        let commitment = sealed.as_ref().map(SealedPayload::commitment);
        let entry = serde_json::json!({ "text": text, "sealed": commitment }).to_string();
        match ledger.append_blocking_with(entry.clone().into_bytes(), sealed) {
            Ok(receipt) => {
                writeln!(parent, "{} {entry}", receipt.index).unwrap();
                number += 1;
            }
            Err(_) => {
                refused += 1;
                std::thread::sleep(Duration::from_millis(40));
            }
        }
        // Half way, something is deleted and something erased.
        if number == 30 {
            let plan = plan_expiry(&dir.join("log"), &origin(), &mut |index, _| index < 6);
            for segment in plan.into_iter().flatten().filter(|segment| segment.is_closed) {
                drop(expire(&dir.join("log"), &origin(), &segment));
            }
            let name = key_name(&tenant(), None);
            drop(destroy_key(&dir.join("log"), &tenant(), &name));
            drop(destroy_payloads(&dir.join("log"), &origin(), &mut |head| head.index < 9));
        }
    }
    writeln!(parent, "refused {refused}").unwrap();
}

struct Run {
    acknowledged: BTreeMap<u64, String>,
    refused: u64,
    /// How often each call was made.
    calls: BTreeMap<String, u64>,
}

/// Runs the child in `dir` under strace.
fn run(dir: &Path, inject: Option<&str>) -> Run {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let trace = dir.join("trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o"]).arg(&trace);
    match inject {
        Some(inject) => {
            let call = inject.split(':').next().unwrap();
            strace.args(["-e", &format!("trace={call}"), "-e", &format!("inject={inject}")])
        }
        None => strace.args(["-e", &format!("trace={}", CALLS.join(","))]),
    };
    let address = format!("{} {}", listener.local_addr().unwrap(), dir.display());
    let mut child = strace
        .arg(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, address)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|why| panic!("strace is needed (`apt install strace`): {why}"));
    listener.set_nonblocking(true).unwrap();
    let mut found = Run { acknowledged: BTreeMap::new(), refused: 0, calls: BTreeMap::new() };
    let stream = loop {
        match listener.accept() {
            Ok((stream, _)) => break Some(stream),
            // The fault may have hit the program's start.
            Err(_) if child.try_wait().unwrap().is_some() => break None,
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    if let Some(stream) = stream {
        stream.set_nonblocking(false).unwrap();
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            match line.split_once(' ') {
                Some(("refused", count)) => found.refused = count.parse().unwrap(),
                Some((index, entry)) => {
                    found.acknowledged.insert(index.parse().unwrap(), entry.to_owned());
                }
                None => panic!("{line}"),
            }
        }
    }
    child.wait().unwrap();
    for line in std::fs::read_to_string(&trace).unwrap().lines() {
        // `1234 fsync(3) = 0`
        let call = line.split_whitespace().nth(1).and_then(|rest| rest.split('(').next());
        *found.calls.entry(call.unwrap_or_default().to_owned()).or_default() += 1;
    }
    found
}

/// Every call by which the ledger opens, changes, syncs, replaces or removes a file.
const CALLS: [&str; 9] =
    ["openat", "write", "pwrite64", "fsync", "fdatasync", "rename", "unlink", "ftruncate", "mkdir"];

fn check(dir: &Path, run: &Run, what: &str) {
    let log = dir.join("log");
    if !log.join("checkpoint").exists() {
        assert!(run.acknowledged.is_empty(), "{what}: there is no log");
        return;
    }
    let verifier = VerifierKey::new(origin(), key().verifying_key());
    let report = verify(&log, Some(&verifier));
    assert!(report.is_clean(), "{what}: {report:?}");
    // The next start finds everything that was acknowledged, and verifies again.
    drop(Ledger::open(options(dir), key(), Arc::new(SystemClock::default())).unwrap());
    let report = verify(&log, Some(&verifier));
    assert!(report.is_clean(), "{what}, after a restart: {report:?}");
    let there: BTreeMap<u64, Vec<u8>> =
        Reader::open(&log).unwrap().entries(0).map(Result::unwrap).collect();
    for (index, entry) in &run.acknowledged {
        match there.get(index) {
            Some(found) => assert_eq!(found, entry.as_bytes(), "{what}: entry {index}"),
            // Deleted by the child.
            None => assert!(*index < 6, "{what}: entry {index} was acknowledged and is not there"),
        }
        if entry.contains("\"digest\"") && *index >= 9 {
            let payload = read_payload(&log, &origin(), *index).unwrap();
            assert!(matches!(payload, Some(Payload::Kept(_))), "{what}: payload {index}");
        }
    }
}

#[test]
fn a_fault_at_any_system_call_loses_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let whole = run(dir.path(), None);
    assert_eq!((whole.acknowledged.len(), whole.refused), (60, 0));
    check(dir.path(), &whole, "without a fault");
    let thorough = std::env::var(CHAOS).is_ok();
    let (mut runs, mut refused, mut cut_short) = (0, 0, 0);
    for call in CALLS {
        let count = whole.calls.get(call).copied().unwrap_or_default();
        assert!(count > 0, "{call} is never made: {:?}", whole.calls);
        // `when` counts for each thread by itself, so that a few cover many places.
        let moments: Vec<u64> = if thorough {
            (1..=count.min(60)).collect()
        } else {
            [1, 2, 5, 17].into_iter().filter(|moment| *moment <= count).collect()
        };
        for (number, moment) in moments.into_iter().enumerate() {
            let errors = ["EIO", "ENOSPC"];
            let chosen =
                if thorough { &errors[..] } else { std::slice::from_ref(&errors[number % 2]) };
            for error in chosen {
                // Once, and from then on until the end.
                for ever in ["", "+"] {
                    let seldom = if thorough { number >= 8 } else { number % 2 == 0 };
                    if ever == "+" && seldom {
                        continue;
                    }
                    let inject = format!("{call}:error={error}:when={moment}{ever}");
                    let dir = tempfile::tempdir().unwrap();
                    let run = run(dir.path(), Some(&inject));
                    check(dir.path(), &run, &inject);
                    runs += 1;
                    refused += run.refused;
                    cut_short += u64::from(run.acknowledged.len() < 60);
                }
            }
        }
    }
    eprintln!("{runs} runs, {refused} refusals, {cut_short} cut short");
    // Faults that hit nothing would prove nothing.
    assert!(refused > 0 && cut_short > 0);
}
