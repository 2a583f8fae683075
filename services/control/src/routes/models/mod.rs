//! Models: what there is of them, to whom they are offered, and which version answers whom.

pub(super) mod alerts;
pub(super) mod changes;
pub(super) mod detail;
pub(super) mod observations;
pub(super) mod offer;
pub(super) mod placement;
pub(super) mod routing;
pub(super) mod upload;
pub(super) mod withdrawal;

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use reeve_domain::{Actor, Code, Digest, Model, ModelName, TenantId};
use reeve_store::{
    Connection, StoreError, catalog,
    model::{self, VersionRow},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    problem::{Problem, Refused},
    sent::Sent,
    signed_in::{ModelReader, Operator, SignedIn},
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
    /// `candidate`, `approved` or `withdrawn`.
    state: &'static str,
    /// Aliases that lead to it.
    aliases: Vec<String>,
    /// The bytes of its bundle; 0 if it was never in the registry.
    size: u64,
    /// RFC 3339.
    created_at: String,
    created_by: String,
}

impl ModelView {
    pub(super) fn of(row: VersionRow, model: Option<&Model>) -> Self {
        let facts = row.version.facts;
        let routes = model.into_iter().flat_map(|model| &model.routes);
        let here = routes.filter(|(_, route)| route.digest == facts.digest);
        Self {
            aliases: here.map(|(alias, _)| alias.to_string()).collect(),
            name: facts.name.to_string(),
            version: facts.version,
            digest: facts.digest.to_string(),
            generative: facts.generative,
            risk_class: facts.risk_class,
            conformity: facts.conformity,
            instructions: facts.instructions,
            labels: row.version.labels,
            state: row.version.state.as_str(),
            size: row.size,
            created_at: row.created_at.to_string(),
            created_by: row.created_by,
        }
    }
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
    _: SignedIn<ModelReader>,
) -> Result<HttpResponse, Refused> {
    let (rows, models) = control.read(|c| Ok((model::rows(c)?, catalog::list(c)?))).await?;
    let of = |name: &ModelName| models.iter().find(|model| model.name == *name);
    let view = |row: VersionRow| {
        let model = of(&row.version.facts.name);
        ModelView::of(row, model)
    };
    let items = rows.into_iter().map(view).collect();
    Ok(HttpResponse::Ok().json(ModelPage { items, next: None }))
}

/// The model of a name in an address, and all its versions.
pub(super) fn known(
    c: &mut Connection,
    name: &ModelName,
) -> Result<(Model, Vec<VersionRow>), StoreError> {
    let model = catalog::get(c, name)?.ok_or(StoreError::NotFound("model"))?;
    Ok((model, model::rows_of(c, name)?))
}

/// The name in an address.
pub(super) fn named(name: &str) -> Result<ModelName, Refused> {
    ModelName::new(name).map_err(|_| Code::NotFound.into())
}

/// A digest in a request.
pub(super) fn digest(field: &str, text: &str) -> Result<Digest, Refused> {
    text.parse().map_err(|why| Refused::field(field, why))
}

/// A reason in a request, which every deed about what answers must have.
pub(super) fn reason(text: &str) -> Result<String, Refused> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > 500 {
        return Err(Refused::field("reason", "must have 1 to 500 characters"));
    }
    Ok(text.to_owned())
}

/// A share in a request, in thousandths.
pub(super) fn share(permille: u16, least: u16) -> Result<u16, Refused> {
    if (least..=1000).contains(&permille) {
        return Ok(permille);
    }
    Err(Refused::field("permille", format!("must be a number from {least} to 1000")))
}

/// Who does it, as rows name them.
pub(super) fn by(deed: &Deed) -> String {
    match &deed.actor {
        Actor::User(id) => id.to_string(),
        Actor::Operator => "operator".to_owned(),
        Actor::System => "system".to_owned(),
        Actor::Anonymous => "anonymous".to_owned(),
    }
}

/// Something that is done to a model.
pub(super) fn deed<R, const N: usize>(
    signed_in: &SignedIn<R>,
    action: &'static str,
    target: impl ToString,
    owner: Option<&TenantId>,
    details: [(&str, String); N],
) -> Deed {
    Deed {
        actor: signed_in.actor(),
        action,
        target: target.to_string(),
        tenant: owner.cloned(),
        details: BTreeMap::from(details.map(|(name, value)| (name.to_owned(), value))),
    }
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
