use actix_web::{HttpResponse, http::StatusCode};
use reeve_protocol::{oip::ErrorBody, text::TextMalformed, warrant::WarrantRefusal};

use crate::{queue::Refused, worker::RETRY_AFTER};

/// Why a call gets no result. What it says holds nothing of a text.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("`{path}` is not a route of the Open Inference Protocol v2 here")]
    Route { path: String },
    #[error("this route does not take that method")]
    Method,
    #[error("the model `{asked}` is not served here, only `{served}` is")]
    Model { asked: String, served: String },
    #[error("version `{asked}` of `{model}` is not served here, only `{served}` is")]
    Version { asked: String, model: String, served: String },
    #[error(transparent)]
    Warrant(#[from] WarrantRefusal),
    #[error("binary tensors are not read here: send the elements as JSON")]
    Binary,
    #[error(transparent)]
    Malformed(#[from] TextMalformed),
    #[error("text {index} cannot be made into tokens")]
    Text { index: usize },
    #[error("the request has {texts} texts: at most {most} are taken at once")]
    Texts { texts: usize, most: usize },
    #[error("the request body is larger than {most} bytes")]
    Body { most: usize },
    #[error("the request body did not arrive whole")]
    Cut,
    #[error("the queue is full: try again later")]
    Full,
    #[error("the pod is not ready: it starts or it stops")]
    NotReady,
    #[error("the model failed")]
    Failed,
    #[error("no answer within the pod's deadline")]
    Deadline,
    #[error("the received texts cannot be written to the file of `--record-inputs`")]
    Recorder,
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full => Self::Full,
            Refused::Closed => Self::NotReady,
        }
    }
}

impl Problem {
    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::Route { .. } | Self::Model { .. } | Self::Version { .. } => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Warrant(_) => StatusCode::FORBIDDEN,
            Self::Binary | Self::Malformed(_) | Self::Text { .. } | Self::Cut => {
                StatusCode::BAD_REQUEST
            }
            Self::Texts { .. } | Self::Body { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Full | Self::NotReady => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed | Self::Recorder => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Deadline => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    pub(crate) fn response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status());
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header(("Retry-After", RETRY_AFTER.as_secs().to_string()));
        }
        response.json(ErrorBody { error: self.to_string() })
    }
}
