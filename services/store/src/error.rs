use std::fmt;

use diesel::result::{DatabaseErrorKind, Error};

/// What can go wrong between a repository and its database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address is not one of a database that is known here.
    #[error("the store's address must begin with `sqlite:` and a path, or with `postgres://`: {0}")]
    InvalidUrl(String),
    /// The database cannot be reached or cannot write; it may be back later.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// There is no such row.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// Something of that name exists, or what it refers to does not.
    #[error("the change conflicts with what is stored: {0}")]
    Conflict(String),
    /// A stored value is not one that this version writes.
    #[error("`{value}` in {table}.{column} cannot be read: {reason}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// What stands there, shortened.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A number is too large for the database's 64-bit integers.
    #[error("{0} does not fit into 63 bits")]
    TooLarge(u64),
    /// Leaves were offered for indexing that do not follow on those that are indexed.
    #[error("the index of log `{origin}` goes on at {expected}, but leaf {offered} was offered")]
    Gap {
        /// The log.
        origin: String,
        /// The next leaf that can be indexed.
        expected: u64,
        /// The leaf that was offered.
        offered: u64,
    },
    /// A leaf differs from the one that was indexed under its index.
    #[error("leaf {index} of log `{origin}` is not the one that was indexed")]
    Diverged {
        /// The log.
        origin: String,
        /// The leaf.
        index: u64,
    },
    /// The migrations could not be run.
    #[error("the store cannot be brought to this version: {0}")]
    Migration(String),
    /// The database refused a statement for another reason.
    #[error("the store refused a statement: {0}")]
    Database(#[source] Error),
}

impl StoreError {
    /// Whether the same call may succeed later without anything being corrected.
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    pub(crate) fn corrupt(
        table: &'static str,
        column: &'static str,
        value: &str,
        reason: impl fmt::Display,
    ) -> Self {
        let value = value.chars().take(80).collect();
        Self::Corrupt { table, column, value, reason: reason.to_string() }
    }
}

/// What SQLite and libpq say when the database itself is the trouble and not the statement;
/// neither passes a code for these through Diesel.
const OUTAGES: &[&str] = &[
    "attempt to write a readonly database",
    "connection not open",
    "connection to server",
    "could not receive data",
    "could not send data",
    "database is locked",
    "database or disk is full",
    "database system is",
    "disk I/O error",
    "no connection to the server",
    "no space left on device",
    "server closed the connection",
    "SSL connection has been closed",
    "statement timeout",
    "terminating connection",
    "too many clients",
    "unable to open database file",
];

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        use DatabaseErrorKind as Kind;
        match error {
            Error::NotFound => Self::NotFound("row"),
            Error::DatabaseError(kind, ref information) => {
                let message = information.message();
                let lower = message.to_lowercase();
                match kind {
                    Kind::UniqueViolation | Kind::ForeignKeyViolation | Kind::RestrictViolation => {
                        Self::Conflict(message.to_owned())
                    }
                    Kind::ClosedConnection
                    | Kind::UnableToSendCommand
                    | Kind::ReadOnlyTransaction
                    | Kind::SerializationFailure => Self::Unavailable(message.to_owned()),
                    _ if OUTAGES.iter().any(|known| lower.contains(&known.to_lowercase())) => {
                        Self::Unavailable(message.to_owned())
                    }
                    _ => Self::Database(error),
                }
            }
            Error::RollbackErrorOnCommit { .. } | Error::BrokenTransactionManager => {
                Self::Unavailable(error.to_string())
            }
            other => Self::Database(other),
        }
    }
}
