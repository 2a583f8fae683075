use std::collections::BTreeMap;

use diesel::prelude::*;
use reeve_domain::{
    Actor, Comparison, ControlEvent, Intent, KindCounts, Money, Origin, Outcome, OutcomeStatus,
    Record, Refusal, ShadowDifference, Timestamp,
};

use super::{AuditRow, CallStatus, EventKind, Leaf, actor_text, credential_text, storable};
use crate::{
    StoreError,
    column::{Column, signed},
    schema::audit_event,
};

/// A row of `audit_event`, its columns in the order of the schema.
#[derive(Clone, Queryable, Insertable)]
#[diesel(table_name = audit_event, treat_none_as_default_value = false)]
pub(super) struct Row {
    pub(super) origin: String,
    pub(super) log_index: i64,
    pub(super) leaf_hash: Vec<u8>,
    pub(super) at: i64,
    pub(super) kind: String,
    pub(super) decision_id: Option<String>,
    pub(super) tenant: Option<String>,
    pub(super) credential: Option<String>,
    pub(super) model: Option<String>,
    pub(super) action: Option<String>,
    pub(super) region: Option<String>,
    pub(super) status: Option<String>,
    pub(super) code: Option<String>,
    pub(super) policy: Option<String>,
    pub(super) items: i64,
    pub(super) characters: i64,
    pub(super) tokens: i64,
    pub(super) cost_micros: i64,
    pub(super) currency: Option<String>,
    pub(super) redactions: String,
    pub(super) document: String,
    pub(super) shadow: Option<String>,
}

pub(super) const fn column(name: &'static str) -> Column {
    Column("audit_event", name)
}

/// The flips of a difference, joined by commas; the document has the rest.
fn flips(difference: &ShadowDifference) -> String {
    let names: Vec<_> = difference.flips.keys().map(|flip| flip.as_str()).collect();
    names.join(",")
}

const fn status_of(status: OutcomeStatus) -> CallStatus {
    match status {
        OutcomeStatus::Completed => CallStatus::Completed,
        OutcomeStatus::Failed => CallStatus::Failed,
        OutcomeStatus::Unknown => CallStatus::Unknown,
    }
}

impl Row {
    /// The row of a leaf by itself. `previous_at` is the time of the leaf before it.
    pub(super) fn of(origin: &Origin, leaf: &Leaf, previous_at: i64) -> Result<Self, StoreError> {
        let mut row = Self {
            origin: origin.to_string(),
            log_index: signed(leaf.index)?,
            leaf_hash: leaf.hash.to_vec(),
            at: previous_at,
            kind: EventKind::Malformed.as_str().to_owned(),
            decision_id: None,
            tenant: None,
            credential: None,
            model: None,
            action: None,
            region: None,
            status: None,
            code: None,
            policy: None,
            items: 0,
            characters: 0,
            tokens: 0,
            cost_micros: 0,
            currency: None,
            redactions: column("redactions").to_json(&KindCounts::new())?,
            document: storable(&leaf.document),
            shadow: None,
        };
        let Ok(record) = &leaf.record else { return Ok(row) };
        record.kind().clone_into(&mut row.kind);
        match record {
            Record::Intent(intent) => row.take_intent(intent)?,
            Record::Outcome(outcome) => row.take_outcome(outcome)?,
            Record::Refusal(refusal) => row.take_refusal(refusal)?,
            Record::RefusalAggregate(aggregate) => {
                row.at = aggregate.until.as_micros();
                row.status = Some(CallStatus::Refused.to_string());
            }
            Record::Comparison(compared) => row.take_comparison(compared)?,
            Record::Observation(seen) => {
                row.at = seen.until.as_micros();
                row.tenant = Some(seen.tenant.to_string());
                row.model = Some(storable(&seen.name));
                row.items = signed(seen.observed.texts)?;
                row.tokens = signed(seen.observed.tokens)?;
            }
            Record::Control(event) => {
                row.at = event.at.as_micros();
                row.tenant = event.tenant.as_ref().map(ToString::to_string);
                row.credential = Some(actor_text(&event.actor));
                row.action = Some(storable(&event.action));
                row.code = event.code.map(|code| code.to_string());
            }
        }
        Ok(row)
    }

    fn take_intent(&mut self, intent: &Intent) -> Result<(), StoreError> {
        self.at = intent.at.as_micros();
        self.decision_id = Some(intent.decision_id.to_string());
        self.tenant = Some(intent.caller.tenant.to_string());
        self.credential = Some(credential_text(&intent.caller.credential));
        self.model = Some(intent.input.model.name.to_string());
        self.action = Some(intent.input.action.as_str().to_owned());
        self.status = Some(CallStatus::Pending.to_string());
        self.policy = Some(intent.decision.policy.to_string());
        self.items = signed(intent.input.items)?;
        self.characters = signed(intent.input.characters)?;
        self.redactions = column("redactions").to_json(&intent.redactions)?;
        self.shadow = intent.shadow.as_ref().map(flips);
        Ok(())
    }

    fn take_outcome(&mut self, outcome: &Outcome) -> Result<(), StoreError> {
        let Money { micros, currency } = outcome.cost;
        self.at = outcome.at.as_micros();
        self.decision_id = Some(outcome.decision_id.to_string());
        self.tenant = Some(outcome.tenant.to_string());
        self.region = outcome.region.as_ref().map(ToString::to_string);
        self.status = Some(status_of(outcome.status).to_string());
        self.code = outcome.code.map(|code| code.to_string());
        if let Some(names) = &outcome.names {
            self.redactions = column("redactions").to_json(&names.redactions)?;
        }
        self.items = signed(outcome.usage.items)?;
        self.characters = signed(outcome.usage.characters)?;
        self.tokens = signed(outcome.usage.tokens)?;
        self.cost_micros = micros;
        self.currency = Some(currency.as_str().to_owned());
        Ok(())
    }

    fn take_refusal(&mut self, refusal: &Refusal) -> Result<(), StoreError> {
        self.at = refusal.at.as_micros();
        self.decision_id = Some(refusal.decision_id.to_string());
        self.tenant = Some(refusal.caller.tenant.to_string());
        self.credential = Some(credential_text(&refusal.caller.credential));
        self.status = Some(CallStatus::Refused.to_string());
        self.code = Some(refusal.code.to_string());
        self.policy = refusal.decision.as_ref().map(|decision| decision.policy.to_string());
        self.shadow = refusal.shadow.as_ref().map(flips);
        if let Some(input) = &refusal.input {
            self.model = Some(input.model.name.to_string());
            self.action = Some(input.action.as_str().to_owned());
            self.items = signed(input.items)?;
            self.characters = signed(input.characters)?;
        }
        Ok(())
    }

    /// The call's id is not among it: its intent and outcome are the call.
    fn take_comparison(&mut self, compared: &Comparison) -> Result<(), StoreError> {
        self.at = compared.at.as_micros();
        self.tenant = Some(compared.tenant.to_string());
        self.region = Some(compared.region.to_string());
        self.code = compared.code.map(|code| code.to_string());
        self.items = signed(compared.items)?;
        Ok(())
    }

    /// What stands for a leaf that cannot be read: an event that says why.
    fn finding(&self) -> Result<Record, StoreError> {
        let found: BTreeMap<String, serde_json::Value> = column("document").json(&self.document)?;
        let details = found.into_iter().map(|(name, value)| match value {
            serde_json::Value::String(text) => (name, text),
            other => (name, other.to_string()),
        });
        let event = ControlEvent {
            at: Timestamp::from_micros(self.at),
            actor: Actor::System,
            action: "ledger.malformed".to_owned(),
            target: format!("{}/{}", self.origin, self.log_index),
            tenant: None,
            code: None,
            details: details.collect(),
        };
        Ok(Record::Control(event.into()))
    }

    /// The row as callers see it.
    pub(super) fn read(self) -> Result<AuditRow, StoreError> {
        let kind: EventKind = column("kind").parse(&self.kind)?;
        let record = match kind {
            EventKind::Malformed => self.finding()?,
            _ => column("document").json(&self.document)?,
        };
        let currency = self.currency.as_deref().map(|text| column("currency").word(text));
        Ok(AuditRow {
            origin: column("origin").parse(&self.origin)?,
            index: column("log_index").count(self.log_index)?,
            leaf_hash: self
                .leaf_hash
                .as_slice()
                .try_into()
                .map_err(|why| column("leaf_hash").corrupt("…", why))?,
            at: Timestamp::from_micros(self.at),
            kind,
            decision_id: column("decision_id").parse_some(self.decision_id.as_deref())?,
            tenant: column("tenant").parse_some(self.tenant.as_deref())?,
            credential: self.credential,
            model: self.model,
            action: self.action,
            region: column("region").parse_some(self.region.as_deref())?,
            status: column("status").parse_some(self.status.as_deref())?,
            code: column("code").parse_some(self.code.as_deref())?,
            policy: column("policy").parse_some(self.policy.as_deref())?,
            items: column("items").count(self.items)?,
            characters: column("characters").count(self.characters)?,
            tokens: column("tokens").count(self.tokens)?,
            cost_micros: self.cost_micros,
            currency: currency.transpose()?,
            redactions: column("redactions").json(&self.redactions)?,
            record,
            document: self.document,
        })
    }
}
