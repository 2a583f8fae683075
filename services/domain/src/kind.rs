use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// A kind of personal data or secret, named as the field does: `EMAIL_ADDRESS`, `IBAN_CODE`.
///
/// A text newtype and not an enumeration, since tenants add recognisers of their own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Kind(Cow<'static, str>);

/// How many values of each kind; never the values.
pub type KindCounts = BTreeMap<Kind, u32>;

impl Kind {
    /// An e-mail address.
    pub const EMAIL_ADDRESS: Self = Self::of("EMAIL_ADDRESS");
    /// A telephone number.
    pub const PHONE_NUMBER: Self = Self::of("PHONE_NUMBER");
    /// An international bank account number (ISO 13616).
    pub const IBAN_CODE: Self = Self::of("IBAN_CODE");
    /// A payment card number (ISO/IEC 7812).
    pub const CREDIT_CARD: Self = Self::of("CREDIT_CARD");
    /// An IPv4 or IPv6 address.
    pub const IP_ADDRESS: Self = Self::of("IP_ADDRESS");
    /// A Chinese resident identity number (GB 11643).
    pub const CN_RESIDENT_ID: Self = Self::of("CN_RESIDENT_ID");

    /// A kind with a name known when the program was built.
    pub const fn of(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// A kind named at run time, as by a tenant's own recogniser.
    pub fn named(name: impl Into<String>) -> Self {
        Self(Cow::Owned(name.into()))
    }

    /// The kind's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
