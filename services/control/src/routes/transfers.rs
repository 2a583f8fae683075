use actix_web::{HttpResponse, web};
use reeve_store::transfer::{self, Total};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    problem::{Problem, Refused},
    signed_in::{PolicyReader, SignedIn},
    state::Control,
};

/// Persons whose data a legal entity has sent out of a jurisdiction in a year.
#[derive(Serialize, ToSchema)]
pub(crate) struct TransferTotal {
    /// The legal entity, or `tenant:` and the id of a tenant that belongs to none.
    entity: String,
    /// The jurisdiction that protects the persons.
    law: String,
    /// The calendar year there.
    year: i64,
    /// Distinct persons.
    subjects: u64,
    /// Those of them with sensitive data.
    sensitive: u64,
}

impl From<Total> for TransferTotal {
    fn from(from: Total) -> Self {
        Self {
            entity: from.entity,
            law: from.law,
            year: from.year,
            subjects: from.count.subjects,
            sensitive: from.count.sensitive,
        }
    }
}

/// Totals, the newest year first.
#[derive(Serialize, ToSchema)]
pub(crate) struct TransferTotals {
    items: Vec<TransferTotal>,
}

/// List how many persons' data has left.
#[utoipa::path(
    get, path = "/api/v1/transfers", tag = "policy", operation_id = "listTransfers",
    responses(
        (status = 200, description = "Totals", body = TransferTotals),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn list(
    control: web::Data<Control>,
    _: SignedIn<PolicyReader>,
) -> Result<HttpResponse, Refused> {
    let items = control.read(transfer::totals).await?.into_iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(TransferTotals { items }))
}
