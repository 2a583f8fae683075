use std::str::FromStr;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reeve_domain::{Money, Origin, Timestamp};
use reeve_store::audit::Cursor;
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::Refused;

/// Rows that a page has if nothing else is asked for, and at most.
const DEFAULT: usize = 50;
const MOST: usize = 200;

/// An amount of money.
#[derive(Serialize, ToSchema)]
pub(crate) struct Amount {
    /// Millionths of the currency's unit.
    micros: i64,
    /// ISO 4217.
    currency: &'static str,
}

impl From<Money> for Amount {
    fn from(money: Money) -> Self {
        Self { micros: money.micros, currency: money.currency.as_str() }
    }
}

pub(crate) fn limit(asked: Option<usize>) -> Result<usize, Refused> {
    match asked.unwrap_or(DEFAULT) {
        limit @ 1..=MOST => Ok(limit),
        other => Err(Refused::field("limit", format!("`{other}` is not between 1 and {MOST}"))),
    }
}

/// Parses one field, which may be absent; an empty one is.
pub(crate) fn parse<T: FromStr<Err: std::fmt::Display>>(
    field: &str,
    text: Option<&str>,
) -> Result<Option<T>, Refused> {
    text.filter(|text| !text.is_empty())
        .map(|text| text.parse().map_err(|why| Refused::field(field, why)))
        .transpose()
}

pub(crate) fn moment(field: &str, text: Option<&str>) -> Result<Option<Timestamp>, Refused> {
    text.filter(|text| !text.is_empty())
        .map(|text| Timestamp::parse(text).map_err(|why| Refused::field(field, why)))
        .transpose()
}

pub(crate) fn write_cursor(cursor: &Cursor) -> String {
    let text = format!("{} {} {}", cursor.at.as_micros(), cursor.index, cursor.origin);
    URL_SAFE_NO_PAD.encode(text)
}

pub(crate) fn read_cursor(text: Option<&str>) -> Result<Option<Cursor>, Refused> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let read = || {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let mut parts = text.splitn(3, ' ');
        let at = Timestamp::from_micros(parts.next()?.parse().ok()?);
        let index = parts.next()?.parse().ok()?;
        Some(Cursor { at, index, origin: Origin::new(parts.next()?).ok()? })
    };
    read().map(Some).ok_or_else(|| Refused::field("after", "not a cursor that was given out here"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        let cursor = Cursor {
            at: Timestamp::from_micros(-5),
            index: 7,
            origin: Origin::new("reeve.local/gateway-1").unwrap(),
        };
        assert_eq!(read_cursor(Some(&write_cursor(&cursor))).unwrap(), Some(cursor));
        assert!(read_cursor(Some("x")).is_err());
        assert!(limit(Some(0)).is_err() && limit(Some(201)).is_err());
    }
}
