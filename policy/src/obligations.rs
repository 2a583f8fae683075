use cedar_policy::Policy;
use reeve_domain::{Kind, LogLevel, Obligations, Redaction};
use reeve_privacy::Profile;

/// Annotations that say what a rule for `Action::"obligate"` obliges to.
pub(crate) const NAMES: [&str; 11] = [
    "redact",
    "redact_profile",
    "generalise",
    "mask",
    "pseudonymise",
    "remove",
    "log",
    "retain_days",
    "retain_at_most_days",
    "notice",
    "human_review",
];

/// Annotations that name kinds, and what is done with them.
const WAYS: [(&str, Redaction); 5] = [
    ("redact", Redaction::Replace),
    ("generalise", Redaction::Generalise),
    ("mask", Redaction::Mask),
    ("pseudonymise", Redaction::Pseudonymise),
    ("remove", Redaction::Remove),
];

/// Reads a rule's obligations from its annotations.
pub(crate) fn read(policy: &Policy) -> Result<Obligations, String> {
    let list = |text: &str| {
        text.split(',')
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect::<Vec<_>>()
    };
    let mut obligations = Obligations::default();
    if let Some(name) = policy.annotation("redact_profile") {
        let profile = Profile::named(name).ok_or_else(|| {
            let known: Vec<_> = Profile::ALL.iter().map(|profile| profile.name()).collect();
            format!("`@redact_profile` must be one of {}, not `{name}`", known.join(", "))
        })?;
        obligations.redact = profile.redactions();
    }
    for (way, how) in WAYS {
        let Some(kinds) = policy.annotation(way) else { continue };
        let is_kind = |name: &String| {
            name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        };
        let kinds = list(kinds);
        if kinds.is_empty() || !kinds.iter().all(is_kind) {
            return Err(format!(
                "`@{way}` must name kinds such as `EMAIL_ADDRESS`, joined by commas"
            ));
        }
        // What a rule says of a kind itself goes before its profile.
        obligations.redact.extend(kinds.into_iter().map(|kind| (Kind::named(kind), how)));
    }
    if let Some(level) = policy.annotation("log") {
        obligations.log = match level {
            "metadata" => LogLevel::Metadata,
            "sealed" => LogLevel::Sealed,
            other => return Err(format!("`@log` must be `metadata` or `sealed`, not `{other}`")),
        };
    }
    let days = |name: &str| {
        let wrong = |text| format!("`@{name}` must be a number of days, not `{text}`");
        policy.annotation(name).map(|text| text.parse().map_err(|_| wrong(text))).transpose()
    };
    obligations.retain_days = days("retain_days")?;
    obligations.retain_at_most_days = days("retain_at_most_days")?;
    if let Some(notices) = policy.annotation("notice") {
        obligations.notices = list(notices).into_iter().collect();
    }
    if let Some(review) = policy.annotation("human_review") {
        obligations.human_review = match review {
            "true" => true,
            "false" => false,
            other => {
                return Err(format!("`@human_review` must be `true` or `false`, not `{other}`"));
            }
        };
    }
    Ok(obligations)
}

/// Adds one rule's obligations to those that hold already: all of both are met.
pub(crate) fn join(all: &mut Obligations, more: &Obligations) {
    for (kind, how) in &more.redact {
        let here = all.redact.entry(kind.clone()).or_insert(*how);
        *here = (*here).max(*how);
    }
    all.log = all.log.max(more.log);
    all.retain_days = all.retain_days.max(more.retain_days);
    all.retain_at_most_days = match (all.retain_at_most_days, more.retain_at_most_days) {
        (Some(here), Some(there)) => Some(here.min(there)),
        (here, there) => here.or(there),
    };
    all.notices.extend(more.notices.iter().cloned());
    all.human_review |= more.human_review;
}

/// Whether both ends of retention can be kept.
pub(crate) fn can_be_met(obligations: &Obligations) -> bool {
    match (obligations.retain_days, obligations.retain_at_most_days) {
        (Some(floor), Some(ceiling)) => floor <= ceiling,
        _ => true,
    }
}
