use std::{collections::BTreeMap, sync::Arc};

use actix_web::{HttpResponse, web};
use reeve_domain::{Code, Origin};
use reeve_store::log::{self, Log};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    files::{LogDirs, LogKey},
    problem::{Problem, Refused},
    sent::Sent,
    signed_in::{Auditor, SignedIn},
    state::{Control, Deed, block},
};

/// How a log stands.
#[derive(Serialize, ToSchema)]
pub(crate) struct LogStatus {
    origin: String,
    /// Leaves: of the newest checkpoint, or of the last verification where the log cannot be read.
    size: u64,
    /// Root hash of the newest checkpoint, as hexadecimal; null if the log cannot be read here.
    #[schema(required = true)]
    root: Option<String>,
    /// Leaves of the largest checkpoint that the control plane cosigned as a witness; null if none.
    #[schema(required = true)]
    witnessed: Option<u64>,
    /// When it was last verified, RFC 3339.
    #[schema(required = true)]
    verified_at: Option<String>,
    findings: Vec<FindingView>,
    /// Whether it was verified and nothing was found.
    healthy: bool,
}

/// Something that is wrong with a log.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = Finding)]
pub(crate) struct FindingView {
    kind: String,
    file: String,
    #[schema(required = true)]
    index: Option<u64>,
    detail: String,
}

/// Which log.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LogQuery {
    /// The log's name.
    origin: String,
}

/// List the logs.
#[utoipa::path(
    get, path = "/api/v1/logs", tag = "logs", operation_id = "listLogs",
    responses(
        (status = 200, description = "All logs", body = [LogStatus]),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []))
)]
pub(crate) async fn list(
    control: web::Data<Control>,
    _: SignedIn<Auditor>,
) -> Result<HttpResponse, Refused> {
    Ok(HttpResponse::Ok().json(all(&control).await?))
}

pub(crate) async fn all(control: &Control) -> Result<Vec<LogStatus>, Refused> {
    let rows = control.read(log::list).await?;
    let files = Arc::clone(&control.files);
    block(move || rows.into_iter().map(|row| status(files.as_ref(), row)).collect()).await
}

/// The key that is registered for a log, and not the one beside it: whoever replaces a log replaces
/// that too.
pub(crate) fn key(log: &Log) -> Option<LogKey> {
    Some(log.vkey.clone()).filter(|key| !key.is_empty()).map(LogKey)
}

fn status(files: &LogDirs, row: Log) -> LogStatus {
    let head = files.head(&row.origin);
    let unreadable = || {
        vec![FindingView {
            kind: "malformed".to_owned(),
            file: String::new(),
            index: None,
            detail: "the stored findings cannot be read".to_owned(),
        }]
    };
    let findings: Vec<FindingView> = row
        .findings
        .as_deref()
        .map_or_else(Vec::new, |text| serde_json::from_str(text).unwrap_or_else(|_| unreadable()));
    LogStatus {
        origin: row.origin.to_string(),
        size: head.map_or(row.verified_size.unwrap_or(0), |(size, _)| size),
        root: head.map(|(_, root)| hex::encode(root)),
        witnessed: files.witnessed(&row.origin).map(|seen| seen.size),
        verified_at: row.verified_at.map(|at| at.to_string()),
        healthy: row.verified_at.is_some() && findings.is_empty(),
        findings,
    }
}

/// Verify a log now.
#[utoipa::path(
    post, path = "/api/v1/logs/verify", tag = "logs", operation_id = "verifyLog", params(LogQuery),
    responses(
        (status = 200, description = "What was found", body = LogStatus),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "audit-unavailable, store-unavailable", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []))
)]
pub(crate) async fn verify(
    control: web::Data<Control>,
    signed_in: SignedIn<Auditor>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let query: LogQuery = sent.query()?;
    let origin = Origin::new(&query.origin).map_err(|_| Code::NotFound)?;
    let known = control.read(log::list).await?;
    let log = known.into_iter().find(|log| log.origin == origin).ok_or(Code::NotFound)?;
    let deed = Deed {
        actor: signed_in.actor(),
        action: "log.verify",
        target: origin.to_string(),
        tenant: None,
        details: BTreeMap::new(),
    };
    control.record(&deed, None).await?;
    let (files, of) = (Arc::clone(&control.files), origin.clone());
    let verified =
        block(move || files.verify(&of, key(&log).as_ref())).await?.ok_or(Code::NotFound)?;
    let findings: Vec<FindingView> = verified
        .faults
        .into_iter()
        .map(|fault| FindingView {
            kind: fault.kind,
            file: fault.file,
            index: fault.index,
            detail: fault.detail,
        })
        .collect();
    let text = serde_json::to_string(&findings).map_err(|why| Refused::internal(&why))?;
    let (now, size, of) = (control.clock.now(), verified.size, origin.clone());
    control.write(move |c| log::set_verified(c, &of, now, size, &text)).await?;
    Ok(HttpResponse::Ok().json(LogStatus {
        origin: origin.to_string(),
        size,
        root: verified.root.map(hex::encode),
        witnessed: control.files.witnessed(&origin).map(|seen| seen.size),
        verified_at: Some(now.to_string()),
        healthy: findings.is_empty(),
        findings,
    }))
}
