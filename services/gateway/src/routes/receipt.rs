use actix_web::{HttpRequest, HttpResponse, web};
use reeve_domain::Code;
use reeve_ledger::{Reader, ReceiptProof};

use crate::{
    fronts::native::Native,
    gate::Gate,
    pipeline::{Call, authenticate, refuse},
    problem::Problem,
};

/// Prove that one of your calls stands in the log: its records with inclusion proofs under a
/// signed checkpoint, checkable offline with `reeve ledger verify --receipt`.
#[utoipa::path(
    get, path = "/v1/receipts/{id}", tag = "decisions", operation_id = "getReceipt",
    params(("id" = String, Path, description = "`Reeve-Decision` of the call")),
    responses(
        (status = 200, description = "`{\"receipts\": […]}`, one for each record of the call", body = Object),
        (status = 404, description = "not-found: unknown, another tenant's, or not indexed yet", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "store-unavailable, audit-unavailable", body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn receipt(
    gate: web::Data<Gate>,
    request: HttpRequest,
    id: web::Path<String>,
    body: web::Payload,
) -> HttpResponse {
    let call = Call::new(&gate, &request, body.into_inner(), "/v1/receipts/{id}", &Native);
    let caller = match authenticate(&gate, call).and_then(|caller| caller.needs("read")) {
        Ok(caller) => caller,
        Err(refused) => return refuse(&gate, *refused).await,
    };
    let rows = match super::decision::rows_of(&gate, &caller, &id).await {
        Ok(rows) => rows,
        Err(code) => return refuse(&gate, *caller.refused(code)).await,
    };
    let dir = gate.ledger_dir.clone();
    let indices: Vec<u64> = rows.iter().map(|row| row.index).collect();
    match web::block(move || prove(&dir, &indices)).await {
        Ok(Some(receipts)) => HttpResponse::Ok().json(serde_json::json!({ "receipts": receipts })),
        _ => refuse(&gate, *caller.refused(Code::AuditUnavailable)).await,
    }
}

fn prove(dir: &std::path::Path, indices: &[u64]) -> Option<Vec<ReceiptProof>> {
    let reader = Reader::open(dir).ok()?;
    indices.iter().map(|index| reader.receipt(*index).ok()).collect()
}
