//! Why a call was decided as it was, and what would have to differ for it to be allowed.
//!
//! Nothing is guessed: the decision is made again by the same rules, and every way that is
//! proposed was tried.

use std::collections::{BTreeMap, BTreeSet};

use reeve_domain::{
    AgeGroup, Decision, DecisionInput, Instrument, Obligations, Purpose, Region, ResultUse, RuleId,
    Scope,
};
use serde::Serialize;

use crate::{
    compile::CompiledRule,
    engine::{Engine, Evaluation, RegionRefused, Rule},
    facts, obligations,
};

/// More changes than this at once are not proposed.
const MOST_CHANGES: usize = 6;
/// More ways than this are not proposed.
const MOST_WAYS: usize = 5;

/// A decision, explained.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The decision as the bundle makes it now; the same as was recorded, if the bundle is the one
    /// that decided.
    pub decision: Decision,
    /// What was decided in each region, in the order of the candidates.
    pub regions: Vec<RegionExplained>,
    /// Every rule that took part.
    pub rules: Vec<RuleExplained>,
    /// Ways in which the call would have been allowed; none if it was.
    pub ways: Vec<Way>,
}

/// What was decided in one region.
#[derive(Clone, Debug, Serialize)]
pub struct RegionExplained {
    /// The region.
    pub region: Region,
    /// Whether it was permitted.
    pub permitted: bool,
    /// Whether a rule could not be evaluated, which denies.
    pub failed: bool,
    /// The rules that permitted or forbade; none: no rule permits.
    pub rules: Vec<RuleId>,
    /// The rules that laid obligations on the call.
    pub obliged_by: Vec<RuleId>,
}

/// A rule that took part, and what it saw.
#[derive(Clone, Debug, Serialize)]
pub struct RuleExplained {
    /// The rule with its text.
    #[serde(flatten)]
    pub rule: Rule,
    /// What it obliges to.
    pub obligations: Obligations,
    /// The attributes that it reads and their values, `null` where one is absent.
    pub attributes: BTreeMap<String, serde_json::Value>,
}

/// One way in which the call would have been allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Way {
    /// All of these.
    pub changes: Vec<Change>,
    /// The regions that would then be permitted.
    pub permitted: Vec<Region>,
}

/// Who could make a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangedBy {
    /// The caller, in the call.
    Caller,
    /// Whoever keeps the tenant's file.
    Operator,
}

/// One thing that would have to differ.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Change {
    /// The attribute, as rules name it: `context.purpose`.
    pub attribute: String,
    /// What it would have to be, or hold, or be rid of.
    pub to: String,
    /// Who could make it so.
    pub by: ChangedBy,
}

/// Explains how a bundle decides an input.
pub fn explain(engine: &Engine, input: &DecisionInput) -> Explanation {
    let decision = engine.decide(input);
    let (regions, took_part) = traced(engine, input);
    let rules = took_part
        .iter()
        .filter_map(|id| Some((engine.compiled(id)?, engine.rule(id)?)))
        .map(|(compiled, rule)| RuleExplained {
            rule,
            obligations: compiled.obligations.clone(),
            attributes: attributes(engine, compiled, input),
        })
        .collect();
    let ways = if decision.is_allowed() { Vec::new() } else { ways(engine, input) };
    Explanation { decision, regions, rules, ways }
}

fn traced(engine: &Engine, input: &DecisionInput) -> (Vec<RegionExplained>, BTreeSet<RuleId>) {
    let known = engine.known(&input.tenant, &input.model, input.at);
    let mut took_part = BTreeSet::new();
    let ids = |rules: &[&CompiledRule]| {
        let ids: BTreeSet<RuleId> = rules.iter().map(|rule| rule.id.clone()).collect();
        ids.into_iter().collect::<Vec<_>>()
    };
    let regions = input.candidates.iter().map(|region| {
        let answer = known
            .as_ref()
            .ok_or(RegionRefused::Failed)
            .and_then(|known| engine.in_region(input, region, known, Evaluation::Specialised));
        let mut told = RegionExplained {
            region: region.clone(),
            permitted: false,
            failed: false,
            rules: Vec::new(),
            obliged_by: Vec::new(),
        };
        match answer {
            Ok(answer) => {
                told.permitted = true;
                told.rules = ids(&answer.by);
                told.obliged_by = ids(&answer.duties);
            }
            Err(RegionRefused::By(rules)) => told.rules = ids(&rules),
            Err(RegionRefused::Failed) => told.failed = true,
        }
        took_part.extend(told.rules.iter().chain(&told.obliged_by).cloned());
        told
    });
    let mut regions: Vec<RegionExplained> = regions.collect();
    // A retention that cannot be met takes back what the rules permit.
    let mut all = Obligations::default();
    for rule in regions.iter().flat_map(|it| &it.obliged_by) {
        if let Some(rule) = engine.compiled(rule) {
            obligations::join(&mut all, &rule.obligations);
        }
    }
    if !obligations::can_be_met(&all) {
        for region in regions.iter_mut().filter(|region| region.permitted) {
            region.permitted = false;
            region.failed = true;
        }
    }
    (regions, took_part)
}

/// The attributes that a rule reads, with their values in this call.
fn attributes(
    engine: &Engine,
    rule: &CompiledRule,
    input: &DecisionInput,
) -> BTreeMap<String, serde_json::Value> {
    let value = |name: &String| (name.clone(), value_of(engine, name, input));
    rule.terms.reads.iter().map(value).collect()
}

fn value_of(engine: &Engine, name: &str, input: &DecisionInput) -> serde_json::Value {
    use serde_json::json;
    let (tenant, legal, model) = (&input.tenant, &input.tenant.legal, &input.model);
    let standing = |until: &reeve_domain::Until| reeve_domain::in_force(*until, input.at);
    let per_region = |of: &dyn Fn(&Region) -> serde_json::Value| {
        let all = input.candidates.iter().map(|region| (region.to_string(), of(region)));
        serde_json::Value::Object(all.collect())
    };
    let rules = |region: &Region| engine.bundle().regions.get(region);
    if let Some(tag) = name.strip_prefix("principal.tag.") {
        return json!(tenant.labels.get(tag));
    }
    let transferred = input.transferred;
    match name {
        "principal.residency" => json!(tenant.residency),
        "principal.purposes" => json!(tenant.purposes),
        "principal.agreements" => {
            let here = legal.agreements.iter().filter(|(_, until)| standing(until));
            json!(here.map(|(name, _)| name).collect::<Vec<_>>())
        }
        "principal.bases" => json!(legal.bases.keys().collect::<Vec<_>>()),
        "principal.overseen" => {
            let here = legal.overseen.iter().filter(|(_, until)| standing(until));
            json!(here.map(|(name, _)| name).collect::<Vec<_>>())
        }
        "resource.name" => json!(model.name),
        "resource.generative" => json!(model.generative),
        "resource.risk_class" => json!(model.risk_class),
        "resource.conformity" => json!(model.conformity),
        "resource.instructions" => json!(model.instructions),
        "context.region" => json!(input.candidates),
        "context.jurisdiction" => per_region(&|it| json!(rules(it).map(|it| &it.jurisdiction))),
        "context.adequate_for" => per_region(&|it| json!(rules(it).map(|it| &it.adequate_for))),
        "context.instrument" => {
            per_region(&|it| json!(rules(it).and_then(|rules| facts::instrument(input, rules))))
        }
        "context.action" => json!(input.action),
        "context.scopes" => json!(input.scopes),
        "context.purpose" => json!(input.purpose),
        "context.subject_country" => json!(input.subject_country),
        "context.laws" => {
            json!(facts::laws(tenant, input.subject_country.as_ref().map(|it| it.as_str())))
        }
        "context.subject_age" => json!(input.subject_age),
        "context.result_use" => json!(input.result_use),
        "context.consents" => json!(input.consents),
        "context.data_categories" => json!(input.data_categories),
        "context.shared_key" => json!(input.shared_key),
        "context.break_glass" => json!(legal.break_glass.is_some_and(|until| input.at < until)),
        "context.transferred" => json!(transferred.map(|count| count.subjects)),
        "context.transferred_sensitive" => json!(transferred.map(|count| count.sensitive)),
        "context.found" => json!(input.found.keys().collect::<Vec<_>>()),
        "context.items" => json!(input.items),
        "context.characters" => json!(input.characters),
        _ => serde_json::Value::Null,
    }
}

/// An input with one thing changed.
struct Try {
    change: Change,
    input: DecisionInput,
}

/// Ways in which an input would be allowed: single changes if any does it, else several at once.
fn ways(engine: &Engine, input: &DecisionInput) -> Vec<Way> {
    let permitted = |input: &DecisionInput| engine.decide(input).permitted;
    let mut found: Vec<Way> = Vec::new();
    let mut note = |changes: Vec<Change>, permitted: Vec<Region>| {
        let way = Way { changes, permitted };
        if !found.contains(&way) {
            found.push(way);
        }
    };
    let singles = tries(engine, input);
    for one in &singles {
        let permitted = permitted(&one.input);
        if !permitted.is_empty() {
            note(vec![one.change.clone()], permitted);
        }
    }
    if found.is_empty() {
        // One after the other, each time the change that leaves the fewest refusals of the
        // region that is nearest to being permitted.
        for region in &input.candidates {
            let only = DecisionInput { candidates: vec![region.clone()], ..input.clone() };
            if let Some(way) = walk(engine, only) {
                let changed = applied(engine, input, &way);
                let permitted = permitted(&changed);
                let known = found.iter().any(|other| other.changes == way);
                if !permitted.is_empty() && !known {
                    found.push(Way { changes: way, permitted });
                }
            }
        }
    }
    // What the caller can do by itself comes first, then what needs less.
    found.sort_by_key(|way| {
        (way.changes.iter().filter(|it| it.by == ChangedBy::Operator).count(), way.changes.len())
    });
    found.truncate(MOST_WAYS);
    found
}

/// Changes that lead to a permission in the only region of `input`, none of which is superfluous.
fn walk(engine: &Engine, input: DecisionInput) -> Option<Vec<Change>> {
    let start = input.clone();
    let mut here = input;
    let mut changes: Vec<Change> = Vec::new();
    while !engine.decide(&here).is_allowed() {
        if changes.len() >= MOST_CHANGES {
            return None;
        }
        let now = refusals(engine, &here);
        let better = tries(engine, &here)
            .into_iter()
            .map(|one| (refusals(engine, &one.input), one))
            .filter(|(left, _)| *left < now)
            .min_by_key(|(left, one)| (*left, one.change.by, one.change.attribute.clone()))?;
        changes.push(better.1.change);
        here = better.1.input;
    }
    let mut at = 0;
    while at < changes.len() {
        let mut fewer = changes.clone();
        fewer.remove(at);
        let allowed = |changes: &[Change]| {
            let changed = applied(engine, &start, changes);
            engine.decide(&changed).is_allowed()
        };
        if allowed(&fewer) {
            changes = fewer;
        } else {
            at = at.saturating_add(1);
        }
    }
    Some(changes)
}

/// How far an input is from being allowed: first whether no rule permits it at all, then how many
/// rules forbid it.
fn refusals(engine: &Engine, input: &DecisionInput) -> (bool, usize) {
    let decision = engine.decide(input);
    if decision.is_allowed() {
        return (false, 0);
    }
    let forbidding: BTreeSet<&RuleId> =
        decision.refused.iter().flat_map(|it| it.rules.iter().map(|rule| &rule.id)).collect();
    // A rule that forbids hides whether one permits, so that being forbidden is nearer.
    if forbidding.is_empty() { (true, usize::MAX) } else { (true, forbidding.len()) }
}

fn applied(engine: &Engine, input: &DecisionInput, changes: &[Change]) -> DecisionInput {
    let mut here = input.clone();
    for change in changes {
        if let Some(found) = tries(engine, &here).into_iter().find(|one| one.change == *change) {
            here = found.input;
        }
    }
    here
}

/// Every single change that the rules which refuse an input give reason to try.
fn tries(engine: &Engine, input: &DecisionInput) -> Vec<Try> {
    let decision = engine.decide(input);
    let forbidding: BTreeSet<&RuleId> =
        decision.refused.iter().flat_map(|it| it.rules.iter().map(|rule| &rule.id)).collect();
    // Where nothing forbids, the rules that could permit are looked at.
    let permits = |rule: &&CompiledRule| {
        rule.policy.effect() == cedar_policy::Effect::Permit
            && crate::compile::is_about(&rule.policy, input.action.as_str())
    };
    let rules: Vec<&CompiledRule> = if forbidding.is_empty() {
        engine.in_order().filter(permits).collect()
    } else {
        forbidding.into_iter().filter_map(|id| engine.compiled(id)).collect()
    };
    let reads: BTreeSet<&str> =
        rules.iter().flat_map(|rule| rule.terms.reads.iter().map(String::as_str)).collect();
    let texts: BTreeSet<&str> =
        rules.iter().flat_map(|rule| rule.terms.texts.iter().map(String::as_str)).collect();
    let mut tries = Tries { input, found: Vec::new() };
    for attribute in reads {
        tries.of_caller(attribute, &texts);
        tries.of_file(attribute, &texts, engine);
    }
    tries.found
}

struct Tries<'a> {
    input: &'a DecisionInput,
    found: Vec<Try>,
}

impl Tries<'_> {
    fn add(
        &mut self,
        attribute: &str,
        to: impl ToString,
        by: ChangedBy,
        change: impl FnOnce(&mut DecisionInput),
    ) {
        let mut input = self.input.clone();
        change(&mut input);
        if input != *self.input {
            let change = Change { attribute: attribute.to_owned(), to: to.to_string(), by };
            self.found.push(Try { change, input });
        }
    }

    /// What the caller states.
    fn of_caller(&mut self, attribute: &str, texts: &BTreeSet<&str>) {
        use ChangedBy::Caller;
        let input = self.input;
        match attribute {
            "context.purpose" => {
                for purpose in &input.tenant.purposes {
                    self.add(attribute, purpose, Caller, |it| it.purpose = Some(purpose.clone()));
                }
            }
            "context.consents" => {
                for consent in texts.iter().filter(|text| is_name(text)) {
                    self.add(attribute, format!("+ {consent}"), Caller, |it| {
                        it.consents.insert((*consent).to_owned());
                    });
                }
            }
            "context.data_categories" => {
                for category in &input.data_categories {
                    self.add(attribute, format!("- {category}"), Caller, |it| {
                        it.data_categories.remove(category);
                    });
                }
            }
            "context.found" => {
                for kind in input.found.keys() {
                    self.add(attribute, format!("- {kind}"), Caller, |it| {
                        it.found.remove(kind);
                    });
                }
            }
            "context.result_use" => {
                for other in [ResultUse::Reviewed, ResultUse::Advisory] {
                    self.add(attribute, other.as_str(), Caller, |it| it.result_use = Some(other));
                }
            }
            "context.subject_age" => {
                for other in AgeGroup::ALL.into_iter().rev() {
                    self.add(attribute, other.as_str(), Caller, |it| it.subject_age = Some(other));
                }
            }
            "context.shared_key" => {
                self.add(attribute, "false", Caller, |it| it.shared_key = false);
            }
            "context.scopes" => {
                for scope in texts.iter().filter_map(|text| Scope::new(text).ok()) {
                    self.add(attribute, format!("+ {scope}"), Caller, |it| {
                        it.scopes.insert(scope.clone());
                    });
                }
            }
            "context.items" => self.add(attribute, 1, Caller, |it| it.items = 1),
            "context.characters" => self.add(attribute, 1, Caller, |it| it.characters = 1),
            _ => {}
        }
    }

    /// What is on file.
    fn of_file(&mut self, attribute: &str, texts: &BTreeSet<&str>, engine: &Engine) {
        use ChangedBy::Operator;
        let input = self.input;
        if let Some(tag) = attribute.strip_prefix("principal.tag.") {
            for text in texts {
                self.add(attribute, text, Operator, |it| {
                    it.tenant.labels.insert(tag.to_owned(), (*text).to_owned());
                });
            }
            return;
        }
        match attribute {
            "principal.residency" => {
                for region in &input.candidates {
                    self.add(attribute, format!("+ {region}"), Operator, |it| {
                        it.tenant.residency.insert(region.clone());
                    });
                }
            }
            "principal.purposes" => {
                let stated = input.purpose.iter().cloned();
                let named = texts.iter().filter_map(|text| Purpose::new(text).ok());
                for purpose in stated.chain(named) {
                    self.add(attribute, format!("+ {purpose}"), Operator, |it| {
                        it.tenant.purposes.insert(purpose.clone());
                    });
                }
            }
            "principal.agreements" => {
                for text in texts.iter().filter(|text| is_name(text)) {
                    self.add(attribute, format!("+ {text}"), Operator, |it| {
                        it.tenant.legal.agreements.insert((*text).to_owned(), None);
                    });
                }
            }
            "principal.bases" => {
                for category in &input.data_categories {
                    self.add(attribute, format!("+ {category}"), Operator, |it| {
                        let bases = &mut it.tenant.legal.bases;
                        bases.insert(category.clone(), String::new());
                    });
                }
            }
            "principal.overseen" => {
                if let Some(purpose) = &input.purpose {
                    self.add(attribute, format!("+ {purpose}"), Operator, |it| {
                        it.tenant.legal.overseen.insert(purpose.clone(), None);
                    });
                }
            }
            "context.instrument" => {
                let laws: BTreeSet<&String> = input
                    .candidates
                    .iter()
                    .filter_map(|region| engine.bundle().regions.get(region))
                    .map(|rules| &rules.jurisdiction)
                    .collect();
                for (law, kind) in laws.iter().flat_map(|law| texts.iter().map(move |it| (law, it)))
                {
                    self.add(attribute, format!("{kind} ({law})"), Operator, |it| {
                        let instrument = Instrument { kind: (*kind).to_owned(), until: None };
                        it.tenant.legal.instruments.insert((*law).clone(), instrument);
                    });
                }
            }
            "resource.conformity" => {
                self.add(attribute, "true", Operator, |it| it.model.conformity = true);
            }
            "resource.instructions" => {
                self.add(attribute, "true", Operator, |it| it.model.instructions = true);
            }
            "resource.risk_class" => {
                for class in ["minimal", "limited"] {
                    self.add(attribute, class, Operator, |it| {
                        class.clone_into(&mut it.model.risk_class)
                    });
                }
            }
            _ => {}
        }
    }
}

/// Texts in rules that could name a consent or an agreement.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
}
