use std::{collections::BTreeMap, time::Duration};

use actix_web::{HttpResponse, web};
use reeve_domain::Timestamp;
use reeve_identity::SessionToken;
use reeve_store::access_token::{self, AccessToken};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    problem::{Problem, Refused},
    sent::Sent,
    signed_in::{Anyone, SignedIn},
    state::{Control, Deed},
};

/// For how many days a token works at most.
const MOST_DAYS: u32 = 365;

/// A token with which a person's programs call this API, as that person.
#[derive(Serialize, ToSchema)]
#[schema(as = AccessToken)]
pub(crate) struct TokenView {
    id: String,
    name: String,
    created_at: String,
    expires_at: String,
}

/// A person's tokens.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenList {
    items: Vec<TokenView>,
}

/// A token to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    name: String,
    /// 1 to 365.
    days: u32,
}

/// A token that was made.
#[derive(Serialize, ToSchema)]
pub(crate) struct MadeToken {
    token: TokenView,
    /// Shown this once: `Authorization: Bearer …`.
    secret: String,
}

impl From<AccessToken> for TokenView {
    fn from(from: AccessToken) -> Self {
        Self {
            id: from.id,
            name: from.name,
            created_at: from.created_at.to_string(),
            expires_at: from.expires_at.to_string(),
        }
    }
}

/// List one's own tokens.
#[utoipa::path(
    get, path = "/api/v1/tokens", tag = "session", operation_id = "listTokens",
    responses((status = 200, description = "The tokens", body = TokenList), (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn list(
    control: web::Data<Control>,
    signed_in: SignedIn<Anyone>,
) -> Result<HttpResponse, Refused> {
    let user = signed_in.user.id;
    let all = control.read(move |c| access_token::list(c, &user)).await?;
    Ok(HttpResponse::Ok().json(TokenList { items: all.into_iter().map(Into::into).collect() }))
}

/// Make a token for one's own programs. It may do what one's roles allow, in one's own name.
#[utoipa::path(
    post, path = "/api/v1/tokens", tag = "session", operation_id = "createToken",
    request_body = NewToken,
    responses(
        (status = 201, description = "Made", body = MadeToken),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "invalid-request", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []))
)]
pub(crate) async fn create(
    control: web::Data<Control>,
    signed_in: SignedIn<Anyone>,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    signed_in.at_browser()?;
    let asked: NewToken = sent.json()?;
    let name = asked.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > 100 {
        return Err(Refused::field("name", "must have 1 to 100 characters"));
    }
    if !(1..=MOST_DAYS).contains(&asked.days) {
        return Err(Refused::field("days", format!("must be 1 to {MOST_DAYS}")));
    }
    let at = control.clock.now();
    let time = Duration::from_secs(u64::from(asked.days).saturating_mul(24 * 60 * 60));
    let ends = at.as_micros().saturating_add(i64::try_from(time.as_micros()).unwrap_or(0));
    // As random as a session's, and marked so that it is known where it is found.
    let secret = format!("rvc_{}", SessionToken::generate(&*control.entropy).reveal());
    let new = AccessToken {
        id: format!("tok_{}", control.entropy.uuid(at).simple()),
        user: signed_in.user.id.clone(),
        name,
        hash: SessionToken::presented(&secret).digest(),
        created_at: at,
        expires_at: Timestamp::from_micros(ends),
    };
    let deed = deed(&signed_in, "token.create", new.id.clone());
    let row = new.clone();
    control.change(&deed, move |c| access_token::insert(c, &row)).await?;
    Ok(HttpResponse::Created().json(MadeToken { token: new.into(), secret }))
}

/// Take one of one's own tokens back.
#[utoipa::path(
    delete, path = "/api/v1/tokens/{id}", tag = "session", operation_id = "deleteToken",
    params(("id" = String, Path, description = "The token")),
    responses(
        (status = 204, description = "Taken back"),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []), ("token" = []))
)]
pub(crate) async fn delete(
    control: web::Data<Control>,
    signed_in: SignedIn<Anyone>,
    id: web::Path<String>,
) -> Result<HttpResponse, Refused> {
    let deed = deed(&signed_in, "token.delete", id.clone());
    let user = signed_in.user.id;
    control.change(&deed, move |c| access_token::delete(c, &user, &id)).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn deed<R>(signed_in: &SignedIn<R>, action: &'static str, target: String) -> Deed {
    Deed { actor: signed_in.actor(), action, target, tenant: None, details: BTreeMap::new() }
}
