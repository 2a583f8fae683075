//! The files that are made from others.

use std::fs;

use crate::{
    build::Profile,
    place,
    step::{command, openly, output},
};

/// What `regenerate` writes, from the checkout's root.
pub(crate) const GENERATED: [&str; 4] = [
    "services/control/openapi.json",
    "services/gateway/openapi.json",
    "web-admin/src",
    "services/clients",
];

/// Makes all of them again.
pub(crate) fn run() -> anyhow::Result<()> {
    for service in ["control", "gateway"] {
        // Of the whole workspace, as the tests build it: what a package alone has chosen of its
        // dependencies' features would have most of them built again.
        let example = format!("{service}_openapi");
        openly(command("cargo", &["build", "-q", "--workspace", "--example", &example]))?;
        let program = Profile::Dev.program("examples").join(&example);
        let document = output(command(&program.to_string_lossy(), &[]))?;
        fs::write(place::root().join(format!("services/{service}/openapi.json")), document)?;
    }
    if !place::console().join("node_modules").exists() {
        let mut install = command("npm", &["ci", "--no-audit", "--no-fund"]);
        install.current_dir(place::console());
        openly(install)?;
    }
    let mut client = command("npm", &["run", "generate"]);
    client.current_dir(place::console());
    openly(client)?;
    openly(command("services/clients/generate", &[]))
}
