use serde::{Deserialize, Serialize};

/// What a kind of personal data is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Category {
    /// How to reach somebody.
    Contact,
    /// Accounts, cards, wallets.
    Financial,
    /// Numbers that a state gives to people.
    NationalId,
    /// Papers: passports, licences, plates.
    Document,
    /// Health insurance and licences to practise.
    Health,
    /// Tax and business registration.
    Tax,
    /// Addresses of devices and pages.
    Network,
    /// What opens something: keys, tokens, passwords.
    Secret,
    /// Where somebody is or lives.
    Location,
    /// Dates and ages.
    Date,
    /// Names of people and organisations.
    Name,
    /// A recogniser of a tenant's own.
    Custom,
}
