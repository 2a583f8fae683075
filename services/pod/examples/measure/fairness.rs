use std::{
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use reeve_domain::Clock as _;
use serde_json::{Value, json};

use crate::{
    Fault,
    start::{Pod, at_once},
};

/// Connections of the tenant that is measured.
const SMALL: usize = 2;

/// What a tenant sends beside the small one.
#[derive(Clone, Copy)]
struct Flood {
    connections: usize,
    /// Texts of a call.
    texts: usize,
}

/// The small tenant's latencies alone, beside one that sends as much, and beside one that sends a
/// hundred times as much: in calls of a hundred texts, and over a hundred times the connections.
pub(crate) fn measure(
    program: &str,
    dir: &Path,
    arguments: &[&str],
    time: Duration,
) -> Result<Value, Fault> {
    let usual = ["--device", "cpu", "--precision", "fp32"];
    let pod = Pod::start(program, dir, &[&usual[..], arguments].concat())?;
    // What tokens add to the gates is computed when they first come.
    let warrant = pod.warrant("warm-up")?;
    for texts in pod.texts.chunks(64) {
        pod.ask(&warrant, &texts.iter().map(String::as_str).collect::<Vec<_>>(), 1)?;
    }
    let mut said = serde_json::Map::new();
    for (name, connections, texts) in [
        ("alone", 0, 1),
        ("beside as much", SMALL, 1),
        ("beside 100 times the texts a call", SMALL, 100),
        ("beside 100 times the connections", SMALL * 100, 1),
    ] {
        said.insert(name.to_owned(), beside(&pod, Flood { connections, texts }, time)?);
    }
    Ok(said.into())
}

/// Has the thread that says it run as soon as it can: a tenant elsewhere would not wait for the others'
/// callers to leave the core. Says whether that is permitted; if not, it shares the core like them.
fn before_others() -> bool {
    #[cfg(target_os = "linux")]
    {
        let lowest = libc::sched_param { sched_priority: 1 };
        #[expect(unsafe_code, reason = "no library here has the call")]
        // SAFETY: 0 is the thread that says it, and the parameters live as long as the call.
        unsafe {
            libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const lowest) == 0
        }
    }
    #[cfg(not(target_os = "linux"))]
    false
}

fn beside(pod: &Pod, others: Flood, time: Duration) -> Result<Value, Fault> {
    let (small, flood) = (pod.warrant("small")?, pod.warrant("flood")?);
    let over = AtomicBool::new(false);
    let (answered, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    let ask = |warrant: &str, number: usize, texts: usize| {
        let texts: Vec<&str> =
            pod.texts.iter().map(String::as_str).cycle().skip(number).take(texts).collect();
        pod.ask(warrant, &texts, 1)
    };
    thread::scope(|scope| {
        for caller in 0..others.connections {
            let (ask, flood, over) = (&ask, &flood, &over);
            let (answered, refused) = (&answered, &refused);
            scope.spawn(move || {
                // It is the pod that is measured, not how its callers share a core.
                #[cfg(target_os = "linux")]
                let _nicer = rustix::process::nice(19);
                let mut number = caller;
                while !over.load(Ordering::SeqCst) {
                    number += 1;
                    let counted =
                        if ask(flood, number, others.texts).is_ok() { answered } else { refused };
                    counted.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        thread::sleep(Duration::from_millis(500));
        let end = pod.clock.monotonic() + time;
        let latencies = at_once(SMALL, |caller| {
            let first = before_others();
            let mut latencies = Vec::new();
            while pod.clock.monotonic() < end {
                let begun = pod.clock.monotonic();
                ask(&small, caller + latencies.len(), 1)?;
                latencies.push(pod.clock.monotonic().saturating_sub(begun));
                // As a tenant that is not always there.
                thread::sleep(Duration::from_millis(5));
            }
            Ok((first, latencies))
        });
        over.store(true, Ordering::SeqCst);
        let (first, latencies): (Vec<bool>, Vec<Vec<Duration>>) = latencies?.into_iter().unzip();
        let mut latencies = latencies.concat();
        latencies.sort();
        let at = |share: usize| {
            let place = latencies.len().saturating_mul(share) / 100;
            let latency = latencies.get(place.min(latencies.len().saturating_sub(1)));
            latency.map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
        };
        Ok(json!({
            "calls": latencies.len(), "p50_ms": at(50), "p99_ms": at(99),
            "before_others": first.into_iter().all(|first| first),
            "others_answered": answered.load(Ordering::SeqCst),
            "others_refused": refused.load(Ordering::SeqCst),
        }))
    })
}
