//! Rules as they are for one tenant and one model: what can be known before a call comes is
//! evaluated once, by Cedar's type-aware partial evaluation, and rules that cannot apply are gone.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use cedar_policy::{
    Entities, EntityId, EntityUid, PartialEntities, PartialEntityUid, PartialRequest, Policy,
    PolicyId, PolicySet, Schema,
};
use parking_lot::RwLock;
use reeve_domain::{ModelFacts, TenantFacts, Timestamp};

use crate::{engine::Answer, facts};

/// Answers that are remembered for one tenant and one model.
const MOST_REMEMBERED: usize = 4096;

/// The rules for one action.
pub(crate) struct Slice {
    pub(crate) residual: PolicySet,
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
        let left: Vec<Policy> =
            response.policies().filter(|policy| !never.contains(policy.id())).collect();
        Some(Self { residual: PolicySet::from_policies(left).ok()? })
    }
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
    answers: RwLock<HashMap<Vec<u8>, Arc<Answer>>>,
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
            answers: RwLock::default(),
        }
    }

    pub(crate) fn is_of(&self, tenant: &TenantFacts, model: &ModelFacts, at: Timestamp) -> bool {
        self.from.is_none_or(|from| at >= from)
            && self.until.is_none_or(|until| at < until)
            && self.tenant == *tenant
            && self.model == *model
    }

    pub(crate) fn remembered(&self, question: &[u8]) -> Option<Arc<Answer>> {
        self.answers.read().get(question).cloned()
    }

    pub(crate) fn remember(&self, question: Vec<u8>, answer: Arc<Answer>) {
        let mut answers = self.answers.write();
        if answers.len() >= MOST_REMEMBERED {
            answers.clear();
        }
        answers.insert(question, answer);
    }
}
