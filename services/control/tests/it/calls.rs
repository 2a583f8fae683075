//! Records of calls, as a gateway writes them.

use std::collections::{BTreeMap, BTreeSet};

use reeve_domain::{
    Action, Caller, Code, Credential, Currency, Decision, DecisionId, DecisionInput, Digest,
    Intent, KeyId, Kind, KindCounts, LegalFacts, ModelFacts, ModelName, Money, Obligations,
    Outcome, OutcomeStatus, Record, Refusal, Region, Scope, TenantFacts, TenantId, Timestamp,
    Timings, Usage,
};
use reeve_policy::Engine;

pub(crate) fn decision_id(number: u128) -> DecisionId {
    DecisionId::from_uuid(uuid::Uuid::from_u128(number))
}

/// 2026-11-24T08:00:00Z and `seconds`.
pub(crate) fn at(seconds: i64) -> Timestamp {
    let start = Timestamp::parse("2026-11-24T08:00:00Z").unwrap();
    Timestamp::from_micros(start.as_micros() + seconds * 1_000_000)
}

fn region() -> Region {
    Region::new("eu-west").unwrap()
}

fn caller(tenant: &str, key: &str) -> Caller {
    let credential = Credential::ApiKey(KeyId::new(key).unwrap());
    Caller { tenant: TenantId::new(tenant).unwrap(), credential }
}

fn input(tenant: &str, seconds: i64) -> DecisionInput {
    DecisionInput {
        at: at(seconds),
        tenant: TenantFacts {
            id: TenantId::new(tenant).unwrap(),
            residency: BTreeSet::from([region()]),
            purposes: BTreeSet::new(),
            labels: BTreeMap::new(),
            legal: LegalFacts::default(),
        },
        scopes: BTreeSet::new(),
        action: Action::Classify,
        model: ModelFacts {
            name: ModelName::new("support").unwrap(),
            version: "1".to_owned(),
            digest: Digest::of(b"model"),
            generative: false,
            risk_class: "limited".to_owned(),
            conformity: false,
            instructions: false,
        },
        purpose: None,
        subject_country: None,
        consents: BTreeSet::new(),
        found: KindCounts::new(),
        items: 2,
        characters: 30,
        candidates: vec![region()],
        data_categories: BTreeSet::new(),
        subject_age: None,
        result_use: None,
        shared_key: false,
        transferred: None,
    }
}

pub(crate) fn intent_with_key(number: u128, tenant: &str, key: &str, seconds: i64) -> Record {
    Record::Intent(Box::new(Intent {
        decision_id: decision_id(number),
        at: at(seconds),
        caller: caller(tenant, key),
        subject: None,
        input: input(tenant, seconds),
        decision: Decision {
            policy: Digest::of(b"policy"),
            permitted: vec![region()],
            refused: Vec::new(),
            rules: Vec::new(),
            obligations: Obligations::default(),
        },
        redactions: KindCounts::from([(Kind::EMAIL_ADDRESS, 3)]),
        payload: Digest::of(b"payload"),
        sealed: None,
        shadow: None,
        routed: None,
        mirror: None,
    }))
}

/// A call as the engine decides it: an intent, or a refusal.
pub(crate) fn decided(number: u128, tenant: &str, seconds: i64, by: &Engine) -> Record {
    let mut input = input(tenant, seconds);
    input.scopes = [Scope::new("classify").unwrap()].into();
    let decision = by.decide(&input);
    if !decision.is_allowed() {
        return Record::Refusal(Box::new(Refusal {
            decision_id: decision_id(number),
            at: at(seconds),
            caller: caller(tenant, "key-1"),
            code: Code::DeniedByPolicy,
            route: "/v1/classify".to_owned(),
            input: Some(Box::new(input)),
            decision: Some(Box::new(decision)),
            shadow: None,
        }));
    }
    let Record::Intent(mut intent) = intent(number, tenant, seconds) else { unreachable!() };
    intent.input = input;
    intent.decision = decision;
    intent.redactions.clear();
    Record::Intent(intent)
}

pub(crate) fn intent(number: u128, tenant: &str, seconds: i64) -> Record {
    intent_with_key(number, tenant, "key-1", seconds)
}

pub(crate) fn outcome(number: u128, tenant: &str, seconds: i64) -> Record {
    Record::Outcome(Box::new(Outcome {
        decision_id: decision_id(number),
        at: at(seconds),
        tenant: TenantId::new(tenant).unwrap(),
        status: OutcomeStatus::Completed,
        code: None,
        region: Some(region()),
        pod: None,
        others: Vec::new(),
        transfer: None,
        names: None,
        usage: Usage { items: 2, characters: 30, tokens: 9, ..Usage::default() },
        cost: Money::new(400, Currency::Eur),
        sealed: None,
        timings: Timings { decide_us: 11, record_us: 22, forward_us: 33 },
    }))
}

pub(crate) fn failure(number: u128, tenant: &str, seconds: i64) -> Record {
    let Record::Outcome(mut outcome) = outcome(number, tenant, seconds) else { unreachable!() };
    outcome.status = OutcomeStatus::Failed;
    outcome.code = Some(Code::PodFailed);
    outcome.region = None;
    outcome.usage = Usage::default();
    outcome.cost = Money::default();
    Record::Outcome(outcome)
}

pub(crate) fn refusal(number: u128, tenant: &str, seconds: i64, code: Code) -> Record {
    Record::Refusal(Box::new(Refusal {
        decision_id: decision_id(number),
        at: at(seconds),
        caller: caller(tenant, "key-2"),
        code,
        route: "/v1/classify".to_owned(),
        input: None,
        decision: None,
        shadow: None,
    }))
}

/// Three calls of two tenants today, one yesterday, and one still open.
pub(crate) fn story() -> Vec<Record> {
    vec![
        intent(1, "acme", -86_400),
        outcome(1, "acme", -86_399),
        intent(2, "acme", 1),
        outcome(2, "acme", 2),
        refusal(3, "umbra", 3, Code::RateLimited),
        intent(4, "umbra", 4),
        failure(4, "umbra", 5),
        intent(5, "acme", 6),
    ]
}
