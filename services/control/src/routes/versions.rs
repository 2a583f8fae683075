use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use reeve_domain::{Code, Digest};
use reeve_policy::{Bundle, Engine, Pack};
use reeve_store::policy::{self, Activation};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::changes::files;
use crate::{
    problem::{Problem, Refused},
    sent::Sent,
    signed_in::{PolicyApprover, PolicyReader, SignedIn},
    state::{Control, Deed, block},
};

/// An activation.
#[derive(Serialize, ToSchema)]
pub(crate) struct PolicyVersion {
    version: i64,
    digest: String,
    activated_at: String,
    activated_by: String,
    /// Who wrote the bundle down first.
    author: String,
    /// The change that brought it.
    change: Option<String>,
    /// The statement, signed with the installation's policy key, that gateways ask for (a JWS).
    statement: String,
}

impl From<Activation> for PolicyVersion {
    fn from(from: Activation) -> Self {
        Self {
            version: from.version,
            digest: from.digest.to_string(),
            activated_at: from.activated_at.to_string(),
            activated_by: from.activated_by,
            author: from.author,
            change: from.change,
            statement: from.statement,
        }
    }
}

/// Every activation, the newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct PolicyVersions {
    items: Vec<PolicyVersion>,
}

/// A bundle as files.
#[derive(Serialize, ToSchema)]
pub(crate) struct BundleFiles {
    digest: String,
    name: String,
    files: BTreeMap<String, String>,
}

/// Rules for one law that come with the program.
#[derive(Serialize, ToSchema)]
pub(crate) struct PackView {
    name: &'static str,
    title: &'static str,
    /// The file of a bundle that it becomes.
    file: String,
    cedar: &'static str,
}

/// All packs.
#[derive(Serialize, ToSchema)]
pub(crate) struct PackList {
    items: Vec<PackView>,
}

/// Back to what was active before.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rollback {
    /// The activation whose bundle shall be active again.
    version: i64,
    /// Why.
    reason: String,
}

/// List activations.
#[utoipa::path(
    get, path = "/api/v1/policy/versions", tag = "policy", operation_id = "listVersions",
    responses(
        (status = 200, description = "Activations", body = PolicyVersions),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn list(
    control: web::Data<Control>,
    _: SignedIn<PolicyReader>,
) -> Result<HttpResponse, Refused> {
    let all = control.read(policy::history).await?;
    let items = all.into_iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(PolicyVersions { items }))
}

/// List the packs that come with the program.
#[utoipa::path(
    get, path = "/api/v1/policy/packs", tag = "policy", operation_id = "listPacks",
    responses(
        (status = 200, description = "Packs", body = PackList),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn packs(_: SignedIn<PolicyReader>) -> HttpResponse {
    let items = Pack::ALL.iter().map(|pack| PackView {
        name: pack.name,
        title: pack.title,
        file: pack.file(),
        cedar: pack.cedar,
    });
    HttpResponse::Ok().json(PackList { items: items.collect() })
}

/// A bundle's files.
#[utoipa::path(
    get, path = "/api/v1/policy/bundles/{digest}", tag = "policy", operation_id = "getBundle",
    params(("digest" = String, Path, description = "The bundle's digest")),
    responses(
        (status = 200, description = "The files", body = BundleFiles),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn bundle(
    control: web::Data<Control>,
    _: SignedIn<PolicyReader>,
    digest: web::Path<String>,
) -> Result<HttpResponse, Refused> {
    let digest: Digest = digest.parse().map_err(|_| Code::NotFound)?;
    let document = control.read(move |c| policy::bundle(c, &digest)).await?;
    let document = document.ok_or(Code::NotFound)?;
    let name = Bundle::parse(&document).map(|bundle| bundle.name).unwrap_or_default();
    let (digest, files) = (digest.to_string(), files(&document));
    Ok(HttpResponse::Ok().json(BundleFiles { digest, name, files }))
}

/// Put a bundle in force again that was in force before. It was approved then.
#[utoipa::path(
    post, path = "/api/v1/policy/rollback", tag = "policy", operation_id = "rollBack",
    request_body = Rollback,
    responses(
        (status = 200, description = "The new activation", body = PolicyVersion),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found: no such activation", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "conflict: the bundle is active already", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request, policy-invalid: it can no longer be enforced", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn roll_back(
    control: web::Data<Control>,
    signed_in: SignedIn<PolicyApprover>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let asked: Rollback = sent.json()?;
    let reason = asked.reason.trim().to_owned();
    if reason.is_empty() || reason.chars().count() > 500 {
        return Err(Refused::field("reason", "must have 1 to 500 characters"));
    }
    let deed = Deed {
        actor: signed_in.actor(),
        action: "policy.roll-back",
        target: asked.version.to_string(),
        tenant: None,
        details: BTreeMap::from([("reason".to_owned(), reason)]),
    };
    let (before, active) = control.read(|c| Ok((policy::history(c)?, policy::active(c)?))).await?;
    let wanted = before.into_iter().find(|it| it.version == asked.version);
    let Some(wanted) = wanted else {
        control.record(&deed, Some(Code::NotFound)).await?;
        return Err(Code::NotFound.into());
    };
    if active.is_some_and(|active| active.digest == wanted.digest) {
        control.record(&deed, Some(Code::Conflict)).await?;
        return Err(Refused::from(Code::Conflict).because("it is active already"));
    }
    let digest = wanted.digest;
    let document = control.read(move |c| policy::bundle(c, &digest)).await?;
    let document = document.ok_or(Code::NotFound)?;
    if let Err(why) = block(move || Engine::compile(&document).map(drop)).await? {
        control.record(&deed, Some(Code::PolicyInvalid)).await?;
        return Err(Refused::from(Code::PolicyInvalid).because(why.to_string()));
    }
    let (by, at) = (signed_in.user.id.to_string(), control.clock.now());
    let sign = control.signer.of(digest, &by, at);
    control.change(&deed, move |c| policy::activate(c, &digest, &by, None, at, &sign)).await?;
    let newest = control.read(policy::history).await?.into_iter().next().ok_or(Code::NotFound)?;
    Ok(HttpResponse::Ok().json(PolicyVersion::from(newest)))
}
