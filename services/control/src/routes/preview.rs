use std::collections::BTreeSet;

use actix_web::{HttpResponse, web};
use reeve_domain::{
    Action, Alias, BundleDocument, Code, DecisionInput, KindCounts, ModelVersion, Redaction, Scope,
    Tenant, TenantId, Timestamp,
};
use reeve_policy::Engine;
use reeve_privacy::{Category, Finding, Pseudonyms, RawText, Redactor};
use reeve_store::{catalog, model, policy, tenant};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    problem::{Problem, Refused},
    sent::Sent,
    signed_in::{PolicyReader, SignedIn},
    state::{Control, block},
};

/// The longest text that is tried, in bytes.
const LONGEST: usize = 32 * 1024;

/// A text to be tried.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreviewRequest {
    /// Whose call it would be.
    tenant: String,
    /// The text. It is neither kept nor recorded.
    text: String,
}

/// What the active policy would do with a text.
#[derive(Serialize, ToSchema)]
pub(crate) struct Preview {
    /// The policy's digest.
    policy: String,
    /// Whether the tenant's call would be permitted in any region.
    permitted: bool,
    /// The rules that permit, or that refuse.
    rules: Vec<PreviewRule>,
    findings: Vec<PreviewFinding>,
    /// What would leave the gateway; none if the call would be refused.
    redacted: Option<String>,
}

/// A rule that took part.
#[derive(Serialize, ToSchema)]
pub(crate) struct PreviewRule {
    id: String,
    reason: String,
}

/// A value that was found.
#[derive(Serialize, ToSchema)]
pub(crate) struct PreviewFinding {
    kind: String,
    /// What the kind is about, `contact`.
    #[schema(value_type = String)]
    category: Category,
    /// Where it begins, in Unicode code points.
    start: usize,
    /// Where it ends.
    end: usize,
    /// From 0 to 1.
    confidence: f32,
    /// What speaks for it.
    why: &'static str,
    /// Whether words near it spoke for it too.
    in_context: bool,
    /// What would be done with it: `generalise`, `mask`, `pseudonymise`, `replace`, `remove`; none
    /// if it would be left.
    redaction: Option<String>,
}

/// Tries a text: what is found in it, and what of it would leave the gateway. Names and addresses
/// that a model finds are not shown.
#[utoipa::path(
    post, path = "/api/v1/policy/preview", tag = "policy", operation_id = "previewText",
    request_body = PreviewRequest,
    responses(
        (status = 200, description = "What would be done", body = Preview),
        (status = 400, description = "invalid-json, invalid-request", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found: no such tenant, no active policy, or no model that the tenant may use", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []))
)]
pub(crate) async fn create(
    control: web::Data<Control>,
    _: SignedIn<PolicyReader>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let asked: PreviewRequest = sent.json()?;
    if asked.text.is_empty() || asked.text.len() > LONGEST {
        return Err(Refused::field("text", format!("must have 1 to {LONGEST} bytes")));
    }
    let id = TenantId::new(&asked.tenant).map_err(|why| Refused::field("tenant", why))?;
    let (active, tenant, models) = control
        .read(move |c| {
            let production = catalog::list(c)?.into_iter().filter(|model| model.is_for(&id));
            let digests: Vec<_> = production
                .filter_map(|model| model.routes.get(Alias::PRODUCTION).map(|it| it.digest))
                .collect();
            let mut models = model::list(c)?;
            models.retain(|model| digests.contains(&model.facts.digest));
            Ok((policy::active(c)?, tenant::get(c, &id)?, models))
        })
        .await?;
    let missing = |what: &str| Refused::from(Code::NotFound).because(what);
    let active = active.ok_or_else(|| missing("no policy is active"))?;
    let tenant = tenant.ok_or_else(|| missing("there is no such tenant"))?;
    let id = tenant.facts.id.clone();
    let model =
        models.into_iter().next_back().ok_or_else(|| missing("the tenant may use no model"))?;
    let pseudonyms = Pseudonyms::new(control.pepper.pseudonym_key(&id));
    let now = control.clock.now();
    let document = BundleDocument { digest: active.digest, document: active.document };
    let preview =
        block(move || preview(&document, &tenant, &model, asked.text, &pseudonyms, now)).await??;
    Ok(HttpResponse::Ok().json(preview))
}

fn preview(
    document: &BundleDocument,
    tenant: &Tenant,
    model: &ModelVersion,
    text: String,
    pseudonyms: &Pseudonyms,
    now: Timestamp,
) -> Result<Preview, Refused> {
    let engine = Engine::compile(document).map_err(|why| Refused::internal(&why))?;
    let failed = |why: reeve_privacy::DetectorFailed| {
        Refused::from(Code::DetectorFailed).because(why.to_string())
    };
    let detector = engine.detector(&tenant.facts.id);
    let found = detector.scan_str(&text).map_err(failed)?;
    let mut counts = KindCounts::new();
    for finding in &found {
        let count = counts.entry(finding.kind.clone()).or_default();
        *count = count.saturating_add(1);
    }
    let decision = engine.decide(&DecisionInput {
        at: now,
        tenant: tenant.facts.clone(),
        scopes: Scope::new("classify").into_iter().collect(),
        action: Action::Classify,
        model: model.facts.clone(),
        // One that the tenant has registered: a missing purpose is not what is tried here.
        purpose: tenant.facts.purposes.first().cloned(),
        subject_country: None,
        consents: BTreeSet::new(),
        found: counts,
        items: 1,
        characters: u64::try_from(text.chars().count()).unwrap_or(u64::MAX),
        candidates: engine.bundle().regions.keys().cloned().collect(),
        data_categories: BTreeSet::new(),
        subject_age: None,
        result_use: None,
        shared_key: false,
        transferred: None,
    });
    let how = &decision.obligations.redact;
    let findings =
        found.iter().map(|finding| view(finding, &text, how.get(&finding.kind).copied())).collect();
    let rules = if decision.is_allowed() {
        decision.rules.clone()
    } else {
        let all: BTreeSet<_> =
            decision.refused.iter().flat_map(|refused| refused.rules.iter().cloned()).collect();
        all.into_iter().collect()
    };
    let redacted = if decision.is_allowed() {
        let redactor = Redactor { detector, how, pseudonyms, year: now.year() };
        let (clean, _) = redactor.redact(RawText::new(text), &found).map_err(failed)?;
        Some(clean.as_str().to_owned())
    } else {
        None
    };
    Ok(Preview {
        policy: document.digest.to_string(),
        permitted: decision.is_allowed(),
        rules: rules
            .into_iter()
            .map(|rule| PreviewRule { id: rule.id.to_string(), reason: rule.reason })
            .collect(),
        findings,
        redacted,
    })
}

fn view(finding: &Finding, text: &str, redaction: Option<Redaction>) -> PreviewFinding {
    let points = |at: usize| text.get(..at).map_or(0, |before| before.chars().count());
    PreviewFinding {
        kind: finding.kind.to_string(),
        category: finding.category(),
        start: points(finding.range.start),
        end: points(finding.range.end),
        confidence: finding.confidence,
        why: finding.why(),
        in_context: finding.in_context,
        redaction: redaction.map(|how| how.as_str().to_owned()),
    }
}
