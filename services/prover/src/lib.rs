//! Whether a draft allows or denies anything that the policy in force does not, for every call that
//! there could be: a proof that it does not, or a call for which it does.
//!
//! Policies are translated by `cedar-policy-symcc` and decided by cvc5, a program of its own, which
//! is killed when its time is over. Rules are compared by themselves, without what only this
//! installation knows: a call may name any region with any law, any tenant and any model.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use cedar_policy::{
    Authorizer, Decision, EntityTypeName, EntityUid, PolicyId, PolicySet, RequestEnv,
};
use cedar_policy_symcc::{
    CedarSymCompiler, CompiledPolicy, CompiledPolicySet, Env, solver::LocalSolver,
};
use reeve_domain::{Action, RuleId};
use reeve_policy::Engine;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::process::Command;

/// A cvc5 that can be asked.
#[derive(Clone, Debug)]
pub struct Solver {
    program: PathBuf,
    deadline: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// The solver was not done in time and was killed.
    #[error("the solver was not done after {} s", .0.as_secs())]
    Deadline(Duration),
    /// The solver gave up, or said something that cannot be understood.
    #[error("the solver gave no answer: {0}")]
    Solver(String),
    /// The rules cannot be put into a form that the solver understands.
    #[error("the rules cannot be put to the solver: {0}")]
    Rules(String),
    /// What the solver found is not so.
    #[error("the solver's counterexample is none")]
    NotSo,
}

/// A call for which two policies differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// What is wanted.
    pub action: Action,
    /// Who calls, with everything on file, and the model: Cedar's JSON form of entities.
    pub entities: Value,
    /// The tenant's id.
    pub tenant: String,
    /// The call's context.
    pub context: Value,
    /// Rules of the policy in force that decide it: those that forbid, or those that permit.
    pub rules_before: BTreeSet<RuleId>,
    /// Rules of the draft that do.
    pub rules_after: BTreeSet<RuleId>,
}

/// The answer to one question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "answer", content = "sample")]
pub enum Finding {
    /// For no call: proven.
    Never,
    /// For this one, among others.
    Sometimes(Box<Sample>),
}

/// What a draft changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Whether there is a call that the draft allows and the policy in force does not.
    pub newly_allowed: Finding,
    /// Whether there is a call that the draft does not allow and the policy in force does.
    pub newly_denied: Finding,
    /// Rules of either that fail on some calls. Reeve denies a call on which a rule fails, whatever
    /// others say; the answers above take such a rule as not applying.
    pub may_fail: BTreeSet<RuleId>,
}

impl Solver {
    /// The solver that is configured: a path, or the name of a program in `PATH`. None if there is
    /// no such program.
    pub fn find(program: &Path, deadline: Duration) -> Option<Self> {
        let silent = Stdio::null;
        let mut try_it = std::process::Command::new(program);
        try_it.arg("--version").stdin(silent()).stdout(silent()).stderr(silent());
        // It can be started, and no more is asked of it here.
        let mut started = try_it.spawn().ok()?;
        let ended = started.kill().and_then(|()| started.wait());
        ended.is_ok().then(|| Self { program: program.to_owned(), deadline })
    }

    /// Compares two policies, for all actions. Blocks until there is an answer or the deadline.
    pub fn compare(&self, before: &Engine, after: &Engine) -> Result<Proof, NoAnswer> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|fault| NoAnswer::Solver(fault.to_string()))?;
        // What is dropped when time is over takes the solver with it.
        let all = async { tokio::time::timeout(self.deadline, self.ask(before, after)).await };
        let answer = runtime.block_on(all);
        runtime.shutdown_timeout(Duration::from_secs(1));
        answer.unwrap_or(Err(NoAnswer::Deadline(self.deadline)))
    }

    async fn ask(&self, before: &Engine, after: &Engine) -> Result<Proof, NoAnswer> {
        let limit = self.deadline.as_millis();
        let mut command = Command::new(&self.program);
        command.args(["--lang", "smt", &format!("--tlimit={limit}")]).kill_on_drop(true);
        let program = LocalSolver::from_command(&mut command).map_err(solver)?;
        let mut compiler = CedarSymCompiler::new(program).map_err(solver)?;
        let mut proof = Proof {
            newly_allowed: Finding::Never,
            newly_denied: Finding::Never,
            may_fail: BTreeSet::new(),
        };
        for action in [Action::Classify, Action::Explain] {
            for engine in [before, after] {
                failing(&mut compiler, engine, action, &mut proof.may_fail).await?;
            }
            let [before, after] = [Asked::of(before, action)?, Asked::of(after, action)?];
            if proof.newly_allowed == Finding::Never {
                proof.newly_allowed = find(&mut compiler, &before, &after, Side::After).await?;
            }
            if proof.newly_denied == Finding::Never {
                proof.newly_denied = find(&mut compiler, &before, &after, Side::Before).await?;
            }
        }
        Ok(proof)
    }
}

/// Which of two policies allows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    After,
}

/// One policy's rules for one action.
struct Asked {
    action: Action,
    rules: PolicySet,
    compiled: CompiledPolicySet,
}

impl Asked {
    fn of(engine: &Engine, action: Action) -> Result<Self, NoAnswer> {
        let (rules, schema) = (engine.policies(action).clone(), engine.schema());
        let compiled = CompiledPolicySet::compile(&rules, &environment(action)?, schema);
        Ok(Self { action, rules, compiled: compiled.map_err(rules_refused)? })
    }
}

fn environment(action: Action) -> Result<RequestEnv, NoAnswer> {
    let action: EntityUid =
        format!("Action::{:?}", action.as_str()).parse().map_err(rules_refused)?;
    let name = |name: &str| name.parse::<EntityTypeName>().map_err(rules_refused);
    Ok(RequestEnv::new(name("Tenant")?, action, name("Model")?))
}

/// Adds the rules that fail on some call.
async fn failing(
    compiler: &mut CedarSymCompiler<LocalSolver>,
    engine: &Engine,
    action: Action,
    found: &mut BTreeSet<RuleId>,
) -> Result<(), NoAnswer> {
    let environment = environment(action)?;
    for policy in engine.policies(action).policies() {
        let compiled = CompiledPolicy::compile(policy, &environment, engine.schema());
        let compiled = compiled.map_err(rules_refused)?;
        if !compiler.check_never_errors_opt(&compiled).await.map_err(solver)? {
            found.extend(rule(policy.id()));
        }
    }
    Ok(())
}

/// A call that the policy on one side allows and the other does not.
async fn find(
    compiler: &mut CedarSymCompiler<LocalSolver>,
    before: &Asked,
    after: &Asked,
    allowed_by: Side,
) -> Result<Finding, NoAnswer> {
    let (allows, denies) = match allowed_by {
        Side::Before => (before, after),
        Side::After => (after, before),
    };
    let found =
        compiler.check_implies_with_counterexample_opt(&allows.compiled, &denies.compiled).await;
    match found.map_err(solver)? {
        None => Ok(Finding::Never),
        Some(found) => sample(&found, before, after, allowed_by)
            .map(|sample| Finding::Sometimes(Box::new(sample))),
    }
}

/// The call in words, after Cedar has decided it by both policies.
fn sample(
    found: &Env,
    before: &Asked,
    after: &Asked,
    allowed_by: Side,
) -> Result<Sample, NoAnswer> {
    let authorizer = Authorizer::new();
    let decide = |asked: &Asked, side| {
        let response = authorizer.is_authorized(&found.request, &asked.rules, &found.entities);
        let allowed = response.decision() == Decision::Allow;
        let ids = response.diagnostics().reason().filter_map(rule);
        (allowed == (allowed_by == side)).then(|| ids.collect::<BTreeSet<_>>())
    };
    let rules_before = decide(before, Side::Before).ok_or(NoAnswer::NotSo)?;
    let rules_after = decide(after, Side::After).ok_or(NoAnswer::NotSo)?;
    let tenant = found.request.principal().map(|uid| uid.id().unescaped().to_owned());
    let context = found.request.context().and_then(|context| context.to_json_value().ok());
    Ok(Sample {
        action: before.action,
        tenant: tenant.unwrap_or_default(),
        context: context.unwrap_or_else(|| json!({})),
        entities: found.entities.to_json_value().unwrap_or_else(|_| json!([])),
        rules_before,
        rules_after,
    })
}

/// Every rule has been compiled under its id.
fn rule(id: &PolicyId) -> Option<RuleId> {
    RuleId::new(id).ok()
}

fn solver(fault: impl std::error::Error) -> NoAnswer {
    NoAnswer::Solver(chain(&fault))
}

fn rules_refused(fault: impl std::error::Error) -> NoAnswer {
    NoAnswer::Rules(chain(&fault))
}

fn chain(fault: &dyn std::error::Error) -> String {
    let mut text = fault.to_string();
    let mut inner = fault.source();
    while let Some(fault) = inner {
        text.push_str(": ");
        text.push_str(&fault.to_string());
        inner = fault.source();
    }
    text
}
