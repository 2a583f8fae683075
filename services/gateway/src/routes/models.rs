use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    fronts::native::Native,
    gate::Gate,
    pipeline::{Call, authenticate, refuse},
    problem::Problem,
};

/// The models that the caller may use.
#[derive(Serialize, ToSchema)]
pub(crate) struct ModelList {
    models: Vec<ModelView>,
}

/// A model version.
#[derive(Serialize, ToSchema)]
pub(crate) struct ModelView {
    name: String,
    version: String,
    digest: String,
    labels: Vec<String>,
    /// Risk class under Regulation (EU) 2024/1689.
    risk_class: String,
    /// Aliases that lead to it; `production` is what answers when the model alone is named.
    aliases: Vec<String>,
    /// Regions where it is served.
    regions: Vec<String>,
}

/// List the models that you may use.
#[utoipa::path(
    get, path = "/v1/models", tag = "models", operation_id = "listModels",
    responses(
        (status = 200, description = "The models", body = ModelList),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn models(
    gate: web::Data<Gate>,
    request: HttpRequest,
    body: web::Payload,
) -> HttpResponse {
    let call = Call::new(&gate, &request, body.into_inner(), "/v1/models", &Native);
    let caller = match authenticate(&gate, call) {
        Ok(caller) => caller,
        Err(refused) => return refuse(&gate, *refused).await,
    };
    let snapshot = caller.snapshot();
    let models = snapshot
        .models(&caller.tenant().facts.id)
        .into_iter()
        .map(|(model, aliases)| ModelView {
            name: model.facts.name.to_string(),
            version: model.facts.version.clone(),
            digest: model.facts.digest.to_string(),
            labels: model.labels.clone(),
            risk_class: model.facts.risk_class.clone(),
            aliases: aliases.into_iter().map(ToString::to_string).collect(),
            regions: snapshot
                .regions(&model.facts.digest)
                .iter()
                .map(ToString::to_string)
                .collect(),
        })
        .collect();
    HttpResponse::Ok().json(ModelList { models })
}
