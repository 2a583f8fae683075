use std::fmt;

use serde::{Deserialize, Serialize};

/// An ISO 4217 currency.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum Currency {
    /// Euro.
    #[default]
    Eur,
    /// United States dollar.
    Usd,
    /// Chinese yuan.
    Cny,
}

impl Currency {
    /// The three-letter code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eur => "EUR",
            Self::Usd => "USD",
            Self::Cny => "CNY",
        }
    }
}

/// An amount in millionths of the currency's unit: 1,000,000 is one euro.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Millionths of the currency's unit.
    pub micros: i64,
    /// The currency.
    pub currency: Currency,
}

/// Two amounts of different currencies, or a sum beyond 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the amounts differ in currency or their sum is too large")]
pub struct MoneyOverflow;

impl Money {
    /// An amount of `micros` millionths.
    pub const fn new(micros: i64, currency: Currency) -> Self {
        Self { micros, currency }
    }

    /// The sum of two amounts of one currency.
    pub fn plus(self, other: Self) -> Result<Self, MoneyOverflow> {
        if self.currency != other.currency {
            return Err(MoneyOverflow);
        }
        let micros = self.micros.checked_add(other.micros).ok_or(MoneyOverflow)?;
        Ok(Self { micros, ..self })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.micros < 0 { "-" } else { "" };
        let micros = self.micros.unsigned_abs();
        let (units, rest) = (micros / 1_000_000, micros % 1_000_000);
        write!(f, "{sign}{units}.{rest:06} {}", self.currency.as_str())
    }
}
