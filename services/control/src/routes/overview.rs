use std::{collections::BTreeMap, time::Duration};

use actix_web::{HttpResponse, web};
use reeve_domain::{Currency, Money};
use reeve_store::{audit::CallStatus, usage};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::logs::{self, LogStatus};
use crate::{
    page::Amount,
    problem::{Problem, Refused},
    sent::Sent,
    signed_in::{OverviewReader, SignedIn},
    state::Control,
};

/// How far back.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OverviewQuery {
    /// Days with today, 1 to 90, else 7.
    #[param(nullable)]
    days: Option<u32>,
}

/// The first screen.
#[derive(Serialize, ToSchema)]
pub(crate) struct Overview {
    totals: Totals,
    by_day: Vec<OverviewDay>,
    refusals_by_code: Vec<CodeCount>,
    logs: Vec<LogStatus>,
}

/// All days together.
#[derive(Default, Serialize, ToSchema)]
pub(crate) struct Totals {
    calls: u64,
    completed: u64,
    failed: u64,
    refused: u64,
    /// Calls in which something was redacted.
    redacted: u64,
    items: u64,
    /// One amount for each currency.
    cost: Vec<Amount>,
}

/// One day.
#[derive(Default, Serialize, ToSchema)]
pub(crate) struct OverviewDay {
    /// In UTC, `2026-11-24`.
    day: String,
    completed: u64,
    failed: u64,
    refused: u64,
}

/// How many calls were refused for one reason.
#[derive(Serialize, ToSchema)]
pub(crate) struct CodeCount {
    code: String,
    count: u64,
}

/// Calls of the last days, and how the logs stand.
#[utoipa::path(
    get, path = "/api/v1/overview", tag = "overview", operation_id = "getOverview",
    params(OverviewQuery),
    responses(
        (status = 200, description = "The overview", body = Overview),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []))
)]
pub(crate) async fn read(
    control: web::Data<Control>,
    _: SignedIn<OverviewReader>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let query: OverviewQuery = sent.query()?;
    let days = query.days.unwrap_or(7);
    if !(1..=90).contains(&days) {
        return Err(Refused::field("days", format!("`{days}` is not between 1 and 90")));
    }
    let now = control.clock.now();
    let day = |back: u32| now.before(Duration::from_secs(u64::from(back) * 86_400)).day();
    let (from, until) = (day(days.saturating_sub(1)), now.day());
    let (activity, used) = control
        .read(move |c| {
            Ok((usage::activity(c, None, &from, &until)?, usage::by_day(c, None, &from, &until)?))
        })
        .await?;
    let mut by_day: BTreeMap<String, OverviewDay> = (0..days)
        .map(day)
        .map(|day| (day.clone(), OverviewDay { day, ..OverviewDay::default() }))
        .collect();
    let mut totals = Totals::default();
    let mut refusals: BTreeMap<String, u64> = BTreeMap::new();
    let add = |to: &mut u64, more: u64| *to = to.saturating_add(more);
    for row in activity {
        let of_day = by_day
            .entry(row.day.clone())
            .or_insert_with(|| OverviewDay { day: row.day.clone(), ..OverviewDay::default() });
        let (one, all) = match row.status {
            CallStatus::Completed => (&mut of_day.completed, &mut totals.completed),
            CallStatus::Refused => (&mut of_day.refused, &mut totals.refused),
            CallStatus::Failed | CallStatus::Unknown | CallStatus::Pending => {
                (&mut of_day.failed, &mut totals.failed)
            }
        };
        add(one, row.calls);
        add(all, row.calls);
        add(&mut totals.calls, row.calls);
        add(&mut totals.redacted, row.redacted);
        if let (CallStatus::Refused, Some(code)) = (row.status, row.code) {
            add(refusals.entry(code.to_string()).or_default(), row.calls);
        }
    }
    let mut costs: BTreeMap<Currency, i64> = BTreeMap::new();
    for row in used {
        add(&mut totals.items, row.items);
        let cost = costs.entry(row.cost.currency).or_default();
        *cost = cost.saturating_add(row.cost.micros);
    }
    totals.cost =
        costs.into_iter().map(|(currency, micros)| Money::new(micros, currency).into()).collect();
    let mut refusals_by_code: Vec<CodeCount> =
        refusals.into_iter().map(|(code, count)| CodeCount { code, count }).collect();
    refusals_by_code.sort_by_key(|one| std::cmp::Reverse(one.count));
    Ok(HttpResponse::Ok().json(Overview {
        totals,
        by_day: by_day.into_values().collect(),
        refusals_by_code,
        logs: logs::all(&control).await?,
    }))
}
