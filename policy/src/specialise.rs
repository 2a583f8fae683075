//! Rules as they are for one tenant and one model: what can be known before a call comes is
//! evaluated once, by Cedar's type-aware partial evaluation, and rules that cannot apply are gone.
//! What is left is sorted into groups that read the same attributes, and what a group said of
//! their values is remembered.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use cedar_policy::{
    Decision, Effect, Entities, EntityId, EntityUid, PartialEntities, PartialEntityUid,
    PartialRequest, Policy, PolicyId, PolicySet, Response, Schema,
};
use parking_lot::RwLock;
use reeve_domain::{ModelFacts, TenantFacts, Timestamp};

use crate::{
    facts::{self, Attribute, Called},
    terms::Terms,
};

/// Values that are remembered for one group of rules.
const MOST_REMEMBERED: usize = 4096;
/// Rules that are not worth a group of their own.
const FEW: usize = 3;
/// Groups that are kept for whoever has the same.
const MOST_GROUPS: usize = 10_000;

/// Puts rules that read certain attributes to Cedar, for the call at hand. `None` if one of them
/// cannot be evaluated.
pub(crate) type Cedar<'a> = &'a dyn Fn(&PolicySet, &[Attribute]) -> Option<Verdict>;

/// What rules say.
#[derive(Clone)]
pub(crate) struct Verdict {
    /// Whether one permits and none forbids.
    pub(crate) permitted: bool,
    /// The rules that decided: those that forbid, and where none does those that permit.
    pub(crate) by: Vec<PolicyId>,
}

impl Verdict {
    /// A rule that errs would be skipped by Cedar; here that is no verdict.
    pub(crate) fn of(response: &Response) -> Option<Self> {
        response.diagnostics().errors().next().is_none().then(|| Self {
            permitted: response.decision() == Decision::Allow,
            by: response.diagnostics().reason().cloned().collect(),
        })
    }
}

/// Ids of the rules that apply; `None` if one of those asked cannot be evaluated.
type Said = Option<Arc<[PolicyId]>>;

/// Rules of one effect that read the same attributes, and what was said of their values.
struct Group {
    reads: Vec<Attribute>,
    rules: PolicySet,
    said: RwLock<HashMap<Box<[u8]>, Said>>,
}

/// What is left of rules is often the same for many tenants and models: groups by their rules, as
/// Cedar writes them, for those that ask nothing of an entity any more.
#[derive(Default)]
pub(crate) struct Groups(RwLock<HashMap<Vec<String>, Arc<Group>>>);

impl Groups {
    fn group(&self, Sorted { reads, rules, entities }: Sorted) -> Option<Arc<Group>> {
        let new = |rules| {
            let rules = PolicySet::from_policies(rules).ok()?;
            Some(Arc::new(Group { reads, rules, said: RwLock::default() }))
        };
        let write = |rule: &Policy| Some(format!("{} {}", rule.id(), rule.to_cedar()?));
        let written: Option<Vec<String>> = rules.iter().map(write).collect();
        let Some(written) = written.filter(|_| !entities) else { return new(rules) };
        if let Some(group) = self.0.read().get(&written) {
            return Some(Arc::clone(group));
        }
        let group = new(rules)?;
        let mut groups = self.0.write();
        if groups.len() >= MOST_GROUPS {
            groups.clear();
        }
        groups.insert(written, Arc::clone(&group));
        Some(group)
    }
}

impl Group {
    /// Ids of the rules that apply. Which do depends on tenant, model and action, which are the same
    /// for all who have the group if the rules ask about them at all, and on the attributes that
    /// they read: nothing else can make a difference.
    fn say(&self, called: &Called<'_>, cedar: Cedar<'_>, key: &mut Vec<u8>) -> Said {
        called.write(&self.reads, key);
        if let Some(said) = self.said.read().get(key.as_slice()) {
            return said.clone();
        }
        let said: Said = cedar(&self.rules, &self.reads).map(|verdict| verdict.by.into());
        let mut remembered = self.said.write();
        if remembered.len() >= MOST_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(key.as_slice().into(), said.clone());
        said
    }
}

/// The rules for one action.
pub(crate) struct Slice {
    permits: Vec<Arc<Group>>,
    forbids: Vec<Arc<Group>>,
}

impl Slice {
    /// What is left of `rules`. `None` if Cedar cannot tell, which must deny.
    pub(crate) fn of(
        rules: &PolicySet,
        tenant: &EntityUid,
        action: &EntityUid,
        model: &EntityUid,
        entities: &Entities,
        schema: &Schema,
        groups: &Groups,
    ) -> Option<Self> {
        let known = |uid: &EntityUid| {
            let id = EntityId::new(uid.id().unescaped());
            PartialEntityUid::new(uid.type_name().clone(), Some(id))
        };
        let request =
            PartialRequest::new(known(tenant), action.clone(), known(model), None, schema).ok()?;
        let entities = PartialEntities::from_concrete(entities.clone(), schema).ok()?;
        let response = rules.tpe(&request, &entities, schema).ok()?;
        let never: HashSet<&PolicyId> =
            response.false_permits().chain(response.false_forbids()).collect();
        let left = response.policies().filter(|policy| !never.contains(policy.id()));
        let (permits, forbids) = left.partition(|rule| rule.effect() == Effect::Permit);
        let grouped = |rules| -> Option<Vec<Arc<Group>>> {
            sorted(rules).into_iter().map(|sorted| groups.group(sorted)).collect()
        };
        Some(Self { permits: grouped(permits)?, forbids: grouped(forbids)? })
    }

    /// Asks Cedar for what it was not asked before.
    pub(crate) fn ask(&self, called: &Called<'_>, cedar: Cedar<'_>) -> Option<Verdict> {
        let mut key = Vec::with_capacity(128);
        let mut all = |groups: &[Arc<Group>]| {
            let mut applying = Vec::new();
            for group in groups {
                applying.extend_from_slice(&group.say(called, cedar, &mut key)?);
            }
            Some(applying)
        };
        // Both are asked, so that what fails refuses even where another rule forbids.
        let (permits, forbids) = (all(&self.permits)?, all(&self.forbids)?);
        Some(Verdict {
            permitted: forbids.is_empty() && !permits.is_empty(),
            by: if forbids.is_empty() { permits } else { forbids },
        })
    }
}

/// Rules with the attributes that they read.
struct Sorted {
    reads: Vec<Attribute>,
    rules: Vec<Policy>,
    /// Whether they also ask something of an entity.
    entities: bool,
}

/// Sorts rules by what they read. A few rules that read less than others stand with those, unless
/// they read what is rarely the same twice; many are better asked only when what they read is new.
fn sorted(rules: Vec<Policy>) -> Vec<Sorted> {
    let mut by_reads: BTreeMap<(bool, Vec<Attribute>), Vec<Policy>> = BTreeMap::new();
    for rule in rules {
        let terms = Terms::of(&rule);
        let reads = Attribute::ALL.into_iter().filter(|it| terms.reads_context(it.as_str()));
        by_reads.entry((terms.entities, reads.collect())).or_default().push(rule);
    }
    let sort = |((entities, reads), rules)| Sorted { reads, rules, entities };
    let mut narrow: Vec<Sorted> = by_reads.into_iter().map(sort).collect();
    narrow.sort_by_key(|one| std::cmp::Reverse(one.reads.len()));
    let mut wide: Vec<Sorted> = Vec::new();
    for one in narrow {
        let holds = |other: &&mut Sorted| {
            one.rules.len() <= FEW
                && other.entities == one.entities
                && one.reads.iter().all(|attribute| other.reads.contains(attribute))
                && other.reads.iter().all(|it| !it.counts() || one.reads.contains(it))
        };
        match wide.iter_mut().find(holds) {
            Some(other) => other.rules.extend(one.rules),
            None => wide.push(one),
        }
    }
    for one in &mut wide {
        one.rules.sort_unstable_by(|one, other| one.id().cmp(other.id()));
    }
    wide
}

/// A tenant and a model as Cedar sees them, and the rules as they are for the two.
pub(crate) struct Known {
    tenant: TenantFacts,
    model: ModelFacts,
    /// The stretch of time in which nothing on file runs out.
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    pub(crate) entities: Entities,
    pub(crate) classify: Slice,
    pub(crate) explain: Slice,
    pub(crate) obligate: Slice,
}

impl Known {
    pub(crate) fn new(
        tenant: &TenantFacts,
        model: &ModelFacts,
        at: Timestamp,
        classify: Slice,
        explain: Slice,
        obligate: Slice,
        entities: Entities,
    ) -> Self {
        Self {
            from: facts::ends(tenant).filter(|end| *end <= at).max(),
            until: facts::ends(tenant).filter(|end| *end > at).min(),
            tenant: tenant.clone(),
            model: model.clone(),
            entities,
            classify,
            explain,
            obligate,
        }
    }

    pub(crate) fn is_of(&self, tenant: &TenantFacts, model: &ModelFacts, at: Timestamp) -> bool {
        self.from.is_none_or(|from| at >= from)
            && self.until.is_none_or(|until| at < until)
            && self.tenant == *tenant
            && self.model == *model
    }
}
