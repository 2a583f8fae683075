use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use reeve_domain::{Code, Digest};
use reeve_store::model;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    problem::{Problem, Refused},
    sent::Sent,
    signed_in::{OperationsReader, Operator, SignedIn},
    state::{Control, Deed},
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
    /// Whether a declaration of conformity is on file for it (Art. 47).
    conformity: bool,
    /// Whether instructions for use are (Art. 13).
    instructions: bool,
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

/// What is on file for a model.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelPapers {
    /// `minimal`, `limited` or `high` (Regulation (EU) 2024/1689).
    risk_class: String,
    /// Whether a declaration of conformity is on file for it (Art. 47).
    conformity: bool,
    /// Whether instructions for use are (Art. 13).
    instructions: bool,
}

/// Risk classes that a model can have. What is prohibited is a purpose, not a model.
const RISK_CLASSES: [&str; 3] = ["minimal", "limited", "high"];

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
            conformity: model.facts.conformity,
            instructions: model.facts.instructions,
            labels: model.labels,
            shared_with: model.shared_with.iter().map(ToString::to_string).collect(),
        })
        .collect();
    Ok(HttpResponse::Ok().json(ModelPage { items, next: None }))
}

/// Change what is on file for a model version. Gateways follow within a second.
#[utoipa::path(
    put, path = "/api/v1/models/{digest}/papers", tag = "models", operation_id = "setModelPapers",
    params(("digest" = String, Path, description = "The version's digest")),
    request_body = ModelPapers,
    responses(
        (status = 204, description = "It is on file"),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn set_papers(
    control: web::Data<Control>,
    signed_in: SignedIn<Operator>,
    digest: web::Path<String>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let papers: ModelPapers = sent.json()?;
    if !RISK_CLASSES.contains(&papers.risk_class.as_str()) {
        return Err(Refused::field("risk_class", "must be `minimal`, `limited` or `high`"));
    }
    let digest: Digest = digest.parse().map_err(|_| Code::NotFound)?;
    let deed = Deed {
        actor: signed_in.actor(),
        action: "model.papers",
        target: digest.to_string(),
        tenant: None,
        details: BTreeMap::from([
            ("risk_class".to_owned(), papers.risk_class.clone()),
            ("conformity".to_owned(), papers.conformity.to_string()),
            ("instructions".to_owned(), papers.instructions.to_string()),
        ]),
    };
    control
        .change(&deed, move |c| {
            let ModelPapers { risk_class, conformity, instructions } = &papers;
            model::set_papers(c, &digest, risk_class, *conformity, *instructions)
        })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
