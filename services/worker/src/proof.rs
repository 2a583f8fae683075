use std::path::Path;

use reeve_domain::Clock;
use reeve_policy::Engine;
use reeve_prover::{Proof, Solver};
use reeve_store::{Store, StoreError, policy, proof};

/// Asks the solver for the oldest proof that waits. False if none does. Blocks until the solver has
/// answered or its time is over.
pub fn prove_next(
    store: &Store,
    clock: &dyn Clock,
    solver: Option<&Solver>,
) -> Result<bool, StoreError> {
    let Some(wanted) = store.write(proof::take)? else { return Ok(false) };
    let engine = |digest| {
        let document = store.read(|c| policy::bundle(c, digest))?;
        let document = document.ok_or(StoreError::NotFound("policy bundle"))?;
        Ok::<_, StoreError>(Engine::compile(&document).map_err(|why| why.to_string()))
    };
    let (base, draft) = (engine(&wanted.base)?, engine(&wanted.draft)?);
    let found = base.and_then(|base| Ok((base, draft?)));
    let found = found.and_then(|(base, draft)| compare(solver, &base, &draft));
    let found = found.and_then(|proof| serde_json::to_string(&proof).map_err(|it| it.to_string()));
    let found = found.as_deref().map_err(String::as_str);
    store.write(|c| proof::finish(c, &wanted.id, found, clock.now()))?;
    Ok(true)
}

fn compare(solver: Option<&Solver>, base: &Engine, draft: &Engine) -> Result<Proof, String> {
    let solver = solver.ok_or("no solver is installed where the worker runs")?;
    solver.compare(base, draft).map_err(|why| why.to_string())
}

/// The solver that is configured, if it is installed.
pub fn solver(program: &Path, deadline: std::time::Duration) -> Option<Solver> {
    let solver = Solver::find(program, deadline);
    match &solver {
        Some(_) => {
            tracing::info!(program = %program.display(), "a solver proves what drafts change")
        }
        None => tracing::info!("no solver is installed; drafts are not proven"),
    }
    solver
}
