use actix_web::{HttpResponse, web};
use reeve_store::model;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    problem::{Problem, Refused},
    signed_in::{OperationsReader, SignedIn},
    state::Control,
};

/// A version of a model.
#[derive(Serialize, ToSchema)]
#[schema(as = Model)]
pub(crate) struct ModelView {
    name: String,
    version: String,
    digest: String,
    generative: bool,
    /// Risk class under Regulation (EU) 2024/1689.
    risk_class: String,
    labels: Vec<String>,
    /// Tenants that may use it; empty: all.
    shared_with: Vec<String>,
}

/// All model versions.
#[derive(Serialize, ToSchema)]
pub(crate) struct ModelPage {
    items: Vec<ModelView>,
    /// Always null: all of them are on one page.
    #[schema(required = true)]
    next: Option<String>,
}

/// List model versions.
#[utoipa::path(
    get, path = "/api/v1/models", tag = "models", operation_id = "listModels",
    responses(
        (status = 200, description = "All model versions", body = ModelPage),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []))
)]
pub(crate) async fn list(
    control: web::Data<Control>,
    _: SignedIn<OperationsReader>,
) -> Result<HttpResponse, Refused> {
    let rows = control.read(model::list).await?;
    let items = rows
        .into_iter()
        .map(|model| ModelView {
            name: model.facts.name.to_string(),
            version: model.facts.version,
            digest: model.facts.digest.to_string(),
            generative: model.facts.generative,
            risk_class: model.facts.risk_class,
            labels: model.labels,
            shared_with: model.shared_with.iter().map(ToString::to_string).collect(),
        })
        .collect();
    Ok(HttpResponse::Ok().json(ModelPage { items, next: None }))
}
