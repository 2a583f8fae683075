use std::{collections::BTreeMap, sync::Arc};

use actix_web::{HttpResponse, web};
use reeve_domain::{Code, SubjectHash};
use reeve_ledger::ReceiptProof;
use reeve_store::{
    erasure::{self, Erasure},
    legal_hold, log,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::holds::{known_tenant, new_id, reason};
use crate::{
    problem::{Problem, Refused},
    sent::Sent,
    signed_in::{OperationsReader, Operator, SignedIn},
    state::{Control, Deed, block},
};

/// A request to erase what is kept of a person.
#[derive(Serialize, ToSchema)]
#[schema(as = Erasure)]
pub(crate) struct ErasureView {
    id: String,
    tenant: String,
    /// The person under the installation's keyed hash.
    subject: String,
    reason: String,
    by: String,
    at: String,
    /// `pending` or `done`.
    state: String,
    /// When it was done, RFC 3339.
    #[schema(required = true)]
    done_at: Option<String>,
    /// Keys that were destroyed.
    keys: u64,
    /// Payloads that were destroyed.
    payloads: u64,
    /// Their bytes.
    bytes: u64,
}

/// The newest requests.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErasureList {
    items: Vec<ErasureView>,
}

/// Whose payloads shall be erased.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewErasure {
    tenant: String,
    /// The person's id, as calls give it in `Reeve-Subject`. It is kept as a keyed hash only.
    subject: String,
    /// Why.
    reason: String,
}

const SHOWN: usize = 200;

/// List erasures, the newest first.
#[utoipa::path(
    get, path = "/api/v1/erasures", tag = "keeping", operation_id = "listErasures",
    responses(
        (status = 200, description = "The newest erasures", body = ErasureList),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn list(
    control: web::Data<Control>,
    _: SignedIn<OperationsReader>,
) -> Result<HttpResponse, Refused> {
    let items = control.read(|c| erasure::list(c, SHOWN)).await?.into_iter().map(view).collect();
    Ok(HttpResponse::Ok().json(ErasureList { items }))
}

/// Erase a person: destroys the keys of everything that is kept sealed about them, and the
/// ciphertexts, and writes a certificate. Records stay, and every proof holds.
#[utoipa::path(
    post, path = "/api/v1/erasures", tag = "keeping", operation_id = "createErasure",
    request_body = NewErasure,
    responses(
        (status = 202, description = "It is being done", body = ErasureView),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found: no such tenant", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "legal-hold", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn create(
    control: web::Data<Control>,
    signed_in: SignedIn<Operator>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let asked: NewErasure = sent.json()?;
    let tenant = known_tenant(&control, &asked.tenant).await?;
    let new = Erasure {
        id: new_id(&control, "erasure"),
        tenant: tenant.clone(),
        subject: subject(&control, &asked.subject)?,
        reason: reason(&asked.reason)?,
        by: signed_in.user.id.clone(),
        at: control.clock.now(),
        done: None,
    };
    let deed = Deed {
        actor: signed_in.actor(),
        action: "subject.request-erasure",
        target: new.id.clone(),
        tenant: Some(tenant),
        details: BTreeMap::from([
            ("subject".to_owned(), new.subject.to_string()),
            ("reason".to_owned(), new.reason.clone()),
        ]),
    };
    let holds = control.read(legal_hold::list).await?;
    if let Some(hold) = holds.iter().find(|hold| hold.covers(&new.tenant, Some(&new.subject))) {
        control.record(&deed, Some(Code::LegalHold)).await?;
        return Err(Refused::from(Code::LegalHold).because(format!("{}: {}", hold.id, hold.reason)));
    }
    let row = new.clone();
    control.change(&deed, move |c| erasure::insert(c, &row)).await?;
    Ok(HttpResponse::Accepted().json(view(new)))
}

/// Get the certificate of an erasure: its record with the proof that it stands in the control
/// plane's log, checkable offline with `reeve ledger verify --receipt`.
#[utoipa::path(
    get, path = "/api/v1/erasures/{id}/certificate", tag = "keeping",
    operation_id = "getErasureCertificate",
    params(("id" = String, Path, description = "The erasure")),
    responses(
        (status = 200, description = "`{\"receipts\": […]}`", body = Object),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found: no such erasure, or it is not done", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "audit-unavailable", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn certificate(
    control: web::Data<Control>,
    _: SignedIn<OperationsReader>,
    id: web::Path<String>,
) -> Result<HttpResponse, Refused> {
    let erasure = control.read(move |c| erasure::get(c, &id)).await?;
    let done = erasure.done.ok_or(Code::NotFound)?;
    let origin = control.origin.clone();
    let files = Arc::clone(&control.files);
    let proof = block(move || -> Option<ReceiptProof> {
        files.reader(&origin)?.receipt(done.certificate).ok()
    });
    let proof = proof.await?.ok_or(Code::AuditUnavailable)?;
    Ok(HttpResponse::Ok().json(serde_json::json!({ "receipts": [proof] })))
}

/// The public keys with which receipts are checked.
#[derive(Serialize, ToSchema)]
pub(crate) struct LogKeys {
    /// C2SP verifier keys of the logs: `name+hash+key`.
    logs: Vec<String>,
    /// C2SP verifier keys of the witnesses.
    witnesses: Vec<String>,
}

/// List the public keys with which receipts are checked.
#[utoipa::path(
    get, path = "/api/v1/logs/keys", tag = "logs", operation_id = "listLogKeys",
    responses(
        (status = 200, description = "Public keys", body = LogKeys),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn keys(
    control: web::Data<Control>,
    _: SignedIn<crate::signed_in::Anyone>,
) -> Result<HttpResponse, Refused> {
    let logs = control.read(log::list).await?;
    let logs = logs.into_iter().map(|log| log.vkey).filter(|key| !key.is_empty()).collect();
    let witnesses = control.witness_keys.clone();
    Ok(HttpResponse::Ok().json(LogKeys { logs, witnesses }))
}

/// The keyed hash that stands for a person.
pub(crate) fn subject(control: &Control, id: &str) -> Result<SubjectHash, Refused> {
    let id = id.trim();
    if id.is_empty() || id.chars().count() > 256 {
        return Err(Refused::field("subject", "must have 1 to 256 characters"));
    }
    Ok(control.pepper.subject(id))
}

fn view(erasure: Erasure) -> ErasureView {
    let done = erasure.done;
    ErasureView {
        id: erasure.id,
        tenant: erasure.tenant.to_string(),
        subject: erasure.subject.to_string(),
        reason: erasure.reason,
        by: erasure.by.to_string(),
        at: erasure.at.to_string(),
        state: if done.is_some() { "done" } else { "pending" }.to_owned(),
        done_at: done.map(|done| done.at.to_string()),
        keys: done.map_or(0, |done| done.keys),
        payloads: done.map_or(0, |done| done.payloads),
        bytes: done.map_or(0, |done| done.bytes),
    }
}
