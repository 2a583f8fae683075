use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use reeve_domain::{
    Alias, Canary, CanaryBy, DecisionId, Digest, Directory, Model, ModelName, ModelRef,
    ModelVersion, Purpose, Region, Route, Routed, Selector, SubjectHash, TenantId, TermsBroken,
    Timestamp, UnknownModelRef, VersionState,
};

/// The models of a snapshot: which version a call is for.
#[derive(Default)]
pub(crate) struct Models(HashMap<ModelName, Offered>);

struct Offered {
    model: Model,
    /// The oldest first.
    versions: Vec<Arc<ModelVersion>>,
}

/// What the choice of a version depends on, besides what the caller wrote.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) tenant: &'a TenantId,
    pub(crate) purpose: Option<&'a Purpose>,
    pub(crate) subject: Option<&'a SubjectHash>,
    pub(crate) decision: DecisionId,
    pub(crate) at: Timestamp,
}

/// The version that answers a call.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    pub(crate) version: Arc<ModelVersion>,
    /// How it was chosen, unless the caller named it.
    pub(crate) routed: Option<Routed>,
    /// A version to be asked besides.
    pub(crate) mirror: Option<Arc<ModelVersion>>,
}

/// Why no version answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotChosen {
    Unreadable(UnknownModelRef),
    /// There is none, or the tenant may not know of it.
    Unknown,
    /// It was withdrawn, and nothing answers in its place.
    Withdrawn,
    Terms(TermsBroken),
}

impl Models {
    pub(crate) fn new(directory: &Directory) -> Self {
        let offered = |model: &Model| {
            let of = |version: &&ModelVersion| version.facts.name == model.name;
            let versions = directory.models.iter().filter(of).cloned().map(Arc::new).collect();
            (model.name.clone(), Offered { model: model.clone(), versions })
        };
        Self(directory.catalog.iter().map(offered).collect())
    }

    /// The version that answers when the model alone is named.
    pub(crate) fn in_production(&self, name: &ModelName) -> Option<&Arc<ModelVersion>> {
        let offered = self.0.get(name)?;
        let version = offered.version(&offered.model.routes.get(Alias::PRODUCTION)?.digest)?;
        (version.state == VersionState::Approved).then_some(version)
    }

    /// The version that a call is for. `regions` tells where a bundle is served.
    pub(crate) fn choose<'a>(
        &self,
        named: &str,
        asking: &Asking<'_>,
        regions: impl Fn(&Digest) -> &'a [Region],
    ) -> Result<Chosen, NotChosen> {
        let named = ModelRef::parse(named).map_err(NotChosen::Unreadable)?;
        let offered = self
            .0
            .get(named.name)
            .filter(|offered| offered.model.is_for(asking.tenant))
            .ok_or(NotChosen::Unknown)?;
        offered
            .model
            .check_terms(asking.tenant, asking.purpose, asking.at)
            .map_err(NotChosen::Terms)?;
        match named.selector {
            Selector::Alias(alias) => offered.by_alias(alias, asking, regions),
            Selector::Version(number) => {
                offered.named(asking, |version| version.facts.version == number)
            }
            Selector::Digest(digest) => {
                offered.named(asking, |version| version.facts.digest == digest)
            }
        }
    }

    /// Every version that `tenant` may name, with the aliases that lead to it, by name and age.
    pub(crate) fn of(&self, tenant: &TenantId) -> Vec<(&Arc<ModelVersion>, BTreeSet<&Alias>)> {
        let mut offered: Vec<_> =
            self.0.values().filter(|offered| offered.model.is_for(tenant)).collect();
        offered.sort_by(|a, b| a.model.name.cmp(&b.model.name));
        offered.into_iter().flat_map(|offered| offered.listed(tenant)).collect()
    }
}

impl Offered {
    fn version(&self, digest: &Digest) -> Option<&Arc<ModelVersion>> {
        self.versions.iter().find(|version| version.facts.digest == *digest)
    }

    fn listed(&self, tenant: &TenantId) -> Vec<(&Arc<ModelVersion>, BTreeSet<&Alias>)> {
        let previews = self.model.previews(tenant);
        let may_name = |version: &&Arc<ModelVersion>| match version.state {
            VersionState::Approved => true,
            VersionState::Candidate => previews,
            VersionState::Withdrawn => false,
        };
        let aliases = |version: &ModelVersion| {
            let leads_here = |(_, route): &(&Alias, &Route)| route.digest == version.facts.digest;
            let routes = self.model.routes.iter().filter(leads_here);
            routes.map(|(alias, _)| alias).filter(|it| previews || it.is_production()).collect()
        };
        self.versions.iter().filter(may_name).map(|it| (it, aliases(it))).collect()
    }

    /// A version that the caller named. One that is not approved is not known to everybody.
    fn named(
        &self,
        asking: &Asking<'_>,
        is_it: impl Fn(&ModelVersion) -> bool,
    ) -> Result<Chosen, NotChosen> {
        let version =
            self.versions.iter().find(|version| is_it(version)).ok_or(NotChosen::Unknown)?;
        match version.state {
            VersionState::Candidate if !self.model.previews(asking.tenant) => {
                Err(NotChosen::Unknown)
            }
            VersionState::Withdrawn => Err(NotChosen::Withdrawn),
            VersionState::Candidate | VersionState::Approved => {
                Ok(Chosen { version: Arc::clone(version), routed: None, mirror: None })
            }
        }
    }

    fn by_alias<'a>(
        &self,
        alias: &str,
        asking: &Asking<'_>,
        regions: impl Fn(&Digest) -> &'a [Region],
    ) -> Result<Chosen, NotChosen> {
        let (alias, route) = self.model.routes.get_key_value(alias).ok_or(NotChosen::Unknown)?;
        if !alias.is_production() && !self.model.previews(asking.tenant) {
            return Err(NotChosen::Unknown);
        }
        let may_answer = |version: &&Arc<ModelVersion>| match version.state {
            VersionState::Approved => true,
            // Without a second person's eyes nothing answers in production, whatever the route says.
            VersionState::Candidate => !alias.is_production(),
            VersionState::Withdrawn => false,
        };
        let stable = self.version(&route.digest).ok_or(NotChosen::Unknown)?;
        let canary = route.canary.as_ref().filter(|canary| canary.takes(&key(canary.by, asking)));
        // Nobody is refused because a canary is not everywhere yet.
        let everywhere = |canary: &&Canary| {
            let there = regions(&canary.digest);
            regions(&route.digest).iter().all(|region| there.contains(region))
        };
        let canary = canary
            .filter(everywhere)
            .and_then(|canary| self.version(&canary.digest))
            .filter(may_answer);
        let version = match canary {
            Some(canary) => canary,
            None if stable.state == VersionState::Withdrawn => return Err(NotChosen::Withdrawn),
            None => Some(stable).filter(may_answer).ok_or(NotChosen::Unknown)?,
        };
        let mirror = route
            .mirror
            .as_ref()
            .filter(|mirror| mirror.takes(&asking.decision.to_string()))
            .and_then(|mirror| self.version(&mirror.digest))
            .filter(|mirror| mirror.state != VersionState::Withdrawn)
            .filter(|mirror| mirror.facts.digest != version.facts.digest);
        Ok(Chosen {
            version: Arc::clone(version),
            routed: Some(Routed { alias: alias.clone(), canary: canary.is_some() }),
            mirror: mirror.cloned(),
        })
    }
}

/// What decides whether a canary takes a call.
fn key(by: CanaryBy, asking: &Asking<'_>) -> String {
    match (by, asking.subject) {
        (CanaryBy::Subject, Some(subject)) => subject.to_string(),
        _ => asking.decision.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use reeve_domain::{Entropy as _, Mirror, ModelFacts, SeededEntropy, Share};

    use super::*;

    const AT: Timestamp = Timestamp::from_micros(1_000_000);

    fn digest(version: &str) -> Digest {
        Digest::of(version.as_bytes())
    }

    fn version(number: &str, state: VersionState) -> Arc<ModelVersion> {
        let facts = ModelFacts {
            name: ModelName::new("support").unwrap(),
            version: number.to_owned(),
            digest: digest(number),
            generative: false,
            risk_class: "minimal".to_owned(),
            conformity: false,
            instructions: false,
        };
        Arc::new(ModelVersion { facts, labels: Vec::new(), state })
    }

    /// Version 1 in production, 2 approved, 3 a candidate in staging, 4 withdrawn.
    fn models() -> Models {
        let name = ModelName::new("support").unwrap();
        let mut model = Model::offered_to_all(name.clone());
        let to = |number| Route { digest: digest(number), canary: None, mirror: None };
        model.routes.insert(Alias::new("production").unwrap(), to("1"));
        model.routes.insert(Alias::new("staging").unwrap(), to("3"));
        let share = Share { preview: true, ..Share::default() };
        model.shares.insert(TenantId::new("insider").unwrap(), share);
        let versions = vec![
            version("1", VersionState::Approved),
            version("2", VersionState::Approved),
            version("3", VersionState::Candidate),
            version("4", VersionState::Withdrawn),
        ];
        Models(HashMap::from([(name, Offered { model, versions })]))
    }

    fn route(models: &mut Models, change: impl FnOnce(&mut Route)) {
        let offered = models.0.get_mut("support").unwrap();
        change(offered.model.routes.get_mut("production").unwrap());
    }

    fn choose(models: &Models, named: &str, tenant: &str) -> Result<Chosen, NotChosen> {
        choose_about(models, named, tenant, 1, None)
    }

    fn choose_about(
        models: &Models,
        named: &str,
        tenant: &str,
        call: u64,
        subject: Option<&SubjectHash>,
    ) -> Result<Chosen, NotChosen> {
        let tenant = TenantId::new(tenant).unwrap();
        let decision = SeededEntropy::new(call).decision_id(AT);
        let asking = Asking { tenant: &tenant, purpose: None, subject, decision, at: AT };
        models.choose(named, &asking, |_| &[])
    }

    fn number(chosen: Result<Chosen, NotChosen>) -> String {
        chosen.unwrap().version.facts.version.clone()
    }

    #[test]
    fn names_aliases_versions_and_digests_lead_to_versions() {
        let models = models();
        assert_eq!(number(choose(&models, "support", "acme")), "1");
        assert_eq!(number(choose(&models, "support:production", "acme")), "1");
        assert_eq!(number(choose(&models, "support@2", "acme")), "2");
        assert_eq!(number(choose(&models, &format!("support@{}", digest("2")), "acme")), "2");
        for unknown in ["other", "support:stable", "support@9"] {
            assert_eq!(choose(&models, unknown, "acme").unwrap_err(), NotChosen::Unknown);
        }
        assert_eq!(choose(&models, "support@4", "acme").unwrap_err(), NotChosen::Withdrawn);
        assert!(matches!(choose(&models, "support@", "acme"), Err(NotChosen::Unreadable(_))));
    }

    #[test]
    fn what_is_not_approved_is_only_for_those_who_may_preview() {
        let mut models = models();
        for named in ["support:staging", "support@3"] {
            assert_eq!(choose(&models, named, "acme").unwrap_err(), NotChosen::Unknown);
            assert_eq!(number(choose(&models, named, "insider")), "3");
        }
        let acme = TenantId::new("acme").unwrap();
        let listed: Vec<_> =
            models.of(&acme).into_iter().map(|(it, _)| it.facts.version.clone()).collect();
        assert_eq!(listed, ["1", "2"]);
        // Not even a route that somebody wrote into the store lets a candidate into production.
        route(&mut models, |route| route.digest = digest("3"));
        assert_eq!(choose(&models, "support", "insider").unwrap_err(), NotChosen::Unknown);
        assert!(models.in_production(&ModelName::new("support").unwrap()).is_none());
    }

    #[test]
    fn a_canary_answers_its_share_and_the_same_people() {
        let mut models = models();
        let canary = Canary { digest: digest("2"), permille: 250, by: CanaryBy::Subject };
        route(&mut models, |route| route.canary = Some(canary));
        let taken = (0..2000).filter(|call| {
            let chosen = choose_about(&models, "support", "acme", *call, None).unwrap();
            let canary = chosen.routed.as_ref().unwrap().canary;
            assert_eq!(canary, chosen.version.facts.version == "2");
            canary
        });
        let taken = taken.count();
        assert!((400..600).contains(&taken), "{taken} of 2000 at 25%");
        for person in 0..50_u32 {
            let subject = SubjectHash::new(format!("{person:064x}")).unwrap();
            let about =
                |call| number(choose_about(&models, "support", "acme", call, Some(&subject)));
            assert!((1..5).all(|call| about(call) == about(0)), "one person, one version");
        }
        // A canary that is not where the other is answers nobody, and refuses nobody.
        let eu = [Region::new("eu-west").unwrap()];
        let tenant = TenantId::new("acme").unwrap();
        for call in 0..100 {
            let decision = SeededEntropy::new(call).decision_id(AT);
            let asking = Asking { tenant: &tenant, purpose: None, subject: None, decision, at: AT };
            let served = |bundle: &Digest| if *bundle == digest("1") { &eu[..] } else { &[] };
            assert_eq!(number(models.choose("support", &asking, served)), "1");
        }
    }

    #[test]
    fn a_mirror_is_asked_besides_and_never_instead() {
        let mut models = models();
        route(&mut models, |route| {
            route.mirror = Some(Mirror { digest: digest("3"), permille: 1000 });
        });
        let chosen = choose(&models, "support", "acme").unwrap();
        assert_eq!(chosen.version.facts.version, "1");
        assert_eq!(chosen.mirror.unwrap().facts.version, "3");
        assert!(choose(&models, "support@1", "acme").unwrap().mirror.is_none());
    }

    #[test]
    fn nothing_answers_in_place_of_a_withdrawn_version() {
        let mut models = models();
        route(&mut models, |route| route.digest = digest("4"));
        assert_eq!(choose(&models, "support", "acme").unwrap_err(), NotChosen::Withdrawn);
    }
}
