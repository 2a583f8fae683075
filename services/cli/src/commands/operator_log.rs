use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Context as _;
use reeve_config::Config;
use reeve_domain::{
    Actor, Clock, ControlEvent, Origin, Record, SystemClock, SystemEntropy, TenantId,
};
use reeve_ledger::{Ledger, Options, load_or_create_key};

/// Records what an operator does at the command line, before it is done, in a log of its own: the
/// control plane's log may be in use by the server.
pub(crate) fn record(
    config: &Config,
    action: &str,
    target: &str,
    tenant: Option<TenantId>,
    details: BTreeMap<String, String>,
) -> anyhow::Result<()> {
    let clock = SystemClock::default();
    let event = Record::Control(Box::new(ControlEvent {
        at: clock.now(),
        actor: Actor::Operator,
        action: action.to_owned(),
        target: target.to_owned(),
        tenant,
        code: None,
        details,
    }));
    let key = load_or_create_key(&config.data_dir.join("secrets/operator.pem"), &SystemEntropy)?;
    let options = Options {
        dir: config.data_dir.join("ledger/operator"),
        origin: Origin::new("reeve.local/operator")?,
        commit_deadline: Duration::from_millis(config.ledger.commit_deadline_ms),
        headroom_bytes: config.ledger.headroom_bytes,
        segment_bytes: reeve_ledger::SEGMENT_BYTES,
    };
    let (ledger, _) = Ledger::open(options, key, Arc::new(clock))?;
    ledger
        .append_blocking(serde_json::to_vec(&event)?)
        .context("nothing was done, since it could not be recorded")?;
    Ok(())
}
