use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr as _,
};

use cedar_policy::{
    ActionConstraint, EntityUid, Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator,
};
use miette::Diagnostic;
use reeve_domain::{Kind, Obligations, Redaction, RuleId};
use reeve_privacy::Detector;

use crate::{bundle::Bundle, obligations};

/// One thing that keeps a bundle from being enforced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The bundle's file.
    pub file: String,
    /// Line and column, counted from 1, where they are known.
    pub place: Option<(usize, usize)>,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((line, column)) => write!(f, "{}:{line}:{column}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

/// A bundle that cannot be enforced, with all that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    /// What was found, at least one.
    pub faults: Vec<Fault>,
}

impl std::error::Error for CompileError {}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.faults.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            fmt::Display::fmt(fault, f)?;
        }
        Ok(())
    }
}

/// A rule that may be enforced.
pub(crate) struct CompiledRule {
    pub(crate) id: RuleId,
    pub(crate) file: String,
    pub(crate) policy: Policy,
    pub(crate) obligations: Obligations,
}

pub(crate) struct Compiled {
    pub(crate) schema: Schema,
    pub(crate) rules: Vec<CompiledRule>,
}

/// Checks everything that can be checked before a call comes.
pub(crate) fn compile(bundle: &Bundle) -> Result<Compiled, CompileError> {
    let one = |file: &str, message: String| Fault { file: file.to_owned(), place: None, message };
    let (schema, _warnings) = Schema::from_cedarschema_str(include_str!("../schema.cedarschema"))
        .map_err(|fault| CompileError {
        faults: vec![one("schema.cedarschema", fault.to_string())],
    })?;
    let mut faults = plans(bundle);
    faults.extend(privacy(bundle));
    let mut rules: Vec<CompiledRule> = Vec::new();
    for (file, text) in &bundle.cedar {
        match PolicySet::from_str(text) {
            Ok(set) => {
                for policy in set.policies() {
                    match rule(policy, file, text) {
                        Ok(rule) if rules.iter().any(|other| other.id == rule.id) => {
                            let message = format!("another rule is named `{}` too", rule.id);
                            faults.push(at_policy(policy, file, text, message));
                        }
                        Ok(rule) => rules.push(rule),
                        Err(messages) => faults.extend(
                            messages
                                .into_iter()
                                .map(|message| at_policy(policy, file, text, message)),
                        ),
                    }
                }
                if let Some(template) = set.templates().next() {
                    let message = format!("templates are not used here: `{}`", template.id());
                    faults.push(one(file, message));
                }
            }
            Err(errors) => {
                for error in errors.iter() {
                    faults.push(Fault {
                        file: file.clone(),
                        place: label(error).map(|offset| line_and_column(text, offset)),
                        message: message(error),
                    });
                }
            }
        }
    }
    if faults.is_empty() {
        faults.extend(validate(&schema, &rules, bundle));
    }
    if faults.is_empty() { Ok(Compiled { schema, rules }) } else { Err(CompileError { faults }) }
}

fn plans(bundle: &Bundle) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut fault = |message: String| {
        faults.push(Fault { file: "bundle.toml".to_owned(), place: None, message });
    };
    for (name, plan) in &bundle.plans {
        if plan.requests_per_second == 0 || plan.burst == 0 || plan.concurrency == 0 {
            fault(format!("plans.{name}: rate, burst and concurrency must be at least 1"));
        }
        let prices = &plan.prices;
        let currencies: BTreeSet<_> =
            [Some(prices.per_item), Some(prices.per_thousand_characters), plan.monthly_budget]
                .into_iter()
                .flatten()
                .map(|money| money.currency)
                .collect();
        if currencies.len() > 1 {
            fault(format!("plans.{name}: prices and budget must be in one currency"));
        }
        if prices.per_item.micros < 0 || prices.per_thousand_characters.micros < 0 {
            fault(format!("plans.{name}: prices must not be negative"));
        }
    }
    faults
}

/// Kinds that can be found: those built in, and those of the bundle's own recognisers.
fn kinds(bundle: &Bundle) -> BTreeSet<Kind> {
    let own = bundle.privacy.recognisers.iter().map(|recogniser| recogniser.kind.clone());
    Detector::known_kinds().into_iter().chain(own).collect()
}

fn privacy(bundle: &Bundle) -> Vec<Fault> {
    let known = kinds(bundle);
    let unknown = |field: &str, kind: &Kind| {
        (!known.contains(kind))
            .then(|| format!("{field}: `{kind}` is not a kind that can be found"))
    };
    let privacy = &bundle.privacy;
    let detect = privacy.detect.iter().filter_map(|kind| unknown("privacy.detect", kind));
    let thresholds =
        privacy.thresholds.keys().filter_map(|kind| unknown("privacy.thresholds", kind));
    detect
        .chain(thresholds)
        .map(|message| Fault { file: "bundle.toml".to_owned(), place: None, message })
        .collect()
}

/// Reads a rule's annotations and gives the policy the rule's own id.
fn rule(policy: &Policy, file: &str, _text: &str) -> Result<CompiledRule, Vec<String>> {
    let mut messages = Vec::new();
    for name in ["id", "title", "reason"] {
        if policy.annotation(name).is_none_or(|value| value.trim().is_empty()) {
            messages.push(format!("`@{name}(\"…\")` is required"));
        }
    }
    let known: BTreeSet<&str> =
        ["id", "title", "reason", "article"].into_iter().chain(obligations::NAMES).collect();
    for (name, _) in policy.annotations() {
        if !known.contains(name) {
            let known: Vec<_> = known.iter().copied().collect();
            messages.push(format!("`@{name}` is not one of {}", known.join(", ")));
        }
    }
    let id = RuleId::new(policy.annotation("id").unwrap_or_default());
    if let (Err(refused), Some(_)) = (&id, policy.annotation("id")) {
        messages.push(refused.to_string());
    }
    let obliges = obligations::NAMES.iter().any(|name| policy.annotation(name).is_some());
    let asks_obligate = is_about(policy, "obligate");
    if obliges && !asks_obligate {
        messages.push("obligations belong to rules for `Action::\"obligate\"`".to_owned());
    }
    if asks_obligate {
        if policy.effect() != cedar_policy::Effect::Permit {
            messages.push("a rule for `Action::\"obligate\"` must be a `permit`".to_owned());
        }
        if !obliges {
            messages.push(format!(
                "it obliges to nothing: add one of @{}",
                obligations::NAMES.join(", @")
            ));
        }
        if !matches!(policy.action_constraint(), ActionConstraint::Eq(_)) {
            messages.push("name the action: `action == Action::\"obligate\"`".to_owned());
        }
    }
    let read = obligations::read(policy);
    match (id, read) {
        (Ok(id), Ok(obligations)) if messages.is_empty() => Ok(CompiledRule {
            policy: policy.new_id(PolicyId::new(id.as_str())),
            id,
            file: file.to_owned(),
            obligations,
        }),
        (_, read) => {
            messages.extend(read.err());
            Err(messages)
        }
    }
}

/// Whether a rule may apply to an action, by its scope. A rule that names no action is about what
/// callers do, not about obligations.
pub(crate) fn is_about(policy: &Policy, action: &str) -> bool {
    let is = |uid: &EntityUid| uid.id().unescaped() == action;
    match policy.action_constraint() {
        ActionConstraint::Any => action != "obligate",
        ActionConstraint::Eq(uid) => is(&uid),
        ActionConstraint::In(uids) => uids.iter().any(is),
    }
}

fn validate(schema: &Schema, rules: &[CompiledRule], bundle: &Bundle) -> Vec<Fault> {
    let mut set = PolicySet::new();
    let mut faults = Vec::new();
    let mut known = kinds(bundle);
    if bundle.privacy.names.is_some() {
        known.extend(reeve_privacy::NAMES.map(Kind::of));
    }
    for rule in rules {
        if let Err(fault) = set.add(rule.policy.clone()) {
            let (file, message) = (rule.file.clone(), fault.to_string());
            faults.push(Fault { file, place: None, message });
        }
        for (kind, how) in &rule.obligations.redact {
            let message = if !known.contains(kind) {
                let id = &rule.id;
                if reeve_privacy::NAMES.contains(&kind.as_str()) {
                    format!(
                        "`{id}` redacts `{kind}`, which a model finds: name it in `privacy.names`"
                    )
                } else {
                    format!("`{id}` redacts `{kind}`, which is not a kind that can be found")
                }
            } else if *how == Redaction::Generalise && !reeve_privacy::can_generalise(kind) {
                format!("`{}` generalises `{kind}`, which has no coarser form", rule.id)
            } else {
                continue;
            };
            faults.push(Fault { file: rule.file.clone(), place: None, message });
        }
    }
    let files: BTreeMap<&str, &CompiledRule> =
        rules.iter().map(|rule| (rule.id.as_str(), rule)).collect();
    let result = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
    for error in result.validation_errors() {
        let id = error.policy_id().to_string();
        let file = files.get(id.as_str()).map(|rule| rule.file.clone()).unwrap_or_default();
        let text = bundle.cedar.get(&file).map_or("", String::as_str);
        let place = label(error).map(|offset| line_and_column(text, offset));
        faults.push(Fault { file, place, message: message(error) });
    }
    faults
}

fn at_policy(policy: &Policy, file: &str, text: &str, message: String) -> Fault {
    // The rule's own words tell where it stands.
    let offset = policy
        .annotation("id")
        .and_then(|id| text.find(&format!("@id(\"{id}\")")))
        .or_else(|| policy.to_cedar().and_then(|source| text.find(source.trim())));
    let place = offset.map(|offset| line_and_column(text, offset));
    Fault { file: file.to_owned(), place, message }
}

fn label(fault: &dyn Diagnostic) -> Option<usize> {
    fault.labels()?.next().map(|label| label.offset())
}

fn message(fault: &dyn Diagnostic) -> String {
    match fault.help() {
        Some(help) => format!("{fault} ({help})"),
        None => fault.to_string(),
    }
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count().saturating_add(1);
    let column = before.rsplit('\n').next().unwrap_or("").chars().count().saturating_add(1);
    (line, column)
}
