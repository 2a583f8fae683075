use std::time::Duration;

use actix_web::{HttpResponse, http::StatusCode};
use reeve_protocol::{
    oip::ErrorBody, order::OrderRefusal, text::TextMalformed, warrant::WarrantRefusal,
};

use crate::{model::NotLoaded, queue::Refused};

/// Why a call gets no result. What it says holds nothing of a text.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("`{path}` is not a route of the Open Inference Protocol v2 here")]
    Route { path: String },
    #[error("this route does not take that method")]
    Method,
    #[error("the model `{asked}` is not served here, only `{served}` is")]
    Model { asked: String, served: String },
    #[error("version `{asked}` of `{model}` is not served here")]
    Version { asked: String, model: String },
    #[error(transparent)]
    Warrant(#[from] WarrantRefusal),
    #[error(transparent)]
    Order(#[from] OrderRefusal),
    #[error("this pod has no model store: start it with `--model-store`")]
    NoStore,
    #[error("the model cannot be loaded: {0}")]
    NotLoaded(#[from] NotLoaded),
    #[error(transparent)]
    Malformed(#[from] TextMalformed),
    #[error("`{header}` must be {expected}")]
    Header { header: &'static str, expected: &'static str },
    #[error("text {index} cannot be made into tokens: {why}")]
    Text { index: usize, why: String },
    #[error("the request has {texts} texts: at most {most} are taken at once")]
    Texts { texts: usize, most: usize },
    #[error("the request body is larger than {most} bytes")]
    Body { most: usize },
    #[error("the request body did not arrive whole")]
    Cut,
    #[error("the queue is full: try again later")]
    Full { retry_after: Duration },
    #[error("too many texts of this tenant wait already: try again later")]
    Share { retry_after: Duration },
    #[error("the pod is not ready: it starts or it stops")]
    NotReady,
    #[error("the model failed")]
    Failed,
    #[error("no answer within the deadline")]
    Deadline,
    #[error("the received texts cannot be written to the file of `--record-inputs`")]
    Recorder,
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full { retry_after } => Self::Full { retry_after },
            Refused::Share { retry_after } => Self::Share { retry_after },
            Refused::Closed => Self::NotReady,
        }
    }
}

impl Problem {
    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::Route { .. } | Self::Model { .. } | Self::Version { .. } => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Warrant(WarrantRefusal::Unknown) => StatusCode::UNAUTHORIZED,
            Self::Warrant(_) | Self::Order(_) => StatusCode::FORBIDDEN,
            Self::Malformed(_)
            | Self::Header { .. }
            | Self::Text { .. }
            | Self::Cut
            | Self::NoStore
            | Self::NotLoaded(_) => StatusCode::BAD_REQUEST,
            Self::Texts { .. } | Self::Body { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Share { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Full { .. } | Self::NotReady => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed | Self::Recorder => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Deadline => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// After how many whole seconds it is worth asking again.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Full { retry_after } | Self::Share { retry_after } => {
                Some(retry_after.as_secs().saturating_add(1).min(MOST_S))
            }
            Self::NotReady => Some(1),
            _ => None,
        }
    }

    /// A word for why a call was refused for want of room or time; none for other reasons.
    pub(crate) const fn shed(&self) -> Option<&'static str> {
        match self {
            Self::Full { .. } => Some("full"),
            Self::Share { .. } => Some("share"),
            Self::Deadline => Some("deadline"),
            _ => None,
        }
    }

    pub(crate) fn response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status());
        if let Some(seconds) = self.retry_after() {
            response.insert_header(("Retry-After", seconds.to_string()));
        }
        response.json(ErrorBody { error: self.to_string() })
    }
}

/// A longer time is a guess about others.
const MOST_S: u64 = 30;
