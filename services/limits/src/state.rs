use std::{fmt::Write as _, time::Duration};

/// How a tenant's limits stand, for the headers of the IETF draft
/// `draft-ietf-httpapi-ratelimit-headers`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitState {
    pub(crate) limits: Vec<Limit>,
}

/// One limit: `q` units in a window of `w` seconds, of which `r` are left for `t` seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) name: &'static str,
    pub(crate) quota: u64,
    pub(crate) window: Duration,
    pub(crate) unit: Option<&'static str>,
    pub(crate) remaining: u64,
    pub(crate) reset: Duration,
}

impl LimitState {
    pub(crate) const fn none() -> Self {
        Self { limits: Vec::new() }
    }

    /// The value of `RateLimit-Policy`.
    pub fn policy_header(&self) -> String {
        let mut header = String::new();
        for limit in &self.limits {
            separate(&mut header);
            // Writing to a text does not fail.
            let _ok =
                write!(header, "\"{}\";q={};w={}", limit.name, limit.quota, limit.window.as_secs());
            if let Some(unit) = limit.unit {
                let _ok = write!(header, ";qu=\"{unit}\"");
            }
        }
        header
    }

    /// The value of `RateLimit`.
    pub fn state_header(&self) -> String {
        let mut header = String::new();
        for limit in &self.limits {
            separate(&mut header);
            let seconds =
                limit.reset.as_secs().saturating_add(u64::from(limit.reset.subsec_nanos() > 0));
            let _ok = write!(header, "\"{}\";r={};t={seconds}", limit.name, limit.remaining);
        }
        header
    }
}

fn separate(header: &mut String) {
    if !header.is_empty() {
        header.push_str(", ");
    }
}
