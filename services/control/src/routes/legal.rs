use std::collections::{BTreeMap, BTreeSet};

use actix_web::{HttpResponse, web};
use reeve_domain::{EntityName, Instrument, LegalFacts, Purpose, Timestamp, Until};
use reeve_store::tenant;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::tenants::existing;
use crate::{
    page,
    problem::{Problem, Refused},
    sent::Sent,
    signed_in::{OperationsReader, Operator, SignedIn},
    state::{Control, Deed},
};

/// What is on file for a tenant that law asks for. Moments are RFC 3339, or `null` where there is
/// no end.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LegalFile {
    /// The legal entity that the tenant belongs to.
    #[serde(default)]
    entity: Option<String>,
    /// Agreements and until when they hold: `dpa`, `baa`.
    #[serde(default)]
    agreements: BTreeMap<String, Option<String>>,
    /// Instruments of transfer by the jurisdiction that data may go to.
    #[serde(default)]
    instruments: BTreeMap<String, InstrumentOnFile>,
    /// Bases for categories of data: `health` → `9(2)(h)`.
    #[serde(default)]
    bases: BTreeMap<String, String>,
    /// Purposes that a named person oversees, and until when.
    #[serde(default)]
    overseen: BTreeMap<String, Option<String>>,
    /// Purposes that are registered.
    #[serde(default)]
    purposes: BTreeSet<String>,
}

/// An instrument of transfer.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InstrumentOnFile {
    /// `scc`, `bcr`, `standard-contract`, `certification`, `security-assessment`.
    kind: String,
    #[serde(default)]
    until: Option<String>,
}

/// What is on file for a tenant.
#[utoipa::path(
    get, path = "/api/v1/tenants/{id}/legal", tag = "tenants", operation_id = "getLegalFile",
    params(("id" = String, Path, description = "The tenant")),
    responses(
        (status = 200, description = "The file", body = LegalFile),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn read(
    control: web::Data<Control>,
    _: SignedIn<OperationsReader>,
    id: web::Path<String>,
) -> Result<HttpResponse, Refused> {
    let found = existing(&control, &id).await?;
    Ok(HttpResponse::Ok().json(view(&found.facts.legal, &found.facts.purposes)))
}

/// Replace what is on file for a tenant. Emergencies stay as they are.
#[utoipa::path(
    put, path = "/api/v1/tenants/{id}/legal", tag = "tenants", operation_id = "setLegalFile",
    params(("id" = String, Path, description = "The tenant")),
    request_body = LegalFile,
    responses(
        (status = 200, description = "The file as it is now", body = LegalFile),
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
    id: web::Path<String>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let asked: LegalFile = sent.json()?;
    let found = existing(&control, &id).await?;
    let (mut legal, purposes) = checked(&asked)?;
    legal.break_glass = found.facts.legal.break_glass;
    let tenant = found.facts.id;
    let deed = Deed {
        actor: signed_in.actor(),
        action: "tenant.legal",
        target: tenant.to_string(),
        tenant: Some(tenant.clone()),
        details: BTreeMap::from([(
            "file".to_owned(),
            serde_json::to_string(&asked).unwrap_or_default(),
        )]),
    };
    let answer = view(&legal, &purposes);
    control
        .change(&deed, move |c| {
            tenant::set_purposes(c, &tenant, &purposes)?;
            tenant::set_legal(c, &tenant, &legal)
        })
        .await?;
    Ok(HttpResponse::Ok().json(answer))
}

fn checked(asked: &LegalFile) -> Result<(LegalFacts, BTreeSet<Purpose>), Refused> {
    let name = |field: &'static str, text: &String| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if (1..=64).contains(&text.len()) && text.bytes().all(plain) {
            Ok(text.clone())
        } else {
            Err(Refused::field(field, format!("`{text}` is not a name of letters, digits and `-`")))
        }
    };
    let until = |field: &'static str, text: &Option<String>| -> Result<Until, Refused> {
        page::moment(field, text.as_deref())
    };
    let purpose = |field: &'static str, text: &String| {
        Purpose::new(text).map_err(|why| Refused::field(field, why))
    };
    let mut legal = LegalFacts {
        entity: asked
            .entity
            .as_ref()
            .filter(|entity| !entity.is_empty())
            .map(|entity| EntityName::new(entity).map_err(|why| Refused::field("entity", why)))
            .transpose()?,
        ..LegalFacts::default()
    };
    for (agreement, end) in &asked.agreements {
        legal.agreements.insert(name("agreements", agreement)?, until("agreements", end)?);
    }
    for (law, instrument) in &asked.instruments {
        let until = until("instruments", &instrument.until)?;
        let kind = name("instruments", &instrument.kind)?;
        legal.instruments.insert(name("instruments", law)?, Instrument { kind, until });
    }
    for (category, basis) in &asked.bases {
        let basis: String = basis.chars().take(100).collect();
        legal.bases.insert(name("bases", category)?, basis);
    }
    for (overseen, end) in &asked.overseen {
        legal.overseen.insert(purpose("overseen", overseen)?, until("overseen", end)?);
    }
    let purposes = asked.purposes.iter().map(|text| purpose("purposes", text));
    Ok((legal, purposes.collect::<Result<_, _>>()?))
}

fn view(legal: &LegalFacts, purposes: &BTreeSet<Purpose>) -> LegalFile {
    let moment = |until: &Until| until.map(|at: Timestamp| at.to_string());
    let instruments = legal.instruments.iter().map(|(law, instrument)| {
        let (kind, until) = (instrument.kind.clone(), moment(&instrument.until));
        (law.clone(), InstrumentOnFile { kind, until })
    });
    LegalFile {
        entity: legal.entity.as_ref().map(ToString::to_string),
        agreements: legal
            .agreements
            .iter()
            .map(|(it, until)| (it.clone(), moment(until)))
            .collect(),
        instruments: instruments.collect(),
        bases: legal.bases.clone(),
        overseen: legal.overseen.iter().map(|(it, end)| (it.to_string(), moment(end))).collect(),
        purposes: purposes.iter().map(ToString::to_string).collect(),
    }
}
