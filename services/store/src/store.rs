use std::{fmt, os::unix::fs::MetadataExt, path::Path, time::Duration};

use diesel::{
    Connection as _, PgConnection, SqliteConnection,
    connection::{AnsiTransactionManager, SimpleConnection, TransactionManager},
    r2d2::{ManageConnection, NopErrorHandler, Pool, R2D2Connection},
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::{Connection, StoreError, url::Address};

const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// How long a call waits for a connection before the store counts as unavailable.
const ACQUIRE_WITHIN: Duration = Duration::from_secs(1);
const CONNECTIONS: u32 = 8;

/// Several programs write one SQLite file, hence WAL and a time to wait for the other's lock.
/// `synchronous = FULL`: a revocation or an activation that was answered must survive a power
/// cut, which NORMAL does not promise in WAL mode; the indexer pays one sync for each batch. A batch
/// must fit into the cache (16 MiB), else SQLite writes it out and reads it back. A row with its leaf is
/// some 1.5 kB, of which larger pages hold more; a file that is there keeps the pages that it has.
const SQLITE_SETUP: &str = "PRAGMA busy_timeout = 5000;
    PRAGMA page_size = 8192;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA cache_size = -16384;
    PRAGMA foreign_keys = ON;";
/// How often a connection is set up while another program makes the file, and the pause between.
const SETUP_TRIES: u32 = 10;
const SETUP_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);
/// No statement of a repository comes near this; one that does is stuck.
const POSTGRES_SETUP: &str = "SET statement_timeout = '30s'; SET lock_timeout = '5s'; \
    SET client_min_messages = 'warning'";

/// The database behind one type: a pool of connections that come back by themselves after an
/// outage. Cloning shares the pool.
#[derive(Clone)]
pub struct Store {
    address: Address,
    pool: Pool<Manager>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.address).finish()
    }
}

impl Store {
    /// Takes `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/NAME`; the scheme picks the engine.
    /// Nothing is opened yet: a program must be able to start while its database is away.
    pub fn connect(url: &str) -> Result<Self, StoreError> {
        let address = Address::parse(url)?;
        let pool = Pool::builder()
            .max_size(CONNECTIONS)
            .min_idle(Some(0))
            .connection_timeout(ACQUIRE_WITHIN)
            .test_on_check_out(true)
            // Whoever asked for a connection is told; the pool's own attempts are not news.
            .error_handler(Box::new(NopErrorHandler))
            .build_unchecked(Manager { address: address.clone() });
        Ok(Self { address, pool })
    }

    /// Creates the database file where there is none and brings the schema to this version.
    /// Several programs may do so at once.
    pub fn migrate(&self) -> Result<(), StoreError> {
        let failed = |why: Box<dyn std::error::Error + Send + Sync>| {
            StoreError::Migration(self.address.censor(&why.to_string()))
        };
        match &self.address {
            Address::Sqlite(path) => {
                let mut c = open_sqlite(path, "rwc").map_err(|why| self.unavailable(&why))?;
                // One lock over all migrations; each is a savepoint inside.
                AnsiTransactionManager::begin_transaction_sql(&mut c, "BEGIN IMMEDIATE")?;
                let done = c.run_pending_migrations(SQLITE).map(|_| ()).map_err(failed);
                finish(&mut c, done)
            }
            Address::Postgres { url, .. } => {
                let mut c = open_postgres(url).map_err(|why| self.unavailable(&why))?;
                // Held until this connection closes. The number only has to be Reeve's own.
                c.batch_execute("SET lock_timeout = '60s'; SELECT pg_advisory_lock(7270567411)")?;
                c.run_pending_migrations(POSTGRES).map(|_| ()).map_err(failed)
            }
        }
    }

    /// Runs `work` in a transaction that sees one state of the store throughout.
    pub fn read<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.transaction("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", work)
    }

    /// Runs `work` in a transaction that is committed if it succeeds and undone if not. On SQLite
    /// it takes the write lock first, so that it cannot fail halfway for want of it.
    pub fn write<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.transaction("BEGIN IMMEDIATE", "BEGIN", work)
    }

    fn transaction<T, E: From<StoreError>>(
        &self,
        sqlite: &str,
        postgres: &str,
        work: impl FnOnce(&mut Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut pooled = self.pool.get().map_err(|why| self.unavailable(&why))?;
        let c = &mut pooled.connection;
        match c {
            Connection::Sqlite(inner) => {
                AnsiTransactionManager::begin_transaction_sql(inner, sqlite)
            }
            Connection::Postgres(inner) => {
                AnsiTransactionManager::begin_transaction_sql(inner, postgres)
            }
        }
        .map_err(StoreError::from)?;
        let done = work(c);
        finish(c, done)
    }

    fn unavailable(&self, why: &impl fmt::Display) -> StoreError {
        StoreError::Unavailable(self.address.censor(&why.to_string()))
    }
}

/// Commits what succeeded and undoes what did not.
fn finish<C: diesel::Connection, T, E: From<StoreError>>(
    c: &mut C,
    done: Result<T, E>,
) -> Result<T, E> {
    match done {
        Ok(value) => {
            C::TransactionManager::commit_transaction(c).map_err(StoreError::from)?;
            Ok(value)
        }
        Err(why) => {
            // A rollback fails only with the connection, and the pool drops a broken one.
            if let Err(error) = C::TransactionManager::rollback_transaction(c) {
                tracing::debug!(%error, "rollback failed");
            }
            Err(why)
        }
    }
}

struct Manager {
    address: Address,
}

/// A connection and, for SQLite, which file it has open.
struct Pooled {
    connection: Connection,
    file: Option<(u64, u64)>,
}

impl ManageConnection for Manager {
    type Connection = Pooled;
    type Error = diesel::r2d2::Error;

    fn connect(&self) -> Result<Pooled, Self::Error> {
        match &self.address {
            Address::Sqlite(path) => {
                // Never "rwc": a file that has gone missing must not be replaced by an empty one.
                let connection = open_sqlite(path, "rw")?.into();
                Ok(Pooled { connection, file: identity(path) })
            }
            Address::Postgres { url, .. } => {
                Ok(Pooled { connection: open_postgres(url)?.into(), file: None })
            }
        }
    }

    fn is_valid(&self, pooled: &mut Pooled) -> Result<(), Self::Error> {
        match (&self.address, &mut pooled.connection) {
            // SQLite goes on writing into a file that was moved away or deleted.
            (Address::Sqlite(path), _) if identity(path) != pooled.file => {
                Err(diesel::r2d2::Error::ConnectionError(diesel::ConnectionError::BadConnection(
                    "the file was removed or replaced".to_owned(),
                )))
            }
            (_, Connection::Postgres(inner)) => {
                inner.ping().map_err(diesel::r2d2::Error::QueryError)
            }
            (_, Connection::Sqlite(_)) => Ok(()),
        }
    }

    fn has_broken(&self, pooled: &mut Pooled) -> bool {
        std::thread::panicking() || pooled.connection.is_broken()
    }
}

fn open_sqlite(path: &Path, mode: &str) -> Result<SqliteConnection, diesel::r2d2::Error> {
    // `%`, `?` and `#` have a meaning in a URI (https://www.sqlite.org/uri.html).
    let escaped = path.display().to_string();
    let escaped = escaped.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let mut c = SqliteConnection::establish(&format!("file:{escaped}?mode={mode}"))
        .map_err(diesel::r2d2::Error::ConnectionError)?;
    // The first change of a new file to WAL is refused at once while another program makes it:
    // SQLite does not wait there, whatever its `busy_timeout`.
    let mut tries = 1;
    loop {
        match c.batch_execute(SQLITE_SETUP) {
            Ok(()) => return Ok(c),
            Err(diesel::result::Error::DatabaseError(_, why))
                if why.message() == "database is locked" && tries < SETUP_TRIES =>
            {
                tries += 1;
                std::thread::sleep(SETUP_PAUSE);
            }
            Err(why) => return Err(diesel::r2d2::Error::QueryError(why)),
        }
    }
}

fn open_postgres(url: &str) -> Result<PgConnection, diesel::r2d2::Error> {
    let mut c = PgConnection::establish(url).map_err(diesel::r2d2::Error::ConnectionError)?;
    c.batch_execute(POSTGRES_SETUP).map_err(diesel::r2d2::Error::QueryError)?;
    Ok(c)
}

/// Device and inode: the file itself and not its name.
fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}
