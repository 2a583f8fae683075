//! What Cedar's validator cannot know: what law does not allow a bundle to say.

use std::collections::BTreeSet;

use cedar_policy::Effect;
use reeve_domain::Obligations;

use crate::{
    bundle::Bundle,
    compile::{CompiledRule, FLOOR, Fault},
};

/// Days for which records of an AI system are kept at least.
pub(crate) const RETENTION_FLOOR: u32 = 183;
const RETENTION_ARTICLE: &str = "Regulation (EU) 2024/1689 Art. 19, 26(6)";

pub(crate) fn lint(bundle: &Bundle, rules: &[CompiledRule]) -> Vec<Fault> {
    let mut faults = retention(rules);
    faults.extend(prohibited_purposes(rules));
    faults.extend(regions(bundle, rules));
    faults.extend(never_permits(rules));
    faults
}

fn retention(rules: &[CompiledRule]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for rule in rules {
        let Obligations { retain_days, retain_at_most_days, .. } = rule.obligations;
        for (annotation, days) in
            [("retain_days", retain_days), ("retain_at_most_days", retain_at_most_days)]
        {
            if let Some(days) = days.filter(|days| *days < RETENTION_FLOOR) {
                let message = format!(
                    "`@{annotation}(\"{days}\")` of `{}` is below {RETENTION_FLOOR} days \
                     ({RETENTION_ARTICLE})",
                    rule.id
                );
                let help = format!("records are kept for {RETENTION_FLOOR} days or more");
                faults.push(Fault::of(&rule.file, message).at(rule.span).help(help));
            }
        }
    }
    for ceiling in rules {
        let Some(most) = ceiling.obligations.retain_at_most_days else { continue };
        for floor in rules {
            let Some(least) = floor.obligations.retain_days.filter(|least| *least > most) else {
                continue;
            };
            let message = format!(
                "`{}` keeps records for {most} days at most, `{}` for {least} at least",
                ceiling.id, floor.id
            );
            let help = "both may hold for one call, and no record could be kept as they say";
            faults.push(Fault::of(&ceiling.file, message).at(ceiling.span).help(help));
        }
    }
    faults
}

/// A rule that permits by naming a prohibited practice is meant to allow it. The floor would deny
/// all the same; who writes it must know.
fn prohibited_purposes(rules: &[CompiledRule]) -> Vec<Fault> {
    let prohibited: BTreeSet<&str> = rules
        .iter()
        .filter(|rule| rule.file == FLOOR)
        .flat_map(|rule| rule.terms.texts.iter().map(String::as_str))
        .collect();
    rules
        .iter()
        .filter(|rule| rule.file != FLOOR && rule.policy.effect() == Effect::Permit)
        .filter(|rule| rule.terms.reads_context("purpose"))
        .flat_map(|rule| rule.terms.texts.iter().map(move |text| (rule, text)))
        .filter(|(_, text)| prohibited.contains(text.as_str()))
        .map(|(rule, purpose)| {
            let message = format!(
                "`{}` permits the purpose `{purpose}`, a prohibited practice \
                 (Regulation (EU) 2024/1689 Art. 5)",
                rule.id
            );
            let help = "no bundle can allow it: take it out";
            Fault::of(&rule.file, message).at(rule.span).help(help)
        })
        .collect()
}

/// Where rules ask for instruments of transfer, every region should have one or need none.
fn regions(bundle: &Bundle, rules: &[CompiledRule]) -> Vec<Fault> {
    if !rules.iter().any(|rule| rule.terms.reads_context("instrument")) {
        return Vec::new();
    }
    let laws: BTreeSet<&str> =
        bundle.regions.values().map(|rules| rules.jurisdiction.as_str()).collect();
    bundle
        .regions
        .iter()
        .filter(|(_, rules)| rules.instruments.is_empty() && rules.adequate_for.is_empty())
        .filter(|(_, rules)| laws.iter().any(|law| *law != rules.jurisdiction))
        .map(|(region, rules)| {
            let message = format!(
                "`regions.{region}` ({}) names no instrument of transfer",
                rules.jurisdiction
            );
            let help = "add `instruments = [\"scc\"]` or `adequate_for = [\"EU\"]`; without, every \
                        kind that a tenant has on file counts";
            Fault::of("bundle.toml", message).help(help).warning()
        })
        .collect()
}

/// A bundle without a rule that permits denies everything.
fn never_permits(rules: &[CompiledRule]) -> Option<Fault> {
    let permits = |rule: &CompiledRule| {
        rule.policy.effect() == Effect::Permit && crate::compile::is_about(&rule.policy, "classify")
    };
    (!rules.iter().any(permits)).then(|| {
        let message = "no rule permits `Action::\"classify\"`: every call would be denied";
        Fault::of("bundle.toml", message).warning()
    })
}
