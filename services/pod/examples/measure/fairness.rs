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

/// The small tenant's latencies alone, beside one that sends as much, and beside one that sends a
/// hundred times as much.
pub(crate) fn measure(program: &str, dir: &Path, time: Duration) -> Result<Value, Fault> {
    let pod = Pod::start(program, dir, &["--device", "cpu", "--precision", "fp32"])?;
    let mut said = serde_json::Map::new();
    for times in [0, 1, 100] {
        said.insert(format!("beside {times} times as much"), beside(&pod, SMALL * times, time)?);
    }
    Ok(said.into())
}

fn beside(pod: &Pod, others: usize, time: Duration) -> Result<Value, Fault> {
    let (small, flood) = (pod.warrant("small")?, pod.warrant("flood")?);
    let over = AtomicBool::new(false);
    let (answered, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    let ask = |warrant: &str, number: usize| {
        let text = pod.texts.get(number % pod.texts.len()).map_or("", String::as_str);
        pod.ask(warrant, &[text], 1)
    };
    thread::scope(|scope| {
        for caller in 0..others {
            let (ask, flood, over) = (&ask, &flood, &over);
            let (answered, refused) = (&answered, &refused);
            scope.spawn(move || {
                let mut number = caller;
                while !over.load(Ordering::SeqCst) {
                    number += 1;
                    let counted = if ask(flood, number).is_ok() { answered } else { refused };
                    counted.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        thread::sleep(Duration::from_millis(500));
        let end = pod.clock.monotonic() + time;
        let latencies = at_once(SMALL, |caller| {
            let mut latencies = Vec::new();
            while pod.clock.monotonic() < end {
                let begun = pod.clock.monotonic();
                ask(&small, caller + latencies.len())?;
                latencies.push(pod.clock.monotonic().saturating_sub(begun));
                // As a tenant that is not always there.
                thread::sleep(Duration::from_millis(5));
            }
            Ok(latencies)
        });
        over.store(true, Ordering::SeqCst);
        let mut latencies: Vec<Duration> = latencies?.into_iter().flatten().collect();
        latencies.sort();
        let at = |share: usize| {
            let place = latencies.len().saturating_mul(share) / 100;
            let latency = latencies.get(place.min(latencies.len().saturating_sub(1)));
            latency.map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
        };
        Ok(json!({
            "calls": latencies.len(), "p50_ms": at(50), "p99_ms": at(99),
            "others_answered": answered.load(Ordering::SeqCst),
            "others_refused": refused.load(Ordering::SeqCst),
        }))
    })
}
