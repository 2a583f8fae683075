use std::collections::{BTreeMap, BTreeSet};

use actix_web::{HttpResponse, web};
use reeve_domain::{Digest, Measure, Measured, Observed, TenantId, measure};
use reeve_store::{
    alert,
    observation::{self, Hour, Window},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{deed, known, named};
use crate::{
    page,
    problem::{Problem, Refused},
    sent::Sent,
    signed_in::{ModelReader, Operator, SignedIn},
    state::Control,
};

/// What is shown if nothing else is asked for: the last seven days.
const USUAL: std::time::Duration = std::time::Duration::from_secs(7 * 24 * 60 * 60);
/// The widest window.
const WIDEST: std::time::Duration = std::time::Duration::from_secs(93 * 24 * 60 * 60);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    from: Option<String>,
    until: Option<String>,
    tenant: Option<String>,
}

/// What the versions of a model answered.
#[derive(Serialize, ToSchema)]
pub(crate) struct Observations {
    versions: Vec<VersionSeen>,
}

/// What one version answered.
#[derive(Serialize, ToSchema)]
pub(crate) struct VersionSeen {
    digest: String,
    version: String,
    seen: Histograms,
    /// What it was on held-out data of its training, where its card says so.
    trained: Option<Histograms>,
    /// How far what was seen is from that.
    drift: Vec<Drift>,
    /// Texts that it was asked beside another version, and how many it labelled otherwise.
    mirrored: u64,
    differing: u64,
    /// By the hour.
    hours: Vec<HourSeen>,
    /// By tenant.
    tenants: Vec<TenantSeen>,
}

/// Counts of texts.
#[derive(Serialize, ToSchema)]
pub(crate) struct Histograms {
    texts: u64,
    /// Tokens that were read, where the pod told how many of them are unknown.
    tokens: u64,
    /// Tokens that its vocabulary does not have.
    unknown: u64,
    /// Best labels.
    labels: BTreeMap<String, u64>,
    /// Probabilities of the best labels in tenths: `9` is from 0.9 to 1.
    confidence: BTreeMap<String, u64>,
    /// Numbers of tokens, by the smallest power of two that holds them.
    lengths: BTreeMap<String, u64>,
}

impl From<&Observed> for Histograms {
    fn from(seen: &Observed) -> Self {
        let named = |(bucket, count): (&u8, &u64)| (bucket.to_string(), *count);
        Self {
            texts: seen.texts,
            tokens: seen.told,
            unknown: seen.unknown,
            labels: seen.labels.clone(),
            confidence: seen.confidence.iter().map(named).collect(),
            lengths: seen.lengths.iter().map(|(len, n)| (len.to_string(), *n)).collect(),
        }
    }
}

/// A measure of what was seen.
#[derive(Serialize, ToSchema)]
pub(crate) struct Drift {
    /// `label-drift`, `length-drift`, `confidence-drift`, `unknown-tokens` or `disagreement`.
    measure: &'static str,
    /// In thousandths.
    permille: i64,
    /// What chance alone would hardly pass with so few texts, in thousandths.
    chance_permille: i64,
    /// From where on an alert is raised, in thousandths.
    threshold_permille: i64,
    /// Whether it passes both.
    passes: bool,
}

/// What was answered in one hour.
#[derive(Serialize, ToSchema)]
pub(crate) struct HourSeen {
    /// RFC 3339.
    at: String,
    texts: u64,
    labels: BTreeMap<String, u64>,
    /// The mean of the best labels' probabilities, in thousandths, from tenths.
    confidence_permille: u64,
}

/// What was answered to one tenant.
#[derive(Serialize, ToSchema)]
pub(crate) struct TenantSeen {
    tenant: String,
    texts: u64,
}

/// From where on somebody wants to know.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewThreshold {
    /// In thousandths.
    permille: i64,
}

/// What the versions of a model answered, and how far it is from what they were trained on. Counts of
/// many texts; no text is kept.
#[utoipa::path(
    get, path = "/api/v1/models/{name}/observations", tag = "models", operation_id = "getObservations",
    params(
        ("name" = String, Path, description = "The model"),
        ("from" = Option<String>, Query, description = "RFC 3339; seven days ago if not given"),
        ("until" = Option<String>, Query, description = "RFC 3339; now if not given"),
        ("tenant" = Option<String>, Query, description = "Of this tenant's calls alone"),
    ),
    responses(
        (status = 200, description = "What was answered", body = Observations),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn read(
    control: web::Data<Control>,
    _: SignedIn<ModelReader>,
    name: web::Path<String>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let asked: Parameters = sent.query()?;
    let name = named(&name)?;
    let until = page::moment("until", asked.until.as_deref())?.unwrap_or(control.clock.now());
    let from = page::moment("from", asked.from.as_deref())?;
    let from = from.unwrap_or_else(|| until.before(USUAL));
    if from >= until || until.since(from) > WIDEST {
        return Err(Refused::field("from", "must lie before `until`, by at most 93 days"));
    }
    let tenant = page::parse::<TenantId>("tenant", asked.tenant.as_deref())?;
    let of = name.clone();
    let (rows, hours, thresholds) = control
        .read(move |c| {
            let (_, rows) = known(c, &of)?;
            let digests: BTreeSet<Digest> =
                rows.iter().map(|row| row.version.facts.digest).collect();
            let window = Window { from, until, digests, tenant };
            Ok((rows, observation::hours(c, &window)?, alert::thresholds(c)?))
        })
        .await?;
    let threshold = |measure: Measure| {
        let set = thresholds.get(&(name.to_string(), measure.as_str().to_owned()));
        set.copied().unwrap_or(measure.threshold_permille())
    };
    let versions = rows
        .into_iter()
        .map(|row| {
            let digest = row.version.facts.digest;
            let of: Vec<&Hour> = hours.iter().filter(|hour| hour.digest == digest).collect();
            seen(row.version.facts.version, digest, &row.card, &of, &threshold)
        })
        .collect();
    Ok(HttpResponse::Ok().json(Observations { versions }))
}

fn seen(
    version: String,
    digest: Digest,
    card: &str,
    hours: &[&Hour],
    threshold: &impl Fn(Measure) -> i64,
) -> VersionSeen {
    let (all, mirrored) = observation::total(hours.iter().copied());
    let trained = observation::fingerprint(card);
    let drift = |it: Measured| Drift {
        measure: it.measure.as_str(),
        permille: it.permille,
        chance_permille: it.chance_permille,
        threshold_permille: threshold(it.measure),
        passes: it.passes(threshold(it.measure)),
    };
    let mut by_hour: BTreeMap<_, Observed> = BTreeMap::new();
    let mut by_tenant: BTreeMap<String, u64> = BTreeMap::new();
    for hour in hours {
        by_hour.entry(hour.at).or_default().add(&hour.observed);
        let sum = by_tenant.entry(hour.tenant.to_string()).or_default();
        *sum = sum.saturating_add(hour.observed.texts);
    }
    VersionSeen {
        digest: digest.to_string(),
        version,
        seen: (&all).into(),
        drift: measure(trained.as_ref(), &all, mirrored).into_iter().map(drift).collect(),
        trained: trained.as_ref().map(Into::into),
        mirrored: mirrored.0,
        differing: mirrored.1,
        hours: by_hour
            .into_iter()
            .map(|(at, seen)| HourSeen {
                at: at.to_string(),
                texts: seen.texts,
                confidence_permille: mean(&seen.confidence),
                labels: seen.labels,
            })
            .collect(),
        tenants: by_tenant
            .into_iter()
            .map(|(tenant, texts)| TenantSeen { tenant, texts })
            .collect(),
    }
}

/// The mean of the tenths' middles, in thousandths.
fn mean(tenths: &BTreeMap<u8, u64>) -> u64 {
    let (sum, count) = tenths.iter().fold((0_u64, 0_u64), |(sum, count), (tenth, n)| {
        let middle = u64::from(*tenth).saturating_mul(100).saturating_add(50);
        (sum.saturating_add(middle.saturating_mul(*n)), count.saturating_add(*n))
    });
    sum.checked_div(count).unwrap_or(0)
}

/// Set from where on an alert is raised.
#[utoipa::path(
    put, path = "/api/v1/models/{name}/thresholds/{measure}", tag = "models", operation_id = "setThreshold",
    params(
        ("name" = String, Path, description = "The model"),
        ("measure" = String, Path, description = "`label-drift`, `length-drift`, `confidence-drift`, `unknown-tokens` or `disagreement`"),
    ),
    request_body = NewThreshold,
    responses(
        (status = 204, description = "It is set"),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn set_threshold(
    control: web::Data<Control>,
    signed_in: SignedIn<Operator>,
    path: web::Path<(String, String)>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let asked: NewThreshold = sent.json()?;
    let (name, measure) = path.into_inner();
    let name = named(&name)?;
    let measure = Measure::named(&measure).ok_or(reeve_domain::Code::NotFound)?;
    if !(0..=100_000).contains(&asked.permille) {
        return Err(Refused::field("permille", "must be a number from 0 to 100000"));
    }
    let details =
        [("measure", measure.as_str().to_owned()), ("permille", asked.permille.to_string())];
    let deed = deed(&signed_in, "model.threshold", &name, None, details);
    control
        .change(&deed, move |c| {
            known(c, &name)?;
            alert::set_threshold(c, &name, measure.as_str(), asked.permille)
        })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
