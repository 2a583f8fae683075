use std::{sync::Arc, time::Duration};

use reeve_domain::{Code, Timestamp};

use crate::{LimitExceeded, LimitState, month, state::Limit, tenant::Tenant};

/// What one call has taken of its tenant's limits. Dropped without [`Reservation::settle`], its
/// quota and budget come back; its concurrency always does.
pub struct Reservation {
    tenant: Arc<Tenant>,
    items: u64,
    micros: i64,
    state: LimitState,
}

impl Reservation {
    /// The rate comes last: it alone cannot be given back.
    pub(crate) fn take(
        tenant: &Arc<Tenant>,
        items: u64,
        now: Timestamp,
    ) -> Result<Self, LimitExceeded> {
        let plan = &tenant.plan;
        if !tenant.enter() {
            let state = state(tenant, now, 0, Duration::from_secs(1));
            let retry_after = Duration::from_secs(1);
            return Err(LimitExceeded { code: Code::ConcurrencyLimited, retry_after, state });
        }
        let factor = i64::try_from(items).unwrap_or(i64::MAX);
        let micros = plan.item_price_micros.saturating_mul(factor);
        let mut reservation =
            Self { tenant: Arc::clone(tenant), items: 0, micros: 0, state: LimitState::none() };
        if let Some(code) = reservation.reserve_month(items, micros, now) {
            let state = state(tenant, now, plan.burst.into(), Duration::ZERO);
            return Err(LimitExceeded { code, retry_after: month::left(now), state });
        }
        match tenant.tick() {
            Ok(left) => {
                reservation.state = state(tenant, now, left.into(), Duration::from_secs(1));
                Ok(reservation)
            }
            Err(wait) => {
                drop(reservation);
                let state = state(tenant, now, 0, wait);
                Err(LimitExceeded { code: Code::RateLimited, retry_after: wait, state })
            }
        }
    }

    fn reserve_month(&mut self, items: u64, micros: i64, now: Timestamp) -> Option<Code> {
        let plan = &self.tenant.plan;
        let mut month = self.tenant.month();
        month.roll(now);
        if month.items_left(plan.monthly_items) < items {
            return Some(Code::QuotaExhausted);
        }
        if let Some(budget) = plan.monthly_budget_micros {
            let taken = month.micros.saturating_add(month.reserved_micros);
            if taken >= budget || taken.saturating_add(micros) > budget {
                return Some(Code::BudgetExhausted);
            }
        }
        month.reserved_items = month.reserved_items.saturating_add(items);
        month.reserved_micros = month.reserved_micros.saturating_add(micros);
        drop(month);
        self.items = items;
        self.micros = micros;
        None
    }

    /// How the tenant's limits stood when this was taken.
    pub fn state(&self) -> LimitState {
        self.state.clone()
    }

    /// Counts what was really used in place of what was reserved.
    pub fn settle(self, items: u64, micros: i64) {
        let mut month = self.tenant.month();
        month.items = month.items.saturating_add(items);
        month.micros = month.micros.saturating_add(micros);
        drop(month);
        // The rest comes back when this is dropped.
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut month = self.tenant.month();
        month.reserved_items = month.reserved_items.saturating_sub(self.items);
        month.reserved_micros = month.reserved_micros.saturating_sub(self.micros);
        drop(month);
        self.tenant.leave();
    }
}

fn state(tenant: &Tenant, now: Timestamp, calls_left: u64, wait: Duration) -> LimitState {
    let plan = &tenant.plan;
    let items_left = tenant.month().items_left(plan.monthly_items);
    LimitState {
        limits: vec![
            Limit {
                name: "rate",
                quota: plan.burst.into(),
                // In which the whole burst comes back.
                window: Duration::from_secs(
                    plan.burst.div_ceil(plan.requests_per_second.max(1)).max(1).into(),
                ),
                unit: None,
                remaining: calls_left,
                reset: wait,
            },
            Limit {
                name: "month",
                quota: plan.monthly_items,
                window: Duration::from_secs(30 * 86_400),
                unit: Some("items"),
                remaining: items_left,
                reset: month::left(now),
            },
        ],
    }
}
