//! What a bundle would have done to recorded traffic: recorded inputs are decided again, by the
//! code that enforces, and compared with what was decided then.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use reeve_domain::{
    Action, Code, Currency, Decision, DecisionId, DecisionInput, Digest, Flip, Kind, PlanName,
    Region, RuleId, TenantId, Timestamp, Usage,
};
use serde::{Deserialize, Serialize};

use crate::{bundle::Plan, engine::Engine};

/// Examples that are kept of each flip.
const EXAMPLES: usize = 5;
const HOUR_MICROS: i64 = 3_600_000_000;

/// A call as it was recorded.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Its id.
    pub id: DecisionId,
    /// What it was decided by.
    pub input: DecisionInput,
    /// What was decided.
    pub decision: Decision,
    /// Where it was processed, as far as is known.
    pub region: Option<Region>,
}

/// One call of a flip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// The call.
    pub decision_id: DecisionId,
    /// When it came.
    pub at: Timestamp,
    /// Whose call it was.
    pub tenant: TenantId,
    /// The rules that make the difference; none: no rule permits.
    pub rules: Vec<RuleId>,
}

/// What became of one tenant's calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantImpact {
    /// Calls that were replayed.
    pub calls: u64,
    /// Those of them that would be treated otherwise.
    pub flips: BTreeMap<Flip, u64>,
}

/// What became of the calls of one hour.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourImpact {
    /// When the hour began.
    pub at: Timestamp,
    /// Calls that were replayed.
    pub calls: u64,
    /// Those of them that would be treated otherwise.
    pub flips: BTreeMap<Flip, u64>,
}

/// Calls in a region, before and after.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shift {
    /// As recorded.
    pub before: u64,
    /// As they would be.
    pub after: u64,
}

/// Prices of calls, before and after, in millionths.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostShift {
    /// By the plans that were in force.
    pub before_micros: i64,
    /// By the draft's plans.
    pub after_micros: i64,
}

/// What the draft's limits would do. Reported apart: here it matters in which order calls come, and
/// how long each took is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitImpact {
    /// Calls that were within limits and would not be.
    pub limited: u64,
    /// Calls that were refused by a limit and would not be.
    pub unlimited: u64,
    /// `limited` by tenant and by the code of the limit.
    pub by_tenant: BTreeMap<TenantId, BTreeMap<Code, u64>>,
}

/// What a replay found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Impact {
    /// The draft.
    pub policy: Digest,
    /// Calls that were replayed.
    pub replayed: u64,
    /// Calls that the draft itself had decided, and which tell nothing.
    pub own: u64,
    /// Calls that could not be, by why: the code that refused them before they were decided.
    pub not_replayed: BTreeMap<String, u64>,
    /// Calls that were also decided again by the bundle that had decided them, and how many of
    /// those came out as recorded. The two must be equal.
    pub checked: u64,
    /// See `checked`.
    pub reproduced: u64,
    /// Some of those that did not.
    pub not_reproduced: Vec<DecisionId>,
    /// Calls whose texts were not searched for all that the draft looks for: what it would have
    /// found in them is not known.
    pub not_searched: u64,
    /// Kinds that were not looked for then.
    pub kinds_not_sought: BTreeSet<Kind>,
    /// Calls that would be treated otherwise.
    pub flips: BTreeMap<Flip, u64>,
    /// By tenant.
    pub by_tenant: BTreeMap<TenantId, TenantImpact>,
    /// By the hour, in the order of time; hours without calls are left out.
    #[serde(default)]
    pub by_hour: Vec<HourImpact>,
    /// By the rule that makes the difference; `-` where no rule permits.
    pub by_rule: BTreeMap<String, BTreeMap<Flip, u64>>,
    /// By tenant and rule.
    pub by_tenant_and_rule: BTreeMap<TenantId, BTreeMap<String, BTreeMap<Flip, u64>>>,
    /// Some calls of each.
    pub examples: BTreeMap<Flip, Vec<Example>>,
    /// Allowed calls by region.
    pub regions: BTreeMap<Region, Shift>,
    /// Prices of allowed calls.
    pub cost: BTreeMap<Currency, CostShift>,
    /// Calls that each rule of the draft decided or obliged.
    pub matched: BTreeMap<RuleId, u64>,
    /// Rules of the draft that no call matched.
    pub never_matched: Vec<RuleId>,
    /// Limits.
    pub limits: LimitImpact,
}

/// A replay under way. It takes calls in the order of their time.
pub struct Replay<'e> {
    draft: &'e Engine,
    /// Bundles that decided, by digest.
    then: &'e HashMap<Digest, Engine>,
    plans: &'e HashMap<TenantId, PlanName>,
    sought: BTreeSet<Kind>,
    sought_then: HashMap<Digest, BTreeSet<Kind>>,
    limiters: HashMap<TenantId, Limiter>,
    hours: BTreeMap<Timestamp, HourImpact>,
    impact: Impact,
}

impl<'e> Replay<'e> {
    /// A replay through `draft`. `then` holds the bundles that decided, as far as they are known;
    /// `plans` says which plan a tenant has.
    pub fn new(
        draft: &'e Engine,
        then: &'e HashMap<Digest, Engine>,
        plans: &'e HashMap<TenantId, PlanName>,
    ) -> Self {
        Self {
            draft,
            then,
            plans,
            sought: draft.kinds(),
            sought_then: then.iter().map(|(digest, engine)| (*digest, engine.kinds())).collect(),
            limiters: HashMap::new(),
            hours: BTreeMap::new(),
            impact: Impact {
                policy: draft.digest(),
                replayed: 0,
                own: 0,
                not_replayed: BTreeMap::new(),
                checked: 0,
                reproduced: 0,
                not_reproduced: Vec::new(),
                not_searched: 0,
                kinds_not_sought: BTreeSet::new(),
                flips: BTreeMap::new(),
                by_tenant: BTreeMap::new(),
                by_hour: Vec::new(),
                by_rule: BTreeMap::new(),
                by_tenant_and_rule: BTreeMap::new(),
                examples: BTreeMap::new(),
                regions: BTreeMap::new(),
                cost: BTreeMap::new(),
                matched: BTreeMap::new(),
                never_matched: Vec::new(),
                limits: LimitImpact::default(),
            },
        }
    }

    /// Takes a call that was decided.
    pub fn decided(&mut self, call: &Recorded) {
        let now = self.draft.answer(&call.input);
        let then = self.then.get(&call.decision.policy);
        if let Some(then) = then {
            count(&mut self.impact.checked);
            if then.answer(&call.input).decision == call.decision {
                count(&mut self.impact.reproduced);
            } else if self.impact.not_reproduced.len() < EXAMPLES {
                self.impact.not_reproduced.push(call.id);
            }
        }
        if call.decision.policy == self.draft.digest() {
            // Nothing can differ from what the draft itself decided.
            count(&mut self.impact.own);
            return;
        }
        count(&mut self.impact.replayed);
        let tenant = self.impact.by_tenant.entry(call.input.tenant.id.clone()).or_default();
        count(&mut tenant.calls);
        let hour = self.hour(call.input.at);
        count(&mut hour.calls);
        for rule in &now.matched {
            count(self.impact.matched.entry(rule.clone()).or_default());
        }
        self.coverage(call);
        self.shift(call, &now.decision);
        let place = call.region.as_ref();
        let flips = flips(&call.input, &call.decision, place, then, &now.decision, self.draft);
        for (flip, rules) in flips {
            self.note(call, flip, &rules);
        }
        let usage = if now.decision.is_allowed() { usage(&call.input) } else { Usage::default() };
        self.limit(&call.input.tenant.id, call.input.at, &usage, false);
    }

    /// Takes a call that was refused before it was decided.
    pub fn refused(&mut self, tenant: &TenantId, at: Timestamp, code: Code) {
        count(self.impact.not_replayed.entry(code.as_str().to_owned()).or_default());
        let limited =
            matches!(code, Code::RateLimited | Code::QuotaExhausted | Code::BudgetExhausted);
        if limited {
            // How much was asked for is not on record.
            self.limit(tenant, at, &Usage { items: 1, ..Usage::default() }, true);
        }
    }

    /// Takes a call that cannot be read.
    pub fn unreadable(&mut self) {
        count(self.impact.not_replayed.entry("unreadable".to_owned()).or_default());
    }

    /// What was found.
    pub fn finish(self) -> Impact {
        let mut impact = self.impact;
        impact.by_hour = self.hours.into_values().collect();
        impact.never_matched = self
            .draft
            .rules()
            .into_iter()
            .map(|rule| rule.id)
            .filter(|rule| !impact.matched.contains_key(rule))
            .collect();
        impact
    }

    fn hour(&mut self, at: Timestamp) -> &mut HourImpact {
        let since = at.as_micros().rem_euclid(HOUR_MICROS);
        let begun = Timestamp::from_micros(at.as_micros().saturating_sub(since));
        self.hours.entry(begun).or_insert_with(|| HourImpact { at: begun, ..HourImpact::default() })
    }

    fn coverage(&mut self, call: &Recorded) {
        let Some(then) = self.sought_then.get(&call.decision.policy) else { return };
        let mut missed = self.sought.difference(then).peekable();
        if missed.peek().is_some() {
            count(&mut self.impact.not_searched);
            self.impact.kinds_not_sought.extend(missed.cloned());
        }
    }

    fn shift(&mut self, call: &Recorded, now: &Decision) {
        let regions = &mut self.impact.regions;
        let before = call.region.as_ref().or(call.decision.permitted.first());
        if let Some(before) = before.filter(|_| call.decision.is_allowed()) {
            count(&mut regions.entry(before.clone()).or_default().before);
        }
        let stays = before.filter(|region| now.permitted.contains(region));
        if let Some(after) = stays.or(now.permitted.first()) {
            count(&mut regions.entry(after.clone()).or_default().after);
        }
        let plan = self.plans.get(&call.input.tenant.id);
        let usage = usage(&call.input);
        let cost = |engine: &Engine| {
            plan.and_then(|plan| engine.plan(plan)).map(|plan| plan.prices.cost(&usage))
        };
        let then = self.then.get(&call.decision.policy).and_then(cost);
        if let Some(price) = then.filter(|_| call.decision.is_allowed()) {
            let shift = self.impact.cost.entry(price.currency).or_default();
            shift.before_micros = shift.before_micros.saturating_add(price.micros);
        }
        if let Some(price) = cost(self.draft).filter(|_| now.is_allowed()) {
            let shift = self.impact.cost.entry(price.currency).or_default();
            shift.after_micros = shift.after_micros.saturating_add(price.micros);
        }
    }

    fn note(&mut self, call: &Recorded, flip: Flip, rules: &BTreeSet<RuleId>) {
        let impact = &mut self.impact;
        count(impact.flips.entry(flip).or_default());
        count(self.hour(call.input.at).flips.entry(flip).or_default());
        let impact = &mut self.impact;
        let tenant = &call.input.tenant.id;
        if let Some(of_tenant) = impact.by_tenant.get_mut(tenant) {
            count(of_tenant.flips.entry(flip).or_default());
        }
        let of_tenant = impact.by_tenant_and_rule.entry(tenant.clone()).or_default();
        let names: Vec<String> = if rules.is_empty() {
            vec!["-".to_owned()]
        } else {
            rules.iter().map(ToString::to_string).collect()
        };
        for name in names {
            count(of_tenant.entry(name.clone()).or_default().entry(flip).or_default());
            count(impact.by_rule.entry(name).or_default().entry(flip).or_default());
        }
        let examples = impact.examples.entry(flip).or_default();
        if examples.len() < EXAMPLES {
            examples.push(Example {
                decision_id: call.id,
                at: call.input.at,
                tenant: tenant.clone(),
                rules: rules.iter().cloned().collect(),
            });
        }
    }

    /// Takes a call through the draft's limits. A call that is denied behind them is not charged.
    fn limit(&mut self, tenant: &TenantId, at: Timestamp, usage: &Usage, was_limited: bool) {
        let plan = self.plans.get(tenant).and_then(|plan| self.draft.plan(plan));
        let Some(plan) = plan else { return };
        let limiter = self.limiters.entry(tenant.clone()).or_default();
        match limiter.admit(plan, at, usage) {
            Err(code) if !was_limited => {
                count(&mut self.impact.limits.limited);
                let codes = self.impact.limits.by_tenant.entry(tenant.clone()).or_default();
                count(codes.entry(code).or_default());
            }
            Ok(()) if was_limited => count(&mut self.impact.limits.unlimited),
            _ => {}
        }
    }
}

fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}

fn usage(input: &DecisionInput) -> Usage {
    let explained = if input.action == Action::Explain { input.items } else { 0 };
    Usage { items: input.items, characters: input.characters, explained, ..Usage::default() }
}

/// How another policy would treat a call that `active` has decided, and by which rules.
pub fn difference(
    input: &DecisionInput,
    decision: &Decision,
    active: &Engine,
    other: &Engine,
) -> BTreeMap<Flip, BTreeSet<RuleId>> {
    let now = other.answer(input);
    flips(input, decision, None, Some(active), &now.decision, other)
}

/// The flips between `decision`, which `engine_then` made if it is known, and `now`, which `engine`
/// made. `place` is where the call was processed, if that is known.
fn flips(
    input: &DecisionInput,
    decision: &Decision,
    place: Option<&Region>,
    engine_then: Option<&Engine>,
    now: &Decision,
    engine: &Engine,
) -> BTreeMap<Flip, BTreeSet<RuleId>> {
    let refusing = |decision: &Decision| -> BTreeSet<RuleId> {
        let rules = decision.refused.iter().flat_map(|region| &region.rules);
        rules.map(|rule| rule.id.clone()).collect()
    };
    match (decision.is_allowed(), now.is_allowed()) {
        (true, false) => return BTreeMap::from([(Flip::Denied, refusing(now))]),
        (false, true) => return BTreeMap::from([(Flip::Allowed, refusing(decision))]),
        (false, false) => return BTreeMap::new(),
        (true, true) => {}
    }
    let mut flips = BTreeMap::new();
    let (then, redact) = (&decision.obligations.redact, &now.obligations.redact);
    let obliging = |engine: &Engine, kinds: &BTreeSet<&Kind>| -> BTreeSet<RuleId> {
        let redacts = |rule: &&crate::compile::CompiledRule| {
            kinds.iter().any(|kind| rule.obligations.redact.contains_key(*kind))
        };
        engine.in_order().filter(redacts).map(|rule| rule.id.clone()).collect()
    };
    let found = || input.found.keys();
    let more: BTreeSet<&Kind> = found().filter(|it| redact.get(*it) > then.get(*it)).collect();
    if !more.is_empty() {
        flips.insert(Flip::Redacted, obliging(engine, &more));
    }
    let less: BTreeSet<&Kind> = found().filter(|it| redact.get(*it) < then.get(*it)).collect();
    if !less.is_empty() {
        let rules = engine_then.map(|then| obliging(then, &less));
        flips.insert(Flip::Exposed, rules.unwrap_or_default());
    }
    let place = place.or(decision.permitted.first());
    if let Some(place) = place.filter(|place| !now.permitted.contains(place)) {
        let here = now.refused.iter().filter(|refused| refused.region == *place);
        let rules = here.flat_map(|refused| &refused.rules).map(|rule| rule.id.clone());
        flips.insert(Flip::Rerouted, rules.collect());
    }
    flips
}

/// A plan's rate, quota and budget for one tenant, with the times of the calls themselves. How many
/// calls were under way at once is not on record, so that concurrency is not limited here.
#[derive(Default)]
struct Limiter {
    /// When the next call would be in time (the generic cell rate algorithm, ITU-T I.371).
    due_micros: i64,
    month: Timestamp,
    items: u64,
    spent_micros: i64,
}

impl Limiter {
    fn admit(&mut self, plan: &Plan, at: Timestamp, usage: &Usage) -> Result<(), Code> {
        if at.month_start() != self.month {
            self.month = at.month_start();
            self.items = 0;
            self.spent_micros = 0;
        }
        let step = 1_000_000_i64.checked_div(i64::from(plan.requests_per_second)).unwrap_or(0);
        let tolerance = step.saturating_mul(i64::from(plan.burst).saturating_sub(1));
        let now = at.as_micros();
        let due = self.due_micros.max(now);
        if due.saturating_sub(now) > tolerance {
            return Err(Code::RateLimited);
        }
        let used = self.items.saturating_add(usage.items);
        if used > plan.monthly_items {
            return Err(Code::QuotaExhausted);
        }
        let spent = self.spent_micros.saturating_add(plan.prices.cost(usage).micros);
        if plan.monthly_budget.is_some_and(|budget| spent > budget.micros) {
            return Err(Code::BudgetExhausted);
        }
        self.due_micros = due.saturating_add(step);
        self.items = used;
        self.spent_micros = spent;
        Ok(())
    }
}
