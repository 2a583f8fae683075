use std::collections::BTreeSet;

use actix_web::{HttpResponse, web};
use reeve_domain::{Alias, Code, Digest, Region, VersionState};
use reeve_store::{
    StoreError, catalog, model,
    placement::{self, Placement},
    pod,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{by, deed};
use crate::{
    lifecycle::not,
    problem::{Problem, Refused},
    routes::changes::or_recorded,
    sent::Sent,
    signed_in::{Operator, SignedIn},
    state::Control,
};

/// Where a version shall be served.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPlacement {
    /// All regions where pods shall load it; in others they unload it.
    regions: Vec<String>,
}

/// Have the pods of these regions load a version from the registry, and those of others unload it.
#[utoipa::path(
    put, path = "/api/v1/models/{digest}/placement", tag = "models", operation_id = "placeModel",
    params(("digest" = String, Path, description = "The version's digest")),
    request_body = NewPlacement,
    responses(
        (status = 204, description = "The pods are told; `getModel` says how far they have come"),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "wrong-state: it was withdrawn, is not in the registry, or would be missing where it answers", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn set(
    control: web::Data<Control>,
    signed_in: SignedIn<Operator>,
    digest: web::Path<String>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let asked: NewPlacement = sent.json()?;
    let digest: Digest = digest.parse().map_err(|_| Code::NotFound)?;
    let regions = asked.regions.iter().map(Region::new).collect::<Result<BTreeSet<_>, _>>();
    let regions = regions.map_err(|why| Refused::field("regions", why))?;
    let (row, placed, pods, routed) = control
        .read(move |c| {
            let row = model::get(c, &digest)?.ok_or(StoreError::NotFound("model version"))?;
            let model = catalog::get(c, &row.version.facts.name)?;
            let routed = model.and_then(|it| it.routes.get(Alias::PRODUCTION).cloned());
            Ok((row, placement::list(c)?, pod::list(c)?, routed))
        })
        .await?;
    if let Some(nowhere) = regions.iter().find(|it| !pods.iter().any(|pod| pod.region == **it)) {
        return Err(Refused::field("regions", format!("no pod is registered in `{nowhere}`")));
    }
    let named: Vec<_> = regions.iter().map(Region::as_str).collect();
    let details = [
        ("model", row.version.facts.name.to_string()),
        ("version", row.version.facts.version.clone()),
        ("regions", named.join(",")),
    ];
    let deed = deed(&signed_in, "model.place", digest, None, details);
    let answers = routed.is_some_and(|route| {
        route.digest == digest || route.canary.is_some_and(|canary| canary.digest == digest)
    });
    let may = if row.version.state == VersionState::Withdrawn {
        Err(not(Code::WrongState, "it was withdrawn"))
    } else if row.size == 0 {
        Err(not(Code::WrongState, "its bundle is not in the registry: push it first"))
    } else if answers && regions.is_empty() {
        Err(not(Code::WrongState, "it answers in production: promote another version first"))
    } else {
        Ok(())
    };
    or_recorded(&control, &deed, may).await?;
    let here = placed.into_iter().filter(|placement| placement.digest == digest);
    let mut others: BTreeSet<Region> = here.map(|placement| placement.region).collect();
    let serving = pods.into_iter().filter(|pod| pod.models.contains(&digest));
    others.extend(serving.map(|pod| pod.region));
    let (changed_at, changed_by) = (control.clock.now(), by(&deed));
    control
        .change(&deed, move |c| {
            for region in regions.union(&others) {
                let wanted = regions.contains(region);
                let (region, changed_by) = (region.clone(), changed_by.clone());
                let new = Placement { digest, region, wanted, changed_at, changed_by };
                placement::set(c, &new)?;
            }
            Ok(())
        })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
