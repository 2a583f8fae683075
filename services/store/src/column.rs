//! Between the domain's types and columns.

use std::{fmt::Display, str::FromStr};

use serde::{Serialize, de::DeserializeOwned};

use crate::StoreError;

/// Names one column in an error.
#[derive(Clone, Copy)]
pub(crate) struct Column(pub(crate) &'static str, pub(crate) &'static str);

impl Column {
    pub(crate) fn corrupt(self, value: &str, reason: impl Display) -> StoreError {
        StoreError::corrupt(self.0, self.1, value, reason)
    }

    /// Reads a value that is stored as its own text.
    pub(crate) fn parse<T: FromStr<Err: Display>>(self, text: &str) -> Result<T, StoreError> {
        text.parse().map_err(|why| self.corrupt(text, why))
    }

    /// Reads a value that is stored as its own text, or absent.
    pub(crate) fn parse_some<T: FromStr<Err: Display>>(
        self,
        text: Option<&str>,
    ) -> Result<Option<T>, StoreError> {
        text.map(|text| self.parse(text)).transpose()
    }

    /// Reads JSON text.
    pub(crate) fn json<T: DeserializeOwned>(self, text: &str) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|why| self.corrupt(text, why))
    }

    /// Reads a value whose JSON form is a string and which is stored as that string alone.
    pub(crate) fn word<T: DeserializeOwned>(self, text: &str) -> Result<T, StoreError> {
        serde_json::from_value(text.into()).map_err(|why| self.corrupt(text, why))
    }

    /// Writes JSON text.
    pub(crate) fn to_json<T: Serialize>(self, value: &T) -> Result<String, StoreError> {
        serde_json::to_string(value).map_err(|why| self.corrupt("", why))
    }

    /// Reads a count.
    pub(crate) fn count(self, value: i64) -> Result<u64, StoreError> {
        u64::try_from(value).map_err(|why| self.corrupt(&value.to_string(), why))
    }
}

/// Writes a count.
pub(crate) fn signed(value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::TooLarge(value))
}

/// A page's size in rows, as the databases take it.
pub(crate) fn page(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
