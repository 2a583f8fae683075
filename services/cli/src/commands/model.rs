use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::File,
    io::{Seek as _, SeekFrom},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};
use reeve_config::Config;
use reeve_protocol::{
    model::BundleSummary,
    signature::{SIGNATURE_FILE, Vouchers},
};
use serde_json::{Value, json};

use super::{
    api::{Access, Api, text},
    operator_log,
    registration::{OnFile, PodArgument, register},
    say,
};

/// Take models in, and say which version of them answers.
#[derive(clap::Subcommand)]
pub(crate) enum ModelCommand {
    /// Make a model and its pods known at the machine itself; gateways ask them within a second. What is
    /// known already is replaced. The first version of a model is in production at once.
    Register {
        #[command(flatten)]
        config: crate::ConfigFile,
        /// The model bundle that the pods serve.
        #[arg(long)]
        bundle: PathBuf,
        /// A pod: `NAME=REGION=URL`.
        #[arg(long = "pod", required = true)]
        pods: Vec<PodArgument>,
        /// A declaration of conformity is on file for it (Regulation (EU) 2024/1689 Art. 47).
        #[arg(long)]
        conformity: bool,
        /// Instructions for use are on file for it (Art. 13).
        #[arg(long)]
        instructions: bool,
    },
    /// Make a bundle of a PyTorch or safetensors file and push it. What follows `--` is said to
    /// `reeve-train import`, which must stand beside this program or in PATH.
    Import {
        #[command(flatten)]
        access: Access,
        /// The tenant whose model it is, if it is new.
        #[arg(long)]
        owner: Option<String>,
        /// Vouch for it with this private key (PEM), as `reeve-train sign` does.
        #[arg(long)]
        key: Option<PathBuf>,
        /// `--weights FILE --config FILE --tokenizer FILE --labels FILE --name NAME …`
        #[arg(last = true, required = true)]
        import: Vec<String>,
    },
    /// Put a version into the registry. It answers nobody until it is placed and promoted.
    Push {
        #[command(flatten)]
        access: Access,
        /// The bundle's directory.
        bundle: PathBuf,
        /// The tenant whose model it is, if it is new.
        #[arg(long)]
        owner: Option<String>,
    },
    /// List the versions of all models.
    List {
        #[command(flatten)]
        access: Access,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Have the pods of these regions serve a version, and those of no other.
    Place {
        #[command(flatten)]
        access: Access,
        /// `NAME@VERSION`.
        version: String,
        /// The regions; none: nowhere.
        #[arg(long, value_delimiter = ',')]
        regions: Vec<String>,
    },
    /// Ask that a version answers in production. A second person must approve it.
    Promote {
        #[command(flatten)]
        access: Access,
        /// `NAME@VERSION`.
        version: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Ask that a version answers a share of the calls. A second person must approve it.
    Canary {
        #[command(flatten)]
        access: Access,
        /// `NAME@VERSION`, or `NAME` with `--end`.
        version: String,
        /// The share, in thousandths.
        #[arg(long, required_unless_present = "end")]
        permille: Option<u16>,
        /// What decides whose calls these are: `subject` or `decision`.
        #[arg(long, default_value = "subject")]
        by: String,
        /// Why.
        #[arg(long, default_value = "a canary")]
        reason: String,
        /// End it instead, at once.
        #[arg(long)]
        end: bool,
    },
    /// Have a second version asked besides, without effect, from now on.
    Shadow {
        #[command(flatten)]
        access: Access,
        /// `NAME@VERSION`, or `NAME` with `--end`.
        version: String,
        /// The share of the calls, in thousandths.
        #[arg(long, default_value_t = 1000)]
        permille: u16,
        /// End it instead.
        #[arg(long)]
        end: bool,
    },
    /// Approve what somebody else asked for, as it is now.
    Approve {
        #[command(flatten)]
        access: Access,
        /// The model.
        name: String,
        /// The change's id.
        change: String,
    },
    /// Refuse what somebody else asked for.
    Reject {
        #[command(flatten)]
        access: Access,
        /// The model.
        name: String,
        /// The change's id.
        change: String,
        /// Why.
        #[arg(long)]
        comment: String,
    },
    /// Let answer in production again what did before, at once.
    Rollback {
        #[command(flatten)]
        access: Access,
        /// The model.
        name: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Withdraw a version for everybody, at once.
    Withdraw {
        #[command(flatten)]
        access: Access,
        /// `NAME@VERSION`.
        version: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

impl ModelCommand {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Register { config, bundle, pods, conformity, instructions } => {
                let config = Config::load(config.config.as_deref())?;
                let store = super::store(&config)?;
                let dir = bundle;
                let bundle = BundleSummary::read(&dir)?;
                Vouchers::read(&config.registry.model_keys)?.check(
                    &dir,
                    (&bundle.name, &bundle.version),
                    &bundle.digest,
                )?;
                let names: Vec<&str> = pods.iter().map(|pod| pod.name.as_str()).collect();
                let details = BTreeMap::from([
                    ("digest".to_owned(), bundle.digest.to_string()),
                    ("pods".to_owned(), names.join(",")),
                ]);
                operator_log::record(&config, "model.register", &bundle.name, None, details)?;
                register(&store, &bundle, &pods, OnFile { conformity, instructions })?;
                say(&format!("{} {} {}", bundle.name, bundle.version, bundle.digest))
            }
            Self::Import { access, owner, key, import } => {
                let dir = tempfile::tempdir()?;
                let mut import: Vec<OsString> = import.into_iter().map(OsString::from).collect();
                import.extend(["--out".into(), dir.path().into()]);
                train("import", import)?;
                if let Some(key) = key {
                    let bundle = dir.path().into();
                    train("sign", ["--bundle".into(), bundle, "--key".into(), key.into()])?;
                }
                push(&access.open()?, dir.path(), owner.as_deref())
            }
            Self::Push { access, bundle, owner } => {
                push(&access.open()?, &bundle, owner.as_deref())
            }
            Self::List { access, json } => list(&access.open()?, json),
            Self::Place { access, version, regions } => {
                let api = access.open()?;
                let digest = Named::of(&api, &version)?.digest;
                let path = format!("/api/v1/models/{digest}/placement");
                api.put(&path, &json!({ "regions": regions }))?;
                say(&format!("{version} is placed in: {}", regions.join(", ")))
            }
            Self::Promote { access, version, reason } => {
                propose(&access.open()?, &version, "promote", &json!({ "reason": reason }))
            }
            Self::Canary { access, version, end: true, .. } => {
                access.open()?.delete(&format!("/api/v1/models/{version}/canary"))?;
                say(&format!("{version} has no canary any more"))
            }
            Self::Canary { access, version, permille, by, reason, .. } => {
                let more = json!({ "permille": permille, "by": by, "reason": reason });
                propose(&access.open()?, &version, "canary", &more)
            }
            Self::Shadow { access, version, end: true, .. } => {
                access.open()?.delete(&format!("/api/v1/models/{version}/shadow"))?;
                say(&format!("{version} has no shadow any more"))
            }
            Self::Shadow { access, version, permille, .. } => {
                let api = access.open()?;
                let Named { name, digest } = Named::of(&api, &version)?;
                let body = json!({ "digest": digest, "permille": permille });
                api.put(&format!("/api/v1/models/{name}/shadow"), &body)?;
                say(&format!("{version} is asked about {permille} of 1000 calls, without effect"))
            }
            Self::Approve { access, name, change } => {
                decide(&access.open()?, &name, &change, "approve", "")
            }
            Self::Reject { access, name, change, comment } => {
                decide(&access.open()?, &name, &change, "reject", &comment)
            }
            Self::Rollback { access, name, reason } => {
                let path = format!("/api/v1/models/{name}/rollback");
                let now = access.open()?.post(&path, &json!({ "reason": reason }))?;
                say(&format!("{name}: {} answers again", text(&now, "digest")))
            }
            Self::Withdraw { access, version, reason } => {
                let api = access.open()?;
                let digest = Named::of(&api, &version)?.digest;
                let path = format!("/api/v1/models/{digest}/withdrawal");
                let done = api.post(&path, &json!({ "reason": reason }))?;
                say(&match text(&done, "production").as_str() {
                    "" => format!("{version} is withdrawn; nothing of the model is in production"),
                    digest => format!("{version} is withdrawn; in production is {digest}"),
                })
            }
        }
    }
}

/// A version that was named on the command line.
struct Named {
    name: String,
    digest: String,
}

impl Named {
    fn of(api: &Api, version: &str) -> anyhow::Result<Self> {
        let (name, number) =
            version.split_once('@').context("a version is written NAME@VERSION")?;
        let model = api.get(&format!("/api/v1/models/{name}"))?;
        let versions = model.get("versions").and_then(Value::as_array);
        let is_it = |it: &&Value| text(it, "version") == number || text(it, "digest") == number;
        let found = versions.into_iter().flatten().find(is_it);
        let found = found.with_context(|| format!("`{name}` has no version `{number}`"))?;
        Ok(Self { name: name.to_owned(), digest: text(found, "digest") })
    }
}

/// Runs `reeve-train`, which stands beside this program or in PATH.
fn train(command: &str, arguments: impl IntoIterator<Item = OsString>) -> anyhow::Result<()> {
    let beside = std::env::current_exe().ok().and_then(|it| Some(it.parent()?.join("reeve-train")));
    let program = beside.filter(|it| it.is_file()).unwrap_or_else(|| "reeve-train".into());
    let status = Command::new(&program)
        .arg(command)
        .args(arguments)
        .status()
        .with_context(|| format!("`{}` cannot be run", program.display()))?;
    if status.success() { Ok(()) } else { bail!("`reeve-train {command}` failed") }
}

fn push(api: &Api, bundle: &Path, owner: Option<&str>) -> anyhow::Result<()> {
    let summary = BundleSummary::read(bundle)?;
    let mut archive = tar::Builder::new(tempfile::tempfile()?);
    archive.mode(tar::HeaderMode::Deterministic);
    let signature = bundle.join(SIGNATURE_FILE).is_file().then_some(SIGNATURE_FILE);
    for name in summary.files.iter().map(String::as_str).chain(signature) {
        archive.append_file(name, &mut File::open(bundle.join(name))?)?;
    }
    let mut archive = archive.into_inner()?;
    archive.seek(SeekFrom::Start(0))?;
    let of = owner.map_or_else(String::new, |owner| format!("?owner={owner}"));
    let taken = api.upload(&format!("/api/v1/models{of}"), "application/x-tar", archive)?;
    say(&format!("{}@{} {}", text(&taken, "name"), text(&taken, "version"), text(&taken, "digest")))
}

fn list(api: &Api, json: bool) -> anyhow::Result<()> {
    let models = api.get("/api/v1/models")?;
    if json {
        return say(&models.to_string());
    }
    for model in models.get("items").and_then(Value::as_array).into_iter().flatten() {
        let aliases = model.get("aliases").and_then(Value::as_array).into_iter().flatten();
        let aliases: Vec<&str> = aliases.filter_map(Value::as_str).collect();
        say(&format!(
            "{}@{}\t{}\t{}\t{}",
            text(model, "name"),
            text(model, "version"),
            text(model, "state"),
            aliases.join(","),
            text(model, "digest")
        ))?;
    }
    Ok(())
}

fn propose(api: &Api, version: &str, kind: &str, more: &Value) -> anyhow::Result<()> {
    let Named { name, digest } = Named::of(api, version)?;
    let mut body = json!({ "kind": kind, "digest": digest });
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    let change = api.post(&format!("/api/v1/models/{name}/changes"), &body)?;
    let id = text(&change, "id");
    say(&format!("{id} waits for a second person: {}/models/{name}", api.base))
}

fn decide(api: &Api, name: &str, change: &str, action: &str, comment: &str) -> anyhow::Result<()> {
    let model = api.get(&format!("/api/v1/models/{name}"))?;
    let changes = model.get("changes").and_then(Value::as_array).into_iter().flatten();
    let found = changes.into_iter().find(|it| text(it, "id") == change);
    let found = found.with_context(|| format!("`{name}` has no change `{change}`"))?;
    let body = json!({
        "edition": found.get("edition").cloned().unwrap_or_default(),
        "action": action,
        "digest": text(found, "digest"),
        "comment": comment,
    });
    let now = api.post(&format!("/api/v1/models/{name}/changes/{change}/actions"), &body)?;
    say(&format!("{change} is {}", text(&now, "state")))
}
