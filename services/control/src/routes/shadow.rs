use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use reeve_domain::{Code, Record};
use reeve_policy::Engine;
use reeve_store::{
    audit::{self, Shadowed},
    policy::{self, Shadow},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    page,
    problem::{Problem, Refused},
    sent::Sent,
    signed_in::{PolicyReader, PolicyWriter, SignedIn},
    state::{Control, Deed, block},
};

/// Differences that are shown.
const SHOWN: usize = 100;

/// The policy that decides beside the active one, and where it differs.
#[derive(Serialize, ToSchema)]
pub(crate) struct ShadowView {
    /// The bundle in shadow; none: there is no shadow.
    digest: Option<String>,
    started_at: Option<String>,
    started_by: Option<String>,
    /// Calls that were decided since.
    calls: u64,
    /// Calls by flip: `denied`, `allowed`, `redacted`, `exposed`, `rerouted`.
    flips: BTreeMap<String, u64>,
    /// The same by tenant.
    by_tenant: BTreeMap<String, BTreeMap<String, u64>>,
    /// The newest differences.
    examples: Vec<ShadowExample>,
}

/// A call that would have been decided otherwise.
#[derive(Serialize, ToSchema)]
pub(crate) struct ShadowExample {
    decision_id: String,
    at: String,
    tenant: String,
    /// Rules by flip.
    #[schema(value_type = Object)]
    flips: Value,
}

/// The bundle to put into shadow.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewShadow {
    digest: String,
}

/// The shadow and its differences.
#[utoipa::path(
    get, path = "/api/v1/policy/shadow", tag = "policy", operation_id = "getShadow",
    responses(
        (status = 200, description = "The shadow", body = ShadowView),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn read(
    control: web::Data<Control>,
    _: SignedIn<PolicyReader>,
) -> Result<HttpResponse, Refused> {
    let (shadow, counts, rows) = control
        .read(|c| {
            let Some(shadow) = policy::shadow(c)? else { return Ok((None, vec![], vec![])) };
            let counts = audit::count_shadowed(c, shadow.started_at)?;
            let rows = audit::shadowed(c, shadow.started_at, SHOWN)?;
            Ok((Some(shadow), counts, rows))
        })
        .await?;
    let mut view = ShadowView {
        digest: shadow.as_ref().map(|shadow| shadow.digest.to_string()),
        started_at: shadow.as_ref().map(|shadow| shadow.started_at.to_string()),
        started_by: shadow.map(|shadow| shadow.started_by),
        calls: 0,
        flips: BTreeMap::new(),
        by_tenant: BTreeMap::new(),
        examples: Vec::new(),
    };
    for Shadowed { tenant, flips, calls } in counts {
        view.calls = view.calls.saturating_add(calls);
        for flip in flips.iter().flat_map(|flips| flips.split(',')) {
            let of_tenant = view.by_tenant.entry(tenant.clone().unwrap_or_default()).or_default();
            for counter in [&mut view.flips, of_tenant] {
                let count = counter.entry(flip.to_owned()).or_default();
                *count = count.saturating_add(calls);
            }
        }
    }
    for row in rows {
        let (id, shadow) = match row.record {
            Record::Intent(intent) => (intent.decision_id, intent.shadow),
            Record::Refusal(refusal) => (refusal.decision_id, refusal.shadow),
            _ => continue,
        };
        let flips = shadow.map(|shadow| serde_json::to_value(shadow.flips));
        view.examples.push(ShadowExample {
            decision_id: id.to_string(),
            at: row.at.to_string(),
            tenant: row.tenant.map(|tenant| tenant.to_string()).unwrap_or_default(),
            flips: flips.and_then(Result::ok).unwrap_or_default(),
        });
    }
    Ok(HttpResponse::Ok().json(view))
}

/// Let a bundle decide beside the active one, without effect.
#[utoipa::path(
    put, path = "/api/v1/policy/shadow", tag = "policy", operation_id = "setShadow",
    request_body = NewShadow,
    responses(
        (status = 204, description = "In shadow"),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found: no such bundle", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request, policy-invalid", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn set(
    control: web::Data<Control>,
    signed_in: SignedIn<PolicyWriter>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let asked: NewShadow = sent.json()?;
    let digest = page::parse("digest", Some(&asked.digest))?
        .ok_or_else(|| Refused::field("digest", "must be given"))?;
    let document = control.read(move |c| policy::bundle(c, &digest)).await?;
    let document = document.ok_or(Code::NotFound)?;
    if let Err(why) = block(move || Engine::compile(&document).map(drop)).await? {
        return Err(Refused::from(Code::PolicyInvalid).because(why.to_string()));
    }
    let shadow = Shadow {
        digest,
        started_at: control.clock.now(),
        started_by: signed_in.user.id.to_string(),
    };
    let deed = deed(&signed_in, "policy.shadow", asked.digest);
    control.change(&deed, move |c| policy::set_shadow(c, Some(&shadow))).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// End the shadow.
#[utoipa::path(
    delete, path = "/api/v1/policy/shadow", tag = "policy", operation_id = "endShadow",
    responses(
        (status = 204, description = "Ended"),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn end(
    control: web::Data<Control>,
    signed_in: SignedIn<PolicyWriter>,
) -> Result<HttpResponse, Refused> {
    let deed = deed(&signed_in, "policy.shadow-end", String::new());
    control.change(&deed, |c| policy::set_shadow(c, None)).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn deed<R>(signed_in: &SignedIn<R>, action: &'static str, target: String) -> Deed {
    Deed { actor: signed_in.actor(), action, target, tenant: None, details: BTreeMap::new() }
}
