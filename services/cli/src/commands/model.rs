use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    str::FromStr,
};

use reeve_config::Config;
use reeve_domain::{ModelFacts, ModelName, ModelVersion, Pod, PodId, Region};
use reeve_protocol::model::BundleSummary;
use reeve_store::{Store, StoreError};

use super::{operator_log, say};

/// Register models and the pods that serve them.
#[derive(clap::Subcommand)]
pub(crate) enum ModelCommand {
    /// Make a model and its pods known; gateways ask them within a second. What is known already is
    /// replaced.
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
}

/// A pod on the command line.
#[derive(Clone)]
pub(crate) struct PodArgument {
    name: PodId,
    region: Region,
    url: String,
}

impl FromStr for PodArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(3, '=');
        let mut part = || parts.next().ok_or("a pod is written NAME=REGION=URL");
        Ok(Self {
            name: PodId::new(part()?).map_err(|refused| refused.to_string())?,
            region: Region::new(part()?).map_err(|refused| refused.to_string())?,
            url: part()?.trim_end_matches('/').to_owned(),
        })
    }
}

impl ModelCommand {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let Self::Register { config, bundle, pods, conformity, instructions } = self;
        let config = Config::load(config.config.as_deref())?;
        let store = super::store(&config)?;
        let bundle = BundleSummary::read(&bundle)?;
        let names: Vec<&str> = pods.iter().map(|pod| pod.name.as_str()).collect();
        let details = BTreeMap::from([
            ("digest".to_owned(), bundle.digest.to_string()),
            ("pods".to_owned(), names.join(",")),
        ]);
        operator_log::record(&config, "model.register", &bundle.name, None, details)?;
        register(&store, &bundle, &pods, OnFile { conformity, instructions })?;
        say(&format!("{} {} {}", bundle.name, bundle.version, bundle.digest))
    }
}

/// What is on file for a model that law asks for.
#[derive(Clone, Copy, Default)]
pub(super) struct OnFile {
    pub(super) conformity: bool,
    pub(super) instructions: bool,
}

/// Writes a model and its pods down.
pub(super) fn register(
    store: &Store,
    bundle: &BundleSummary,
    pods: &[PodArgument],
    on_file: OnFile,
) -> anyhow::Result<()> {
    let name = ModelName::new(&bundle.name)?;
    store.write(|c| {
        // What is on file for exactly this model stays on file.
        let known = reeve_store::model::list(c)?.into_iter();
        let known =
            known.map(|it| it.facts).find(|it| it.name == name && it.digest == bundle.digest);
        let (conformity, instructions) =
            known.as_ref().map_or((false, false), |it| (it.conformity, it.instructions));
        let model = ModelVersion {
            facts: ModelFacts {
                name: name.clone(),
                version: bundle.version.clone(),
                digest: bundle.digest,
                generative: bundle.generative,
                risk_class: known.map_or_else(|| bundle.risk_class.clone(), |it| it.risk_class),
                conformity: conformity || on_file.conformity,
                instructions: instructions || on_file.instructions,
            },
            labels: bundle.labels.clone(),
            shared_with: BTreeSet::new(),
        };
        reeve_store::model::upsert(c, &model)?;
        for pod in pods {
            let pod = Pod {
                id: pod.name.clone(),
                region: pod.region.clone(),
                url: pod.url.clone(),
                models: vec![bundle.digest],
                draining: false,
            };
            reeve_store::pod::upsert(c, &pod)?;
        }
        Ok::<_, StoreError>(())
    })?;
    Ok(())
}
