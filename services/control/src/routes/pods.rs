use actix_web::{HttpResponse, web};
use reeve_store::pod;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    problem::{Problem, Refused},
    signed_in::{OperationsReader, SignedIn},
    state::Control,
};

/// A process that runs models.
#[derive(Serialize, ToSchema)]
#[schema(as = Pod)]
pub(crate) struct PodView {
    id: String,
    region: String,
    url: String,
    /// Digests of the model bundles that it serves.
    models: Vec<String>,
    draining: bool,
}

/// All pods.
#[derive(Serialize, ToSchema)]
pub(crate) struct PodPage {
    items: Vec<PodView>,
    /// Always null: all of them are on one page.
    #[schema(required = true)]
    next: Option<String>,
}

/// List pods.
#[utoipa::path(
    get, path = "/api/v1/pods", tag = "pods", operation_id = "listPods",
    responses(
        (status = 200, description = "All pods", body = PodPage),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []))
)]
pub(crate) async fn list(
    control: web::Data<Control>,
    _: SignedIn<OperationsReader>,
) -> Result<HttpResponse, Refused> {
    let rows = control.read(pod::list).await?;
    let items = rows
        .into_iter()
        .map(|pod| PodView {
            id: pod.id.to_string(),
            region: pod.region.to_string(),
            url: pod.url,
            models: pod.models.iter().map(ToString::to_string).collect(),
            draining: pod.draining,
        })
        .collect();
    Ok(HttpResponse::Ok().json(PodPage { items, next: None }))
}
