use std::{io, net::TcpListener, path::PathBuf, sync::Arc, time::Duration};

use actix_web::{
    App, Error, HttpServer,
    body::MessageBody,
    dev::{Server, ServiceRequest, ServiceResponse},
    http::header::{HeaderName, HeaderValue},
    middleware::{DefaultHeaders, Next, from_fn},
    web,
};
use reeve_domain::{Clock, Code, Entropy, Origin};
use reeve_identity::Pepper;
use reeve_ledger::Ledger;
use reeve_protocol::{activation::ActivationSigner, order::OrderSigner, signature::Vouchers};
use reeve_registry::Registry;
use reeve_store::Store;
use reeve_telemetry::metrics;
use reeve_witness::Host;

use crate::{
    files::LogDirs,
    keeping, placing,
    problem::Refused,
    routes::{self, StaticDir},
    scheduled,
    state::Control,
};

/// The largest body that is read, in bytes.
const BODY_LIMIT: usize = 64 * 1024;

/// Where models are kept, and how they come to the pods.
#[derive(Clone)]
pub struct ModelOptions {
    /// Where bundles are kept.
    pub registry: Registry,
    /// Who must vouch for what is taken in.
    pub vouchers: Vouchers,
    /// The largest upload, in bytes.
    pub upload_limit: u64,
    /// How long after gateways send a pod no more calls for a model it is unloaded.
    pub unload_after: Duration,
    /// Signs what pods are told to load and unload.
    pub orders: Arc<OrderSigner>,
}

/// What a control plane is made of. Everything with a life of its own is made by the caller.
pub struct ControlOptions {
    /// Where to listen; already bound, so that a test can take a free port.
    pub listener: TcpListener,
    /// Worker threads.
    pub workers: usize,
    /// Tenants, keys, policy, and the index of the logs.
    pub store: Store,
    /// The control plane's own log.
    pub log: Ledger,
    /// The name of the control plane's own log.
    pub origin: Origin,
    /// The public keys of the witnesses that cosign the logs, as C2SP verifier keys.
    pub witness_keys: Vec<String>,
    /// All logs, for proofs and verification.
    pub files: Arc<LogDirs>,
    /// The witness that the control plane is for logs, if it is one.
    pub witness: Option<web::Data<Host>>,
    /// Keyed hashing of API keys.
    pub pepper: Pepper,
    /// Signs policies that are put in force.
    pub signer: ActivationSigner,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids and secrets.
    pub entropy: Arc<dyn Entropy>,
    /// Where models are kept, and how they come to the pods.
    pub models: ModelOptions,
    /// The console's built files.
    pub static_dir: Option<PathBuf>,
    /// Whether the session's cookie is only sent over TLS.
    pub secure_cookie: bool,
}

/// Starts the control plane inside an actix system. It serves while the returned server is awaited.
pub fn server(options: ControlOptions) -> io::Result<Server> {
    let control = web::Data::new(Control::new(&options));
    scheduled::start(control.clone());
    keeping::start(control.clone());
    placing::start(control.clone());
    let console = web::Data::new(StaticDir(options.static_dir));
    let witness = options.witness;
    Ok(HttpServer::new(move || {
        App::new()
            .app_data(control.clone())
            .app_data(console.clone())
            .app_data(web::PayloadConfig::new(BODY_LIMIT))
            .app_data(
                web::PathConfig::default()
                    .error_handler(|_, _| Refused::from(Code::RouteNotFound).into()),
            )
            .configure(reeve_witness::configure(witness.clone()))
            .configure(routes::configure)
            .wrap(security_headers())
            .wrap(from_fn(request_id))
    })
    .workers(options.workers.max(1))
    .client_request_timeout(Duration::from_secs(10))
    .shutdown_timeout(10)
    .disable_signals()
    .listen(options.listener)?
    .run())
}

fn security_headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add((
            "Content-Security-Policy",
            // Mantine sets styles in attributes.
            "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
             object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        ))
        .add(("X-Content-Type-Options", "nosniff"))
        .add(("X-Frame-Options", "DENY"))
        .add(("Referrer-Policy", "no-referrer"))
        .add(("Cache-Control", "no-store"))
}

/// Gives every request an id, which its answer carries, and counts it.
async fn request_id(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let id = request
        .app_data::<web::Data<Control>>()
        .map(|control| format!("req_{}", control.entropy.uuid(control.clock.now()).simple()));
    let mut response = next.call(request).await?;
    metrics::control_request(response.status().as_u16());
    if let Some(value) = id.and_then(|id| HeaderValue::from_str(&id).ok()) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
    }
    Ok(response)
}
