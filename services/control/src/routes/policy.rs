use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use reeve_domain::{BundleDocument, Code};
use reeve_policy::{Effect, Engine};
use reeve_store::policy::{self, ActiveBundle};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    problem::{Problem, Refused},
    signed_in::{PolicyReader, SignedIn},
    state::{Control, block},
};

/// The policy that decides now.
#[derive(Serialize, ToSchema)]
pub(crate) struct ActivePolicy {
    digest: String,
    version: i64,
    /// RFC 3339.
    activated_at: String,
    activated_by: String,
    name: String,
    rules: Vec<Rule>,
    /// Cedar text by file name, that of the rules that hold under every bundle among it.
    files: BTreeMap<String, String>,
    /// Plans by name.
    #[schema(value_type = BTreeMap<String, Object>)]
    plans: BTreeMap<String, Value>,
    /// Regions by name.
    #[schema(value_type = BTreeMap<String, Object>)]
    regions: BTreeMap<String, Value>,
}

/// One rule.
#[derive(Serialize, ToSchema)]
pub(crate) struct Rule {
    id: String,
    title: String,
    reason: String,
    /// The article of law that it stands for.
    article: Option<String>,
    /// `permit` or `forbid`.
    effect: &'static str,
    /// The actions that it is about; `*` for all.
    action: String,
    source: String,
    file: String,
}

/// The active policy.
#[utoipa::path(
    get, path = "/api/v1/policy", tag = "policy", operation_id = "getPolicy",
    responses(
        (status = 200, description = "The active policy", body = ActivePolicy),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found: no policy was activated yet", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []))
)]
pub(crate) async fn read(
    control: web::Data<Control>,
    _: SignedIn<PolicyReader>,
) -> Result<HttpResponse, Refused> {
    let active = control.read(policy::active).await?.ok_or(Code::NotFound)?;
    let view = block(move || view(active)).await??;
    Ok(HttpResponse::Ok().json(view))
}

fn view(active: ActiveBundle) -> Result<ActivePolicy, Refused> {
    let document = BundleDocument { digest: active.digest, document: active.document };
    let engine = Engine::compile(&document).map_err(|why| Refused::internal(&why))?;
    let bundle = engine.bundle();
    let floor = (reeve_policy::FLOOR.to_owned(), reeve_policy::FLOOR_TEXT.to_owned());
    let rules = engine.rules().into_iter().map(|rule| Rule {
        id: rule.id.to_string(),
        title: rule.title,
        reason: rule.reason,
        article: rule.article,
        effect: match rule.effect {
            Effect::Permit => "permit",
            Effect::Forbid => "forbid",
        },
        action: match rule.actions.as_slice() {
            [_, _, _] => "*".to_owned(),
            some => some.join(", "),
        },
        source: rule.source,
        file: rule.file,
    });
    Ok(ActivePolicy {
        digest: document.digest.to_string(),
        version: active.version,
        activated_at: active.activated_at.to_string(),
        activated_by: active.activated_by,
        name: bundle.name.clone(),
        rules: rules.collect(),
        files: bundle.cedar.clone().into_iter().chain([floor]).collect(),
        plans: as_json(&bundle.plans)?,
        regions: as_json(&bundle.regions)?,
    })
}

fn as_json<K: ToString, V: Serialize>(
    named: &BTreeMap<K, V>,
) -> Result<BTreeMap<String, Value>, Refused> {
    let one = |(name, value): (&K, &V)| Ok((name.to_string(), serde_json::to_value(value)?));
    let all: Result<_, serde_json::Error> = named.iter().map(one).collect();
    all.map_err(|why| Refused::internal(&why))
}
