use std::fmt;

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use reeve_domain::Code;
use reeve_store::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

/// An RFC 9457 problem: what every refused request is answered with.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the code tells the kinds apart.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The same sentence for every occurrence of the code.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// The stable code.
    code: &'static str,
    /// What was wrong this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    detail: Option<String>,
    /// Fields that are not valid.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldFault>,
}

/// A field of the request that is not valid.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FieldFault {
    /// The field, as in the request's JSON.
    field: String,
    /// What is wrong and what would be right.
    message: String,
}

/// Why a request is refused, on its way to becoming a [`Problem`].
#[derive(Debug)]
pub(crate) struct Refused {
    code: Code,
    detail: Option<String>,
    errors: Vec<FieldFault>,
    retry_after_seconds: Option<u64>,
}

impl FieldFault {
    pub(crate) fn new(field: impl Into<String>, message: impl fmt::Display) -> Self {
        Self { field: field.into(), message: message.to_string() }
    }

    pub(crate) fn field(&self) -> &str {
        &self.field
    }

    #[cfg(test)]
    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

impl Refused {
    pub(crate) const fn code(&self) -> Code {
        self.code
    }

    pub(crate) fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds what is wrong with single fields.
    pub(crate) fn with(mut self, errors: Vec<FieldFault>) -> Self {
        self.errors = errors;
        self
    }

    pub(crate) fn until(mut self, seconds: u64) -> Self {
        self.retry_after_seconds = Some(seconds.max(1));
        self
    }

    /// One field is not valid.
    pub(crate) fn field(field: &str, message: impl fmt::Display) -> Self {
        Self::fields(vec![FieldFault::new(field, message)])
    }

    /// Several fields are not valid.
    pub(crate) fn fields(errors: Vec<FieldFault>) -> Self {
        Self { errors, ..Self::from(Code::InvalidRequest) }
    }

    #[cfg(test)]
    pub(crate) fn errors(&self) -> &[FieldFault] {
        &self.errors
    }

    /// Something failed that is not the caller's fault. The reason is logged and not told.
    pub(crate) fn internal(reason: &dyn fmt::Display) -> Self {
        tracing::error!(%reason, "a request failed inside");
        Code::Internal.into()
    }
}

impl From<Code> for Refused {
    fn from(code: Code) -> Self {
        Self { code, detail: None, errors: Vec::new(), retry_after_seconds: None }
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(reason) => {
                tracing::warn!(%reason, "the store is unavailable");
                Self::from(Code::StoreUnavailable).until(1)
            }
            StoreError::NotFound(_) => Code::NotFound.into(),
            StoreError::Conflict(_) => Code::Conflict.into(),
            other => Self::internal(&other),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.code, f)
    }
}

impl ResponseError for Refused {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.insert_header(("Cache-Control", "no-store"));
        if let Some(seconds) = self.retry_after_seconds {
            response.insert_header(("Retry-After", seconds.to_string()));
        }
        let problem = Problem {
            kind: "about:blank",
            title: self.code.title(),
            status: self.code.status(),
            code: self.code.as_str(),
            detail: self.detail.clone(),
            errors: self.errors.clone(),
        };
        response
            .content_type("application/problem+json")
            .body(serde_json::to_string(&problem).unwrap_or_else(|_| "{}".to_owned()))
    }
}
