use std::{fmt, path::PathBuf};

use crate::StoreError;

/// Where the store is. Its `Debug` shows no password.
#[derive(Clone)]
pub(crate) enum Address {
    /// A file.
    Sqlite(PathBuf),
    /// A server, as libpq reads it.
    Postgres { url: String, secrets: Vec<String> },
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Self, StoreError> {
        if let Some(rest) = url.strip_prefix("sqlite:") {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            if path.is_empty() || path == ":memory:" {
                return Err(StoreError::InvalidUrl(
                    "a path is needed after `sqlite:`, since several connections share it"
                        .to_owned(),
                ));
            }
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self::Postgres { url: with_deadlines(url), secrets: secrets(url) });
        }
        // Only the scheme is named: what follows it may hold a password.
        let scheme = url.split_once(':').map_or("no scheme", |(scheme, _)| scheme);
        Err(StoreError::InvalidUrl(format!("found `{scheme}`")))
    }

    /// A message of the database without what must not be shown.
    pub(crate) fn censor(&self, message: &str) -> String {
        match self {
            Self::Sqlite(_) => message.to_owned(),
            Self::Postgres { secrets, .. } => {
                secrets.iter().fold(message.to_owned(), |text, secret| text.replace(secret, "***"))
            }
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres { url, .. } => f.write_str(&self.censor(url)),
        }
    }
}

/// A server that does not answer must not hold a thread for the operating system's minutes.
fn with_deadlines(url: &str) -> String {
    let mut url = url.to_owned();
    for (name, value) in [("connect_timeout", "2"), ("tcp_user_timeout", "5000")] {
        if !url.contains(name) {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(name);
            url.push('=');
            url.push_str(value);
        }
    }
    url
}

/// The passwords of a URL, as they stand in it and decoded.
fn secrets(url: &str) -> Vec<String> {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
    // A password may itself hold `@` or `/` where its author forgot to encode it.
    let user = before.rsplit_once('@').map_or("", |(user, _)| user);
    let in_user = user.split_once(':').map(|(_, password)| password);
    let in_query = query.split('&').filter_map(|pair| pair.strip_prefix("password="));
    let mut found: Vec<String> = in_user
        .into_iter()
        .chain(in_query)
        .filter(|text| !text.is_empty())
        .flat_map(|text| [text.to_owned(), decoded(text)])
        .collect();
    // The longest first, so that no part of one is left when another is its beginning.
    found.sort_by_key(|text| std::cmp::Reverse(text.len()));
    found.dedup();
    found
}

/// Percent-decoding (RFC 3986, section 2.1); what is not an encoding stays.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let pair = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_schemes_are_refused_without_showing_what_follows() {
        let error = Address::parse("mysql://root:hunter2@db/reeve").unwrap_err().to_string();
        assert!(error.contains("`mysql`") && !error.contains("hunter2"), "{error}");
        assert!(Address::parse("sqlite::memory:").is_err());
        assert!(Address::parse("sqlite:").is_err());
    }

    #[test]
    fn passwords_are_never_shown() {
        for url in [
            "postgres://reeve:hunter2@db/reeve",
            "postgresql://reeve:hunter2@db:5432/reeve?sslmode=require",
            "postgres://db/reeve?user=reeve&password=hunter2",
            "postgres://reeve:hunter2%40x@db/reeve",
            "postgres://reeve:hunter2@x@db/reeve",
        ] {
            let address = Address::parse(url).unwrap();
            let shown = format!("{address:?} {}", address.censor(url));
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
