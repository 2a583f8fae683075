use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use cedar_policy::{Authorizer, Context, EntityUid, PolicyId, PolicySet, Request, Schema};
use parking_lot::RwLock;
use reeve_domain::{
    Action, BundleDocument, Decision, DecisionInput, Digest, Kind, ModelFacts, Obligations,
    PlanName, Region, RegionRefusal, RuleId, RuleRef, TenantFacts, TenantId,
};
use reeve_privacy::Detector;
use serde::Serialize;

use crate::{
    bundle::{Bundle, Plan},
    compile::{self, CompileError, CompiledRule, FLOOR, Fault, Span, single},
    facts::{Attribute, Called, Names},
    lint, obligations,
    specialise::{Groups, Known, Slice, Verdict},
};

/// Tenants and models that rules are kept specialised for.
const MOST_KEPT: usize = 10_000;
/// States of a tenant and a model that are kept side by side: calls of a few microseconds before
/// and after a change, and recorded traffic from before and after it, come in any order.
const MOST_STATES: usize = 4;

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
    /// The bundle's file that it stands in; [`FLOOR`] for those that hold under every bundle.
    pub file: String,
    /// Where in the file.
    pub span: Option<Span>,
}

/// How rules are evaluated. The answers are the same; a test sees to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evaluation {
    /// Only what is left of the rules when tenant, model and action are known, and only where it was
    /// not evaluated before for the same values of what it reads.
    Specialised,
    /// Every rule of the bundle.
    Full,
}

/// A decision, and the rules that took part in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The decision.
    pub decision: Decision,
    /// The rules that permitted, forbade or obliged.
    pub matched: BTreeSet<RuleId>,
}

/// What one region's rules say: those that decided, and those that lay obligations.
pub(crate) struct RegionAnswer<'a> {
    pub(crate) by: Vec<&'a CompiledRule>,
    pub(crate) duties: Vec<&'a CompiledRule>,
}

/// Why a region was refused: rules that forbid, or a failure.
pub(crate) enum RegionRefused<'a> {
    By(Vec<&'a CompiledRule>),
    Failed,
}

/// What is known of a tenant and a model, in their latest states.
type Kept = HashMap<(TenantId, Digest), Vec<Arc<Known>>>;

/// A bundle that can be enforced.
pub struct Engine {
    digest: Digest,
    bundle: Bundle,
    schema: Schema,
    authorizer: Authorizer,
    names: Names,
    /// Every rule, for [`Evaluation::Full`].
    all: PolicySet,
    classify: PolicySet,
    explain: PolicySet,
    obligate: PolicySet,
    rules: HashMap<PolicyId, CompiledRule>,
    order: Vec<PolicyId>,
    warnings: Vec<Fault>,
    /// Whether answers depend on how many subjects' data left.
    reads_transfers: bool,
    kept: RwLock<Kept>,
    groups: Groups,
    detector: Arc<Detector>,
    /// Of tenants with recognisers of their own.
    detectors: Arc<HashMap<TenantId, Detector>>,
}

impl Engine {
    /// Makes a stored bundle enforceable, or says everything that keeps it from being so.
    pub fn compile(document: &BundleDocument) -> Result<Self, CompileError> {
        let bundle =
            Bundle::parse(document).map_err(|unreadable| single(unreadable.to_string()))?;
        let compiled = compile::compile(&bundle)?;
        let (detector, detectors) = detectors(&bundle, &compiled.rules)?;
        let warnings = compiled.warnings;
        let mut engine = Self::of(
            document.digest,
            bundle,
            compiled.schema,
            compiled.rules,
            Arc::new(detector),
            Arc::new(detectors),
        )?;
        engine.warnings = warnings;
        Ok(engine)
    }

    fn of(
        digest: Digest,
        bundle: Bundle,
        schema: Schema,
        rules: Vec<CompiledRule>,
        detector: Arc<Detector>,
        detectors: Arc<HashMap<TenantId, Detector>>,
    ) -> Result<Self, CompileError> {
        let set = |chosen: &dyn Fn(&CompiledRule) -> bool| {
            let chosen = rules.iter().filter(|rule| chosen(rule)).map(|rule| rule.policy.clone());
            PolicySet::from_policies(chosen).map_err(|fault| single(fault.to_string()))
        };
        let about = |action: &'static str| {
            set(&move |rule: &CompiledRule| compile::is_about(&rule.policy, action))
        };
        let reads_transfers = rules.iter().any(|rule| {
            let reads = |attribute| rule.terms.reads_context(attribute);
            reads("transferred") || reads("transferred_sensitive")
        });
        Ok(Self {
            digest,
            authorizer: Authorizer::new(),
            names: Names::new()?,
            all: set(&|_| true)?,
            classify: about("classify")?,
            explain: about("explain")?,
            obligate: about("obligate")?,
            reads_transfers,
            order: rules.iter().map(|rule| PolicyId::new(rule.id.as_str())).collect(),
            rules: rules.into_iter().map(|rule| (PolicyId::new(rule.id.as_str()), rule)).collect(),
            warnings: Vec::new(),
            schema,
            bundle,
            kept: RwLock::default(),
            groups: Groups::default(),
            detector,
            detectors,
        })
    }

    /// The same bundle as if one rule were not in it. For seeing what a rule is good for; it is
    /// never enforced, and its digest is that of the whole bundle.
    pub fn without(&self, rule: &RuleId) -> Result<Self, CompileError> {
        let left = self.in_order().filter(|other| other.id != *rule).cloned().collect();
        Self::of(
            self.digest,
            self.bundle.clone(),
            self.schema.clone(),
            left,
            Arc::clone(&self.detector),
            Arc::clone(&self.detectors),
        )
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

    /// Kinds of personal data that are looked for in everybody's texts.
    pub fn kinds(&self) -> BTreeSet<Kind> {
        sought(&self.bundle, self.rules.values())
    }

    /// All rules, those of the floor first, then in the order of the files.
    pub fn rules(&self) -> Vec<Rule> {
        self.in_order().map(as_people_read_it).collect()
    }

    /// One rule.
    pub fn rule(&self, id: &RuleId) -> Option<Rule> {
        self.rules.get(&PolicyId::new(id.as_str())).map(as_people_read_it)
    }

    /// What is hardly meant, and what law does not let a bundle say. Errors among it keep a bundle
    /// from being activated.
    pub fn faults(&self) -> Vec<Fault> {
        let rules: Vec<CompiledRule> = self.in_order().cloned().collect();
        self.warnings.iter().cloned().chain(lint::lint(&self.bundle, &rules)).collect()
    }

    pub(crate) fn in_order(&self) -> impl Iterator<Item = &CompiledRule> {
        self.order.iter().filter_map(|id| self.rules.get(id))
    }

    pub(crate) fn compiled(&self, id: &RuleId) -> Option<&CompiledRule> {
        self.rules.get(&PolicyId::new(id.as_str()))
    }

    /// Whether the number of subjects whose data left matters to any rule.
    pub fn counts_transfers(&self) -> bool {
        self.reads_transfers
    }

    /// The rules for an action, as Cedar has them.
    pub fn policies(&self, action: Action) -> &PolicySet {
        match action {
            Action::Classify => &self.classify,
            Action::Explain => &self.explain,
        }
    }

    /// The schema that they are written for.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Specialises the rules for a tenant and a model ahead of the first call. False if that
    /// cannot be done; calls would then be denied.
    pub fn prepare(
        &self,
        tenant: &TenantFacts,
        model: &ModelFacts,
        at: reeve_domain::Timestamp,
    ) -> bool {
        self.known(tenant, model, at).is_some()
    }

    /// Decides a call: once for each candidate region, then the obligations of each that is
    /// permitted. Never fails: what cannot be evaluated is denied.
    pub fn decide(&self, input: &DecisionInput) -> Decision {
        self.answer(input).decision
    }

    /// Decides a call, and says which rules took part.
    pub fn answer(&self, input: &DecisionInput) -> Answer {
        let known = self.known(&input.tenant, &input.model, input.at);
        self.assembled(input, known.as_deref().map(|known| (known, Evaluation::Specialised)))
    }

    /// Decides a call in a certain way.
    pub fn decide_by(&self, input: &DecisionInput, how: Evaluation) -> Decision {
        let known = self.known(&input.tenant, &input.model, input.at);
        self.assembled(input, known.as_deref().map(|known| (known, how))).decision
    }

    fn assembled(&self, input: &DecisionInput, known: Option<(&Known, Evaluation)>) -> Answer {
        let mut decision = Decision {
            policy: self.digest,
            permitted: Vec::new(),
            refused: Vec::new(),
            rules: Vec::new(),
            obligations: Obligations::default(),
        };
        let mut rules = BTreeMap::new();
        let mut matched = BTreeSet::new();
        for region in &input.candidates {
            let answer = known
                .ok_or(RegionRefused::Failed)
                .and_then(|(known, how)| self.in_region(input, region, known, how));
            match answer {
                Ok(RegionAnswer { by, duties }) => {
                    matched.extend(by.iter().chain(&duties).map(|rule| rule.id.clone()));
                    rules.extend(by.into_iter().map(|rule| (&rule.id, rule)));
                    for rule in duties {
                        obligations::join(&mut decision.obligations, &rule.obligations);
                    }
                    decision.permitted.push(region.clone());
                }
                Err(RegionRefused::By(rules)) => {
                    matched.extend(rules.iter().map(|rule| rule.id.clone()));
                    let mut rules: Vec<RuleRef> =
                        rules.into_iter().map(|rule| rule.told.clone()).collect();
                    rules.sort_unstable();
                    let region = region.clone();
                    decision.refused.push(RegionRefusal { region, rules, failed: false });
                }
                Err(RegionRefused::Failed) => decision.refused.push(failed(region.clone())),
            }
        }
        if obligations::can_be_met(&decision.obligations) {
            decision.rules = rules.into_values().map(|rule| rule.told.clone()).collect();
        } else {
            // Nothing that was permitted can be kept as it must be.
            decision.refused.extend(decision.permitted.drain(..).map(failed));
            decision.obligations = Obligations::default();
        }
        Answer { decision, matched }
    }

    /// What the rules say of one region.
    pub(crate) fn in_region<'a>(
        &'a self,
        input: &DecisionInput,
        region: &Region,
        known: &Known,
        how: Evaluation,
    ) -> Result<RegionAnswer<'a>, RegionRefused<'a>> {
        // A region that the bundle does not know has no law.
        let rules = self.bundle.regions.get(region).ok_or(RegionRefused::Failed)?;
        let called = Called::new(input, region, rules);
        let (action, slice) = match input.action {
            Action::Classify => (&self.names.classify, &known.classify),
            Action::Explain => (&self.names.explain, &known.explain),
        };
        let ask = |action: &EntityUid, slice: &Slice| {
            let cedar = |rules: &PolicySet, context: Context, schema: Option<&Schema>| {
                let tenant = self.names.tenant(&input.tenant);
                let model = self.names.model(&input.model);
                let request = Request::new(tenant, action.clone(), model, context, schema).ok()?;
                Verdict::of(&self.authorizer.is_authorized(&request, rules, &known.entities))
            };
            match how {
                Evaluation::Specialised => slice.ask(&called, &|rules, reads| {
                    // Of the context no more than is read, which does not make a whole one.
                    cedar(rules, called.context(reads)?, None)
                }),
                Evaluation::Full => {
                    cedar(&self.all, called.context(&Attribute::ALL)?, Some(&self.schema))
                }
            }
        };
        let access = ask(action, slice).ok_or(RegionRefused::Failed)?;
        let by = self.rules_of(&access.by)?;
        if !access.permitted {
            return Err(RegionRefused::By(by));
        }
        let duties = ask(&self.names.obligate, &known.obligate).ok_or(RegionRefused::Failed)?;
        Ok(RegionAnswer { by, duties: self.rules_of(&duties.by)? })
    }

    fn rules_of<'a>(
        &'a self,
        ids: &[PolicyId],
    ) -> Result<Vec<&'a CompiledRule>, RegionRefused<'a>> {
        let found = ids.iter().map(|id| self.rules.get(id));
        found.collect::<Option<_>>().ok_or(RegionRefused::Failed)
    }

    /// The entities of a call and the rules as they are for it. They are the same for every call
    /// of a tenant to a model until one of the two changes or something on file runs out.
    pub(crate) fn known(
        &self,
        tenant: &TenantFacts,
        model: &ModelFacts,
        at: reeve_domain::Timestamp,
    ) -> Option<Arc<Known>> {
        let name = (tenant.id.clone(), model.digest);
        if let Some(known) = self.kept.read().get(&name).and_then(|kept| {
            kept.iter().rev().find(|known| known.is_of(tenant, model, at)).map(Arc::clone)
        }) {
            return Some(known);
        }
        let entities = self.names.entities(tenant, model, at, &self.schema)?;
        let slice = |action: &EntityUid, rules: &PolicySet| {
            let (tenant, model) = (self.names.tenant(tenant), self.names.model(model));
            Slice::of(rules, &tenant, action, &model, &entities, &self.schema, &self.groups)
        };
        let known = Arc::new(Known::new(
            tenant,
            model,
            at,
            slice(&self.names.classify, &self.classify)?,
            slice(&self.names.explain, &self.explain)?,
            slice(&self.names.obligate, &self.obligate)?,
            entities,
        ));
        let mut kept = self.kept.write();
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        let states = kept.entry(name).or_default();
        if states.len() >= MOST_STATES {
            states.remove(0);
        }
        states.push(Arc::clone(&known));
        Some(known)
    }
}

/// Kinds that rules ask about or redact.
fn sought<'a>(bundle: &Bundle, rules: impl Iterator<Item = &'a CompiledRule>) -> BTreeSet<Kind> {
    let redacted = rules.flat_map(|rule| rule.obligations.redact.keys());
    bundle.privacy.detect.iter().chain(redacted).cloned().collect()
}

fn detectors(
    bundle: &Bundle,
    rules: &[CompiledRule],
) -> Result<(Detector, HashMap<TenantId, Detector>), CompileError> {
    let privacy = &bundle.privacy;
    let kinds = sought(bundle, rules.iter());
    let detector = |tenant: Option<&TenantId>| {
        Detector::new(&kinds)
            .at_least(privacy.minimum.share())
            .with(&privacy.recognisers, tenant)
            .map(|detector| detector.with_thresholds(&privacy.thresholds))
            .map_err(|refused| single(refused.to_string()))
    };
    let tenants: BTreeSet<&TenantId> =
        privacy.recognisers.iter().flat_map(|own| &own.tenants).collect();
    let own = tenants.into_iter().map(|tenant| Ok((tenant.clone(), detector(Some(tenant))?)));
    Ok((detector(None)?, own.collect::<Result<_, CompileError>>()?))
}

fn failed(region: Region) -> RegionRefusal {
    RegionRefusal { region, rules: Vec::new(), failed: true }
}

fn text(rule: &CompiledRule, annotation: &str) -> String {
    rule.policy.annotation(annotation).unwrap_or_default().to_owned()
}

fn as_people_read_it(rule: &CompiledRule) -> Rule {
    Rule {
        id: rule.id.clone(),
        title: text(rule, "title"),
        reason: rule.told.reason.clone(),
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
        source: rule.policy.to_cedar().unwrap_or_else(|| rule.policy.to_string()).trim().to_owned(),
        file: rule.file.clone(),
        span: rule.span,
    }
}

/// Whether a rule holds under every bundle.
pub fn is_floor(rule: &Rule) -> bool {
    rule.file == FLOOR
}
