use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use cedar_policy::{
    Authorizer, Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicyId,
    PolicySet, Request, Response, RestrictedExpression, Schema,
};
use parking_lot::Mutex;
use reeve_domain::{
    Action, BundleDocument, Decision, DecisionInput, Digest, Kind, ModelFacts, Obligations,
    PlanName, Region, RegionRefusal, RuleId, RuleRef, TenantFacts, TenantId,
};
use reeve_privacy::Detector;
use serde::Serialize;

use crate::{
    bundle::{Bundle, Plan},
    compile::{self, CompileError, CompiledRule, Fault},
    obligations,
};

/// Tenants and models whose entities are kept ready.
const MOST_KEPT: usize = 10_000;

/// Whether a rule permits or forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// It permits.
    Permit,
    /// It forbids, whatever permits.
    Forbid,
}

/// A rule as people read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Its `@id`.
    pub id: RuleId,
    /// Its `@title`.
    pub title: String,
    /// Its `@reason`, written for the tenant.
    pub reason: String,
    /// The article of law that it stands for.
    pub article: Option<String>,
    /// Whether it permits or forbids.
    pub effect: Effect,
    /// The actions that it is about.
    pub actions: Vec<String>,
    /// Its Cedar text.
    pub source: String,
    /// The bundle's file that it stands in.
    pub file: String,
}

/// A bundle that can be enforced.
pub struct Engine {
    digest: Digest,
    bundle: Bundle,
    schema: Schema,
    authorizer: Authorizer,
    classify: PolicySet,
    explain: PolicySet,
    obligate: PolicySet,
    rules: HashMap<PolicyId, CompiledRule>,
    order: Vec<PolicyId>,
    names: Names,
    kept: Mutex<HashMap<(TenantId, Digest), Arc<Known>>>,
    detector: Detector,
    /// Of tenants with recognisers of their own.
    detectors: HashMap<TenantId, Detector>,
}

/// Entity names that are the same for every call.
struct Names {
    tenant: EntityTypeName,
    model: EntityTypeName,
    classify: EntityUid,
    explain: EntityUid,
    obligate: EntityUid,
}

/// A tenant and a model as Cedar sees them.
struct Known {
    tenant: TenantFacts,
    model: ModelFacts,
    entities: Entities,
}

/// Why a region was refused: rules that forbid, or a failure.
enum Refused {
    By(Vec<RuleRef>),
    Failed,
}

impl Engine {
    /// Makes a stored bundle enforceable, or says everything that keeps it from being so.
    pub fn compile(document: &BundleDocument) -> Result<Self, CompileError> {
        let bundle =
            Bundle::parse(document).map_err(|unreadable| single(unreadable.to_string()))?;
        let compiled = compile::compile(&bundle)?;
        let set = |action: &str| {
            let chosen = compiled
                .rules
                .iter()
                .filter(|rule| compile::is_about(&rule.policy, action))
                .map(|rule| rule.policy.clone());
            PolicySet::from_policies(chosen).map_err(|fault| single(fault.to_string()))
        };
        let action = |name: &str| {
            let kind: EntityTypeName =
                "Action".parse().map_err(|_| single("no action type".to_owned()))?;
            Ok::<_, CompileError>(EntityUid::from_type_name_and_id(kind, EntityId::new(name)))
        };
        let kind =
            |name: &str| name.parse::<EntityTypeName>().map_err(|fault| single(fault.to_string()));
        let privacy = &bundle.privacy;
        let redacted = compiled.rules.iter().flat_map(|rule| rule.obligations.redact.keys());
        let kinds: BTreeSet<Kind> = privacy.detect.iter().chain(redacted).cloned().collect();
        let detector = |tenant: Option<&TenantId>| {
            Detector::new(&kinds)
                .at_least(privacy.minimum.share())
                .with(&privacy.recognisers, tenant)
                .map(|detector| detector.with_thresholds(&privacy.thresholds))
                .map_err(|refused| single(refused.to_string()))
        };
        let tenants: BTreeSet<&TenantId> =
            privacy.recognisers.iter().flat_map(|own| &own.tenants).collect();
        Ok(Self {
            detector: detector(None)?,
            detectors: tenants
                .into_iter()
                .map(|tenant| Ok((tenant.clone(), detector(Some(tenant))?)))
                .collect::<Result<_, CompileError>>()?,
            digest: document.digest,
            classify: set("classify")?,
            explain: set("explain")?,
            obligate: set("obligate")?,
            authorizer: Authorizer::new(),
            names: Names {
                tenant: kind("Tenant")?,
                model: kind("Model")?,
                classify: action("classify")?,
                explain: action("explain")?,
                obligate: action("obligate")?,
            },
            order: compiled.rules.iter().map(|rule| PolicyId::new(rule.id.as_str())).collect(),
            rules: compiled
                .rules
                .into_iter()
                .map(|rule| (PolicyId::new(rule.id.as_str()), rule))
                .collect(),
            schema: compiled.schema,
            bundle,
            kept: Mutex::default(),
        })
    }

    /// The bundle's digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The bundle.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// A plan's limits and prices.
    pub fn plan(&self, name: &PlanName) -> Option<&Plan> {
        self.bundle.plans.get(name)
    }

    /// What looks for personal data in a tenant's texts.
    pub fn detector(&self, tenant: &TenantId) -> &Detector {
        self.detectors.get(tenant).unwrap_or(&self.detector)
    }

    /// All rules, in the order of the files.
    pub fn rules(&self) -> Vec<Rule> {
        self.order.iter().filter_map(|id| self.rules.get(id)).map(as_people_read_it).collect()
    }

    /// Decides a call: once for each candidate region, then the obligations of each that is
    /// permitted. Never fails: what cannot be evaluated is denied.
    pub fn decide(&self, input: &DecisionInput) -> Decision {
        let mut decision = Decision {
            policy: self.digest,
            permitted: Vec::new(),
            refused: Vec::new(),
            rules: Vec::new(),
            obligations: Obligations::default(),
        };
        let known = self.known(&input.tenant, &input.model);
        let mut rules = BTreeSet::new();
        for region in &input.candidates {
            let answer = known
                .as_ref()
                .ok_or(Refused::Failed)
                .and_then(|known| self.decide_region(input, region, known));
            match answer {
                Ok((by, obligations)) => {
                    rules.extend(by);
                    obligations::join(&mut decision.obligations, &obligations);
                    decision.permitted.push(region.clone());
                }
                Err(refused) => {
                    let region = region.clone();
                    decision.refused.push(match refused {
                        Refused::By(rules) => RegionRefusal { region, rules, failed: false },
                        Refused::Failed => {
                            RegionRefusal { region, rules: Vec::new(), failed: true }
                        }
                    });
                }
            }
        }
        decision.rules = rules.into_iter().collect();
        decision
    }

    fn decide_region(
        &self,
        input: &DecisionInput,
        region: &Region,
        known: &Known,
    ) -> Result<(Vec<RuleRef>, Obligations), Refused> {
        let (action, policies) = match input.action {
            Action::Classify => (&self.names.classify, &self.classify),
            Action::Explain => (&self.names.explain, &self.explain),
        };
        let access = self.ask(input, region, action, policies, known)?;
        let mut by: Vec<RuleRef> = self.referred(&access);
        by.sort_unstable();
        if access.decision() != cedar_policy::Decision::Allow {
            return Err(Refused::By(by));
        }
        let duties = self.ask(input, region, &self.names.obligate, &self.obligate, known)?;
        let mut all = Obligations::default();
        for id in duties.diagnostics().reason() {
            let rule = self.rules.get(id).ok_or(Refused::Failed)?;
            obligations::join(&mut all, &rule.obligations);
        }
        Ok((by, all))
    }

    /// Asks Cedar. A rule that errs would be skipped; here that refuses.
    fn ask(
        &self,
        input: &DecisionInput,
        region: &Region,
        action: &EntityUid,
        policies: &PolicySet,
        known: &Known,
    ) -> Result<Response, Refused> {
        let request = Request::new(
            self.tenant_uid(&input.tenant),
            action.clone(),
            self.model_uid(&input.model),
            context(input, region).ok_or(Refused::Failed)?,
            Some(&self.schema),
        )
        .map_err(|_| Refused::Failed)?;
        let response = self.authorizer.is_authorized(&request, policies, &known.entities);
        if response.diagnostics().errors().next().is_some() {
            return Err(Refused::Failed);
        }
        Ok(response)
    }

    fn referred(&self, response: &Response) -> Vec<RuleRef> {
        response
            .diagnostics()
            .reason()
            .filter_map(|id| self.rules.get(id))
            .map(|rule| RuleRef { id: rule.id.clone(), reason: text(rule, "reason") })
            .collect()
    }

    fn tenant_uid(&self, tenant: &TenantFacts) -> EntityUid {
        let id = EntityId::new(tenant.id.as_str());
        EntityUid::from_type_name_and_id(self.names.tenant.clone(), id)
    }

    fn model_uid(&self, model: &ModelFacts) -> EntityUid {
        let id = EntityId::new(model.digest.to_string());
        EntityUid::from_type_name_and_id(self.names.model.clone(), id)
    }

    /// The entities of a call. They are the same for every call of a tenant to a model, so they
    /// are kept until one of the two changes.
    fn known(&self, tenant: &TenantFacts, model: &ModelFacts) -> Option<Arc<Known>> {
        let name = (tenant.id.clone(), model.digest);
        if let Some(known) = self.kept.lock().get(&name)
            && known.tenant == *tenant
            && known.model == *model
        {
            return Some(Arc::clone(known));
        }
        let entities = self.entities(tenant, model)?;
        let known = Arc::new(Known { tenant: tenant.clone(), model: model.clone(), entities });
        let mut kept = self.kept.lock();
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.insert(name, Arc::clone(&known));
        Some(known)
    }

    fn entities(&self, tenant: &TenantFacts, model: &ModelFacts) -> Option<Entities> {
        let string = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let set = |names: Vec<&str>| RestrictedExpression::new_set(names.into_iter().map(string));
        let tenant_entity = Entity::new_with_tags(
            self.tenant_uid(tenant),
            [
                (
                    "residency".to_owned(),
                    set(tenant.residency.iter().map(|region| region.as_str()).collect()),
                ),
                (
                    "purposes".to_owned(),
                    set(tenant.purposes.iter().map(|purpose| purpose.as_str()).collect()),
                ),
            ],
            HashSet::new(),
            tenant.labels.iter().map(|(name, value)| (name.clone(), string(value))),
        )
        .ok()?;
        let model_entity = Entity::new(
            self.model_uid(model),
            HashMap::from([
                ("name".to_owned(), string(model.name.as_str())),
                ("generative".to_owned(), RestrictedExpression::new_bool(model.generative)),
                ("risk_class".to_owned(), string(&model.risk_class)),
            ]),
            HashSet::new(),
        )
        .ok()?;
        Entities::from_entities([tenant_entity, model_entity], Some(&self.schema)).ok()
    }
}

fn single(message: String) -> CompileError {
    CompileError { faults: vec![Fault { file: "bundle".to_owned(), place: None, message }] }
}

fn context(input: &DecisionInput, region: &Region) -> Option<Context> {
    let string = |text: &str| RestrictedExpression::new_string(text.to_owned());
    let set = |names: Vec<&str>| RestrictedExpression::new_set(names.into_iter().map(string));
    let number = |n: u64| RestrictedExpression::new_long(i64::try_from(n).unwrap_or(i64::MAX));
    let mut pairs = vec![
        ("region".to_owned(), string(region.as_str())),
        ("action".to_owned(), string(input.action.as_str())),
        ("scopes".to_owned(), set(input.scopes.iter().map(|scope| scope.as_str()).collect())),
        ("consents".to_owned(), set(input.consents.iter().map(String::as_str).collect())),
        ("found".to_owned(), set(input.found.keys().map(|kind| kind.as_str()).collect())),
        ("items".to_owned(), number(input.items)),
        ("characters".to_owned(), number(input.characters)),
    ];
    if let Some(purpose) = &input.purpose {
        pairs.push(("purpose".to_owned(), string(purpose.as_str())));
    }
    if let Some(country) = &input.subject_country {
        pairs.push(("subject_country".to_owned(), string(country.as_str())));
    }
    Context::from_pairs(pairs).ok()
}

fn text(rule: &CompiledRule, annotation: &str) -> String {
    rule.policy.annotation(annotation).unwrap_or_default().to_owned()
}

fn as_people_read_it(rule: &CompiledRule) -> Rule {
    Rule {
        id: rule.id.clone(),
        title: text(rule, "title"),
        reason: text(rule, "reason"),
        article: rule.policy.annotation("article").map(str::to_owned),
        effect: match rule.policy.effect() {
            cedar_policy::Effect::Permit => Effect::Permit,
            cedar_policy::Effect::Forbid => Effect::Forbid,
        },
        actions: ["classify", "explain", "obligate"]
            .into_iter()
            .filter(|action| compile::is_about(&rule.policy, action))
            .map(str::to_owned)
            .collect(),
        source: rule.policy.to_string(),
        file: rule.file.clone(),
    }
}
