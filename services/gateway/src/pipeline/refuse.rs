use std::time::Duration;

use actix_web::HttpResponse;
use reeve_domain::{
    Caller, Code, Decision, DecisionId, DecisionInput, Record, Refusal, ShadowDifference, Timestamp,
};
use reeve_limits::LimitState;

use super::call::CallHead;
use crate::{
    Gate,
    fronts::Front,
    problem::{FieldError, Problem},
};

/// A call that will not be made, and all that its record and its answer need. It can become an
/// answer only through [`refuse`].
#[derive(Debug)]
pub struct Refused {
    pub(super) id: DecisionId,
    pub(super) at: Timestamp,
    pub(super) route: &'static str,
    pub(super) front: &'static dyn Front,
    pub(super) code: Code,
    pub(super) caller: Option<Caller>,
    pub(super) detail: Option<String>,
    pub(super) errors: Vec<FieldError>,
    pub(super) retry_after: Option<Duration>,
    pub(super) limits: Option<LimitState>,
    pub(super) input: Option<Box<DecisionInput>>,
    pub(super) decision: Option<Box<Decision>>,
    pub(super) shadow: Option<ShadowDifference>,
    /// The log already tells how this call ended, or cannot be written: nothing more to record.
    pub(super) recorded: bool,
}

impl Refused {
    pub(crate) fn new(head: &CallHead, caller: Option<&Caller>, code: Code) -> Box<Self> {
        Box::new(Self {
            id: head.id,
            at: head.at,
            route: head.route,
            front: head.front,
            code,
            caller: caller.cloned(),
            detail: None,
            errors: Vec::new(),
            retry_after: None,
            limits: None,
            input: None,
            decision: None,
            shadow: None,
            recorded: false,
        })
    }

    #[must_use]
    pub(crate) fn detail(mut self: Box<Self>, detail: impl Into<String>) -> Box<Self> {
        self.detail = Some(detail.into());
        self
    }

    #[must_use]
    pub(crate) fn field(mut self: Box<Self>, field: &str, message: impl Into<String>) -> Box<Self> {
        self.errors.push(FieldError { field: field.to_owned(), message: message.into() });
        self
    }

    #[must_use]
    pub(super) fn decided(mut self: Box<Self>, input: &DecisionInput, by: &Decision) -> Box<Self> {
        self.input = Some(Box::new(input.clone()));
        self.decision = Some(Box::new(by.clone()));
        self
    }
}

/// Records a refusal and answers it. If it cannot be recorded the answer is 503
/// `audit-unavailable`: a refusal that left no trace is not given either.
pub async fn refuse(gate: &Gate, mut refused: Refused) -> HttpResponse {
    if !refused.recorded {
        let written = match refused.caller.clone() {
            Some(caller) => {
                let record = Record::Refusal(Box::new(Refusal {
                    decision_id: refused.id,
                    at: refused.at,
                    caller,
                    code: refused.code,
                    route: refused.route.to_owned(),
                    input: refused.input.take(),
                    decision: refused.decision.clone(),
                    shadow: refused.shadow.take(),
                }));
                super::record::append(gate, &record).await.is_ok()
            }
            None => {
                gate.anonymous.count(refused.code, refused.at);
                gate.ledger.is_available()
            }
        };
        if !written {
            refused.code = Code::AuditUnavailable;
            refused.detail = None;
            refused.errors.clear();
            refused.decision = None;
        }
    }
    reeve_telemetry::metrics::request_refused(refused.route, refused.code);
    let mut problem = Problem::new(refused.code, refused.id);
    problem.detail = refused.detail;
    problem.errors = refused.errors;
    if let Some(decision) = &refused.decision {
        problem.rules = decision
            .refused
            .iter()
            .flat_map(|region| &region.rules)
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .map(Into::into)
            .collect();
    }
    let written = refused.front.refusal(&problem);
    let mut response = problem.builder(refused.retry_after, &written);
    if let Some(decision) = &refused.decision {
        response.insert_header(("Reeve-Policy", decision.policy.to_string()));
    }
    if let Some(limits) = &refused.limits {
        response.insert_header(("RateLimit-Policy", limits.policy_header()));
        response.insert_header(("RateLimit", limits.state_header()));
    }
    response.body(written.body)
}
