use actix_web::{HttpResponse, web};
use reeve_domain::Money;
use reeve_store::audit::{self, AuditFilter, AuditRow};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

use crate::{
    page::{self, Amount},
    problem::{Problem, Refused},
    sent::Sent,
    signed_in::{Auditor, SignedIn},
    state::{Control, Deed},
};

/// What to search for, and which page.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// Whose calls.
    #[param(nullable)]
    tenant: Option<String>,
    /// Not before this moment, RFC 3339.
    #[param(nullable)]
    from: Option<String>,
    /// Before this moment, RFC 3339.
    #[param(nullable)]
    until: Option<String>,
    /// `intent`, `outcome`, `refusal`, `refusal-aggregate`, `control`, `malformed`; several with
    /// commas between them.
    #[param(nullable)]
    kind: Option<String>,
    /// `pending`, `completed`, `failed`, `unknown`, `refused`.
    #[param(nullable)]
    status: Option<String>,
    /// A stable error code.
    #[param(nullable)]
    code: Option<String>,
    /// Where it was processed.
    #[param(nullable)]
    region: Option<String>,
    /// A decision's id.
    #[param(nullable)]
    decision: Option<String>,
    /// `next` of the page before.
    #[param(nullable)]
    after: Option<String>,
    /// 1 to 200, else 50.
    #[param(nullable)]
    limit: Option<usize>,
}

/// One leaf of a log.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditEvent {
    origin: String,
    index: u64,
    /// SHA-256 (RFC 6962) as hexadecimal.
    leaf_hash: String,
    /// RFC 3339.
    at: String,
    kind: String,
    #[schema(required = true)]
    decision_id: Option<String>,
    #[schema(required = true)]
    tenant: Option<String>,
    #[schema(required = true)]
    credential: Option<String>,
    #[schema(required = true)]
    model: Option<String>,
    #[schema(required = true)]
    action: Option<String>,
    #[schema(required = true)]
    region: Option<String>,
    #[schema(required = true)]
    status: Option<String>,
    #[schema(required = true)]
    code: Option<String>,
    #[schema(required = true)]
    policy: Option<String>,
    items: u64,
    characters: u64,
    tokens: u64,
    #[schema(required = true)]
    cost: Option<Amount>,
    /// How many values of each kind.
    redactions: BTreeMap<String, u32>,
}

impl From<AuditRow> for AuditEvent {
    fn from(row: AuditRow) -> Self {
        Self {
            origin: row.origin.to_string(),
            index: row.index,
            leaf_hash: hex::encode(row.leaf_hash),
            at: row.at.to_string(),
            kind: row.kind.to_string(),
            decision_id: row.decision_id.map(|id| id.to_string()),
            tenant: row.tenant.map(|id| id.to_string()),
            credential: row.credential,
            model: row.model,
            action: row.action,
            region: row.region.map(|region| region.to_string()),
            status: row.status.map(|status| status.to_string()),
            code: row.code.map(|code| code.to_string()),
            policy: row.policy.map(|digest| digest.to_string()),
            items: row.items,
            characters: row.characters,
            tokens: row.tokens,
            cost: row.currency.map(|currency| Money::new(row.cost_micros, currency).into()),
            redactions: row
                .redactions
                .into_iter()
                .map(|(kind, count)| (kind.to_string(), count))
                .collect(),
        }
    }
}

/// A page of the audit log, the newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditPage {
    items: Vec<AuditEvent>,
    /// `after` of the next page.
    #[schema(required = true)]
    next: Option<String>,
}

/// Search the audit log. The search itself is recorded.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "audit", operation_id = "searchAudit", params(AuditQuery),
    responses(
        (status = 200, description = "A page of events", body = AuditPage),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "audit-unavailable, store-unavailable", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []))
)]
pub(crate) async fn search(
    control: web::Data<Control>,
    signed_in: SignedIn<Auditor>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let query: AuditQuery = sent.query()?;
    let filter = filter(&query)?;
    let after = page::read_cursor(query.after.as_deref())?;
    let limit = page::limit(query.limit)?;
    let deed = Deed {
        actor: signed_in.actor(),
        action: "audit.read",
        target: "audit".to_owned(),
        tenant: filter.tenant.clone(),
        details: BTreeMap::from([("filters".to_owned(), query.used())]),
    };
    control.record(&deed, None).await?;
    let mut rows = control
        .read(move |c| audit::search(c, &filter, after.as_ref(), limit.saturating_add(1)))
        .await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|last| page::write_cursor(&last.cursor()));
    let items = rows.into_iter().map(AuditEvent::from).collect();
    Ok(HttpResponse::Ok().json(AuditPage { items, next }))
}

impl AuditQuery {
    /// The names of the filters in use; never what is looked for.
    fn used(&self) -> String {
        [
            ("tenant", &self.tenant),
            ("from", &self.from),
            ("until", &self.until),
            ("kind", &self.kind),
            ("status", &self.status),
            ("code", &self.code),
            ("region", &self.region),
            ("decision", &self.decision),
        ]
        .iter()
        .filter(|(_, value)| value.as_ref().is_some_and(|value| !value.is_empty()))
        .map(|(name, _)| *name)
        .collect::<Vec<_>>()
        .join(" ")
    }
}

fn filter(query: &AuditQuery) -> Result<AuditFilter, Refused> {
    let kinds = query
        .kind
        .iter()
        .flat_map(|kinds| kinds.split(','))
        .filter(|kind| !kind.is_empty())
        .map(|kind| kind.parse().map_err(|why| Refused::field("kind", why)))
        .collect::<Result<_, _>>()?;
    Ok(AuditFilter {
        tenant: page::parse("tenant", query.tenant.as_deref())?,
        from: page::moment("from", query.from.as_deref())?,
        until: page::moment("until", query.until.as_deref())?,
        kinds,
        status: page::parse("status", query.status.as_deref())?,
        code: page::parse("code", query.code.as_deref())?,
        region: page::parse("region", query.region.as_deref())?,
        decision_id: page::parse("decision", query.decision.as_deref())?,
    })
}
