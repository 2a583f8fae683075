use std::{fs, net::SocketAddr, path::PathBuf};

use anyhow::Context as _;
use reeve_domain::{Origin, SystemEntropy};
use reeve_identity::Pepper;
use reeve_ledger::WitnessKey;

use super::say;

/// Prepare a data directory. What exists is kept.
#[derive(clap::Args)]
pub(crate) struct Init {
    /// The directory that holds all data.
    #[arg(long, default_value = ".data")]
    data: PathBuf,
    /// Where tenants call.
    #[arg(long, default_value = "127.0.0.1:8080")]
    gateway_listen: SocketAddr,
    /// Where the console is.
    #[arg(long, default_value = "127.0.0.1:8081")]
    control_listen: SocketAddr,
    /// `sqlite:PATH` or `postgres://…`.
    #[arg(long, default_value = "sqlite:store.sqlite")]
    store: String,
    /// The console's built files.
    #[arg(long)]
    static_dir: Option<PathBuf>,
}

impl Init {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let secrets = self.data.join("secrets");
        fs::create_dir_all(&secrets).with_context(|| format!("`{}`", secrets.display()))?;
        fs::create_dir_all(self.data.join("ledger"))?;
        let data = self.data.canonicalize()?;
        Pepper::load_or_create(&secrets.join("pepper"), &SystemEntropy)?;
        for name in ["warrant", "policy"] {
            let private = secrets.join(name).with_extension("key");
            let public = private.with_extension("pub");
            if !private.exists() {
                reeve_protocol::keys::write_key_pair(&private, &public, &SystemEntropy)?;
            }
        }
        let witness =
            reeve_ledger::load_or_create_key(&secrets.join("witness.pem"), &SystemEntropy)?;
        let name = Origin::new("reeve.local/witness")?;
        let witness = WitnessKey::new(name, witness.verifying_key());
        let file = data.join("reeve.toml");
        let static_dir = match &self.static_dir {
            Some(dir) => dir.canonicalize().unwrap_or_else(|_| dir.clone()),
            None => PathBuf::new(),
        };
        // Addresses may change from one start to the next; what else a person wrote is kept.
        let text = match fs::read_to_string(&file) {
            Ok(text) => with_addresses(&text, self.gateway_listen, self.control_listen),
            Err(_) => format!(
                "# Written by `reeve init`; every key is explained in services/config/default.toml.\n\
                 data_dir = {data:?}\n\n\
                 [gateway]\nlisten = \"{}\"\n\n\
                 [control]\nlisten = \"{}\"\nstatic_dir = {static_dir:?}\n\n\
                 [store]\nurl = {:?}\n\n\
                 [ledger]\n\
                 # The control plane cosigns the logs' checkpoints.\n\
                 witnesses = [{{ url = \"{}\", key = \"{witness}\" }}]\n",
                self.gateway_listen,
                self.control_listen,
                self.store,
                witness_url(self.control_listen)
            ),
        };
        fs::write(&file, text)?;
        say(&file.display().to_string())
    }
}

/// Where the control plane's witness is for programs of this machine.
fn witness_url(mut control: SocketAddr) -> String {
    if control.ip().is_unspecified() {
        control.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{control}/witness")
}

/// Replaces `listen` in `[gateway]` and `[control]`, and the control plane's address as a witness.
fn with_addresses(text: &str, gateway: SocketAddr, control: SocketAddr) -> String {
    let mut section = "";
    let mut out = String::with_capacity(text.len());
    let before = text
        .split_once("[control]\nlisten = \"")
        .and_then(|(_, rest)| rest.split_once('"'))
        .and_then(|(address, _)| address.parse().ok());
    let text = before.map_or_else(
        || text.to_owned(),
        |before| text.replace(&witness_url(before), &witness_url(control)),
    );
    for line in text.lines() {
        if line.starts_with('[') {
            section = line;
        }
        let listens = line.split('=').next().is_some_and(|key| key.trim() == "listen");
        match section {
            "[gateway]" if listens => out.push_str(&format!("listen = \"{gateway}\"")),
            "[control]" if listens => out.push_str(&format!("listen = \"{control}\"")),
            _ => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_changes_addresses_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let init = |port: u16| Init {
            data: dir.path().join("d"),
            gateway_listen: ([127, 0, 0, 1], port).into(),
            control_listen: ([127, 0, 0, 1], port + 1).into(),
            store: "sqlite:store.sqlite".to_owned(),
            static_dir: None,
        };
        init(1000).run().unwrap();
        let file = dir.path().join("d/reeve.toml");
        let first = reeve_config::Config::load(Some(&file)).unwrap();
        let pepper = fs::read(&first.keys.pepper).unwrap();
        let mut text = fs::read_to_string(&file).unwrap();
        text.push_str("\n[worker]\nindex_ms = 77\n");
        fs::write(&file, text).unwrap();
        init(2000).run().unwrap();
        let second = reeve_config::Config::load(Some(&file)).unwrap();
        assert_eq!(second.gateway.listen.port(), 2000);
        assert_eq!(second.control.listen.port(), 2001);
        assert_eq!(first.ledger.witnesses[0].url, "http://127.0.0.1:1001/witness");
        assert_eq!(second.ledger.witnesses[0].url, "http://127.0.0.1:2001/witness");
        assert_eq!(second.ledger.witnesses[0].key, first.ledger.witnesses[0].key);
        assert_eq!(second.worker.index_ms, 77);
        assert_eq!(fs::read(&second.keys.pepper).unwrap(), pepper);
    }
}
