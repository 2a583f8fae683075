//! The connection that every repository works on, whichever database is behind it.

use diesel::{PgConnection, SqliteConnection};

/// A connection to either database.
#[expect(missing_docs, reason = "the derive adds public types without documentation")]
mod multi {
    use diesel::{PgConnection, SqliteConnection};

    #[derive(diesel::MultiConnection)]
    pub enum AnyConnection {
        Sqlite(SqliteConnection),
        Postgres(PgConnection),
    }
}

// The derive imports diesel's trait of the name `Connection`, hence the other name inside.
pub use multi::AnyConnection as Connection;
pub(crate) use multi::MultiBackend;

impl From<SqliteConnection> for Connection {
    fn from(inner: SqliteConnection) -> Self {
        Self::Sqlite(inner)
    }
}

impl From<PgConnection> for Connection {
    fn from(inner: PgConnection) -> Self {
        Self::Postgres(inner)
    }
}

/// Runs the same expression on the connection of the backend itself, for what the shared type
/// cannot express: upserts, batch inserts, `eq_any`.
macro_rules! on_backend {
    ($connection:expr, $inner:ident => $body:expr) => {
        match $connection {
            $crate::Connection::Sqlite($inner) => $body,
            $crate::Connection::Postgres($inner) => $body,
        }
    };
}
pub(crate) use on_backend;
