use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal, $status:literal, $title:literal;)*) => {
        /// Every stable error code that Reeve's APIs answer with, in one place. On the wire it is
        /// the `code` of an RFC 9457 problem; its HTTP status and title are fixed with it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// All codes, in the order of the list.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as it stands on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The HTTP status that goes with it.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// A short sentence for people, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }

        impl FromStr for Code {
            type Err = UnknownCode;
            fn from_str(text: &str) -> Result<Self, UnknownCode> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    other => Err(UnknownCode(other.to_owned())),
                }
            }
        }
    };
}

codes! {
    /// The body is not JSON of the expected syntax.
    MalformedJson = "malformed-json", 400, "The request body is not valid JSON.";
    /// A header has a form that cannot be read.
    InvalidHeader = "invalid-header", 400, "A request header cannot be read.";
    /// No credential was sent.
    MissingCredential = "missing-credential", 401, "An API key or token is required.";
    /// The credential is unknown, revoked, expired or malformed; which of these is not told.
    InvalidCredential = "invalid-credential", 401, "The API key or token is not valid.";
    /// The credential lacks the scope for the route.
    MissingScope = "missing-scope", 403, "The credential does not have the scope for this.";
    /// The tenant was suspended by an operator.
    TenantSuspended = "tenant-suspended", 403, "The tenant is suspended.";
    /// A policy rule, or the absence of a permitting one, denies the call.
    DeniedByPolicy = "denied-by-policy", 403, "Policy does not permit this call.";
    /// The terms under which the model is shared with the tenant do not allow the call.
    ModelTerms = "model-terms", 403, "The terms under which the model is shared do not allow this call.";
    /// A policy change may not be made by whoever wrote it.
    FourEyesRequired = "four-eyes-required", 403, "Whoever worked on a change cannot approve it.";
    /// A state-changing console request came without its CSRF token.
    CsrfTokenMismatch = "csrf-token-mismatch", 403, "The anti-forgery token is missing or wrong.";
    /// The person's roles do not allow the action.
    RoleRequired = "role-required", 403, "Your roles do not allow this.";
    /// No such route.
    RouteNotFound = "route-not-found", 404, "There is nothing at this address.";
    /// No such model, or the caller may not know of it.
    ModelNotFound = "model-not-found", 404, "There is no such model.";
    /// No such thing, or the caller may not know of it.
    NotFound = "not-found", 404, "There is no such thing.";
    /// The route exists for other methods.
    MethodNotAllowed = "method-not-allowed", 405, "This method is not allowed here.";
    /// Something of that name exists already, or was changed meanwhile.
    Conflict = "conflict", 409, "This conflicts with what exists.";
    /// What was to be approved or activated is not what was looked at.
    ApprovalStale = "approval-stale", 409, "What was looked at has changed meanwhile.";
    /// Another policy was activated since the change was begun.
    PolicyConflict = "policy-conflict", 409, "Another policy was activated meanwhile.";
    /// The change is not in a state that allows this.
    WrongState = "wrong-state", 409, "The change is not in a state that allows this.";
    /// The change was not simulated as it is.
    SimulationRequired = "simulation-required", 409, "The change must be simulated as it is first.";
    /// A legal hold keeps what was to be deleted.
    LegalHold = "legal-hold", 409, "A legal hold forbids this.";
    /// The same idempotency key came with another body.
    IdempotencyKeyReused = "idempotency-key-reused", 409, "The idempotency key was used for another request.";
    /// A version would answer where no pod serves it.
    ModelNotPlaced = "model-not-placed", 409, "The version is not served where it would have to answer.";
    /// The version was withdrawn, and nothing else answers in its place.
    ModelWithdrawn = "model-withdrawn", 410, "This version of the model was withdrawn.";
    /// The body is larger than the limit.
    PayloadTooLarge = "payload-too-large", 413, "The request body is too large.";
    /// The body's media type is not one that is read here.
    UnsupportedMediaType = "unsupported-media-type", 415, "The request body's media type is not supported.";
    /// The body is JSON but a field is missing, of the wrong type or out of its range.
    InvalidRequest = "invalid-request", 422, "A field of the request is not valid.";
    /// The policy bundle cannot be activated.
    PolicyInvalid = "policy-invalid", 422, "The policy cannot be put in force.";
    /// What was uploaded is not a model that may be taken in.
    ModelRefused = "model-refused", 422, "What was uploaded is not a model that can be taken in.";
    /// More calls a second than the plan allows.
    RateLimited = "rate-limited", 429, "Too many requests.";
    /// More calls at once than the plan allows.
    ConcurrencyLimited = "concurrency-limited", 429, "Too many requests at once.";
    /// The month's quota of items is used up.
    QuotaExhausted = "quota-exhausted", 429, "The monthly quota is used up.";
    /// The month's budget is spent.
    BudgetExhausted = "budget-exhausted", 429, "The monthly budget is spent.";
    /// A pod's queue is full.
    Overloaded = "overloaded", 503, "The model is overloaded.";
    /// Something failed inside; the log has it under the request's id.
    Internal = "internal", 500, "Something went wrong here.";
    /// A pod answered with something that cannot be used.
    PodFailed = "pod-failed", 502, "The model could not answer.";
    /// No healthy pod stands in a region that policy permits for this call.
    NoPodInPermittedRegion = "no-pod-in-permitted-region", 503, "No healthy pod stands in a permitted region.";
    /// The model was stopped by an operator.
    ModelStopped = "model-stopped", 503, "The model was stopped.";
    /// Every region that policy permits was stopped by an operator.
    RegionStopped = "region-stopped", 503, "The region was stopped.";
    /// The call could not be recorded, so it was not made.
    AuditUnavailable = "audit-unavailable", 503, "The call could not be recorded, so it was not made.";
    /// Personal data could not be looked for, so the call was not made.
    DetectorFailed = "detector-failed", 503, "Personal data could not be looked for, so the call was not made.";
    /// The program has no snapshot of tenants and policy yet.
    NotReady = "not-ready", 503, "The service is starting.";
    /// Where models are kept cannot be reached.
    RegistryUnavailable = "registry-unavailable", 503, "The store of models cannot be reached.";
    /// The store of the control plane cannot be reached.
    StoreUnavailable = "store-unavailable", 503, "The store cannot be reached.";
    /// No answer came within the deadline.
    DeadlineExceeded = "deadline-exceeded", 504, "The model did not answer in time.";
}

/// The text is not a code of this version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an error code of this version")]
pub struct UnknownCode(String);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for Code {
    type Error = UnknownCode;
    fn try_from(text: String) -> Result<Self, UnknownCode> {
        text.parse()
    }
}

impl From<Code> for String {
    fn from(code: Code) -> Self {
        code.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip_and_are_kebab_case() {
        for code in Code::ALL {
            assert_eq!(code.as_str().parse::<Code>().unwrap(), *code);
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
            assert!((400..600).contains(&code.status()));
        }
    }
}
