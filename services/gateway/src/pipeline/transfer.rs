//! Transfers that law counts: what the count would be is asked before policy decides, and the person
//! is counted before anything leaves. The store keeps the count for all gateways; without it nothing
//! that must be counted leaves.

use actix_web::web;
use reeve_domain::{Code, DecisionInput, Region, Transfer, TransferCount};
use reeve_policy::transfer::{COUNTED_LAW, counted_year, is_sensitive};

use super::{authenticate::Authenticated, redact::Clean};
use crate::Gate;

/// What the count would be if the call were processed in any of its regions where it is a transfer.
/// None if it is one in none of them, or if the store is away: rules then count it as too many.
pub(super) async fn expected(
    gate: &Gate,
    from: &Authenticated,
    input: &DecisionInput,
) -> Option<TransferCount> {
    let engine = &from.snapshot.engine;
    if !input.candidates.iter().any(|region| engine.is_counted_transfer(input, region)) {
        return None;
    }
    let (store, new) = (gate.store.clone(), transfer(gate, from, input));
    match web::block(move || store.read(|c| reeve_store::transfer::with(c, &new))).await {
        Ok(Ok(count)) => Some(count),
        failed => {
            tracing::warn!(?failed, "transfers cannot be counted now");
            None
        }
    }
}

/// Counts the call's person before its texts go to `region`, if that is a transfer.
pub(super) async fn claim(gate: &Gate, clean: &Clean, region: &Region) -> Result<(), Code> {
    let engine = &clean.from.snapshot.engine;
    if !engine.is_counted_transfer(&clean.input, region) {
        return Ok(());
    }
    let new = transfer(gate, &clean.from, &clean.input);
    let (store, engine) = (gate.store.clone(), engine.clone());
    let (head, input, to) = (&clean.from.head, clean.input.clone(), region.clone());
    let (id, at, wanted) = (head.id, head.at, new.clone());
    let claimed = web::block(move || {
        store.write(|c| {
            // Others may have been counted since the decision.
            let mut permits = |count| {
                let now = DecisionInput { transferred: Some(count), ..input.clone() };
                input.transferred == Some(count) || engine.decide(&now).permitted.contains(&to)
            };
            reeve_store::transfer::claim(c, &wanted, &id, at, &mut permits)
        })
    });
    match claimed.await {
        Ok(Ok(Some(count))) => {
            clean.transferred.replace(Some((new, count)));
            Ok(())
        }
        Ok(Ok(None)) => Err(Code::DeniedByPolicy),
        failed => {
            tracing::error!(?failed, "a transfer cannot be counted, so it is not made");
            Err(Code::StoreUnavailable)
        }
    }
}

fn transfer(gate: &Gate, from: &Authenticated, input: &DecisionInput) -> Transfer {
    let tenant = &input.tenant;
    let entity = tenant.legal.entity.as_ref().map(ToString::to_string);
    let subject = from.head.subject.clone();
    Transfer {
        entity: entity.unwrap_or_else(|| format!("tenant:{}", tenant.id)),
        law: COUNTED_LAW.to_owned(),
        year: counted_year(input.at),
        // Who is not named may be anybody, so every such call counts.
        subject: subject.unwrap_or_else(|| gate.pepper.subject(&format!("call:{}", from.head.id))),
        sensitive: is_sensitive(input),
    }
}
