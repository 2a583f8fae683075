use std::{collections::BTreeMap, sync::Arc};

use actix_web::{HttpResponse, web};
use reeve_domain::{Code, DecisionId, Record};
use reeve_store::{
    audit::{self, AuditRow},
    log::{self, Log},
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::logs;
use crate::{
    files::LogDirs,
    problem::{Problem, Refused},
    signed_in::{Auditor, SignedIn},
    state::{Control, Deed, block},
};

/// One call in full.
#[derive(Serialize, ToSchema)]
pub(crate) struct DecisionView {
    decision_id: String,
    #[schema(required = true)]
    tenant: Option<String>,
    #[schema(required = true)]
    status: Option<String>,
    /// When it came, RFC 3339.
    at: String,
    stages: Vec<Stage>,
    /// The record as it stands in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    intent: Option<Value>,
    /// The record as it stands in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    outcome: Option<Value>,
    /// The record as it stands in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    refusal: Option<Value>,
    entries: Vec<Entry>,
}

/// A stage that the call went through.
#[derive(Serialize, ToSchema)]
pub(crate) struct Stage {
    name: &'static str,
    /// Microseconds, where they were measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_us: Option<u64>,
    detail: String,
}

/// A record of the call and its place in a log.
#[derive(Serialize, ToSchema)]
pub(crate) struct Entry {
    origin: String,
    index: u64,
    leaf_hash: String,
    /// Null if the log cannot be read here.
    #[schema(required = true)]
    inclusion: Option<InclusionView>,
}

/// The proof that a record stands in its log.
#[derive(Serialize, ToSchema)]
#[schema(as = Inclusion)]
pub(crate) struct InclusionView {
    verified: bool,
    tree_size: u64,
    /// As hexadecimal.
    root: String,
    /// RFC 6962 audit path, each hash as hexadecimal.
    proof: Vec<String>,
}

/// One call in full, with proofs. The reading is recorded.
#[utoipa::path(
    get, path = "/api/v1/decisions/{id}", tag = "audit", operation_id = "getDecision",
    params(("id" = String, Path, description = "The decision's id, `dec_…`")),
    responses(
        (status = 200, description = "The call", body = DecisionView),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "audit-unavailable, store-unavailable", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []))
)]
pub(crate) async fn read(
    control: web::Data<Control>,
    signed_in: SignedIn<Auditor>,
    id: web::Path<String>,
) -> Result<HttpResponse, Refused> {
    let id: DecisionId = id.parse().map_err(|_| Code::NotFound)?;
    let deed = Deed {
        actor: signed_in.actor(),
        action: "audit.read",
        target: id.to_string(),
        tenant: None,
        details: BTreeMap::new(),
    };
    control.record(&deed, None).await?;
    let (rows, logs) =
        control.read(move |c| Ok((audit::get_by_decision(c, &id)?, log::list(c)?))).await?;
    if rows.is_empty() {
        return Err(Code::NotFound.into());
    }
    let files = Arc::clone(&control.files);
    let (rows, entries) = block(move || {
        let entries = rows.iter().map(|row| entry(files.as_ref(), &logs, row)).collect();
        (rows, entries)
    })
    .await?;
    let newest = rows.last().ok_or(Code::NotFound)?;
    let oldest = rows.first().ok_or(Code::NotFound)?;
    let mut view = DecisionView {
        decision_id: id.to_string(),
        tenant: newest.tenant.as_ref().map(ToString::to_string),
        status: newest.status.map(|status| status.to_string()),
        at: oldest.at.to_string(),
        stages: stages(&rows),
        intent: None,
        outcome: None,
        refusal: None,
        entries,
    };
    for row in &rows {
        let record = serde_json::from_str(&row.document).ok();
        match &row.record {
            Record::Intent(_) => view.intent = record,
            Record::Outcome(_) => view.outcome = record,
            Record::Refusal(_) => view.refusal = record,
            Record::RefusalAggregate(_)
            | Record::Comparison(_)
            | Record::Observation(_)
            | Record::Control(_) => {}
        }
    }
    Ok(HttpResponse::Ok().json(view))
}

fn entry(files: &LogDirs, logs: &[Log], row: &AuditRow) -> Entry {
    let key = logs.iter().find(|log| log.origin == row.origin).and_then(logs::key);
    let inclusion = files.prove(&row.origin, row.index, &row.leaf_hash, key.as_ref());
    Entry {
        origin: row.origin.to_string(),
        index: row.index,
        leaf_hash: hex::encode(row.leaf_hash),
        inclusion: inclusion.map(|inclusion| InclusionView {
            verified: inclusion.verified,
            tree_size: inclusion.tree_size,
            root: hex::encode(inclusion.root),
            proof: inclusion.proof.iter().map(hex::encode).collect(),
        }),
    }
}

fn stages(rows: &[AuditRow]) -> Vec<Stage> {
    let timings = rows.iter().find_map(|row| match &row.record {
        Record::Outcome(outcome) => Some(outcome.timings),
        _ => None,
    });
    let mut stages = Vec::new();
    let mut stage = |name, duration_us, detail: String| {
        stages.push(Stage { name, duration_us, detail });
    };
    for row in rows {
        match &row.record {
            Record::Intent(intent) => {
                let regions: Vec<_> =
                    intent.decision.permitted.iter().map(ToString::to_string).collect();
                stage(
                    "decide",
                    timings.map(|timings| timings.decide_us),
                    format!("permitted in {}", regions.join(", ")),
                );
                let count: u64 = intent.redactions.values().map(|count| u64::from(*count)).sum();
                stage("redact", None, format!("{count} values redacted"));
                stage(
                    "record",
                    timings.map(|timings| timings.record_us),
                    format!("leaf {} of {}", row.index, row.origin),
                );
            }
            Record::Outcome(outcome) => {
                let region = outcome.region.as_ref().map_or("no region", |region| region.as_str());
                stage("forward", Some(outcome.timings.forward_us), format!("to {region}"));
                let settled = outcome.code.map_or_else(
                    || format!("{} items, {}", outcome.usage.items, outcome.cost),
                    |code| code.to_string(),
                );
                stage("settle", None, settled);
            }
            Record::Refusal(refusal) => stage("refuse", None, refusal.code.to_string()),
            Record::RefusalAggregate(_)
            | Record::Comparison(_)
            | Record::Observation(_)
            | Record::Control(_) => {}
        }
    }
    stages
}
