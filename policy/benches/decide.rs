//! What decisions cost, as one JSON object on standard output. `./x bench policy` puts it into
//! words.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a measurement stops where it fails"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::{collections::HashMap, fmt::Write as _, hint::black_box, time::Instant};

use reeve_domain::{DecisionId, DecisionInput, PlanName, Region, TenantId, Timestamp};
use reeve_policy::{
    Bundle, Engine, Evaluation, Pack,
    replay::{Recorded, Replay},
};
use serde_json::{Value, json};
use support::Random;

/// As in `reeve`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let million = std::env::args().any(|argument| argument == "--million");
    let calls: u64 = if million { 1_000_000 } else { 20_000 };
    if std::env::args().any(|argument| argument == "--replay") {
        println!("{}", replay(calls));
        return;
    }
    println!("{}", json!({ "decide": decide(), "same": same(calls), "replay": replay(calls) }));
}

/// A bundle with `rules` rules, of which `in_force` are left for tenant-0 and the calls below.
fn bundle(rules: u64, in_force: u64) -> Bundle {
    let mut bundle = Pack::reference(&[]);
    let mut text = String::new();
    let head = |text: &mut String, number| {
        write!(text, "@id(\"rule-{number}\")@title(\"t\")@reason(\"Rule {number}.\")").unwrap();
    };
    for number in 0..rules {
        head(&mut text, number);
        // Half are about other tenants, half about other labels of this one.
        let (principal, when) = if number >= in_force {
            match number % 2 {
                0 => (format!("principal == Tenant::\"other-{number}\""), "true".to_owned()),
                _ => (
                    "principal".to_owned(),
                    format!(
                        "principal.hasTag(\"sector\") && principal.getTag(\"sector\") == \"{number}\""
                    ),
                ),
            }
        } else {
            let when = match number % 5 {
                0 => format!("context has purpose && context.purpose == \"purpose-{number}\""),
                1 => format!("context.consents.contains(\"consent-{number}\")"),
                2 => format!(
                    "context.data_categories.contains(\"category-{number}\") && context.region == \"us-east\""
                ),
                3 => format!(
                    "context has subject_country && context.subject_country == \"X{number}\""
                ),
                _ => "context.laws.contains(\"EU\")".to_owned(),
            };
            ("principal".to_owned(), when)
        };
        let rule = if number % 5 == 4 && number < in_force {
            format!(
                "@redact(\"EMAIL_ADDRESS\") permit ({principal}, action == Action::\"obligate\", resource) when {{ {when} }};\n"
            )
        } else {
            format!(
                "\nforbid ({principal}, action == Action::\"classify\", resource) when {{ {when} }};\n"
            )
        };
        text.push_str(&rule);
    }
    bundle.cedar.insert("many.cedar".to_owned(), text);
    bundle
}

fn one_call(number: u64) -> DecisionInput {
    let mut random = Random(number);
    let mut tenant = support::tenant(&mut Random(1), 0);
    tenant.residency = [Region::new("eu-west").unwrap()].into();
    tenant.labels = [("jurisdiction".to_owned(), "EU".to_owned())].into();
    let model = support::model(&mut Random(2), 0);
    let mut input = support::call(&mut random, &[tenant], &[model]);
    input.action = reeve_domain::Action::Classify;
    input.scopes = [reeve_domain::Scope::new("classify").unwrap()].into();
    input.purpose = input.tenant.purposes.iter().find(|it| it.as_str() == "support").cloned();
    input.at = Timestamp::from_micros(0);
    input.candidates = vec![Region::new("eu-west").unwrap()];
    input
}

/// Engines that are measured one after the other, each new; what is told is the median.
const REPETITIONS: usize = 5;

fn decide() -> Vec<Value> {
    let sizes = [(10, 5), (50, 50), (100, 50), (200, 50), (500, 50), (1000, 50), (2000, 50)];
    let calls: Vec<DecisionInput> = (0..20_000).map(one_call).collect();
    let mut rows = Vec::new();
    for (rules, in_force) in sizes {
        let document = bundle(rules, in_force).document();
        let mut figures: Vec<Vec<f64>> = Vec::new();
        for _ in 0..REPETITIONS {
            let begin = Instant::now();
            let engine = Engine::compile(&document).unwrap();
            let mut row = vec![begin.elapsed().as_secs_f64() * 1e3];
            let begin = Instant::now();
            assert!(engine.prepare(&calls[0].tenant, &calls[0].model, calls[0].at));
            row.push(begin.elapsed().as_secs_f64() * 1e3);
            row.extend(timed(&engine, &calls[..1000], Evaluation::Full));
            row.extend(timed(&engine, &calls, Evaluation::Specialised));
            row.extend(timed(&engine, &calls, Evaluation::Specialised));
            figures.push(row);
        }
        let median = |column: usize| {
            let mut all: Vec<f64> = figures.iter().map(|row| row[column]).collect();
            all.sort_by(f64::total_cmp);
            all[REPETITIONS / 2]
        };
        let times = |column| json!({ "p50_us": median(column), "p99_us": median(column + 1) });
        rows.push(json!({
            "rules": rules, "in_force": in_force, "compile_ms": median(0), "prepare_ms": median(1),
            "full": times(2), "first": times(4), "again": times(6),
        }));
    }
    rows
}

/// Microseconds of one decision, half of them and all but one in a hundred.
fn timed(engine: &Engine, calls: &[DecisionInput], how: Evaluation) -> [f64; 2] {
    let time = |call| {
        let begin = Instant::now();
        black_box(engine.decide_by(black_box(call), how));
        begin.elapsed().as_nanos()
    };
    let mut times: Vec<u128> = calls.iter().map(time).collect();
    times.sort_unstable();
    [50, 99].map(|share| times[(times.len() - 1) * share / 100] as f64 / 1e3)
}

/// Random calls, decided by all rules and by what is left of them.
fn same(calls: u64) -> Value {
    let begin = Instant::now();
    let halves = std::thread::scope(|scope| {
        let start = |seed| scope.spawn(move || same_from(seed, calls / 2));
        [start(2026), start(2027)].map(|half| half.join().unwrap())
    });
    let [(differ, allowed), (more_differ, more_allowed)] = halves;
    json!({
        "calls": calls, "allowed": allowed + more_allowed, "differ": differ + more_differ,
        "seconds": begin.elapsed().as_secs_f64(),
    })
}

/// How many answers differ, and how many allow.
fn same_from(seed: u64, calls: u64) -> (u64, u64) {
    let mut random = Random(seed);
    let engine = Engine::compile(&support::bundle(&mut random, 60).document()).unwrap();
    let tenants: Vec<_> = (0..10).map(|number| support::tenant(&mut random, number)).collect();
    let models: Vec<_> = (0..3).map(|number| support::model(&mut random, number)).collect();
    let (mut differ, mut allowed) = (0_u64, 0_u64);
    for _ in 0..calls {
        let input = support::call(&mut random, &tenants, &models);
        let full = engine.decide_by(&input, Evaluation::Full);
        allowed += u64::from(full.is_allowed());
        // The second time from memory.
        differ += u64::from((0..2).any(|_| engine.decide(&input) != full));
    }
    (differ, allowed)
}

/// Recorded calls as JSON, read and replayed through a draft and through the bundle that decided.
fn replay(calls: u64) -> Value {
    let mut random = Random(7);
    let compile =
        |seed| Engine::compile(&support::bundle(&mut Random(seed), 40).document()).unwrap();
    let (active, draft) = (compile(1), compile(2));
    let tenants: Vec<_> = (0..20).map(|number| support::tenant(&mut random, number)).collect();
    let models: Vec<_> = (0..3).map(|number| support::model(&mut random, number)).collect();
    let mut recorded = |number: u64| {
        let mut input = support::call(&mut random, &tenants, &models);
        // In the order of their time.
        let at = number.saturating_mul(2000) / calls;
        input.at = Timestamp::from_micros(i64::try_from(at).unwrap());
        let decision = active.decide(&input);
        serde_json::to_string(&(input, decision)).unwrap()
    };
    // The bundle that decided, as a replay has it: just compiled.
    let then = HashMap::from([(active.digest(), compile(1))]);
    let plans: HashMap<TenantId, PlanName> = tenants
        .iter()
        .map(|tenant| (tenant.id.clone(), PlanName::new("standard").unwrap()))
        .collect();
    let mut replay = Replay::new(&draft, &then, &plans);
    let mut seconds = 0.0;
    for first in (0..calls).step_by(20_000) {
        let some: Vec<String> = (first..calls.min(first + 20_000)).map(&mut recorded).collect();
        let begin = Instant::now();
        for (number, call) in (first..).zip(&some) {
            let (input, decision) = serde_json::from_str(call).unwrap();
            let id = DecisionId::from_uuid(uuid::Uuid::from_u128(u128::from(number)));
            replay.decided(&Recorded { id, input, decision, region: None });
        }
        seconds += begin.elapsed().as_secs_f64();
    }
    let impact = replay.finish();
    assert_eq!(impact.checked, calls);
    json!({
        "calls": calls, "reproduced": impact.reproduced, "flips": impact.flips, "seconds": seconds,
    })
}
