//! The gateway with everything on, beside nginx as a plain reverse proxy: both in front of the same
//! trivial upstream, on the same core, turn by turn.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use serde::Serialize;

use super::{
    Window,
    load::{Measured, Server, Target},
    median, model,
};
use crate::{
    build::Profile,
    http, place, process, say,
    step::{command, output},
    up::{self, Ports},
};

/// The gateway's core, and that of upstream and wrk.
const GATEWAY_CORE: &str = "0";
const OTHER_CORE: &str = "1";
const CONNECTIONS: [u32; 2] = [1, 16];
const BODY: &str = r#"{"model":"sample","input":"I was charged twice, please write to ada@example.com","top_k":1}"#;
/// A pod's answer about one text, as services/protocol/src/text.rs describes it.
const ANSWER: &str = r#"{"model_name":"sample","model_version":"1","outputs":[{"name":"label","datatype":"BYTES","shape":[1,1],"data":["billing"]},{"name":"score","datatype":"FP32","shape":[1,1],"data":[0.93]},{"name":"tokens","datatype":"UINT32","shape":[1],"data":[11]}]}"#;

/// What is compared.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pub(super) lines: Vec<Line>,
    pub(super) reeve_memory_mb: Option<u64>,
}

/// One proxy at one number of connections; medians of the repetitions.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    pub(super) proxy: &'static str,
    pub(super) connections: u32,
    pub(super) per_second: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
}

/// Measures.
pub(super) fn measure(scratch: &Path, window: Window) -> anyhow::Result<Figures> {
    let home = scratch.join("gateway");
    fs::create_dir_all(home.join("models"))?;
    copy_dir(&model()?, &home.join("models/sample"))?;
    let [gateway, control, upstream, proxy, grpc] = process::free_ports()?;
    let upstream_url = format!("http://127.0.0.1:{upstream}");
    let proxy_url = format!("http://127.0.0.1:{proxy}");

    let answers = format!("location / {{ default_type application/json; return 200 '{ANSWER}'; }}");
    let mut server = nginx(&home, "upstream", upstream, &answers, "", OTHER_CORE)?;
    server.wait(&format!("{upstream_url}/v2/health/ready"))?;
    let pass = "location / { proxy_pass http://up; proxy_http_version 1.1; \
                proxy_set_header Connection \"\"; }";
    let pool = format!("upstream up {{ server 127.0.0.1:{upstream}; keepalive 64; }}");
    let mut plain = nginx(&home, "proxy", proxy, pass, &pool, GATEWAY_CORE)?;
    plain.wait(&format!("{proxy_url}/v2/health/ready"))?;

    let ports = Ports { gateway, control, pods: [upstream, upstream], grpc };
    let pods = [upstream_url.clone(), upstream_url.clone()];
    let demo = up::prepare(Profile::Release, &home, &ports, &pods)?;
    lift_limits(Profile::Release, &home)?;
    let mut serve = up::serve(Profile::Release, &home);
    serve.env("REEVE_GATEWAY__WORKERS", "1");
    let mut reeve = Server::start(&serve, Some(GATEWAY_CORE), &home.join("reeve.log"))?;
    reeve.wait(&format!("{}/health/ready", demo.gateway))?;
    let key = demo.key("acme-eu")?;
    let call = format!("{}/v1/classify", demo.gateway);
    wait_for_answer(&call, key, BODY)?;

    let bearer = format!("Bearer {key}");
    let path = "/v2/models/sample/infer";
    let headers = [("Authorization", bearer.as_str())];
    let targets = [
        (
            "upstream alone",
            Target::new(&home.join("u.lua"), format!("{upstream_url}{path}"), &[], BODY)?,
        ),
        ("nginx", Target::new(&home.join("n.lua"), format!("{proxy_url}{path}"), &[], BODY)?),
        ("reeve", Target::new(&home.join("r.lua"), call, &headers, BODY)?),
    ];
    let mut lines = Vec::new();
    for connections in CONNECTIONS {
        let mut measured: [Vec<Measured>; 3] = Default::default();
        for (_, target) in &targets {
            target.load(Some(OTHER_CORE), connections, window.warm_up())?;
        }
        for repetition in 1..=window.repetitions {
            let work =
                say::begin(&format!("gateway: {connections} connections, window {repetition}"));
            for ((_, target), into) in targets.iter().zip(&mut measured) {
                into.push(target.load(Some(OTHER_CORE), connections, window.measured())?);
            }
            work.done();
        }
        for ((proxy, _), measured) in targets.iter().zip(measured) {
            let of = |pick: fn(&Measured) -> f64| median(measured.iter().map(pick).collect());
            lines.push(Line {
                proxy,
                connections,
                per_second: of(|m| m.per_second),
                p50_us: of(|m| m.p50_us),
                p99_us: of(|m| m.p99_us),
            });
        }
    }
    Ok(Figures { lines, reeve_memory_mb: reeve.memory_mb() })
}

/// A copy of the default policy whose plan does not refuse what wrk asks for.
pub(super) fn lift_limits(profile: Profile, home: &Path) -> anyhow::Result<()> {
    let bundle = home.join("policy");
    copy_dir(&place::root().join("policy/bundles/default"), &bundle)?;
    let file = bundle.join("bundle.toml");
    let text = fs::read_to_string(&file)?;
    let mut lifted = 0;
    let lines: Vec<String> = text
        .lines()
        .map(|line| match line.split_once(" = ").map(|(key, _)| key) {
            Some(key @ ("requests_per_second" | "burst")) => {
                lifted += 1;
                format!("{key} = 1_000_000")
            }
            Some("monthly_items") => "monthly_items = 1_000_000_000".to_owned(),
            Some("monthly_budget") => {
                "monthly_budget = { micros = 1_000_000_000_000, currency = \"EUR\" }".to_owned()
            }
            _ => line.to_owned(),
        })
        .collect();
    ensure!(lifted > 0, "{} has no plan with limits", file.display());
    fs::write(&file, lines.join("\n"))?;
    let reeve = profile.program("reeve");
    let mut apply = command(
        &reeve.to_string_lossy(),
        &["policy", "force", "--reason", "lifted limits, to measure"],
    );
    apply.arg("--config").arg(home.join("reeve.toml")).arg(&bundle);
    output(apply).map(drop)
}

pub(super) fn wait_for_answer(url: &str, key: &str, body: &str) -> anyhow::Result<()> {
    let end = Instant::now() + Duration::from_secs(20);
    let body = serde_json::from_str(body).context("the body is JSON")?;
    loop {
        let answer = http::post(url, key, &body)?;
        if answer.status == 200 {
            return Ok(());
        }
        ensure!(Instant::now() < end, "{url} answers {}: {}", answer.status, answer.body);
        thread::sleep(Duration::from_millis(100));
    }
}

/// An nginx with one worker and no access log.
fn nginx(
    home: &Path,
    name: &str,
    port: u16,
    location: &str,
    more: &str,
    core: &str,
) -> anyhow::Result<Server> {
    let dir = home.join(name);
    fs::create_dir_all(&dir)?;
    let at = dir.display();
    let configuration = format!(
        "daemon off;\nmaster_process off;\nworker_processes 1;\npid {at}/pid;\n\
         error_log {at}/error.log;\nevents {{ worker_connections 1024; }}\nhttp {{\n\
         access_log off;\nkeepalive_requests 100000000;\n\
         client_body_temp_path {at}/body;\nproxy_temp_path {at}/proxy;\n\
         fastcgi_temp_path {at}/fastcgi;\nuwsgi_temp_path {at}/uwsgi;\n\
         scgi_temp_path {at}/scgi;\n{more}\n\
         server {{ listen 127.0.0.1:{port}; {location} }}\n}}\n"
    );
    let file = dir.join("nginx.conf");
    fs::write(&file, configuration)?;
    let mut nginx = Command::new(nginx_program());
    nginx.arg("-p").arg(&dir).arg("-e").arg(dir.join("error.log")).arg("-c").arg(&file);
    Server::start(&nginx, Some(core), &dir.join("output.log"))
}

/// Debian keeps it where a user's PATH does not look.
fn nginx_program() -> PathBuf {
    let debian = PathBuf::from("/usr/sbin/nginx");
    if debian.exists() { debian } else { PathBuf::from("nginx") }
}

pub(super) fn copy_dir(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_dir(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
