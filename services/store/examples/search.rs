//! Measures searching the index: `search URL ROWS [QUERIES]`. Fills an empty store with generated
//! calls if it has none, through the same way as the worker, and prints one line of JSON for each
//! kind of search: its 50th, 95th and 100th percentile in milliseconds.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the program's output")]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use reeve_domain::{
    Action, Caller, Clock as _, Code, Credential, Currency, Decision, DecisionInput, Digest,
    Entropy as _, Intent, KeyId, KindCounts, LegalFacts, ModelFacts, ModelName, Money, Obligations,
    Origin, Outcome, OutcomeStatus, PodId, Record, Refusal, Region, SeededEntropy, SystemClock,
    TenantFacts, TenantId, Timestamp, Timings, Usage,
};
use reeve_store::{
    Store,
    audit::{self, AuditFilter, CallStatus, EventKind, Leaf},
};

type Fault = Box<dyn std::error::Error + Send + Sync>;

const BATCH: u64 = 20_000;
const TENANTS: u64 = 50;
const REGIONS: [&str; 3] = ["eu-west", "us-east", "ap-south"];
/// Two records a call, one call each 50 ms.
const STEP: Duration = Duration::from_millis(50);

fn main() -> Result<(), Fault> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("usage: search URL ROWS [QUERIES]")?;
    let rows: u64 = arguments.next().ok_or("usage: search URL ROWS [QUERIES]")?.parse()?;
    let queries: u64 = arguments.next().map_or(Ok(100), |text| text.parse())?;
    let store = Store::connect(&url)?;
    store.migrate()?;
    let origin = Origin::new("reeve.local/bench")?;
    let begin = Timestamp::parse("2026-01-01T00:00:00Z")?;
    let clock = SystemClock::default();
    let there = store.read(|c| audit::cursor(c, &origin))?;
    let started = clock.monotonic();
    for first in (there..rows).step_by(usize::try_from(BATCH)?) {
        let leaves: Vec<Leaf> = (first..rows.min(first + BATCH))
            .map(|index| leaf(index, begin))
            .collect::<Result<_, _>>()?;
        store.write(|c| audit::index(c, &origin, &leaves))?;
        if first.is_multiple_of(BATCH * 25) {
            let took = clock.monotonic().saturating_sub(started).as_secs();
            eprintln!("{first} rows after {took} s");
        }
    }
    for (name, make) in searches() {
        let mut times = Vec::new();
        for number in 0..queries {
            let filter = make(number.wrapping_mul(2_654_435_761), rows, begin)?;
            let before = clock.monotonic();
            let page = store.read(|c| audit::search(c, &filter, None, 50))?;
            let after = page.last().map(audit::AuditRow::cursor);
            times.push(clock.monotonic().saturating_sub(before));
            // The page behind it, too.
            if let Some(after) = after {
                let before = clock.monotonic();
                store.read(|c| audit::search(c, &filter, Some(&after), 50))?;
                times.push(clock.monotonic().saturating_sub(before));
            }
        }
        times.sort_unstable();
        let at = |percent: usize| {
            let place = (times.len() * percent / 100).min(times.len().saturating_sub(1));
            times.get(place).map(|time| time.as_secs_f64() * 1e3)
        };
        println!(
            "{}",
            serde_json::json!({ "search": name, "p50_ms": at(50), "p95_ms": at(95), "max_ms": at(100) })
        );
    }
    Ok(())
}

type Make = fn(u64, u64, Timestamp) -> Result<AuditFilter, Fault>;

fn searches() -> Vec<(&'static str, Make)> {
    fn tenant(seed: u64) -> Result<Option<TenantId>, Fault> {
        Ok(Some(TenantId::new(format!("tenant-{}", seed % TENANTS))?))
    }
    fn day(seed: u64, rows: u64, begin: Timestamp) -> (Option<Timestamp>, Option<Timestamp>) {
        let calls = rows / 2;
        let from = begin.after(STEP * u32::try_from(seed % calls.max(1)).unwrap_or(0));
        (Some(from), Some(from.after(Duration::from_secs(24 * 60 * 60))))
    }
    vec![
        ("newest", |_, _, _| Ok(AuditFilter::default())),
        ("calls", |_, _, _| {
            let kinds = vec![EventKind::Outcome, EventKind::Refusal];
            Ok(AuditFilter { kinds, ..AuditFilter::default() })
        }),
        ("tenant", |seed, _, _| {
            Ok(AuditFilter { tenant: tenant(seed)?, ..AuditFilter::default() })
        }),
        ("tenant, one day", |seed, rows, begin| {
            let (from, until) = day(seed, rows, begin);
            Ok(AuditFilter { tenant: tenant(seed)?, from, until, ..AuditFilter::default() })
        }),
        ("refused calls of a tenant", |seed, _, _| {
            let kinds = vec![EventKind::Outcome, EventKind::Refusal];
            let status = Some(CallStatus::Refused);
            Ok(AuditFilter { tenant: tenant(seed)?, status, kinds, ..AuditFilter::default() })
        }),
        ("a code on a day", |seed, rows, begin| {
            let (from, until) = day(seed, rows, begin);
            Ok(AuditFilter {
                code: Some(Code::DeniedByPolicy),
                from,
                until,
                ..AuditFilter::default()
            })
        }),
        ("a rare code of a tenant", |seed, _, _| {
            let code = Some(Code::ModelStopped);
            Ok(AuditFilter { tenant: tenant(seed)?, code, ..AuditFilter::default() })
        }),
        ("an ordinary code of a tenant", |seed, _, _| {
            let code = Some(Code::DeniedByPolicy);
            Ok(AuditFilter { tenant: tenant(seed)?, code, ..AuditFilter::default() })
        }),
        ("what a tenant has none of", |seed, _, _| {
            let kinds = vec![EventKind::Control];
            Ok(AuditFilter { tenant: tenant(seed)?, kinds, ..AuditFilter::default() })
        }),
        ("failed calls in a region", |seed, _, _| {
            let place = usize::try_from(seed % 3).unwrap_or(0);
            let region = REGIONS.get(place).map(|name| Region::new(*name)).transpose()?;
            Ok(AuditFilter { region, status: Some(CallStatus::Failed), ..AuditFilter::default() })
        }),
        ("a tenant, a region, completed, one day", |seed, rows, begin| {
            let (from, until) = day(seed, rows, begin);
            let place = usize::try_from(seed % 3).unwrap_or(0);
            let region = REGIONS.get(place).map(|name| Region::new(*name)).transpose()?;
            let status = Some(CallStatus::Completed);
            let kinds = vec![EventKind::Outcome];
            Ok(AuditFilter {
                tenant: tenant(seed)?,
                from,
                until,
                region,
                status,
                kinds,
                ..AuditFilter::default()
            })
        }),
        ("a decision", |seed, rows, begin| {
            let call = seed % (rows / 2).max(1);
            let id = SeededEntropy::new(call).decision_id(at(call, begin));
            Ok(AuditFilter { decision_id: Some(id), ..AuditFilter::default() })
        }),
    ]
}

fn at(call: u64, begin: Timestamp) -> Timestamp {
    begin.after(STEP * u32::try_from(call).unwrap_or(0))
}

/// Leaf `index`: of every call an intent and an outcome, or, of each tenth, two refusals.
fn leaf(index: u64, begin: Timestamp) -> Result<Leaf, Fault> {
    let call = index / 2;
    let at = at(call, begin);
    let decision_id = SeededEntropy::new(call).decision_id(at);
    // Tenants are not of one size.
    let tenant = TenantId::new(format!("tenant-{}", (call * call + call / 7) % TENANTS))?;
    let key = Credential::ApiKey(KeyId::new(format!("key-{}", call % 200))?);
    let caller = Caller { tenant: tenant.clone(), credential: key };
    let place = usize::try_from(call % 3)?;
    let region = Region::new(*REGIONS.get(place).ok_or("no region")?)?;
    let record = if call % 10 == 3 {
        let code = match call % 1_000_000 {
            3 => Code::ModelStopped,
            _ if index.is_multiple_of(2) => Code::DeniedByPolicy,
            _ => Code::RateLimited,
        };
        Record::Refusal(Box::new(Refusal {
            decision_id,
            at,
            caller,
            code,
            route: "/v1/classify".to_owned(),
            input: None,
            decision: None,
            shadow: None,
        }))
    } else if index.is_multiple_of(2) {
        Record::Intent(Box::new(Intent {
            decision_id,
            at,
            caller,
            subject: None,
            input: input(&tenant, at)?,
            decision: Decision {
                policy: Digest::of(b"policy"),
                permitted: vec![region],
                refused: Vec::new(),
                rules: Vec::new(),
                obligations: Obligations::default(),
            },
            redactions: KindCounts::new(),
            payload: Digest::of(&call.to_le_bytes()),
            sealed: None,
            shadow: None,
            routed: None,
            mirror: None,
        }))
    } else {
        let failed = call.is_multiple_of(97);
        Record::Outcome(Box::new(Outcome {
            decision_id,
            at: at.after(Duration::from_millis(7)),
            tenant,
            status: if failed { OutcomeStatus::Failed } else { OutcomeStatus::Completed },
            code: failed.then_some(Code::PodFailed),
            region: Some(region),
            pod: Some(PodId::new("pod-1")?),
            others: Vec::new(),
            transfer: None,
            names: None,
            usage: Usage { items: 1, characters: 80, tokens: 20, ..Usage::default() },
            cost: Money::new(200, Currency::Eur),
            sealed: None,
            timings: Timings { decide_us: 30, record_us: 900, forward_us: 4_000 },
        }))
    };
    let bytes = serde_json::to_vec(&record)?;
    Ok(Leaf::parse(index, *Digest::of(&bytes).as_bytes(), &bytes))
}

fn input(tenant: &TenantId, at: Timestamp) -> Result<DecisionInput, Fault> {
    Ok(DecisionInput {
        at,
        tenant: TenantFacts {
            id: tenant.clone(),
            residency: BTreeSet::from([Region::new("eu-west")?]),
            purposes: BTreeSet::new(),
            labels: BTreeMap::new(),
            legal: LegalFacts::default(),
        },
        scopes: BTreeSet::new(),
        action: Action::Classify,
        model: ModelFacts {
            name: ModelName::new("support")?,
            version: "1".to_owned(),
            digest: Digest::of(b"model"),
            generative: false,
            risk_class: "limited".to_owned(),
            conformity: false,
            instructions: false,
        },
        purpose: None,
        subject_country: None,
        consents: BTreeSet::new(),
        found: KindCounts::new(),
        items: 1,
        characters: 80,
        candidates: vec![Region::new("eu-west")?],
        data_categories: BTreeSet::new(),
        subject_age: None,
        result_use: None,
        shared_key: false,
        transferred: None,
    })
}
