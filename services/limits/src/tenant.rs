use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::Clock as _,
    middleware::StateInformationMiddleware,
    state::{InMemoryState, NotKeyed},
};
use parking_lot::{Mutex, MutexGuard};
use reeve_domain::Clock;

use crate::{PlanLimits, clock::Monotonic, month::Month};

type Limiter = RateLimiter<NotKeyed, InMemoryState, Monotonic, StateInformationMiddleware>;

/// Nothing is allowed.
pub(crate) const CLOSED: PlanLimits = PlanLimits {
    requests_per_second: 1,
    burst: 1,
    concurrency: 0,
    monthly_items: 0,
    monthly_budget_micros: None,
    item_price_micros: 0,
};

/// One tenant's limits and counters. Counters are shared with the tenant that takes its place when
/// the plan changes.
pub(crate) struct Tenant {
    pub(crate) plan: PlanLimits,
    limiter: Arc<Limiter>,
    clock: Monotonic,
    under_way: Arc<AtomicU32>,
    month: Arc<Mutex<Month>>,
}

impl Tenant {
    pub(crate) fn new(plan: PlanLimits, clock: &Arc<dyn Clock>) -> Self {
        let clock = Monotonic(Arc::clone(clock));
        Self {
            plan,
            limiter: Arc::new(limiter(plan, &clock)),
            clock,
            under_way: Arc::default(),
            month: Arc::default(),
        }
    }

    /// The same tenant under another plan.
    pub(crate) fn with(&self, plan: PlanLimits, clock: &Arc<dyn Clock>) -> Self {
        let same_rate = plan.requests_per_second == self.plan.requests_per_second
            && plan.burst == self.plan.burst;
        let fresh = Self::new(plan, clock);
        Self {
            limiter: if same_rate { Arc::clone(&self.limiter) } else { fresh.limiter },
            under_way: Arc::clone(&self.under_way),
            month: Arc::clone(&self.month),
            ..fresh
        }
    }

    pub(crate) fn month(&self) -> MutexGuard<'_, Month> {
        self.month.lock()
    }

    pub(crate) fn enter(&self) -> bool {
        self.under_way
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
                (now < self.plan.concurrency).then(|| now.saturating_add(1))
            })
            .is_ok()
    }

    pub(crate) fn leave(&self) {
        self.under_way.fetch_sub(1, Ordering::AcqRel);
    }

    /// Takes one call of the rate: how many are left, or how long to wait.
    pub(crate) fn tick(&self) -> Result<u32, Duration> {
        match self.limiter.check() {
            Ok(snapshot) => Ok(snapshot.remaining_burst_capacity()),
            Err(until) => Err(until.wait_time_from(self.clock.now())),
        }
    }
}

fn limiter(plan: PlanLimits, clock: &Monotonic) -> Limiter {
    let at_least_one = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
    let quota = Quota::per_second(at_least_one(plan.requests_per_second))
        .allow_burst(at_least_one(plan.burst));
    RateLimiter::direct_with_clock(quota, clock.clone())
        .with_middleware::<StateInformationMiddleware>()
}
