//! Measures a pod that it starts itself; each prints one line of JSON. POD is the program
//! `reeve-pod`, or words that start it such as `taskset -c 0 reeve-pod`, DIR what the classifier's
//! example `article` wrote.
//!
//! * `measure device POD DIR DEVICE PRECISION SECONDS`: answers on a device against the CPU's, and
//!   texts a second.
//! * `measure soak POD DIR TEXTS`: memory over so many texts of random lengths.
//! * `measure fairness POD DIR SECONDS [ARGUMENT…]`: the latency of a tenant beside one that sends a
//!   hundred times as much; the arguments are the pod's.

mod device;
mod fairness;
mod soak;
mod start;

use std::{path::PathBuf, time::Duration};

type Fault = Box<dyn std::error::Error + Send + Sync>;

#[expect(clippy::print_stdout, reason = "the program's output")]
fn main() -> Result<(), Fault> {
    const USAGE: &str = "usage: measure device|soak|fairness POD DIR ...";
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or(USAGE);
    let (what, program, dir) = (next()?, next()?, PathBuf::from(next()?));
    let said = match what.as_str() {
        "device" => {
            let (device, precision) = (next()?, next()?);
            let time = Duration::from_secs(next()?.parse()?);
            device::measure(&program, &dir, (&device, &precision), time)?
        }
        "soak" => soak::measure(&program, &dir, next()?.parse()?)?,
        "fairness" => {
            let time = Duration::from_secs(next()?.parse()?);
            let more: Vec<String> = arguments.collect();
            let more: Vec<&str> = more.iter().map(String::as_str).collect();
            fairness::measure(&program, &dir, &more, time)?
        }
        _ => return Err(USAGE.into()),
    };
    println!("{said}");
    Ok(())
}
