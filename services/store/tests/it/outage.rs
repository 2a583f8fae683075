//! The database goes away and comes back.

use std::time::{Duration, Instant};

use reeve_store::{Store, StoreError, revision, testing::PostgresServer};

use crate::backends;

fn revision_of(store: &Store) -> Result<i64, StoreError> {
    store.read(revision::current)
}

#[expect(clippy::disallowed_methods, reason = "a test's deadline")]
fn comes_back(store: &Store) {
    let start = Instant::now();
    while let Err(why) = revision_of(store) {
        assert!(why.is_unavailable(), "{why}");
        assert!(start.elapsed() < Duration::from_secs(10), "still away: {why}");
    }
}

#[test]
fn a_sqlite_file_that_is_moved_away_is_an_outage_and_never_an_empty_store() {
    let (dir, store) = backends::sqlite();
    revision_of(&store).unwrap();
    let (here, there) = (dir.path().join("s.sqlite"), dir.path().join("moved"));
    std::fs::rename(&here, &there).unwrap();
    let why = revision_of(&store).unwrap_err();
    assert!(why.is_unavailable(), "{why}");
    assert!(!here.exists());
    std::fs::rename(&there, &here).unwrap();
    comes_back(&store);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test's deadline")]
fn a_postgresql_that_stops_is_an_outage_within_seconds_and_comes_back() {
    let Some(server) = PostgresServer::start_or_skip().unwrap() else { return };
    let store = Store::connect(&server.database().unwrap()).unwrap();
    store.migrate().unwrap();
    revision_of(&store).unwrap();
    server.stop().unwrap();
    let start = Instant::now();
    for _ in 0..2 {
        let why = revision_of(&store).unwrap_err();
        assert!(why.is_unavailable(), "{why}");
    }
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    server.restart().unwrap();
    comes_back(&store);

    // In the middle of a transaction: nothing panics, and nothing half is left.
    let result: Result<(), StoreError> = store.write(|c| {
        revision::current(c)?;
        server.stop().unwrap();
        revision::current(c).map(|_| ())
    });
    assert!(result.unwrap_err().is_unavailable());
    server.restart().unwrap();
    comes_back(&store);
}

#[test]
fn a_store_that_is_away_at_the_start_can_be_connected_later() {
    let url = "postgres://reeve:hunter2@127.0.0.1:9/reeve";
    let store = Store::connect(url).unwrap();
    for why in [revision_of(&store).unwrap_err(), store.migrate().unwrap_err()] {
        assert!(why.is_unavailable(), "{why}");
        assert!(!format!("{why} {why:?} {store:?}").contains("hunter2"));
    }
}
