use std::sync::Arc;

use actix_web::{HttpResponse, http::StatusCode, web};
use reeve_domain::{Clock, Origin};
use reeve_ledger::{VerifierKey, Witness, WitnessRefused};
use reeve_store::{Store, log};

/// A witness, and where it finds the keys of the logs that it knows.
pub struct Host {
    /// The witness.
    pub witness: Witness,
    /// Where the installation's logs are registered.
    pub store: Store,
    /// The time that stands in cosignatures.
    pub clock: Arc<dyn Clock>,
}

/// No request is larger: a checkpoint and 63 hashes.
const LIMIT: usize = 16 * 1024;

/// Adds `POST /witness/add-checkpoint`.
pub fn configure(host: Option<web::Data<Host>>) -> impl FnOnce(&mut web::ServiceConfig) {
    move |app| {
        if let Some(host) = host {
            app.service(
                web::resource("/witness/add-checkpoint")
                    .app_data(host)
                    .app_data(web::PayloadConfig::new(LIMIT))
                    .route(web::post().to(add_checkpoint)),
            );
        }
    }
}

/// Anybody may ask: only what a known log has signed is cosigned, and that is public.
async fn add_checkpoint(host: web::Data<Host>, body: String) -> HttpResponse {
    let answered = web::block(move || {
        let keys = host.store.read(log::list).unwrap_or_else(|fault| {
            tracing::warn!(error = %fault, "the registered logs cannot be read: none is known");
            Vec::new()
        });
        let key = |origin: &Origin| -> Option<VerifierKey> {
            keys.iter().find(|log| log.origin == *origin)?.vkey.parse().ok()
        };
        host.witness.add_checkpoint(&body, &key, host.clock.now())
    });
    match answered.await {
        Ok(Ok(line)) => HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(line),
        Ok(Err(refused)) => refusal(&refused),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

fn refusal(refused: &WitnessRefused) -> HttpResponse {
    let status = match refused {
        WitnessRefused::Malformed(_) => StatusCode::BAD_REQUEST,
        WitnessRefused::Signature(_) => StatusCode::FORBIDDEN,
        WitnessRefused::Unknown => StatusCode::NOT_FOUND,
        WitnessRefused::Conflict(size) => {
            return HttpResponse::Conflict()
                .content_type("text/x.tlog.size")
                .body(format!("{size}\n"));
        }
        WitnessRefused::Inconsistent => StatusCode::UNPROCESSABLE_ENTITY,
        WitnessRefused::Io(_) => {
            tracing::error!(error = %refused, "the witness cannot work");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    HttpResponse::build(status)
        .content_type("text/plain; charset=utf-8")
        .body(format!("{refused}\n"))
}
