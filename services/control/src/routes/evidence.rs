use std::{collections::BTreeMap, sync::Arc};

use actix_files::NamedFile;
use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CONTENT_DISPOSITION, ContentDisposition, DispositionParam, DispositionType},
    web,
};
use reeve_domain::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::holds::known_tenant;
use crate::{
    dossier::{Article, Asked, make},
    problem::{Problem, Refused},
    sent::Sent,
    signed_in::{Auditor, SignedIn},
    state::{Control, Deed, block},
};

/// What evidence is asked for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EvidenceRequest {
    tenant: String,
    /// Not before this moment, RFC 3339.
    from: String,
    /// Before this moment, RFC 3339.
    until: String,
    /// Why it is asked for: the name of an article of `listArticles`.
    article: String,
}

/// Why evidence can be asked for.
#[derive(Serialize, ToSchema)]
pub(crate) struct ArticleView {
    name: &'static str,
    title: &'static str,
}

/// All articles.
#[derive(Serialize, ToSchema)]
pub(crate) struct ArticleList {
    items: Vec<ArticleView>,
}

/// List the articles that evidence can be asked for under.
#[utoipa::path(
    get, path = "/api/v1/evidence/articles", tag = "evidence", operation_id = "listArticles",
    responses(
        (status = 200, description = "Articles", body = ArticleList),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn articles(_: SignedIn<Auditor>) -> HttpResponse {
    let view = |article: &Article| ArticleView { name: article.name, title: article.title };
    HttpResponse::Ok().json(ArticleList { items: Article::ALL.iter().map(view).collect() })
}

/// Make an evidence bundle: an archive of records, proofs, checkpoints, policies, approvals and
/// models, which can be checked without this installation.
#[utoipa::path(
    post, path = "/api/v1/evidence", tag = "evidence", operation_id = "createEvidence",
    request_body = EvidenceRequest,
    responses(
        (status = 200, description = "The archive (ZIP)", body = [u8], content_type = "application/zip"),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "role-required, csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found: no such tenant", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "audit-unavailable, store-unavailable", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn create(
    control: web::Data<Control>,
    signed_in: SignedIn<Auditor>,
    request: HttpRequest,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let asked: EvidenceRequest = sent.json()?;
    let tenant = known_tenant(&control, &asked.tenant).await?;
    let moment =
        |name: &str, text: &str| Timestamp::parse(text).map_err(|why| Refused::field(name, why));
    let asked = Asked {
        tenant: tenant.clone(),
        from: moment("from", &asked.from)?,
        until: moment("until", &asked.until)?,
        article: asked.article.parse().map_err(|why| Refused::field("article", why))?,
        made_at: control.clock.now(),
    };
    if asked.from >= asked.until {
        return Err(Refused::field("until", "must be later than `from`"));
    }
    let deed = Deed {
        actor: signed_in.actor(),
        action: "evidence.create",
        target: asked.article.name.to_owned(),
        tenant: Some(tenant.clone()),
        details: BTreeMap::from([
            ("from".to_owned(), asked.from.to_string()),
            ("until".to_owned(), asked.until.to_string()),
        ]),
    };
    control.record(&deed, None).await?;
    let name = format!("evidence-{tenant}-{}.zip", asked.article.name);
    let (store, files) = (control.store.clone(), Arc::clone(&control.files));
    let file = block(move || make(&store, &files, &asked)).await?;
    let file = file.map_err(|why| Refused::internal(&why))?;
    let file = NamedFile::from_file(file, &name).map_err(|why| Refused::internal(&why))?;
    let mut response = file.into_response(&request);
    let disposition = ContentDisposition {
        disposition: DispositionType::Attachment,
        parameters: vec![DispositionParam::Filename(name)],
    };
    if let Ok(value) = disposition.to_string().parse() {
        response.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    Ok(response)
}
