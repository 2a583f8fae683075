use std::{collections::BTreeMap, future::Future, marker::PhantomData, pin::Pin};

use actix_web::{FromRequest, HttpRequest, dev::Payload, http::Method, web};
use reeve_domain::{Actor, Code};
use reeve_identity::{Role, SessionToken, csrf_matches};
use reeve_store::{access_token, session, session::Session, user, user::User};

use crate::{
    problem::Refused,
    state::{Control, Deed},
};

pub(crate) const COOKIE: &str = "reeve_session";

/// Which roles may use a route.
pub(crate) trait Allowed {
    const ROLES: &'static [Role];
}

macro_rules! allowed {
    ($($(#[$doc:meta])* $name:ident = [$($role:ident),*];)*) => {
        $($(#[$doc])* pub(crate) struct $name;
        impl Allowed for $name {
            const ROLES: &'static [Role] = &[$(Role::$role),*];
        })*
    };
}

allowed! {
    /// Whoever is signed in.
    Anyone = [Operator, PolicyAuthor, PolicyApprover, Auditor, TenantAdmin];
    /// Changes tenants and keys.
    Operator = [Operator];
    /// Reads what operators change.
    OperationsReader = [Operator, Auditor];
    /// Writes drafts of policy.
    PolicyAuthor = [PolicyAuthor];
    /// Approves what others wrote.
    PolicyApprover = [PolicyApprover];
    /// Puts in force what was approved.
    PolicyWriter = [PolicyAuthor, PolicyApprover];
    /// Stops things at once.
    Stopper = [Operator, PolicyApprover];
    /// Reads policy.
    PolicyReader = [PolicyAuthor, PolicyApprover, Auditor];
    /// Reads what there is of models.
    ModelReader = [Operator, PolicyApprover, Auditor];
    /// Looks at what others want to answer in production, and takes it back.
    ModelApprover = [Operator, PolicyApprover];
    /// Reads the evidence.
    Auditor = [Auditor];
    /// Reads the first screen.
    OverviewReader = [Operator, PolicyAuthor, PolicyApprover, Auditor];
}

/// Proof that a request comes from a person who is signed in and has one of `R`'s roles, and, if
/// it may change something, that it carries the session's CSRF token.
pub(crate) struct SignedIn<R> {
    pub(crate) user: User,
    /// The browser's session; none if a program came with a token.
    pub(crate) session: Option<Session>,
    role: PhantomData<R>,
}

impl<R> SignedIn<R> {
    /// The browser's session, for what only a person at a browser may do.
    pub(crate) fn at_browser(&self) -> Result<&Session, Refused> {
        self.session.as_ref().ok_or_else(|| {
            Refused::from(Code::InvalidCredential).because("sign in to do this; a token may not")
        })
    }

    pub(crate) fn actor(&self) -> Actor {
        Actor::User(self.user.id.clone())
    }
}

impl<R: Allowed + 'static> FromRequest for SignedIn<R> {
    type Error = Refused;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Refused>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let control = state(&request)?;
            let (user, session) = who(control, &request).await?;
            let this = Self { user, session, role: PhantomData };
            if let Err(code) = this.permitted(&request) {
                control.record(&this.refused(&request), Some(code)).await?;
                return Err(code.into());
            }
            Ok(this)
        })
    }
}

impl<R: Allowed> SignedIn<R> {
    fn permitted(&self, request: &HttpRequest) -> Result<(), Code> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let sent = request.headers().get("X-CSRF-Token").and_then(|value| value.to_str().ok());
            // A token is sent by a program on purpose, never by a browser of its own accord.
            let forged = |session: &Session| !csrf_matches(sent.unwrap_or_default(), &session.csrf);
            if self.session.as_ref().is_some_and(forged) {
                return Err(Code::CsrfTokenMismatch);
            }
        }
        let has = |role: &Role| self.user.roles.iter().any(|name| name == role.as_str());
        if R::ROLES.iter().any(has) { Ok(()) } else { Err(Code::RoleRequired) }
    }

    fn refused(&self, request: &HttpRequest) -> Deed {
        // The route and not the path, in which anything may stand.
        let route = request.match_pattern().unwrap_or_default();
        Deed {
            actor: self.actor(),
            action: "request.refuse",
            target: format!("{} {route}", request.method()),
            tenant: None,
            details: BTreeMap::new(),
        }
    }
}

fn state(request: &HttpRequest) -> Result<&Control, Refused> {
    request
        .app_data::<web::Data<Control>>()
        .map(|control| control.get_ref())
        .ok_or_else(|| Refused::internal(&"the application has no state"))
}

async fn who(control: &Control, request: &HttpRequest) -> Result<(User, Option<Session>), Refused> {
    if let Some(token) = request.headers().get("Authorization") {
        let token = token.to_str().ok().and_then(|text| text.strip_prefix("Bearer "));
        return Ok((by_token(control, token.ok_or(Code::InvalidCredential)?).await?, None));
    }
    let cookie = request.cookie(COOKIE).ok_or(Code::MissingCredential)?;
    let digest = SessionToken::presented(cookie.value()).digest();
    let found = control
        .read(move |c| {
            let Some(session) = session::get(c, &digest)? else { return Ok(None) };
            Ok(user::get(c, &session.user)?.map(|user| (user, session)))
        })
        .await?;
    let (user, session) = found.ok_or(Code::InvalidCredential)?;
    if session.expires_at <= control.clock.now() || user.disabled {
        return Err(Code::InvalidCredential.into());
    }
    if !control.touch(digest) {
        // It stays over when what was seen of it is forgotten.
        control.write(move |c| session::delete(c, &digest)).await?;
        control.forget(&digest);
        return Err(Code::InvalidCredential.into());
    }
    Ok((user, Some(session)))
}

/// The person whose program calls with a token.
async fn by_token(control: &Control, token: &str) -> Result<User, Refused> {
    let digest = SessionToken::presented(token).digest();
    let found = control
        .read(move |c| {
            let Some(token) = access_token::get(c, &digest)? else { return Ok(None) };
            Ok(user::get(c, &token.user)?.map(|user| (user, token)))
        })
        .await?;
    let (user, token) = found.ok_or(Code::InvalidCredential)?;
    if token.expires_at <= control.clock.now() || user.disabled {
        return Err(Code::InvalidCredential.into());
    }
    Ok(user)
}
