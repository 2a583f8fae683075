use std::time::Duration;

use actix_web::{HttpResponse, HttpResponseBuilder, http::StatusCode};
use reeve_domain::{Code, DecisionId, RuleRef};
use serde::Serialize;
use utoipa::ToSchema;

use crate::fronts::Written;

/// An RFC 9457 problem: what every refused call is answered with.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// `urn:reeve:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same sentence for every occurrence of the code.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The stable code.
    pub code: &'static str,
    /// What was wrong this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The call's id; the record stands under it.
    pub decision_id: String,
    /// Fields that are not valid.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Policy rules that deny the call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleReason>,
}

/// A field of the request that is not valid.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FieldError {
    /// The field, as in the request's JSON.
    pub field: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// A policy rule and what the tenant is told of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RuleReason {
    /// The rule's id.
    pub id: String,
    /// Why it decided so.
    pub reason: String,
}

impl From<&RuleRef> for RuleReason {
    fn from(rule: &RuleRef) -> Self {
        Self { id: rule.id.to_string(), reason: rule.reason.clone() }
    }
}

impl Problem {
    pub(crate) fn new(code: Code, id: DecisionId) -> Self {
        Self {
            kind: format!("urn:reeve:problem:{code}"),
            title: code.title(),
            status: code.status(),
            code: code.as_str(),
            detail: None,
            decision_id: id.to_string(),
            errors: Vec::new(),
            rules: Vec::new(),
        }
    }

    /// All that it says, for clients whose errors are one text.
    pub(crate) fn sentence(&self) -> String {
        let mut words = self.title.to_owned();
        let errors = self.errors.iter().map(|at| match at.field.as_str() {
            "" => at.message.clone(),
            field => format!("`{field}` {}", at.message),
        });
        let rules = self.rules.iter().map(|rule| rule.reason.clone());
        for part in self.detail.iter().cloned().chain(errors).chain(rules) {
            words.push(' ');
            words.push_str(&part);
        }
        words
    }

    pub(crate) fn builder(
        &self,
        retry_after: Option<Duration>,
        written: &Written,
    ) -> HttpResponseBuilder {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = HttpResponse::build(status);
        response.content_type(written.content_type);
        for header in &written.headers {
            response.insert_header((header.0, header.1.as_str()));
        }
        response.insert_header(("Reeve-Decision", self.decision_id.as_str()));
        response.insert_header(("Reeve-Code", self.code));
        if status == StatusCode::UNAUTHORIZED {
            response.insert_header(("WWW-Authenticate", "Bearer realm=\"reeve\""));
        }
        let waits = matches!(self.status, 429 | 503);
        if let Some(wait) = retry_after.or(waits.then_some(Duration::from_secs(1))) {
            // Rounded up: a client that waits so long must not come too early.
            let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
            response.insert_header(("Retry-After", seconds.to_string()));
        }
        response
    }
}
