//! However rules are evaluated, the answer is the same.
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod support;

use reeve_policy::{Engine, Evaluation};
use support::Random;

#[test]
fn what_is_left_of_rules_decides_as_all_of_them() {
    let (mut allowed, mut denied, mut failed) = (0, 0, 0);
    for seed in 0..2 {
        let mut random = Random(seed);
        let bundle = support::bundle(&mut random, 80);
        let engine = Engine::compile(&bundle.document()).unwrap();
        let tenants: Vec<_> = (0..10).map(|number| support::tenant(&mut random, number)).collect();
        let models: Vec<_> = (0..3).map(|number| support::model(&mut random, number)).collect();
        for _ in 0..1_500 {
            let input = support::call(&mut random, &tenants, &models);
            let full = engine.decide_by(&input, Evaluation::Full);
            // The second time from memory.
            assert_eq!(engine.decide(&input), full, "{input:?}");
            assert_eq!(engine.decide(&input), full, "{input:?}");
            if full.is_allowed() {
                allowed += 1
            } else {
                denied += 1
            }
            failed += u32::from(full.refused.iter().any(|region| region.failed));
        }
    }
    // The calls are such that all of it happens.
    assert!(allowed > 100 && denied > 100 && failed > 20, "{allowed} {denied} {failed}");
}

#[test]
fn an_engine_prepared_for_one_moment_is_right_in_another() {
    let mut random = Random(77);
    let engine = Engine::compile(&support::bundle(&mut random, 0).document()).unwrap();
    let tenants = [support::tenant(&mut random, 0)];
    let models = [support::model(&mut random, 0)];
    for _ in 0..60 {
        let input = support::call(&mut random, &tenants, &models);
        let fresh = Engine::compile(&engine.bundle().document()).unwrap();
        assert_eq!(engine.decide(&input), fresh.decide(&input));
    }
}
