use std::{collections::BTreeSet, sync::Arc};

use actix_web::dev::Payload;
use reeve_domain::{
    Caller, Code, Credential, ModelName, ModelVersion, Scope, Tenant, TenantStatus,
};

use super::{
    call::{Call, CallHead},
    refuse::Refused,
};
use crate::{
    Gate,
    fronts::Misread,
    models::{Asking, Chosen, NotChosen},
    snapshot::Snapshot,
};

/// A call whose caller has proven who it is, together with the snapshot that the whole call is
/// decided by: a newer one that arrives meanwhile does not touch it.
pub struct Authenticated {
    pub(super) head: Box<CallHead>,
    pub(super) caller: Caller,
    pub(super) tenant: Arc<Tenant>,
    pub(super) scopes: BTreeSet<Scope>,
    /// Whether several people or systems may hold the credential.
    pub(super) shared_key: bool,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) body: Payload,
}

impl Authenticated {
    pub(crate) fn refused(&self, code: Code) -> Box<Refused> {
        Refused::new(&self.head, Some(&self.caller), code)
    }

    /// The tenant that calls.
    pub(crate) fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Refuses what could not be read.
    pub(super) fn misread(&self, misread: Misread) -> Box<Refused> {
        let mut refused = self.refused(misread.code);
        refused.detail = misread.detail;
        match misread.field {
            Some((field, message)) => refused.field(&field, message),
            None => refused,
        }
    }

    /// The version that a name stands for, or the one of that number; what is in production of the
    /// only model that the tenant may use where no name is.
    pub(crate) fn choose(
        &self,
        name: Option<&str>,
        version: Option<&str>,
    ) -> Result<Chosen, Box<Refused>> {
        let head = &self.head;
        let asking = Asking {
            tenant: &self.tenant.facts.id,
            purpose: head.purpose.as_ref(),
            subject: head.subject.as_ref(),
            decision: head.id,
            at: head.at,
        };
        let name = name.or_else(|| self.snapshot.only_model(asking.tenant).map(ModelName::as_str));
        let Some(name) = name else {
            let message = "is required: `GET /v1/models` lists the models that you may use";
            return Err(self.refused(Code::InvalidRequest).field("model", message));
        };
        let chosen = match version {
            None => self.snapshot.choose(name, &asking),
            Some(version) => self.snapshot.choose(&format!("{name}@{version}"), &asking),
        };
        let chosen = chosen.map_err(|not| self.not_chosen(not))?;
        if self.snapshot.is_model_stopped(&chosen.version.facts.name) {
            return Err(self.refused(Code::ModelStopped));
        }
        Ok(chosen)
    }

    /// The same, where nothing else of it matters.
    pub(crate) fn model(
        &self,
        name: Option<&str>,
        version: Option<&str>,
    ) -> Result<Arc<ModelVersion>, Box<Refused>> {
        self.choose(name, version).map(|chosen| chosen.version)
    }

    fn not_chosen(&self, not: NotChosen) -> Box<Refused> {
        match not {
            NotChosen::Unreadable(why) => {
                self.refused(Code::InvalidRequest).field("model", why.to_string())
            }
            NotChosen::Unknown => self
                .refused(Code::ModelNotFound)
                .detail("`GET /v1/models` lists the models that you may use"),
            NotChosen::Withdrawn => self
                .refused(Code::ModelWithdrawn)
                .detail("`GET /v1/models` lists the versions that you may use"),
            NotChosen::Terms(broken) => self.refused(Code::ModelTerms).detail(broken.to_string()),
        }
    }

    /// Refuses a caller whose credential may not be used for this.
    pub(crate) fn needs(self, scope: &str) -> Result<Self, Box<Refused>> {
        if self.scopes.contains(scope) {
            Ok(self)
        } else {
            let refused = self.refused(Code::MissingScope);
            Err(refused.detail(format!("the scope `{scope}` is required")))
        }
    }
}

/// Finds out who calls: an API key or a token in `Authorization: Bearer`. Which part of a
/// credential was wrong is never told.
pub fn authenticate(gate: &Gate, call: Call) -> Result<Authenticated, Box<Refused>> {
    let Call { head, authorization, body } = call;
    let refused = |code| Refused::new(&head, None, code);
    let snapshot = gate.snapshot().map_err(refused)?;
    let presented = authorization.ok_or_else(|| refused(Code::MissingCredential))?;
    let (scheme, secret) = presented.split_once(' ').unwrap_or(("", ""));
    let secret = secret.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || secret.is_empty() {
        return Err(refused(Code::InvalidCredential)
            .detail("`Authorization` must be `Bearer` and an API key or token"));
    }
    let Proven { caller, scopes, shared_key } = if secret.starts_with("rv_") {
        by_key(gate, &snapshot, secret, &head)
    } else {
        by_token(gate, &snapshot, secret, &head)
    }
    .ok_or_else(|| refused(Code::InvalidCredential))?;
    let tenant = snapshot
        .tenants
        .get(&caller.tenant)
        .cloned()
        .ok_or_else(|| refused(Code::InvalidCredential))?;
    let authenticated = Authenticated {
        head,
        caller,
        tenant,
        scopes,
        shared_key,
        snapshot,
        body: body.into_inner(),
    };
    if authenticated.tenant.status == TenantStatus::Suspended {
        return Err(authenticated.refused(Code::TenantSuspended));
    }
    if let Some(unreadable) = authenticated.head.unreadable.clone() {
        return Err(authenticated.refused(Code::InvalidHeader).detail(unreadable));
    }
    Ok(authenticated)
}

/// Whose a credential is, and what it is good for.
struct Proven {
    caller: Caller,
    scopes: BTreeSet<Scope>,
    shared_key: bool,
}

fn by_key(gate: &Gate, snapshot: &Snapshot, secret: &str, head: &CallHead) -> Option<Proven> {
    let prefix = reeve_identity::key_prefix(secret)?;
    let key = snapshot
        .keys(prefix)
        .iter()
        .find(|key| reeve_identity::verify_key(key, secret, &gate.pepper, head.at))?;
    let credential = Credential::ApiKey(key.id.clone());
    let caller = Caller { tenant: key.tenant.clone(), credential };
    Some(Proven { caller, scopes: key.scopes.clone(), shared_key: key.holder.is_none() })
}

fn by_token(gate: &Gate, snapshot: &Snapshot, token: &str, head: &CallHead) -> Option<Proven> {
    let caller = snapshot.tokens.verify(token, head.at).ok()?;
    let subject = gate.pepper.subject(&caller.subject);
    let credential = Credential::Jwt { issuer: caller.issuer, subject };
    let scopes = caller.scopes;
    let caller = Caller { tenant: caller.tenant, credential };
    // A token has a subject, and so is somebody's own.
    Some(Proven { caller, scopes, shared_key: false })
}
