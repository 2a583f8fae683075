//! How long a simulation takes from the rows of the index, as one JSON object on standard output.
//! `./x bench policy` puts it into words.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a measurement stops where it fails"
)]

#[path = "../../../policy/tests/support/mod.rs"]
mod support;

use std::{collections::BTreeMap, time::Instant};

use reeve_domain::{
    Caller, Credential, DecisionId, Digest, Intent, KeyId, Origin, Record, Timestamp,
};
use reeve_policy::Engine;
use reeve_store::{
    Store,
    audit::{self, Leaf},
    policy,
};
use reeve_worker::simulate;
use serde_json::json;
use support::Random;

/// As in `reeve`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    // `--million`, or `--calls N`.
    let arguments: Vec<String> = std::env::args().collect();
    let named = |name: &str| arguments.iter().position(|argument| argument == name);
    let calls: u64 = match (named("--million"), named("--calls")) {
        (Some(_), _) => 1_000_000,
        (None, Some(at)) => arguments[at + 1].parse().unwrap(),
        (None, None) => 20_000,
    };
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("store.sqlite").display());
    let store = Store::connect(&url).unwrap();
    store.migrate().unwrap();
    let document = |seed| support::bundle(&mut Random(seed), 40).document();
    let (active, draft) = (document(1), document(2));
    let start = Timestamp::from_micros(0);
    store.write(|c| policy::insert_bundle(c, &active, "bench", start)).unwrap();
    record(&store, &Engine::compile(&active).unwrap(), calls);

    let begin = Instant::now();
    let until = Timestamp::from_micros(1_000_000);
    let impact = simulate(&store, &draft, start, until, &mut |_, _| Ok(())).unwrap();
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "{}",
        json!({
            "calls": impact.replayed, "reproduced": impact.reproduced, "flips": impact.flips,
            "seconds": seconds,
        })
    );
}

/// Random calls in the order of their time, as the worker finds them in a log.
fn record(store: &Store, engine: &Engine, calls: u64) {
    let mut random = Random(7);
    let tenants: Vec<_> = (0..20).map(|number| support::tenant(&mut random, number)).collect();
    let models: Vec<_> = (0..3).map(|number| support::model(&mut random, number)).collect();
    let origin = Origin::new("reeve.test/bench").unwrap();
    let mut leaf = |number: u64| {
        let mut input = support::call(&mut random, &tenants, &models);
        input.at = Timestamp::from_micros((number * 2000 / calls) as i64);
        let decision = engine.decide(&input);
        let intent = Record::Intent(Box::new(Intent {
            decision_id: DecisionId::from_uuid(uuid::Uuid::from_u128(number.into())),
            at: input.at,
            caller: Caller {
                tenant: input.tenant.id.clone(),
                credential: Credential::ApiKey(KeyId::new("key_1").unwrap()),
            },
            subject: None,
            redactions: BTreeMap::new(),
            payload: Digest::of(&number.to_le_bytes()),
            sealed: None,
            shadow: None,
            routed: None,
            mirror: None,
            input,
            decision,
        }));
        let bytes = serde_json::to_vec(&intent).unwrap();
        Leaf::parse(number, *Digest::of(&bytes).as_bytes(), &bytes)
    };
    for first in (0..calls).step_by(1000) {
        let leaves: Vec<Leaf> = (first..calls.min(first + 1000)).map(&mut leaf).collect();
        store.write(|c| audit::index(c, &origin, &leaves)).unwrap();
    }
}
