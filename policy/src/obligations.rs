use cedar_policy::Policy;
use reeve_domain::{Kind, LogLevel, Obligations};

/// Annotations that say what a rule for `Action::"obligate"` obliges to.
pub(crate) const NAMES: [&str; 5] = ["redact", "log", "retain_days", "notice", "human_review"];

/// Reads a rule's obligations from its annotations.
pub(crate) fn read(policy: &Policy) -> Result<Obligations, String> {
    let list = |text: &str| {
        text.split(',')
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect::<Vec<_>>()
    };
    let mut obligations = Obligations::default();
    if let Some(kinds) = policy.annotation("redact") {
        let is_kind = |name: &String| {
            name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        };
        let kinds = list(kinds);
        if kinds.is_empty() || !kinds.iter().all(is_kind) {
            return Err(
                "`@redact` must name kinds such as `EMAIL_ADDRESS`, joined by commas".to_owned()
            );
        }
        obligations.redact = kinds.into_iter().map(Kind::named).collect();
    }
    if let Some(level) = policy.annotation("log") {
        obligations.log = match level {
            "metadata" => LogLevel::Metadata,
            "sealed" => LogLevel::Sealed,
            other => return Err(format!("`@log` must be `metadata` or `sealed`, not `{other}`")),
        };
    }
    if let Some(days) = policy.annotation("retain_days") {
        obligations.retain_days = Some(
            days.parse()
                .map_err(|_| format!("`@retain_days` must be a number of days, not `{days}`"))?,
        );
    }
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
    all.redact.extend(more.redact.iter().cloned());
    all.log = all.log.max(more.log);
    all.retain_days = all.retain_days.max(more.retain_days);
    all.notices.extend(more.notices.iter().cloned());
    all.human_review |= more.human_review;
}
