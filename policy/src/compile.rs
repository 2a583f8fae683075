use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr as _,
};

use cedar_policy::{
    ActionConstraint, EntityUid, Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator,
};
use miette::Diagnostic;
use reeve_domain::{Kind, Obligations, Redaction, RuleId, RuleRef};
use reeve_privacy::Detector;
use serde::Serialize;

use crate::{bundle::Bundle, obligations, terms::Terms};

/// Whether a fault keeps a bundle from being activated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It does.
    Error,
    /// It does not, but is hardly meant.
    Warning,
}

/// A part of a file. Lines and columns count from 1, columns in Unicode code points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Span {
    /// The first line.
    pub line: usize,
    /// The first column.
    pub column: usize,
    /// The line of the end.
    pub end_line: usize,
    /// The column behind the last.
    pub end_column: usize,
}

/// One thing that is wrong with a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Whether it keeps the bundle from being activated.
    pub severity: Severity,
    /// The bundle's file.
    pub file: String,
    /// Where it is, where that is known.
    pub span: Option<Span>,
    /// What is wrong.
    pub message: String,
    /// What would be right, where something can be said.
    pub help: Option<String>,
}

impl Fault {
    /// A fault of a whole file.
    pub(crate) fn of(file: &str, message: impl Into<String>) -> Self {
        let (file, message) = (file.to_owned(), message.into());
        Self { severity: Severity::Error, file, span: None, message, help: None }
    }

    #[must_use]
    pub(crate) fn at(self, span: Option<Span>) -> Self {
        Self { span, ..self }
    }

    #[must_use]
    pub(crate) fn warning(self) -> Self {
        Self { severity: Severity::Warning, ..self }
    }

    #[must_use]
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(span) = self.span {
            write!(f, ":{}:{}", span.line, span.column)?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(help) = &self.help {
            write!(f, " ({help})")?;
        }
        Ok(())
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

/// One that has nothing to do with a file.
pub(crate) fn single(message: String) -> CompileError {
    CompileError { faults: vec![Fault::of("bundle", message)] }
}

/// The file in which the rules stand that hold under every bundle.
pub const FLOOR: &str = "floor.cedar";
/// Those rules.
pub const FLOOR_TEXT: &str = include_str!("floor.cedar");

/// What policies may speak of, as Cedar reads it.
pub const SCHEMA: &str = include_str!("../schema.cedarschema");

/// A rule that may be enforced.
#[derive(Clone)]
pub(crate) struct CompiledRule {
    pub(crate) id: RuleId,
    pub(crate) file: String,
    pub(crate) span: Option<Span>,
    pub(crate) policy: Policy,
    pub(crate) obligations: Obligations,
    /// What callers are told of it.
    pub(crate) told: RuleRef,
    /// What it reads and which texts and numbers it names.
    pub(crate) terms: Terms,
}

pub(crate) struct Compiled {
    pub(crate) schema: Schema,
    pub(crate) rules: Vec<CompiledRule>,
    /// What is not as it is meant to be and keeps nobody from enforcing it.
    pub(crate) warnings: Vec<Fault>,
}

/// Checks everything that can be checked before a call comes.
pub(crate) fn compile(bundle: &Bundle) -> Result<Compiled, CompileError> {
    let (schema, _warnings) = Schema::from_cedarschema_str(SCHEMA).map_err(|fault| {
        CompileError { faults: vec![Fault::of("schema.cedarschema", fault.to_string())] }
    })?;
    let mut faults = plans(bundle);
    faults.extend(privacy(bundle));
    let mut rules: Vec<CompiledRule> = Vec::new();
    let floor = (FLOOR, FLOOR_TEXT);
    let own = bundle.cedar.iter().map(|(file, text)| (file.as_str(), text.as_str()));
    for (file, text) in [floor].into_iter().chain(own) {
        match PolicySet::from_str(text) {
            Ok(set) => {
                let mut policies: Vec<&Policy> = set.policies().collect();
                // In the order of the text: Cedar numbers policies as it reads them.
                policies.sort_by_key(|policy| number(policy.id()));
                for policy in policies {
                    match rule(policy, file, text) {
                        Ok(rule) if rules.iter().any(|other| other.id == rule.id) => {
                            let message = format!("another rule is named `{}` too", rule.id);
                            faults.push(Fault::of(file, message).at(rule.span));
                        }
                        Ok(rule) => rules.push(rule),
                        Err(found) => faults.extend(found),
                    }
                }
                if let Some(template) = set.templates().next() {
                    let message = format!("templates are not used here: `{}`", template.id());
                    faults.push(Fault::of(file, message));
                }
            }
            Err(errors) => faults.extend(errors.iter().map(|error| told(error, file, text))),
        }
    }
    let mut warnings = Vec::new();
    if faults.is_empty() {
        let found = validate(&schema, &rules, bundle).into_iter();
        (faults, warnings) = found.partition(|fault| fault.severity == Severity::Error);
    }
    if faults.is_empty() {
        Ok(Compiled { schema, rules, warnings })
    } else {
        faults.extend(warnings);
        Err(CompileError { faults })
    }
}

fn number(id: &PolicyId) -> u64 {
    id.to_string().trim_start_matches("policy").parse().unwrap_or(u64::MAX)
}

fn plans(bundle: &Bundle) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut fault = |message: String| {
        faults.push(Fault::of("bundle.toml", message));
    };
    for (name, plan) in &bundle.plans {
        if plan.requests_per_second == 0 || plan.burst == 0 || plan.concurrency == 0 {
            fault(format!("plans.{name}: rate, burst and concurrency must be at least 1"));
        }
        let prices = &plan.prices;
        let per_unit = [prices.per_item, prices.per_thousand_characters];
        let all_prices = || per_unit.into_iter().chain(prices.per_explanation);
        let currencies: BTreeSet<_> =
            all_prices().chain(plan.monthly_budget).map(|money| money.currency).collect();
        if currencies.len() > 1 {
            fault(format!("plans.{name}: prices and budget must be in one currency"));
        }
        if all_prices().any(|price| price.micros < 0) {
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
    detect.chain(thresholds).map(|message| Fault::of("bundle.toml", message)).collect()
}

/// Reads a rule's annotations and gives the policy the rule's own id.
fn rule(policy: &Policy, file: &str, text: &str) -> Result<CompiledRule, Vec<Fault>> {
    let span = place(policy, text);
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
            told: RuleRef {
                id: id.clone(),
                reason: policy.annotation("reason").unwrap_or_default().to_owned(),
            },
            id,
            file: file.to_owned(),
            span,
            obligations,
            terms: Terms::of(policy),
        }),
        (_, read) => {
            messages.extend(read.err());
            Err(messages.into_iter().map(|text| Fault::of(file, text).at(span)).collect())
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
            faults.push(Fault::of(&rule.file, fault.to_string()));
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
            faults.push(Fault::of(&rule.file, message).at(rule.span));
        }
    }
    let files: BTreeMap<&str, &CompiledRule> =
        rules.iter().map(|rule| (rule.id.as_str(), rule)).collect();
    let result = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
    let mut tell = |id: String, fault: &dyn Diagnostic, severity| {
        let rule = files.get(id.as_str());
        let file = rule.map(|rule| rule.file.clone()).unwrap_or_default();
        let text = if file == FLOOR {
            FLOOR_TEXT
        } else {
            bundle.cedar.get(&file).map_or("", String::as_str)
        };
        let told = told(fault, &file, text);
        let span = told.span.or_else(|| rule.and_then(|rule| rule.span));
        faults.push(Fault { severity, span, ..told });
    };
    for error in result.validation_errors() {
        tell(error.policy_id().to_string(), error, Severity::Error);
    }
    for warning in result.validation_warnings() {
        tell(warning.policy_id().to_string(), warning, Severity::Warning);
    }
    faults
}

/// Where a rule stands: from its first annotation to its semicolon.
fn place(policy: &Policy, text: &str) -> Option<Span> {
    let source = policy.to_cedar()?;
    let source = source.trim();
    let begin = text.find(source)?;
    Some(span(text, begin, source.len()))
}

/// A fault that Cedar found.
fn told(fault: &dyn Diagnostic, file: &str, text: &str) -> Fault {
    let label = fault.labels().and_then(|mut labels| labels.next());
    Fault {
        severity: Severity::Error,
        file: file.to_owned(),
        span: label.map(|label| span(text, label.offset(), label.len())),
        message: fault.to_string(),
        help: fault.help().map(|help| help.to_string()),
    }
}

pub(crate) fn span(text: &str, offset: usize, len: usize) -> Span {
    let (line, column) = line_and_column(text, offset);
    let (end_line, end_column) = line_and_column(text, offset.saturating_add(len));
    Span { line, column, end_line, end_column }
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count().saturating_add(1);
    let column = before.rsplit('\n').next().unwrap_or("").chars().count().saturating_add(1);
    (line, column)
}
