//! Changes that go into force by themselves, when their time has come.

use std::time::Duration;

use actix_web::{rt, web};
use reeve_domain::Actor;
use reeve_store::policy_change;

use crate::{routes::activate, state::Control};

const LOOK_EVERY: Duration = Duration::from_millis(250);

pub(crate) fn start(control: web::Data<Control>) {
    rt::spawn(async move {
        loop {
            rt::time::sleep(LOOK_EVERY).await;
            let now = control.clock.now();
            // A store that is away is tried again.
            let Ok(due) = control.read(move |c| policy_change::due(c, now)).await else { continue };
            for change in due {
                let id = change.id.clone();
                match activate(&control, Actor::System, "scheduled", change).await {
                    Ok(version) => tracing::info!(change = %id, version, "a change is in force"),
                    Err(refused) => {
                        tracing::warn!(change = %id, code = %refused.code(), "a change stays out");
                    }
                }
            }
        }
    });
}
