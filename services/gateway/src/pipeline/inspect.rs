use reeve_domain::{Code, KindCounts};
use reeve_privacy::Finding;

use super::{admit::Admitted, refuse::Refused};
use crate::Gate;

/// A call whose texts have been searched for personal data.
pub struct Seen {
    pub(super) admitted: Admitted,
    /// For each text, where what was found.
    pub(super) findings: Vec<Vec<Finding>>,
    pub(super) found: KindCounts,
}

/// Looks for personal data in every text. A detector that fails refuses the call: what was not
/// searched is not forwarded.
pub fn inspect(_gate: &Gate, admitted: Admitted) -> Result<Seen, Box<Refused>> {
    let call = &admitted.call;
    let mut found = KindCounts::new();
    let mut findings = Vec::with_capacity(call.texts.len());
    let detector = call.from.snapshot.engine.detector(&call.from.tenant.facts.id);
    for text in &call.texts {
        let here = detector.scan(text).map_err(|_| call.from.refused(Code::DetectorFailed))?;
        for finding in &here {
            let count = found.entry(finding.kind.clone()).or_default();
            *count = count.saturating_add(1);
        }
        findings.push(here);
    }
    Ok(Seen { admitted, findings, found })
}
