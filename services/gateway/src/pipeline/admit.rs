use reeve_limits::Reservation;

use super::{claim::Unanswered, receive::Received, refuse::Refused};
use crate::{Gate, idempotency::Claim};

/// A call that is within its tenant's limits. What it reserved comes back if it is dropped.
pub struct Admitted {
    pub(super) call: Received,
    pub(super) reservation: Reservation,
    pub(super) claim: Option<Claim>,
}

/// Reserves rate, concurrency, quota and budget: all or none.
pub fn admit(gate: &Gate, new: Box<Unanswered>) -> Result<Admitted, Box<Refused>> {
    let Unanswered { call, claim } = *new;
    let items = u64::try_from(call.texts.len()).unwrap_or(u64::MAX);
    match gate.limits.reserve(&call.from.tenant.facts.id, items) {
        Ok(reservation) => Ok(Admitted { call, reservation, claim }),
        Err(exceeded) => {
            let mut refused = call.from.refused(exceeded.code);
            refused.retry_after = Some(exceeded.retry_after);
            refused.limits = Some(exceeded.state);
            Err(refused)
        }
    }
}
