//! What the solver says of policies, with a real cvc5: the program that `CVC5` names, or `cvc5`.
#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test says what it expects by failing"
)]

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use reeve_policy::{Bundle, Engine, Pack};
use reeve_prover::{Finding, NoAnswer, Sample, Solver};

const DEADLINE: Duration = Duration::from_secs(120);

fn solver() -> Option<Solver> {
    let program = env::var_os("CVC5").map_or_else(|| PathBuf::from("cvc5"), PathBuf::from);
    let solver = Solver::find(&program, DEADLINE);
    if solver.is_none() {
        eprintln!("skipped: there is no cvc5 on this machine (`./x solver` installs one)");
    }
    solver
}

/// The reference bundle with all packs and some rules more.
fn engine(rules: &str) -> Engine {
    let mut bundle: Bundle = Pack::reference(&Pack::ALL);
    bundle.cedar.insert("more.cedar".to_owned(), rules.to_owned());
    Engine::compile(&bundle.document()).unwrap()
}

fn forbid(id: &str, when: &str) -> String {
    format!(
        "@id(\"{id}\")@title(\"t\")@reason(\"r\")\nforbid (principal, action == Action::\"classify\", resource) when {{ {when} }};\n"
    )
}

fn sample(finding: &Finding) -> &Sample {
    let Finding::Sometimes(sample) = finding else { panic!("{finding:?}") };
    sample
}

#[test]
fn the_same_rules_in_other_words_change_nothing() {
    let Some(solver) = solver() else { return };
    let one = engine(&forbid("size", "context.items > 10 || context.characters > 500"));
    let both = forbid("items", "context.items >= 11") + &forbid("text", "context.characters > 500");
    let proof = solver.compare(&one, &engine(&both)).unwrap();
    assert_eq!(proof.newly_allowed, Finding::Never);
    assert_eq!(proof.newly_denied, Finding::Never);
    assert!(proof.may_fail.is_empty(), "{proof:?}");
}

#[test]
fn what_a_rule_more_denies_and_a_rule_less_allows_is_shown_by_a_call() {
    let Some(solver) = solver() else { return };
    let (before, after) = (engine(""), engine(&forbid("many", "context.items > 41")));
    let proof = solver.compare(&before, &after).unwrap();
    assert_eq!(proof.newly_allowed, Finding::Never);
    let denied = sample(&proof.newly_denied);
    assert_eq!(denied.rules_after.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["many"]);
    assert!(denied.context["items"].as_i64().unwrap() > 41, "{denied:?}");
    assert!(!denied.rules_before.is_empty());
    let proof = solver.compare(&after, &before).unwrap();
    assert_eq!(proof.newly_denied, Finding::Never);
    let allowed = sample(&proof.newly_allowed);
    assert_eq!(allowed.rules_before, denied.rules_after);
    assert!(allowed.context["items"].as_i64().unwrap() > 41);
}

#[test]
fn rules_that_may_fail_are_named() {
    let Some(solver) = solver() else { return };
    let overflows = engine(&forbid("overflows", "context.characters * 1000000 > 5"));
    let proof = solver.compare(&engine(""), &overflows).unwrap();
    assert_eq!(proof.may_fail.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["overflows"]);
}

#[test]
fn a_solver_that_does_not_end_is_killed_at_its_deadline() {
    let dir = tempfile::tempdir().unwrap();
    let (program, pid) = (dir.path().join("cvc5"), dir.path().join("pid"));
    write_program(&program, &format!("echo $$ > {}\nexec sleep 1000", pid.display()));
    let solver = Solver::find(&program, Duration::from_secs(1)).unwrap();
    let failed = solver.compare(&engine(""), &engine(&forbid("all", "true"))).unwrap_err();
    assert!(matches!(failed, NoAnswer::Deadline(_)), "{failed}");
    let pid = fs::read_to_string(pid).unwrap();
    let gone = || {
        let state = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        state.is_empty() || state.contains(") Z ")
    };
    // It dies a moment after it was told to.
    assert!((0..500).any(|_| gone() || (thread::sleep(Duration::from_millis(10)), false).1));
}

#[test]
fn a_solver_that_says_nonsense_gives_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("cvc5");
    write_program(
        &program,
        "while read -r line; do case $line in *check-sat*) echo maybe;; esac; done",
    );
    let solver = Solver::find(&program, Duration::from_secs(20)).unwrap();
    let failed = solver.compare(&engine(""), &engine(&forbid("all", "true"))).unwrap_err();
    assert!(matches!(failed, NoAnswer::Solver(_)), "{failed}");
    assert!(Solver::find(&dir.path().join("none"), DEADLINE).is_none());
    assert!(Solver::find(Path::new("no-such-program-here"), DEADLINE).is_none());
}

fn write_program(file: &Path, script: &str) {
    fs::write(file, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
}
