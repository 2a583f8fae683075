//! Records to index.

use std::collections::{BTreeMap, BTreeSet};

use reeve_domain::{
    Action, Caller, Code, ControlEvent, Credential, Currency, Decision, DecisionId, DecisionInput,
    Digest, Intent, KeyId, Kind, KindCounts, LegalFacts, ModelFacts, ModelName, Money, Obligations,
    Origin, Outcome, OutcomeStatus, Record, Refusal, RefusalAggregate, Region, TenantFacts,
    TenantId, Timestamp, Usage,
};
use reeve_store::audit::Leaf;

pub const SECOND: i64 = 1_000_000;

pub fn origin() -> Origin {
    Origin::new("reeve.test/gateway-1").unwrap()
}

pub fn tenant_id(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

/// 2026-11-24T08:00:00Z and `seconds`.
pub fn at(seconds: i64) -> Timestamp {
    let start = Timestamp::parse("2026-11-24T08:00:00Z").unwrap();
    Timestamp::from_micros(start.as_micros() + seconds * SECOND)
}

pub fn decision(number: u128) -> DecisionId {
    DecisionId::from_uuid(uuid::Uuid::from_u128(number))
}

fn facts(tenant: &str) -> TenantFacts {
    TenantFacts {
        id: tenant_id(tenant),
        residency: BTreeSet::from([Region::new("eu-west").unwrap()]),
        purposes: BTreeSet::new(),
        labels: BTreeMap::new(),
        legal: LegalFacts::default(),
    }
}

fn input(tenant: &str, when: Timestamp) -> DecisionInput {
    DecisionInput {
        at: when,
        tenant: facts(tenant),
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
        candidates: vec![Region::new("eu-west").unwrap()],
        data_categories: BTreeSet::new(),
        subject_age: None,
        result_use: None,
        shared_key: false,
        transferred: None,
    }
}

fn decided() -> Decision {
    Decision {
        policy: Digest::of(b"policy"),
        permitted: vec![Region::new("eu-west").unwrap()],
        refused: Vec::new(),
        rules: Vec::new(),
        obligations: Obligations::default(),
    }
}

fn caller(tenant: &str) -> Caller {
    let credential = Credential::ApiKey(KeyId::new(format!("{tenant}-key")).unwrap());
    Caller { tenant: tenant_id(tenant), credential }
}

pub fn intent(number: u128, tenant: &str, seconds: i64) -> Record {
    Record::Intent(Box::new(Intent {
        decision_id: decision(number),
        at: at(seconds),
        caller: caller(tenant),
        subject: None,
        input: input(tenant, at(seconds)),
        decision: decided(),
        redactions: KindCounts::from([(Kind::EMAIL_ADDRESS, 1)]),
        payload: Digest::of(b"payload"),
        sealed: None,
        shadow: None,
        routed: None,
        mirror: None,
    }))
}

pub fn outcome(number: u128, tenant: &str, seconds: i64) -> Record {
    Record::Outcome(Box::new(Outcome {
        decision_id: decision(number),
        at: at(seconds),
        tenant: tenant_id(tenant),
        status: OutcomeStatus::Completed,
        code: None,
        region: Some(Region::new("eu-west").unwrap()),
        pod: None,
        others: Vec::new(),
        transfer: None,
        names: None,
        usage: Usage { items: 2, characters: 30, tokens: 9, ..Usage::default() },
        cost: Money::new(400, Currency::Eur),
        sealed: None,
        timings: reeve_domain::Timings::default(),
    }))
}

pub fn failure(number: u128, tenant: &str, seconds: i64) -> Record {
    let Record::Outcome(mut outcome) = outcome(number, tenant, seconds) else { unreachable!() };
    outcome.status = OutcomeStatus::Failed;
    outcome.code = Some(Code::PodFailed);
    outcome.region = None;
    outcome.usage = Usage::default();
    outcome.cost = Money::default();
    Record::Outcome(outcome)
}

pub fn refusal(number: u128, tenant: &str, seconds: i64, code: Code) -> Record {
    Record::Refusal(Box::new(Refusal {
        decision_id: decision(number),
        at: at(seconds),
        caller: caller(tenant),
        code,
        route: "/v1/classify".to_owned(),
        input: Some(Box::new(input(tenant, at(seconds)))),
        decision: Some(Box::new(decided())),
        shadow: None,
    }))
}

pub fn aggregate(seconds: i64, count: u64) -> Record {
    Record::RefusalAggregate(RefusalAggregate {
        from: at(seconds),
        until: at(seconds),
        counts: BTreeMap::from([(Code::MissingCredential, count), (Code::RouteNotFound, 1)]),
    })
}

pub fn control(seconds: i64) -> Record {
    let event = ControlEvent {
        at: at(seconds),
        actor: reeve_domain::Actor::Operator,
        // NUL is legal in JSON and not in PostgreSQL's text.
        action: "tenant.create\0".to_owned(),
        target: "acme".to_owned(),
        tenant: Some(tenant_id("acme")),
        code: None,
        details: BTreeMap::new(),
    };
    Record::Control(event.into())
}

pub fn leaf(index: u64, record: &Record) -> Leaf {
    let bytes = serde_json::to_vec(record).unwrap();
    Leaf::parse(index, *Digest::of(&bytes).as_bytes(), &bytes)
}

pub fn leaves(first: u64, records: &[Record]) -> Vec<Leaf> {
    records.iter().enumerate().map(|(i, record)| leaf(first + i as u64, record)).collect()
}

/// Two tenants, every kind of record, one call still open.
pub fn story() -> Vec<Record> {
    vec![
        control(0),
        intent(1, "acme", 1),
        intent(2, "umbra", 2),
        outcome(1, "acme", 3),
        refusal(3, "acme", 4, Code::RateLimited),
        failure(2, "umbra", 5),
        aggregate(6, 70),
        intent(4, "acme", 7),
        outcome(4, "acme", 8),
        intent(5, "umbra", 9),
        refusal(6, "umbra", 10, Code::DeniedByPolicy),
    ]
}
