use actix_web::{
    HttpRequest, HttpResponse,
    cookie::{Cookie, SameSite, time},
    web,
};
use reeve_domain::{Actor, Code, UserId};
use reeve_identity::{SessionToken, new_csrf_token, password};
use reeve_store::{session, user};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};
use utoipa::ToSchema;

use crate::{
    problem::{Problem, Refused},
    sent::Sent,
    signed_in::{Anyone, COOKIE, SignedIn},
    state::{Control, Deed, block},
};

const HOURS: u64 = 8;

/// Name and password.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Login {
    user: String,
    password: String,
}

/// Who is signed in.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignedInUser {
    user: Person,
    /// To be sent as `X-CSRF-Token` with every request that is not a GET.
    csrf: String,
}

/// A user of the console.
#[derive(Serialize, ToSchema)]
pub(crate) struct Person {
    id: String,
    display_name: String,
    roles: Vec<String>,
}

impl Person {
    fn of(user: &user::User) -> Self {
        Self {
            id: user.id.to_string(),
            display_name: user.display_name.clone(),
            roles: user.roles.clone(),
        }
    }
}

/// Sign in.
#[utoipa::path(
    post, path = "/api/v1/session", tag = "session", operation_id = "createSession",
    request_body = Login,
    responses(
        (status = 200, description = "Signed in; the session is in a cookie", body = SignedInUser),
        (status = 401, description = "invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "rate-limited", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "audit-unavailable, store-unavailable", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn create(
    control: web::Data<Control>,
    request: HttpRequest,
    sent: Sent,
) -> Result<HttpResponse, Refused> {
    let login: Login = sent.json()?;
    let id = UserId::new(&login.user).ok();
    let address = request.peer_addr().map_or_else(String::new, |peer| peer.ip().to_string());
    let keys = [Some(format!("address {address}")), id.as_ref().map(|id| format!("user {id}"))];
    if let Err(too_many) = control.throttle.attempt(keys.into_iter().flatten()) {
        if too_many.record {
            let found = person(&control, id).await?;
            let deed = attempt(Actor::Anonymous, found.as_ref());
            control.record(&deed, Some(Code::RateLimited)).await?;
        }
        let wait = too_many.wait.as_secs().saturating_add(1);
        return Err(Refused::from(Code::RateLimited).until(wait));
    }
    let found = person(&control, id).await?;
    let stored = found.as_ref().filter(|user| !user.disabled);
    let stored = stored.map(|user| user.password_hash.clone());
    let right = block(move || password::verify(&login.password, stored.as_deref())).await?;
    let Some(user) = found.as_ref().filter(|_| right) else {
        let deed = attempt(Actor::Anonymous, found.as_ref());
        control.record(&deed, Some(Code::InvalidCredential)).await?;
        return Err(Code::InvalidCredential.into());
    };
    let deed = attempt(Actor::User(user.id.clone()), Some(user));
    let token = SessionToken::generate(control.entropy.as_ref());
    let csrf = new_csrf_token(control.entropy.as_ref());
    let now = control.clock.now();
    let row = session::Session {
        token_hash: token.digest(),
        user: user.id.clone(),
        csrf: csrf.clone(),
        created_at: now,
        expires_at: now.after(Duration::from_secs(HOURS * 3600)),
    };
    control.change(&deed, move |c| session::insert(c, &row)).await?;
    Ok(HttpResponse::Ok()
        .cookie(cookie(token.reveal(), control.secure_cookie))
        .json(SignedInUser { user: Person::of(user), csrf }))
}

async fn person(control: &Control, id: Option<UserId>) -> Result<Option<user::User>, Refused> {
    let Some(id) = id else { return Ok(None) };
    control.read(move |c| user::get(c, &id)).await
}

/// An attempt to sign in as `user`. A name that is nobody's may be a password typed into the wrong
/// field, and is not recorded.
fn attempt(actor: Actor, user: Option<&user::User>) -> Deed {
    Deed {
        actor,
        action: "session.create",
        target: user.map_or_else(|| "unknown".to_owned(), |user| user.id.to_string()),
        tenant: None,
        details: BTreeMap::new(),
    }
}

fn cookie(value: &str, secure: bool) -> Cookie<'static> {
    Cookie::build(COOKIE, value.to_owned())
        .path("/")
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(secure)
        .max_age(time::Duration::hours(i64::try_from(HOURS).unwrap_or(0)))
        .finish()
}

/// Who is signed in.
#[utoipa::path(
    get, path = "/api/v1/session", tag = "session", operation_id = "getSession",
    responses(
        (status = 200, description = "The person and the CSRF token", body = SignedInUser),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []))
)]
pub(crate) async fn read(signed_in: SignedIn<Anyone>) -> Result<HttpResponse, Refused> {
    let csrf = signed_in.at_browser()?.csrf.clone();
    let user = Person::of(&signed_in.user);
    Ok(HttpResponse::Ok().json(SignedInUser { user, csrf }))
}

/// Sign out.
#[utoipa::path(
    delete, path = "/api/v1/session", tag = "session", operation_id = "deleteSession",
    responses(
        (status = 204, description = "Signed out"),
        (status = 401, description = "missing-credential, invalid-credential", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "csrf-token-mismatch", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = []))
)]
pub(crate) async fn delete(
    control: web::Data<Control>,
    signed_in: SignedIn<Anyone>,
) -> Result<HttpResponse, Refused> {
    let deed = Deed {
        actor: signed_in.actor(),
        action: "session.delete",
        target: signed_in.user.id.to_string(),
        tenant: None,
        details: BTreeMap::new(),
    };
    let digest = signed_in.at_browser()?.token_hash;
    control.change(&deed, move |c| session::delete(c, &digest)).await?;
    control.forget(&digest);
    let mut gone = cookie("", control.secure_cookie);
    gone.make_removal();
    Ok(HttpResponse::NoContent().cookie(gone).finish())
}
