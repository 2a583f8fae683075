//! The whole of Reeve with everything on, in front of a pod with the article's network: gateway, pod,
//! worker, control plane and the load share both cores.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{
    gateway::{copy_dir, lift_limits, wait_for_answer},
    load::{Server, Target},
    pod::{Running, Work, pod_command},
};
use crate::{
    build::Profile,
    process,
    up::{self, Ports},
};

/// An account and an address.
const VALUES: &str = "Refund to DE89 3704 0044 0532 0130 00 and write to ada@example.com.";

/// Adds values to every fourth text that are to be taken out.
pub(super) fn add_values(work: &Work) -> anyhow::Result<()> {
    let file = work.home.join("governed.jsonl");
    let mut bodies = Vec::new();
    for (at, line) in fs::read_to_string(&file)?.lines().enumerate() {
        let mut body: Value = serde_json::from_str(line)?;
        if at % 4 == 0
            && let Some(input) = body.get_mut("input")
        {
            *input = json!(format!("{VALUES} {}", input.as_str().unwrap_or_default()));
        }
        bodies.push(body.to_string());
    }
    fs::write(&file, bodies.join("\n"))?;
    Ok(())
}

/// Starts all of it; calls are answered when this returns.
pub(super) fn start(
    profile: Profile,
    scratch: &Path,
    work: &Work,
    precision: &str,
) -> anyhow::Result<Running> {
    let home = scratch.join(format!("governed-{precision}-{}", work.texts.replace(' ', "-")));
    fs::create_dir_all(home.join("models"))?;
    copy_dir(&work.home.join("bundle"), &home.join("models/sample"))?;
    let [gateway, control, pod, grpc] = process::free_ports()?;
    let ports = Ports { gateway, control, pods: [pod, pod], grpc };
    let address = process::loopback(pod).to_string();
    let pods = [format!("http://{address}"), format!("http://{address}")];
    let demo = up::prepare(profile, &home, &ports, &pods)?;
    lift_limits(profile, &home)?;
    let pod = pod_command(profile, &home, &work.home, precision, &address);
    let mut pod = Server::start(&pod, None, &home.join("pod.log"))?;
    pod.wait(&format!("http://{address}/v2/health/ready"))?;
    let mut serve = up::serve(profile, &home);
    serve.env("REEVE_GATEWAY__WORKERS", "1");
    let mut server = Server::start(&serve, None, &home.join("reeve.log"))?;
    server.wait(&format!("{}/health/ready", demo.gateway))?;
    let (key, call) = (demo.key("acme-eu")?, format!("{}/v1/classify", demo.gateway));
    let bodies = work.home.join("governed.jsonl");
    let first = fs::read_to_string(&bodies)?;
    wait_for_answer(&call, key, first.lines().next().unwrap_or_default())?;
    let bearer = format!("Bearer {key}");
    let target = Target::lines(
        &home.join("calls.lua"),
        call,
        &[("Authorization", bearer.as_str())],
        &bodies,
    )?;
    Ok(Running { server, target, load_core: None, behind: Some(pod), can_be_halted: true })
}
