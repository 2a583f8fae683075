use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::Arc,
};

use reeve_domain::{
    Alias, ApiKey, BundleDocument, Decision, DecisionInput, Digest, Directory, ModelName,
    ModelVersion, Region, ShadowDifference, StopTarget, Tenant, TenantId, Timestamp, VersionState,
};
use reeve_identity::JwtVerifier;
use reeve_policy::{Engine, replay};
use reeve_protocol::activation::ActivationVerifier;

use crate::{
    models::{Asking, Chosen, Models, NotChosen},
    pods::{PodBoard, PodState},
};

/// Everything that a call reads, at one revision of the store. Immutable; a newer one replaces it
/// as a whole, so that no call sees two revisions.
pub struct Snapshot {
    pub(crate) revision: i64,
    /// Counts activations of policies.
    activation: i64,
    pub(crate) tenants: HashMap<TenantId, Arc<Tenant>>,
    keys: HashMap<String, Vec<Arc<ApiKey>>>,
    pub(crate) tokens: JwtVerifier,
    models: Models,
    pub(crate) pods: Vec<Arc<PodState>>,
    regions_of: HashMap<Digest, Vec<Region>>,
    pub(crate) engine: Arc<Engine>,
    /// Decides beside the engine, without effect.
    shadow: Option<Arc<Engine>>,
    stops: HashSet<StopTarget>,
}

/// Pairs of tenant and model that rules are specialised for when a snapshot is built: some
/// milliseconds each under a policy of hundreds of rules.
const MOST_PREPARED: usize = 64;

/// A directory that cannot be served from; the one before it stays in force.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotRefused {
    /// Nobody who may has put the policy in force, or another was in force after it.
    #[error("the active policy bundle is not one that was put in force: {0}")]
    Activation(&'static str),
    /// The policy bundle does not compile.
    #[error("the active policy bundle cannot be enforced: {0}")]
    Policy(String),
    /// A tenant's token issuer has a key that cannot be read.
    #[error("a token issuer cannot be used: {0}")]
    Issuer(String),
    /// The file on disk cannot be read or is not a directory.
    #[error("the snapshot on disk cannot be used: {0}")]
    Disk(String),
}

impl Snapshot {
    /// Blocks while policy is compiled. What `before` holds of the same policy is taken over.
    /// Whoever can write to the store cannot thereby change policy: it must be signed, and what was
    /// in force before does not come back unless it is signed again.
    pub(crate) fn build(
        directory: &Directory,
        board: &PodBoard,
        activations: &ActivationVerifier,
        before: Option<&Self>,
        now: Timestamp,
    ) -> Result<Self, SnapshotRefused> {
        let activation = activations
            .verify(&directory.activation, &directory.bundle.digest)
            .ok_or(SnapshotRefused::Activation("it is not signed by the policy key"))?;
        let (version, digest) = (activation.version, directory.bundle.digest);
        let other =
            |before: &Self| before.activation == version && before.engine.digest() != digest;
        if before.is_some_and(|before| before.activation > version || other(before)) {
            return Err(SnapshotRefused::Activation("a later one is in force"));
        }
        let known: Vec<&Arc<Engine>> =
            before.iter().flat_map(|it| [Some(&it.engine), it.shadow.as_ref()]).flatten().collect();
        let engine = |bundle: &BundleDocument| match known
            .iter()
            .find(|engine| engine.digest() == bundle.digest)
        {
            Some(engine) => Ok(Arc::clone(engine)),
            None => Engine::compile(bundle).map(Arc::new),
        };
        let active = engine(&directory.bundle)
            .map_err(|refused| SnapshotRefused::Policy(refused.to_string()))?;
        let shadow = directory.shadow.as_ref().and_then(|bundle| match engine(bundle) {
            Ok(engine) => Some(engine),
            Err(refused) => {
                tracing::warn!(policy = %bundle.digest, error = %refused, "no shadow");
                None
            }
        });
        prepare(&active, directory, now);
        let tokens = JwtVerifier::new(&directory.issuers)
            .map_err(|refused| SnapshotRefused::Issuer(refused.to_string()))?;
        let mut keys: HashMap<String, Vec<Arc<ApiKey>>> = HashMap::new();
        for key in &directory.keys {
            keys.entry(key.prefix.clone()).or_default().push(Arc::new(key.clone()));
        }
        let pods = board.follow(&directory.pods);
        let mut regions: HashMap<Digest, BTreeSet<Region>> = HashMap::new();
        for pod in &pods {
            for model in &pod.pod.models {
                regions.entry(*model).or_default().insert(pod.pod.region.clone());
            }
        }
        Ok(Self {
            revision: directory.revision,
            activation: version,
            tenants: directory
                .tenants
                .iter()
                .map(|tenant| (tenant.facts.id.clone(), Arc::new(tenant.clone())))
                .collect(),
            keys,
            tokens,
            models: Models::new(directory),
            pods,
            regions_of: regions
                .into_iter()
                .map(|(model, regions)| (model, regions.into_iter().collect()))
                .collect(),
            engine: active,
            shadow,
            stops: directory.stops.iter().map(|stop| stop.target.clone()).collect(),
        })
    }

    /// Whether an operator stopped all versions of a model.
    pub(crate) fn is_model_stopped(&self, model: &ModelName) -> bool {
        self.stops.contains(&StopTarget::Model(model.clone()))
    }

    /// Whether an operator stopped a region.
    pub(crate) fn is_region_stopped(&self, region: &Region) -> bool {
        self.stops.contains(&StopTarget::Region(region.clone()))
    }

    /// Regions where a pod is registered that serves the bundle and that are not stopped, sorted.
    pub(crate) fn open_regions(&self, model: &Digest) -> Vec<Region> {
        let open = |region: &&Region| !self.is_region_stopped(region);
        self.regions(model).iter().filter(open).cloned().collect()
    }

    /// What the policy in shadow would decide otherwise, if there is one and it would.
    pub(crate) fn in_shadow(
        &self,
        input: &DecisionInput,
        decision: &Decision,
    ) -> Option<ShadowDifference> {
        let shadow = self.shadow.as_ref()?;
        let flips = replay::difference(input, decision, &self.engine, shadow);
        (!flips.is_empty()).then(|| ShadowDifference { policy: shadow.digest(), flips })
    }

    /// Keys whose public prefix is `prefix`: almost always one.
    pub(crate) fn keys(&self, prefix: &str) -> &[Arc<ApiKey>] {
        self.keys.get(prefix).map_or(&[], Vec::as_slice)
    }

    /// The version in production of the model that finds names, where the policy names one.
    pub(crate) fn name_finder(&self) -> Option<&Arc<ModelVersion>> {
        let finder = self.engine.bundle().privacy.names.as_ref()?;
        self.models.in_production(&finder.model)
    }

    /// Whether a model is the policy's own and offered to nobody.
    fn is_internal(&self, model: &ModelVersion) -> bool {
        let finder = self.engine.bundle().privacy.names.as_ref();
        finder.is_some_and(|finder| finder.model == model.facts.name)
    }

    /// The version that a call is for, as its caller named it.
    pub(crate) fn choose(&self, named: &str, asking: &Asking<'_>) -> Result<Chosen, NotChosen> {
        let chosen = self.models.choose(named, asking, |digest| self.regions(digest))?;
        if self.is_internal(&chosen.version) { Err(NotChosen::Unknown) } else { Ok(chosen) }
    }

    /// The one model that `tenant` may use; none if there are several.
    pub(crate) fn only_model(&self, tenant: &TenantId) -> Option<&ModelName> {
        let mut names = self.models(tenant).into_iter().map(|(model, _)| &model.facts.name);
        let first = names.next()?;
        names.all(|name| name == first).then_some(first)
    }

    /// Whether a healthy pod serves a model in a region that is not stopped.
    pub(crate) fn is_served(&self, model: &ModelVersion) -> bool {
        let digest = &model.facts.digest;
        !self.is_model_stopped(&model.facts.name)
            && self
                .pods
                .iter()
                .any(|state| state.can_serve(digest) && !self.is_region_stopped(&state.pod.region))
    }

    /// Every model version that `tenant` may name, with the aliases that lead to it, sorted by name.
    pub(crate) fn models(&self, tenant: &TenantId) -> Vec<(&Arc<ModelVersion>, BTreeSet<&Alias>)> {
        let mut models = self.models.of(tenant);
        models.retain(|(model, _)| !self.is_internal(model));
        models
    }

    /// Regions where a pod is registered that serves the bundle, sorted.
    pub(crate) fn regions(&self, model: &Digest) -> &[Region] {
        self.regions_of.get(model).map_or(&[], Vec::as_slice)
    }
}

/// Specialises the rules for as many tenants and models as are likely to call soon; for others the
/// first call does it.
fn prepare(engine: &Engine, directory: &Directory, now: Timestamp) {
    let offered = |model: &ModelVersion, tenant: &TenantId| {
        let of = directory.catalog.iter().find(|it| it.name == model.facts.name);
        model.state != VersionState::Withdrawn && of.is_some_and(|of| of.is_for(tenant))
    };
    let pairs = directory
        .tenants
        .iter()
        .flat_map(|tenant| directory.models.iter().map(move |model| (tenant, model)))
        .filter(|(tenant, model)| offered(model, &tenant.facts.id));
    for (tenant, model) in pairs.take(MOST_PREPARED) {
        if !engine.prepare(&tenant.facts, &model.facts, now) {
            let (tenant, model) = (&tenant.facts.id, &model.facts.name);
            tracing::error!(%tenant, %model, "policy cannot be specialised; calls are denied");
        }
    }
}

/// Reads the directory that [`keep`] wrote.
pub(crate) fn recall(file: &Path) -> Result<Directory, SnapshotRefused> {
    let bytes = fs::read(file).map_err(|e| SnapshotRefused::Disk(e.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|e| SnapshotRefused::Disk(e.to_string()))
}

/// Writes the directory to disk, replacing the one before it in a single step, readable by the
/// owner alone since it holds the hashes of keys.
pub(crate) fn keep(directory: &Directory, file: &Path) -> io::Result<()> {
    let new = file.with_extension("json.new");
    let mut handle =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    handle.write_all(&serde_json::to_vec(directory)?)?;
    handle.sync_all()?;
    fs::rename(&new, file)
}
