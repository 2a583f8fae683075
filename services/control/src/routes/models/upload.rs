use std::{fs::File, io::Write as _, path::Path, time::Duration};

use actix_web::{HttpRequest, HttpResponse, rt, web};
use futures_util::StreamExt as _;
use reeve_domain::{Code, Digest, ModelFacts, ModelName, ModelVersion, TenantId, VersionState};
use reeve_protocol::{model::BundleSummary, signature::NotVouched};
use reeve_registry::{BundleRefused, Limits, Scanned, UploadRefused, scan, unpack};
use reeve_store::{
    StoreError, catalog,
    model::{self, VersionRow},
    tenant,
};
use serde::Deserialize;

use super::{ModelView, by, deed};
use crate::{
    page,
    problem::{Problem, Refused},
    signed_in::{Operator, SignedIn},
    state::{Control, Deed, block},
};

/// Files that a bundle has at most.
const FILES: usize = 16;
/// Nobody sends nothing for longer.
const NEXT_CHUNK_WITHIN: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    owner: Option<String>,
}

/// Take a version in: a bundle's files as a tar or ZIP archive, in the body as it is. It answers
/// nobody until it is placed and promoted; the same bundle again changes nothing.
#[utoipa::path(
    post, path = "/api/v1/models", tag = "models", operation_id = "uploadModel",
    params(("owner" = Option<String>, Query, description = "The tenant whose model it is, if the model is new")),
    request_body(content = Vec<u8>, content_type = "application/x-tar", description = "Or `application/zip`"),
    responses(
        (status = 200, description = "It was there already", body = super::ModelView),
        (status = 201, description = "It was taken in", body = super::ModelView),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "conflict: the model has another bundle as this version", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "payload-too-large", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "unsupported-media-type", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "model-refused, invalid-request", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "registry-unavailable", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn create(
    control: web::Data<Control>,
    signed_in: SignedIn<Operator>,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse, Refused> {
    let parameters = web::Query::<Parameters>::from_query(request.query_string());
    let parameters = parameters.map_err(|_| Refused::field("owner", "must be a tenant"))?;
    let owner = page::parse::<TenantId>("owner", parameters.owner.as_deref())?;
    if let Some(owner) = owner.clone() {
        let known = control.read(move |c| tenant::get(c, &owner)).await?;
        known.ok_or_else(|| Refused::field("owner", "there is no such tenant"))?;
    }
    let media = request.headers().get("Content-Type").and_then(|value| value.to_str().ok());
    if !matches!(media, Some("application/x-tar" | "application/zip")) {
        let wanted = "send `Content-Type: application/x-tar` or `application/zip`";
        return Err(Refused::from(Code::UnsupportedMediaType).because(wanted));
    }
    let (archive, sent) = receive(&control, body).await?;
    let mut deed = deed(&signed_in, "model.upload", sent, owner.as_ref(), []);
    let dir = tempfile::tempdir().map_err(|why| Refused::internal(&why))?;
    let scanned = match look(&control, archive, dir.path()).await? {
        Ok(scanned) => scanned,
        Err(why) => {
            control.record(&deed, Some(Code::ModelRefused)).await?;
            return Err(Refused::from(Code::ModelRefused).because(why));
        }
    };
    keep(&control, dir.path(), &scanned, &mut deed).await?;
    let row = version(&control, &scanned, by(&deed))?;
    let (new, name) = (row.clone(), row.version.facts.name.clone());
    let (is_new, model) = control
        .change(&deed, move |c| {
            let is_first = catalog::get(c, &name)?.is_none();
            let is_new = model::insert(c, &new)?;
            let model = catalog::get(c, &name)?.ok_or(StoreError::NotFound("model"))?;
            if is_first && owner.is_some() {
                // A tenant's own model is its own until it is shared.
                let own = reeve_domain::Model { owner, open: false, ..model.clone() };
                catalog::set_offer(c, &own)?;
            }
            Ok((is_new, model))
        })
        .await?;
    let view = ModelView::of(row, Some(&model));
    let mut answer = if is_new { HttpResponse::Created() } else { HttpResponse::Ok() };
    Ok(answer.json(view))
}

/// Writes the body down as it comes, up to the limit. Gives the file and the digest of what was sent.
async fn receive(control: &Control, mut body: web::Payload) -> Result<(File, Digest), Refused> {
    let limit = control.models.upload_limit;
    let too_large = || {
        Refused::from(Code::PayloadTooLarge)
            .because(format!("an upload may have at most {limit} bytes"))
    };
    let (mut file, mut left) =
        (tempfile::tempfile().map_err(|why| Refused::internal(&why))?, limit);
    loop {
        let next = rt::time::timeout(NEXT_CHUNK_WITHIN, body.next()).await;
        let ended_early =
            || Refused::from(Code::ModelRefused).because("the upload ended too early");
        let Some(chunk) = next.map_err(|_| ended_early())? else { break };
        let chunk = chunk.map_err(|_| ended_early())?;
        let bytes = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        left = left.checked_sub(bytes).ok_or_else(too_large)?;
        file = block(move || file.write_all(&chunk).map(|()| file))
            .await?
            .map_err(|why| Refused::internal(&why))?;
    }
    let file = block(move || digest(file)).await?.map_err(|why| Refused::internal(&why))?;
    Ok(file)
}

fn digest(mut file: File) -> std::io::Result<(File, Digest)> {
    let digest = reeve_registry::digest_of(&mut file)?;
    Ok((file, digest))
}

/// Unpacks an archive and looks at what is in it; gives why it is not taken in otherwise.
async fn look(
    control: &Control,
    mut archive: File,
    dir: &Path,
) -> Result<Result<Scanned, String>, Refused> {
    let (dir, bytes) = (dir.to_owned(), control.models.upload_limit);
    let vouchers = control.models.vouchers.clone();
    block(move || {
        if let Err(why) = unpack(&mut archive, &dir, Limits { bytes, files: FILES }) {
            return match why {
                UploadRefused::Io(fault) => Err(Refused::internal(&fault)),
                why => Ok(Err(why.to_string())),
            };
        }
        match scan(&dir) {
            Ok(scanned) => {
                let BundleSummary { name, version, digest, .. } = &scanned.summary;
                match vouchers.check(&dir, (name, version), digest) {
                    Ok(()) => Ok(Ok(scanned)),
                    Err(NotVouched::Io(fault)) => Err(Refused::internal(&fault)),
                    Err(why) => Ok(Err(why.to_string())),
                }
            }
            Err(BundleRefused::Io(fault)) => Err(Refused::internal(&fault)),
            // A path of this machine is nobody's business.
            Err(why) => Ok(Err(why.to_string().replace(&format!("{}/", dir.display()), ""))),
        }
    })
    .await?
}

/// Puts the bundle into the registry, before anything says that it is there.
async fn keep(
    control: &Control,
    dir: &Path,
    scanned: &Scanned,
    deed: &mut Deed,
) -> Result<(), Refused> {
    let summary = &scanned.summary;
    deed.details.extend([
        ("model".to_owned(), summary.name.clone()),
        ("version".to_owned(), summary.version.clone()),
        ("digest".to_owned(), summary.digest.to_string()),
    ]);
    deed.target = summary.digest.to_string();
    if let Err(why) = control.models.registry.put(dir, summary).await {
        tracing::error!(error = %why, "a bundle could not be kept");
        control.record(deed, Some(Code::RegistryUnavailable)).await?;
        return Err(Refused::from(Code::RegistryUnavailable).until(5));
    }
    Ok(())
}

fn version(control: &Control, scanned: &Scanned, by: String) -> Result<VersionRow, Refused> {
    let summary = &scanned.summary;
    let facts = ModelFacts {
        name: ModelName::new(&summary.name).map_err(|why| Refused::internal(&why))?,
        version: summary.version.clone(),
        digest: summary.digest,
        generative: summary.generative,
        risk_class: summary.risk_class.clone(),
        conformity: false,
        instructions: false,
    };
    Ok(VersionRow {
        version: ModelVersion {
            facts,
            labels: summary.labels.clone(),
            state: VersionState::Candidate,
        },
        size: scanned.bytes,
        card: summary.card.clone(),
        created_at: control.clock.now(),
        created_by: by,
    })
}
