//! What was used, for invoices and quotas, and what happened, for the overview: sums that
//! [`crate::audit::index`] keeps, so that reading them does not depend on the number of calls.

use std::collections::BTreeMap;

use diesel::{prelude::*, upsert::excluded};
use reeve_domain::{Code, Currency, Money, OutcomeStatus, Record, Region, TenantId, Timestamp};

use crate::{
    Connection, StoreError,
    audit::CallStatus,
    column::{Column, signed},
    connection::{MultiBackend, on_backend},
    retention::{self, Horizon},
    schema::{activity_daily, usage_daily, usage_monthly},
};

/// Rows in one statement; the widest has 11 columns, and SQLite takes 32,766 parameters at most.
const ROWS_IN_A_STATEMENT: usize = 1000;

/// What one tenant used of one model in one region on one day, in one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRow {
    /// The day in UTC, `2026-11-24`.
    pub day: String,
    /// The tenant.
    pub tenant: TenantId,
    /// The model's name; none for calls that were refused before it was known.
    pub model: Option<String>,
    /// Where it was processed; none for refused calls.
    pub region: Option<Region>,
    /// Calls that were completed.
    pub calls: u64,
    /// Calls that were refused.
    pub refusals: u64,
    /// Texts.
    pub items: u64,
    /// Unicode code points.
    pub characters: u64,
    /// Tokens.
    pub tokens: u64,
    /// The price.
    pub cost: Money,
}

/// How many calls ended in one way on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityRow {
    /// The day in UTC, `2026-11-24`.
    pub day: String,
    /// The tenant; none for callers who did not prove who they are.
    pub tenant: Option<TenantId>,
    /// How they ended; never `Pending`.
    pub status: CallStatus,
    /// Why.
    pub code: Option<Code>,
    /// How many.
    pub calls: u64,
    /// In how many of them something was redacted.
    pub redacted: u64,
}

/// What counts of one record.
pub(crate) struct Counted<'a> {
    pub(crate) record: &'a Record,
    /// The model's name or nothing.
    pub(crate) model: &'a str,
    pub(crate) redacted: bool,
}

#[derive(Queryable, Insertable)]
#[diesel(table_name = usage_daily, treat_none_as_default_value = false)]
struct Daily {
    day: String,
    tenant: String,
    model: String,
    region: String,
    currency: String,
    calls: i64,
    refusals: i64,
    items: i64,
    characters: i64,
    tokens: i64,
    cost_micros: i64,
}

#[derive(Queryable, Insertable)]
#[diesel(table_name = usage_monthly, treat_none_as_default_value = false)]
struct Monthly {
    month_start: i64,
    tenant: String,
    currency: String,
    items: i64,
    cost_micros: i64,
}

#[derive(Queryable, Insertable)]
#[diesel(table_name = activity_daily, treat_none_as_default_value = false)]
struct Activity {
    day: String,
    tenant: String,
    status: String,
    code: String,
    calls: i64,
    redacted: i64,
}

/// Sums by their key. A `BTreeMap` also makes all writers take the rows' locks in one order.
#[derive(Default)]
struct Sums {
    daily: BTreeMap<[String; 5], [i64; 6]>,
    monthly: BTreeMap<(i64, String, String), [i64; 2]>,
    activity: BTreeMap<[String; 4], [i64; 2]>,
}

fn add<const N: usize>(sums: &mut [i64; N], values: [i64; N]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum = sum.saturating_add(value);
    }
}

impl Sums {
    fn count(&mut self, counted: &Counted<'_>) -> Result<(), StoreError> {
        let redacted = i64::from(counted.redacted);
        match counted.record {
            Record::Outcome(outcome) => {
                let (day, tenant) = (outcome.at.day(), outcome.tenant.to_string());
                let status = match outcome.status {
                    OutcomeStatus::Completed => CallStatus::Completed,
                    OutcomeStatus::Failed => CallStatus::Failed,
                    OutcomeStatus::Unknown => CallStatus::Unknown,
                };
                self.ended(&day, &tenant, status, outcome.code, [1, redacted]);
                if outcome.status == OutcomeStatus::Completed {
                    let region = outcome.region.as_ref().map(ToString::to_string);
                    let currency = outcome.cost.currency.as_str().to_owned();
                    let items = signed(outcome.usage.items)?;
                    let characters = signed(outcome.usage.characters)?;
                    let tokens = signed(outcome.usage.tokens)?;
                    let micros = outcome.cost.micros;
                    let month = outcome.at.month_start().as_micros();
                    add(
                        self.monthly.entry((month, tenant.clone(), currency.clone())).or_default(),
                        [items, micros],
                    );
                    let model = counted.model.to_owned();
                    add(
                        self.daily
                            .entry([day, tenant, model, region.unwrap_or_default(), currency])
                            .or_default(),
                        [1, 0, items, characters, tokens, micros],
                    );
                }
            }
            Record::Refusal(refusal) => {
                let (day, tenant) = (refusal.at.day(), refusal.caller.tenant.to_string());
                let code = Some(refusal.code);
                self.ended(&day, &tenant, CallStatus::Refused, code, [1, redacted]);
                let currency = Currency::default().as_str().to_owned();
                let model = counted.model.to_owned();
                add(
                    self.daily.entry([day, tenant, model, String::new(), currency]).or_default(),
                    [0, 1, 0, 0, 0, 0],
                );
            }
            Record::RefusalAggregate(aggregate) => {
                let day = aggregate.until.day();
                for (code, count) in &aggregate.counts {
                    let count = signed(*count)?;
                    self.ended(&day, "", CallStatus::Refused, Some(*code), [count, 0]);
                }
            }
            Record::Intent(_)
            | Record::Comparison(_)
            | Record::Observation(_)
            | Record::Control(_) => {}
        }
        Ok(())
    }

    /// Forgets what belongs to days that are closed, since some of their records are deleted: their
    /// sums were made before, and are not made again.
    fn leave_closed(&mut self, horizon: &Horizon) {
        if let Some(day) = &horizon.any {
            self.daily.retain(|key, _| key.first() > Some(day));
            self.activity.retain(|key, _| key.first() > Some(day));
        }
        if let Some(day) = &horizon.calls {
            self.monthly.retain(|key, _| Timestamp::from_micros(key.0).day() > *day);
        }
    }

    fn ended(
        &mut self,
        day: &str,
        tenant: &str,
        status: CallStatus,
        code: Option<Code>,
        values: [i64; 2],
    ) {
        let code = code.map_or_else(String::new, |code| code.to_string());
        let key = [day.to_owned(), tenant.to_owned(), status.to_string(), code];
        add(self.activity.entry(key).or_default(), values);
    }
}

/// Adds what these records count to the sums.
pub(crate) fn roll_up(c: &mut Connection, counted: &[Counted<'_>]) -> Result<(), StoreError> {
    let mut sums = Sums::default();
    let horizon = retention::horizon(c)?;
    for one in counted {
        sums.count(one)?;
    }
    sums.leave_closed(&horizon);
    let daily: Vec<Daily> = sums
        .daily
        .into_iter()
        .map(|([day, tenant, model, region, currency], values)| {
            let [calls, refusals, items, characters, tokens, cost_micros] = values;
            Daily {
                day,
                tenant,
                model,
                region,
                currency,
                calls,
                refusals,
                items,
                characters,
                tokens,
                cost_micros,
            }
        })
        .collect();
    let monthly: Vec<Monthly> = sums
        .monthly
        .into_iter()
        .map(|((month_start, tenant, currency), [items, cost_micros])| Monthly {
            month_start,
            tenant,
            currency,
            items,
            cost_micros,
        })
        .collect();
    let activity: Vec<Activity> = sums
        .activity
        .into_iter()
        .map(|([day, tenant, status, code], [calls, redacted])| Activity {
            day,
            tenant,
            status,
            code,
            calls,
            redacted,
        })
        .collect();
    for rows in daily.chunks(ROWS_IN_A_STATEMENT) {
        add_daily(c, rows)?;
    }
    for rows in monthly.chunks(ROWS_IN_A_STATEMENT) {
        add_monthly(c, rows)?;
    }
    for rows in activity.chunks(ROWS_IN_A_STATEMENT) {
        add_activity(c, rows)?;
    }
    Ok(())
}

fn add_daily(c: &mut Connection, rows: &[Daily]) -> Result<(), StoreError> {
    use usage_daily::dsl as t;
    on_backend!(c, inner => diesel::insert_into(usage_daily::table)
        .values(rows)
        .on_conflict((t::day, t::tenant, t::model, t::region, t::currency))
        .do_update()
        .set((
            t::calls.eq(t::calls + excluded(t::calls)),
            t::refusals.eq(t::refusals + excluded(t::refusals)),
            t::items.eq(t::items + excluded(t::items)),
            t::characters.eq(t::characters + excluded(t::characters)),
            t::tokens.eq(t::tokens + excluded(t::tokens)),
            t::cost_micros.eq(t::cost_micros + excluded(t::cost_micros)),
        ))
        .execute(inner))?;
    Ok(())
}

fn add_monthly(c: &mut Connection, rows: &[Monthly]) -> Result<(), StoreError> {
    use usage_monthly::dsl as t;
    on_backend!(c, inner => diesel::insert_into(usage_monthly::table)
        .values(rows)
        .on_conflict((t::month_start, t::tenant, t::currency))
        .do_update()
        .set((
            t::items.eq(t::items + excluded(t::items)),
            t::cost_micros.eq(t::cost_micros + excluded(t::cost_micros)),
        ))
        .execute(inner))?;
    Ok(())
}

fn add_activity(c: &mut Connection, rows: &[Activity]) -> Result<(), StoreError> {
    use activity_daily::dsl as t;
    on_backend!(c, inner => diesel::insert_into(activity_daily::table)
        .values(rows)
        .on_conflict((t::day, t::tenant, t::status, t::code))
        .do_update()
        .set((
            t::calls.eq(t::calls + excluded(t::calls)),
            t::redacted.eq(t::redacted + excluded(t::redacted)),
        ))
        .execute(inner))?;
    Ok(())
}

fn some_text(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// Usage of one tenant or of all, day by day. Days are UTC, `2026-11-24`; `until_day` is
/// included.
pub fn by_day(
    c: &mut Connection,
    tenant: Option<&TenantId>,
    from_day: &str,
    until_day: &str,
) -> Result<Vec<UsageRow>, StoreError> {
    use usage_daily::dsl as t;
    let mut query = usage_daily::table
        .into_boxed::<MultiBackend>()
        .filter(t::day.ge(from_day.to_owned()))
        .filter(t::day.le(until_day.to_owned()));
    if let Some(tenant) = tenant {
        query = query.filter(t::tenant.eq(tenant.to_string()));
    }
    let rows: Vec<Daily> = query
        .order((t::day.asc(), t::tenant.asc(), t::model.asc(), t::region.asc(), t::currency.asc()))
        .load(c)?;
    let column = |name| Column("usage_daily", name);
    rows.into_iter()
        .map(|row| {
            Ok(UsageRow {
                day: row.day,
                tenant: column("tenant").parse(&row.tenant)?,
                model: some_text(&row.model).map(str::to_owned),
                region: column("region").parse_some(some_text(&row.region))?,
                calls: column("calls").count(row.calls)?,
                refusals: column("refusals").count(row.refusals)?,
                items: column("items").count(row.items)?,
                characters: column("characters").count(row.characters)?,
                tokens: column("tokens").count(row.tokens)?,
                cost: Money::new(row.cost_micros, column("currency").word(&row.currency)?),
            })
        })
        .collect()
}

/// What each tenant used in the month that begins at `month_start` (see
/// [`Timestamp::month_start`]), as far as the logs are indexed: what quotas and budgets begin
/// with after a restart. One entry for each currency.
pub fn month_to_date(
    c: &mut Connection,
    month_start: Timestamp,
) -> Result<Vec<(TenantId, u64, Money)>, StoreError> {
    let rows: Vec<Monthly> = usage_monthly::table
        .filter(usage_monthly::month_start.eq(month_start.as_micros()))
        .order((usage_monthly::tenant.asc(), usage_monthly::currency.asc()))
        .load(c)?;
    let column = |name| Column("usage_monthly", name);
    rows.into_iter()
        .map(|row| {
            Ok((
                column("tenant").parse(&row.tenant)?,
                column("items").count(row.items)?,
                Money::new(row.cost_micros, column("currency").word(&row.currency)?),
            ))
        })
        .collect()
}

/// How calls of one tenant or of all ended, day by day. Days are UTC; `until_day` is included.
pub fn activity(
    c: &mut Connection,
    tenant: Option<&TenantId>,
    from_day: &str,
    until_day: &str,
) -> Result<Vec<ActivityRow>, StoreError> {
    use activity_daily::dsl as t;
    let mut query = activity_daily::table
        .into_boxed::<MultiBackend>()
        .filter(t::day.ge(from_day.to_owned()))
        .filter(t::day.le(until_day.to_owned()));
    if let Some(tenant) = tenant {
        query = query.filter(t::tenant.eq(tenant.to_string()));
    }
    let rows: Vec<Activity> =
        query.order((t::day.asc(), t::tenant.asc(), t::status.asc(), t::code.asc())).load(c)?;
    let column = |name| Column("activity_daily", name);
    rows.into_iter()
        .map(|row| {
            Ok(ActivityRow {
                day: row.day,
                tenant: column("tenant").parse_some(some_text(&row.tenant))?,
                status: column("status").parse(&row.status)?,
                code: column("code").parse_some(some_text(&row.code))?,
                calls: column("calls").count(row.calls)?,
                redacted: column("redacted").count(row.redacted)?,
            })
        })
        .collect()
}

/// Takes all sums out but those of days that are closed.
pub(crate) fn clear(c: &mut Connection) -> Result<(), StoreError> {
    let horizon = retention::horizon(c)?;
    let any = horizon.any.unwrap_or_default();
    diesel::delete(usage_daily::table.filter(usage_daily::day.gt(any.clone()))).execute(c)?;
    diesel::delete(activity_daily::table.filter(activity_daily::day.gt(any))).execute(c)?;
    // A month is closed when a day of it, or a later one, is.
    let months: Vec<i64> =
        usage_monthly::table.select(usage_monthly::month_start).distinct().load(c)?;
    for month in months {
        let is_open =
            horizon.calls.as_ref().is_none_or(|day| Timestamp::from_micros(month).day() > *day);
        if is_open {
            diesel::delete(usage_monthly::table.filter(usage_monthly::month_start.eq(month)))
                .execute(c)?;
        }
    }
    Ok(())
}
