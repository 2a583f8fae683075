use std::collections::{BTreeMap, BTreeSet};

use actix_web::{HttpResponse, web};
use reeve_domain::{Model, Purpose, Share, TenantId};
use reeve_store::{catalog, tenant};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{deed, known, named};
use crate::{
    page,
    problem::{Problem, Refused},
    sent::Sent,
    signed_in::{Operator, SignedIn},
    state::Control,
};

/// Whose a model is, and to whom it is offered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelOffer {
    /// The tenant whose model it is; none: the platform's.
    #[serde(default)]
    owner: Option<String>,
    /// Whether every tenant may use it.
    open: bool,
    /// The tenants that it is shared with.
    #[serde(default)]
    shares: Vec<NewShare>,
}

/// The terms on which a model is shared with a tenant.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewShare {
    tenant: String,
    /// RFC 3339; none: until it is taken back.
    #[serde(default)]
    until: Option<String>,
    /// Purposes that it may be used for; empty: any.
    #[serde(default)]
    purposes: Vec<String>,
    /// Whether the tenant may name what is not approved yet, and aliases besides `production`.
    #[serde(default)]
    preview: bool,
    /// What was agreed, for people.
    #[serde(default)]
    terms: String,
}

/// Change whose a model is and to whom it is offered. Gateways follow within a second.
#[utoipa::path(
    put, path = "/api/v1/models/{name}/offer", tag = "models", operation_id = "offerModel",
    params(("name" = String, Path, description = "The model")),
    request_body = ModelOffer,
    responses(
        (status = 204, description = "It is offered so"),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn set(
    control: web::Data<Control>,
    signed_in: SignedIn<Operator>,
    name: web::Path<String>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let offer: ModelOffer = sent.json()?;
    let name = named(&name)?;
    let owner = page::parse::<TenantId>("owner", offer.owner.as_deref())?;
    let mut shares = BTreeMap::new();
    for share in offer.shares {
        let tenant =
            TenantId::new(&share.tenant).map_err(|why| Refused::field("shares.tenant", why))?;
        if shares.insert(tenant, terms(share)?).is_some() {
            return Err(Refused::field("shares", "names a tenant twice"));
        }
    }
    let named: Vec<TenantId> = owner.iter().chain(shares.keys()).cloned().collect();
    let wanted = named.clone();
    let of = name.clone();
    let (before, unknown) = control
        .read(move |c| {
            let (model, _) = known(c, &of)?;
            for id in wanted {
                if tenant::get(c, &id)?.is_none() {
                    return Ok((model, Some(id)));
                }
            }
            Ok((model, None))
        })
        .await?;
    if let Some(unknown) = unknown {
        let field = if owner.as_ref() == Some(&unknown) { "owner" } else { "shares.tenant" };
        return Err(Refused::field(field, format!("there is no tenant `{unknown}`")));
    }
    let new = Model { owner, open: offer.open, shares, ..before };
    let tenants: Vec<_> = new.shares.keys().map(TenantId::as_str).collect();
    let deed = deed(
        &signed_in,
        "model.offer",
        &name,
        new.owner.as_ref(),
        [
            ("open", new.open.to_string()),
            ("shared_with", tenants.join(",")),
            ("owner", new.owner.as_ref().map_or_else(String::new, ToString::to_string)),
        ],
    );
    control.change(&deed, move |c| catalog::set_offer(c, &new)).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn terms(share: NewShare) -> Result<Share, Refused> {
    if share.terms.chars().count() > 2000 {
        return Err(Refused::field("shares.terms", "must have at most 2000 characters"));
    }
    let purposes = share.purposes.iter().map(Purpose::new).collect::<Result<BTreeSet<_>, _>>();
    Ok(Share {
        until: page::moment("shares.until", share.until.as_deref())?,
        purposes: purposes.map_err(|why| Refused::field("shares.purposes", why))?,
        preview: share.preview,
        terms: share.terms,
    })
}
