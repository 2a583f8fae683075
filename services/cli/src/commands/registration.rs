//! Making a model and its pods known at the machine itself.

use std::str::FromStr;

use reeve_domain::{
    Clock as _, ModelFacts, ModelName, ModelVersion, Pod, PodId, Region, SystemClock, VersionState,
};
use reeve_protocol::model::BundleSummary;
use reeve_store::{Store, StoreError, model::VersionRow};

/// A pod on the command line.
#[derive(Clone)]
pub(crate) struct PodArgument {
    pub(super) name: PodId,
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
    let now = SystemClock::default().now();
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
            state: VersionState::Approved,
        };
        let row = VersionRow { card: bundle.card.clone(), ..VersionRow::registered(model, now) };
        reeve_store::model::register(c, &row)?;
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
