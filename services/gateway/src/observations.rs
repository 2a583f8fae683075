use std::collections::HashMap;

use parking_lot::Mutex;
use reeve_domain::{Digest, ModelVersion, Observation, Observed, Record, TenantId, Timestamp};
use reeve_protocol::text::TextResponse;

use crate::gate::Shared;

/// Fewer texts than this are not written down: they wait for more, so that nothing can be told about
/// one of them.
const LEAST_TEXTS: u64 = 10;

/// What versions have answered to tenants since it was written down last: counts, and no text.
#[derive(Default)]
pub(crate) struct Observations(Mutex<HashMap<(TenantId, Digest), Since>>);

struct Since {
    name: String,
    from: Timestamp,
    observed: Observed,
}

impl Observations {
    /// Counts an answer.
    pub(crate) fn count(
        &self,
        tenant: &TenantId,
        model: &ModelVersion,
        answer: &TextResponse,
        at: Timestamp,
    ) {
        let mut all = self.0.lock();
        let here = all.entry((tenant.clone(), model.facts.digest)).or_insert_with(|| Since {
            name: model.facts.name.to_string(),
            from: at,
            observed: Observed::default(),
        });
        for (text, labels) in answer.results.iter().enumerate() {
            let Some((label, probability)) = labels.first() else { continue };
            // Whatever a pod makes up is counted under one name.
            let label = model.labels.iter().find(|known| *known == label).map_or("?", |it| it);
            let tokens = answer.tokens.get(text).copied().unwrap_or(0);
            let unknown = answer.unknown.get(text).copied();
            here.observed.count(label, *probability, tokens, unknown);
        }
    }

    /// Takes out what is enough to be written down.
    fn take(&self, until: Timestamp) -> Vec<Observation> {
        let enough =
            |_: &(TenantId, Digest), since: &mut Since| since.observed.texts >= LEAST_TEXTS;
        let taken: Vec<_> = self.0.lock().extract_if(enough).collect();
        let observation = |((tenant, model), since): (_, Since)| Observation {
            from: since.from,
            until,
            tenant,
            name: since.name,
            model,
            observed: since.observed,
        };
        taken.into_iter().map(observation).collect()
    }

    fn put_back(&self, seen: Observation) {
        let mut all = self.0.lock();
        let key = (seen.tenant, seen.model);
        let here = all.entry(key).or_insert_with(|| Since {
            name: seen.name,
            from: seen.from,
            observed: Observed::default(),
        });
        here.from = seen.from;
        here.observed.add(&seen.observed);
    }
}

/// Records what has been counted; keeps it for the next time if the log is not available.
pub(crate) async fn record(shared: &Shared) {
    for seen in shared.observations.take(shared.clock.now()) {
        let written = match serde_json::to_vec(&Record::Observation(Box::new(seen.clone()))) {
            Ok(bytes) => shared.ledger.append(bytes).await.is_ok(),
            Err(_) => false,
        };
        if !written {
            shared.observations.put_back(seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use reeve_domain::{ModelFacts, ModelName};

    use super::*;

    #[test]
    fn few_texts_wait_for_more() {
        let facts = ModelFacts {
            name: ModelName::new("m").unwrap(),
            version: "1".to_owned(),
            digest: Digest::of(b"m"),
            generative: false,
            risk_class: "minimal".to_owned(),
            conformity: false,
            instructions: false,
        };
        let model = ModelVersion::approved(facts, vec!["a".to_owned()]);
        let answer = TextResponse {
            model_name: "m".to_owned(),
            model_version: "1".to_owned(),
            results: vec![vec![("a".to_owned(), 0.9)]; 9],
            tokens: vec![3; 9],
            unknown: Vec::new(),
            standings: Vec::new(),
            explanations: Vec::new(),
        };
        let (acme, at) = (TenantId::new("acme").unwrap(), Timestamp::from_micros);
        let seen = Observations::default();
        seen.count(&acme, &model, &answer, at(1));
        assert!(seen.take(at(2)).is_empty());
        seen.count(&acme, &model, &answer, at(3));
        let taken = seen.take(at(4));
        let [one] = taken.as_slice() else { panic!("{taken:?}") };
        assert_eq!((one.from, one.until, one.observed.texts), (at(1), at(4), 18));
        assert!(seen.take(at(5)).is_empty());
        seen.put_back(one.clone());
        assert_eq!(seen.take(at(4)), taken);
    }
}
