//! Limits as reservations: a call reserves rate, concurrency, quota and budget together or not at
//! all, and what it does not use comes back.
//!
//! In one process: the rate by governor's GCRA, the rest by counters. Knows tenants and numbers;
//! not why a call is made, nor where the numbers come from.

mod clock;
mod month;
mod reservation;
mod state;
mod tenant;

use std::{collections::HashMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use reeve_domain::{Clock, Code, TenantId, Timestamp};
use tenant::Tenant;

pub use reservation::Reservation;
pub use state::LimitState;

/// The limits of one tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanLimits {
    /// Calls a second, over time. At least 1.
    pub requests_per_second: u32,
    /// Calls at once after a pause. At least 1.
    pub burst: u32,
    /// Calls under way at the same time.
    pub concurrency: u32,
    /// Texts in a calendar month (UTC).
    pub monthly_items: u64,
    /// Price in a calendar month, in millionths of the currency's unit; none: not limited.
    pub monthly_budget_micros: Option<i64>,
    /// What is reserved of the budget for each text until its price is known.
    pub item_price_micros: i64,
}

/// A limit that a call would exceed. Nothing was taken.
#[derive(Clone, Debug)]
pub struct LimitExceeded {
    /// Which: `rate-limited`, `concurrency-limited`, `quota-exhausted` or `budget-exhausted`.
    pub code: Code,
    /// When it may be worth trying again.
    pub retry_after: Duration,
    /// All of the tenant's limits as they stand.
    pub state: LimitState,
}

/// The limits of all tenants. Cheap to share; taking a limit locks one tenant for a moment.
pub struct Limits {
    clock: Arc<dyn Clock>,
    tenants: ArcSwap<HashMap<TenantId, Arc<Tenant>>>,
}

impl Limits {
    /// Limits for no tenant yet: nobody may call.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, tenants: ArcSwap::default() }
    }

    /// Puts these limits in force. Counters of tenants that were known are kept; tenants that are
    /// not named may not call any more.
    pub fn configure(&self, plans: impl IntoIterator<Item = (TenantId, PlanLimits)>) {
        let plans: Vec<_> = plans.into_iter().collect();
        self.tenants.rcu(|known| {
            plans
                .iter()
                .map(|(id, plan)| {
                    let tenant = match known.get(id) {
                        Some(tenant) => tenant.with(*plan, &self.clock),
                        None => Tenant::new(*plan, &self.clock),
                    };
                    (id.clone(), Arc::new(tenant))
                })
                .collect::<HashMap<_, _>>()
        });
    }

    /// Counts what the month that began at `month_start` had used before this process began.
    pub fn seed_month(&self, tenant: &TenantId, month_start: Timestamp, items: u64, micros: i64) {
        // Made outside, since the closure runs again when somebody else is faster: whatever it
        // puts in the map, what was used is counted once.
        let closed = Arc::new(Tenant::new(tenant::CLOSED, &self.clock));
        if !self.tenants.load().contains_key(tenant) {
            self.tenants.rcu(|known| {
                let mut next = HashMap::clone(known);
                // Limits may come later than what was used: until then the tenant may not call.
                next.entry(tenant.clone()).or_insert_with(|| Arc::clone(&closed));
                next
            });
        }
        if let Some(entry) = self.tenants.load().get(tenant) {
            entry.month().seed(month_start, items, micros);
        }
    }

    /// Reserves one call with `items` texts: everything or nothing.
    pub fn reserve(&self, tenant: &TenantId, items: u64) -> Result<Reservation, LimitExceeded> {
        let tenants = self.tenants.load();
        match tenants.get(tenant) {
            Some(tenant) => Reservation::take(tenant, items, self.clock.now()),
            // A tenant without limits is one that policy gives no plan: that allows nothing.
            None => Err(LimitExceeded {
                code: Code::QuotaExhausted,
                retry_after: Duration::from_secs(60),
                state: LimitState::none(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use reeve_domain::FixedClock;

    use super::*;

    const PLAN: PlanLimits = PlanLimits {
        requests_per_second: 10,
        burst: 5,
        concurrency: 3,
        monthly_items: 100,
        monthly_budget_micros: Some(1_000),
        item_price_micros: 10,
    };

    fn acme() -> TenantId {
        TenantId::new("acme").unwrap()
    }

    fn limits(plan: PlanLimits) -> (Arc<FixedClock>, Limits) {
        let clock = Arc::new(FixedClock::new(Timestamp::parse("2026-11-24T08:00:00Z").unwrap()));
        let limits = Limits::new(clock.clone());
        limits.configure([(acme(), plan)]);
        (clock, limits)
    }

    fn refused(limits: &Limits, items: u64) -> LimitExceeded {
        limits.reserve(&acme(), items).map(drop).unwrap_err()
    }

    #[test]
    fn the_rate_is_limited_and_comes_back_with_time() {
        let (clock, limits) = limits(PLAN);
        for _ in 0..5 {
            limits.reserve(&acme(), 1).unwrap();
        }
        let exceeded = refused(&limits, 1);
        assert_eq!(exceeded.code, Code::RateLimited);
        assert!(exceeded.retry_after > Duration::ZERO);
        assert!(exceeded.retry_after <= Duration::from_millis(100));
        clock.advance(Duration::from_millis(100));
        limits.reserve(&acme(), 1).unwrap();
        assert_eq!(refused(&limits, 1).code, Code::RateLimited);
    }

    #[test]
    fn concurrency_is_held_until_the_reservation_ends() {
        let (_, limits) = limits(PLAN);
        let held: Vec<_> = (0..3).map(|_| limits.reserve(&acme(), 1).unwrap()).collect();
        assert_eq!(refused(&limits, 1).code, Code::ConcurrencyLimited);
        drop(held);
        limits.reserve(&acme(), 1).unwrap();
    }

    #[test]
    fn what_is_not_settled_comes_back_and_what_is_stays() {
        let plan = PlanLimits { burst: 1_000, ..PLAN };
        let (_, limits) = limits(plan);
        drop(limits.reserve(&acme(), 100).unwrap());
        let exceeded = refused(&limits, 101);
        assert_eq!(exceeded.code, Code::QuotaExhausted);
        limits.reserve(&acme(), 60).unwrap().settle(60, 500);
        assert_eq!(refused(&limits, 41).code, Code::QuotaExhausted);
        // 40 texts would reserve 400 of the 500 that are left.
        let held = limits.reserve(&acme(), 40).unwrap();
        assert_eq!(refused(&limits, 1).code, Code::QuotaExhausted);
        held.settle(40, 600);
        assert!(matches!(refused(&limits, 1).code, Code::QuotaExhausted | Code::BudgetExhausted));
    }

    #[test]
    fn a_spent_budget_refuses_and_a_new_month_begins_anew() {
        let (clock, limits) = limits(PlanLimits { burst: 1_000, ..PLAN });
        limits.reserve(&acme(), 1).unwrap().settle(1, 1_000);
        let exceeded = refused(&limits, 1);
        assert_eq!(exceeded.code, Code::BudgetExhausted);
        clock.advance(exceeded.retry_after);
        limits.reserve(&acme(), 1).unwrap();
    }

    #[test]
    fn a_refusal_takes_nothing() {
        let (_, limits) = limits(PlanLimits { burst: 2, ..PLAN });
        for _ in 0..10 {
            assert_eq!(refused(&limits, 1_000).code, Code::QuotaExhausted);
        }
        limits.reserve(&acme(), 100).unwrap().settle(100, 0);
    }

    #[test]
    fn another_plan_keeps_what_was_counted() {
        let (_, limits) = limits(PLAN);
        let held = limits.reserve(&acme(), 50).unwrap();
        limits.configure([(acme(), PlanLimits { monthly_items: 60, ..PLAN })]);
        assert_eq!(refused(&limits, 11).code, Code::QuotaExhausted);
        held.settle(50, 0);
        assert_eq!(refused(&limits, 11).code, Code::QuotaExhausted);
        limits.reserve(&acme(), 10).unwrap();
        limits.configure([]);
        assert!(limits.reserve(&acme(), 1).is_err(), "a tenant without a plan may not call");
    }

    #[test]
    fn what_was_used_before_the_start_counts() {
        let (clock, limits) = limits(PLAN);
        limits.seed_month(&acme(), clock.now().month_start(), 99, 0);
        assert_eq!(refused(&limits, 2).code, Code::QuotaExhausted);
        limits.reserve(&acme(), 1).unwrap();
        let other = TenantId::new("other").unwrap();
        limits.seed_month(&other, clock.now().month_start(), 100, 0);
        assert!(limits.reserve(&other, 1).is_err());
        limits.configure([(other.clone(), PLAN)]);
        assert_eq!(limits.reserve(&other, 1).map(drop).unwrap_err().code, Code::QuotaExhausted);
    }

    #[test]
    fn the_headers_say_how_it_stands() {
        let (_, limits) = limits(PLAN);
        let state = limits.reserve(&acme(), 10).unwrap().state();
        assert_eq!(state.policy_header(), r#""rate";q=5;w=1, "month";q=100;w=2592000;qu="items""#);
        assert!(state.state_header().starts_with(r#""rate";r=4;t=1, "month";r=90;t="#));
    }

    #[test]
    fn a_large_burst_is_not_told_as_a_large_rate() {
        let (_, limits) = limits(PlanLimits { requests_per_second: 10, burst: 95, ..PLAN });
        let state = limits.reserve(&acme(), 1).unwrap().state();
        assert!(state.policy_header().starts_with(r#""rate";q=95;w=10,"#));
    }

    #[test]
    fn many_threads_never_overrun() {
        let plan = PlanLimits {
            requests_per_second: 1_000_000,
            burst: 1_000_000,
            concurrency: 64,
            monthly_items: 10_000,
            monthly_budget_micros: None,
            item_price_micros: 0,
        };
        let (_, limits) = limits(plan);
        let settled: u64 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8_u64)
                .map(|n| {
                    let limits = &limits;
                    scope.spawn(move || {
                        let mut settled = 0;
                        for round in 0..2_000_u64 {
                            let Ok(held) = limits.reserve(&acme(), 3) else { continue };
                            if (round + n) % 3 == 0 {
                                drop(held);
                            } else {
                                held.settle(2, 0);
                                settled += 2;
                            }
                        }
                        settled
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert!(settled <= 10_000, "{settled}");
        assert!(settled >= 9_990, "what came back could not be used: {settled}");
    }
}
