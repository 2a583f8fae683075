use std::{cell::RefCell, collections::BTreeSet, time::Duration};

use actix_web::{
    HttpRequest,
    dev::Payload,
    http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use reeve_domain::{AgeGroup, Country, DecisionId, Purpose, ResultUse, SubjectHash, Timestamp};
use reeve_protocol::warrant::DEADLINE_HEADER;

use crate::{
    Gate,
    fronts::{Front, Target},
};

/// A call as it came: the head that every later stage carries along, and the body not yet read.
pub struct Call {
    /// Boxed, as every stage hands it on.
    pub(super) head: Box<CallHead>,
    pub(super) authorization: Option<String>,
    pub(super) body: RefCell<Payload>,
}

/// What a call's request line and headers say.
#[derive(Clone, Debug)]
pub struct CallHead {
    /// The call's id, made when it came.
    pub id: DecisionId,
    /// When it came.
    pub at: Timestamp,
    /// The same on the monotonic clock, for measuring.
    pub started: Duration,
    /// The route's pattern, never the raw path, which a caller could fill with anything.
    pub route: &'static str,
    /// Whose words the call is answered in.
    pub(super) front: &'static dyn Front,
    pub(super) target: Target,
    pub(super) content_type: Option<String>,
    pub(super) content_length: Option<u64>,
    /// How long the caller waits, if it says so.
    pub(super) patience: Option<Duration>,
    /// Whether the body is compressed.
    pub(super) encoded: bool,
    pub(super) purpose: Option<Purpose>,
    pub(super) subject: Option<SubjectHash>,
    pub(super) subject_country: Option<Country>,
    pub(super) consents: BTreeSet<String>,
    pub(super) data_categories: BTreeSet<String>,
    pub(super) subject_age: Option<AgeGroup>,
    pub(super) result_use: Option<ResultUse>,
    /// The first header that could not be read, and why.
    pub(super) unreadable: Option<String>,
    pub(super) idempotency_key: Option<String>,
    /// W3C trace context, passed on to the pod.
    pub(super) traceparent: Option<String>,
}

impl Call {
    /// Reads the head of a request. Headers that cannot be read are noted and refused once the
    /// caller is known.
    pub(crate) fn new(
        gate: &Gate,
        request: &HttpRequest,
        body: Payload,
        route: &'static str,
        front: &'static dyn Front,
    ) -> Self {
        Self::told(gate, request.headers(), Target::of(request), body, route, front)
    }

    /// The same for what came by another way than HTTP/1.1 and has headers of its own.
    pub(crate) fn told(
        gate: &Gate,
        headers: &HeaderMap,
        target: Target,
        body: Payload,
        route: &'static str,
        front: &'static dyn Front,
    ) -> Self {
        let at = gate.clock.now();
        let mut head = Box::new(CallHead {
            id: gate.entropy.decision_id(at),
            at,
            started: gate.clock.monotonic(),
            route,
            front,
            target,
            content_type: text(headers, CONTENT_TYPE.as_str()).map(str::to_ascii_lowercase),
            content_length: text(headers, "content-length").and_then(|text| text.parse().ok()),
            patience: text(headers, DEADLINE_HEADER)
                .and_then(|text| text.parse().ok())
                .map(Duration::from_millis),
            encoded: text(headers, "content-encoding").is_some_and(|how| how != "identity"),
            purpose: None,
            subject: None,
            subject_country: None,
            consents: BTreeSet::new(),
            data_categories: BTreeSet::new(),
            subject_age: None,
            result_use: None,
            unreadable: None,
            idempotency_key: None,
            traceparent: text(headers, "traceparent").map(str::to_owned),
        });
        head.read_governance(gate, headers);
        Self {
            head,
            authorization: text(headers, AUTHORIZATION.as_str()).map(str::to_owned),
            body: RefCell::new(body),
        }
    }
}

/// Headers that are read as text, in which other bytes are refused.
const READ_AS_TEXT: [&str; 9] = [
    "Authorization",
    "Reeve-Subject",
    "Reeve-Subject-Age",
    "Reeve-Subject-Country",
    "Reeve-Purpose",
    "Reeve-Consents",
    "Reeve-Data-Categories",
    "Reeve-Result-Use",
    "Idempotency-Key",
];

impl CallHead {
    fn read_governance(&mut self, gate: &Gate, headers: &HeaderMap) {
        if let Some(purpose) = self.parse(headers, "Reeve-Purpose", |text| Purpose::new(text)) {
            self.purpose = Some(purpose);
        }
        if let Some(country) =
            self.parse(headers, "Reeve-Subject-Country", |text| Country::new(text))
        {
            self.subject_country = Some(country);
        }
        if let Some(subject) = text(headers, "Reeve-Subject") {
            self.subject = Some(gate.pepper.subject(subject));
        }
        self.consents = self.names(headers, "Reeve-Consents");
        self.data_categories = self.names(headers, "Reeve-Data-Categories");
        self.subject_age =
            self.word(headers, "Reeve-Subject-Age", AgeGroup::ALL.map(|age| (age.as_str(), age)));
        self.result_use = self.word(
            headers,
            "Reeve-Result-Use",
            ResultUse::ALL.map(|result_use| (result_use.as_str(), result_use)),
        );
        if let Some(key) = text(headers, "Idempotency-Key") {
            if (1..=255).contains(&key.len()) {
                self.idempotency_key = Some(key.to_owned());
            } else {
                self.unreadable =
                    Some("`Idempotency-Key` must have 1 to 255 characters".to_owned());
            }
        }
        for name in READ_AS_TEXT {
            if value(headers, name).is_some_and(|value| value.to_str().is_err()) {
                self.unreadable = Some(format!("`{name}` must be visible ASCII"));
            }
        }
    }

    /// A list of names, joined by commas.
    fn names(&mut self, headers: &HeaderMap, name: &str) -> BTreeSet<String> {
        let Some(listed) = text(headers, name) else { return BTreeSet::new() };
        let known = |name: &&str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
        };
        let all: Vec<_> = listed.split(',').map(str::trim).collect();
        if all.iter().all(known) && all.len() <= 16 {
            return all.into_iter().map(str::to_owned).collect();
        }
        self.unreadable = Some(format!(
            "`{name}` must be up to 16 names of lowercase letters and `-`, joined by commas"
        ));
        BTreeSet::new()
    }

    /// One of a few words.
    fn word<T: Copy, const N: usize>(
        &mut self,
        headers: &HeaderMap,
        name: &str,
        words: [(&str, T); N],
    ) -> Option<T> {
        let given = text(headers, name)?;
        let found = words.iter().find(|(word, _)| *word == given).map(|(_, value)| *value);
        if found.is_none() {
            let known = words.map(|(word, _)| format!("`{word}`")).join(", ");
            self.unreadable = Some(format!("`{name}` must be one of {known}"));
        }
        found
    }

    fn parse<T, E: std::fmt::Display>(
        &mut self,
        headers: &HeaderMap,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match parse(text(headers, name)?) {
            Ok(value) => Some(value),
            Err(refused) => {
                self.unreadable = Some(format!("`{name}`: {refused}"));
                None
            }
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    value(headers, name)?.to_str().ok()
}

/// A call has few headers, and many are looked for: making a key of each name costs more than a look
/// at them all.
fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a HeaderValue> {
    let is_it = |(known, _): &(&HeaderName, _)| known.as_str().eq_ignore_ascii_case(name);
    headers.iter().find(is_it).map(|(_, value)| value)
}
