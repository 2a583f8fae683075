//! A real log, a real store, and what can go wrong between them.

#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests"
)]

mod shipping;
mod world;

use std::time::Duration;

use reeve_domain::{Record, Timestamp, UserId};
use reeve_store::{
    StoreError,
    audit::{self, AuditFilter, EventKind},
    log, session,
    testing::PostgresServer,
    usage, user,
};
use reeve_worker::{IndexFailed, Indexer, Intervals, run};
use tokio::sync::watch;

use crate::world::{World, origin, wait_for};

fn intervals() -> Intervals {
    Intervals {
        verify: Duration::from_millis(100),
        expire_sessions: Duration::from_millis(100),
        ..Intervals::default()
    }
}

#[test]
fn a_log_is_indexed_to_its_end_and_followed() {
    let world = World::on_sqlite();
    let indexer = world.indexer();
    assert_eq!(indexer.run_once().unwrap(), 0, "a log that does not exist yet is empty");
    let ledger = world.ledger();
    world.append(&ledger, 0..2500);
    assert_eq!(indexer.run_once().unwrap(), 2500);
    assert_eq!(indexer.run_once().unwrap(), 0);
    world.append(&ledger, 2500..2503);
    assert_eq!(indexer.run_once().unwrap(), 3);
    assert_eq!(world.indexed(), 2503);
    assert_eq!(world.refusals(), 2503);
    // Leaf hashes are those of the tree (RFC 6962), so that a row can be proved.
    let filter = AuditFilter::default();
    let rows = world.store.read(|c| audit::search(c, &filter, None, 1)).unwrap();
    let mut leaf = vec![0];
    leaf.extend_from_slice(rows[0].document.as_bytes());
    assert_eq!(&rows[0].leaf_hash, reeve_domain::Digest::of(&leaf).as_bytes());
}

#[test]
fn what_was_indexed_is_not_read_again() {
    let world = World::on_sqlite();
    let (ledger, indexer) = (world.ledger(), world.indexer());
    world.append(&ledger, 0..20);
    assert_eq!(indexer.run_once().unwrap(), 20);
    world.damage_first_entry();
    world.append(&ledger, 20..23);
    assert_eq!(indexer.run_once().unwrap(), 3);
    // One that begins anew has to go through the file, and meets the damage.
    world.append(&ledger, 23..24);
    let failed = world.indexer().run_once();
    assert!(matches!(failed, Err(IndexFailed::Log { .. })), "{failed:?}");
    assert_eq!(indexer.run_once().unwrap(), 1);
}

#[test]
fn a_crash_between_batches_counts_nothing_twice() {
    let world = World::on_sqlite();
    let ledger = world.ledger();
    world.append(&ledger, 0..20);
    // What a worker did before it was killed: some leaves were committed, and the transaction of
    // some more was not.
    let leaves = world.leaves(0, 12);
    world.store.write(|c| audit::index(c, &origin(), &leaves[..5])).unwrap();
    let killed: Result<(), StoreError> = world.store.write(|c| {
        audit::index(c, &origin(), &leaves[5..])?;
        Err(StoreError::NotFound("rest of this process"))
    });
    assert!(killed.is_err());
    assert_eq!(world.indexed(), 5);
    assert_eq!(world.indexer().run_once().unwrap(), 15);
    assert_eq!(world.refusals(), 20);
}

#[test]
fn an_unreadable_leaf_is_a_finding_and_holds_nothing_up() {
    let world = World::on_sqlite();
    let ledger = world.ledger();
    world.append(&ledger, 0..3);
    ledger.append_blocking(b"{\"type\":\"from-the-future\"}".to_vec()).unwrap();
    ledger.append_blocking(vec![0xff, 0, 0xfe]).unwrap();
    world.append(&ledger, 3..6);
    assert_eq!(world.indexer().run_once().unwrap(), 8);
    let filter = AuditFilter { kinds: vec![EventKind::Malformed], ..AuditFilter::default() };
    let found = world.store.read(|c| audit::search(c, &filter, None, 10)).unwrap();
    assert_eq!(found.iter().map(|row| row.index).collect::<Vec<_>>(), [4, 3]);
    assert!(found.iter().all(|row| matches!(row.record, Record::Control(_))));
    assert_eq!(world.refusals(), 6);
}

#[test]
fn one_logs_trouble_does_not_stop_another() {
    let world = World::on_sqlite();
    let ledger = world.ledger();
    world.append(&ledger, 0..3);
    let broken = world.dir.path().join("broken");
    std::fs::write(&broken, "a file and no log").unwrap();
    let other = "reeve.test/broken".parse().unwrap();
    let logs = vec![(other, broken), (origin(), world.log_dir())];
    let failed = Indexer::new(world.store.clone(), logs).run_once();
    assert!(matches!(failed, Err(IndexFailed::Log { .. })), "{failed:?}");
    assert_eq!(world.indexed(), 3);
}

#[test]
fn a_log_that_was_cut_is_told_and_not_indexed_over() {
    let world = World::on_sqlite();
    world.append(&world.ledger(), 0..5);
    world.indexer().run_once().unwrap();
    std::fs::remove_dir_all(world.log_dir()).unwrap();
    world.append(&world.ledger(), 0..2);
    let failed = world.indexer().run_once();
    let Err(IndexFailed::Shorter { size: 2, indexed: 5, .. }) = failed else {
        panic!("{failed:?}")
    };
    assert_eq!(world.indexed(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_catches_up_after_the_stores_file_was_away() {
    let world = World::on_sqlite();
    let ledger = world.ledger();
    let (stop, shutdown) = watch::channel(false);
    let worker =
        tokio::spawn(run(world.indexer(), world.clock(), intervals(), world.tools(), shutdown));
    world.append(&ledger, 0..5);
    wait_for(|| world.indexed() == 5);
    let (here, there) = (world.dir.path().join("store"), world.dir.path().join("away"));
    std::fs::rename(&here, &there).unwrap();
    world.append(&ledger, 5..300);
    tokio::time::sleep(Duration::from_millis(500)).await;
    std::fs::rename(&there, &here).unwrap();
    wait_for(|| world.try_indexed() == Some(300));
    assert_eq!(world.refusals(), 300);
    stop.send(true).unwrap();
    tokio::time::timeout(Duration::from_secs(5), worker).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_catches_up_after_postgresql_was_stopped() {
    let Some(server) = PostgresServer::start_or_skip().unwrap() else { return };
    let world = World::on(server.url());
    let ledger = world.ledger();
    let (stop, shutdown) = watch::channel(false);
    let worker =
        tokio::spawn(run(world.indexer(), world.clock(), intervals(), world.tools(), shutdown));
    world.append(&ledger, 0..5);
    wait_for(|| world.indexed() == 5);
    server.stop().unwrap();
    world.append(&ledger, 5..300);
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.restart().unwrap();
    wait_for(|| world.try_indexed() == Some(300));
    assert_eq!(world.refusals(), 300);
    drop(stop);
    tokio::time::timeout(Duration::from_secs(5), worker).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_verified_and_ended_sessions_removed() {
    let world = World::on_sqlite();
    world.append(&world.ledger(), 0..5);
    let vkey = std::fs::read_to_string(world.log_dir().join("log.pub")).unwrap();
    let vkey = vkey.trim().to_owned();
    let now = world.clock().now();
    let ann = UserId::new("ann").unwrap();
    let one = |token: &str, expires_at| session::Session {
        token_hash: reeve_domain::Digest::of(token.as_bytes()),
        user: ann.clone(),
        csrf: String::new(),
        created_at: Timestamp::from_micros(0),
        expires_at,
    };
    let (ended, open) = (one("ended", now), one("open", now.after(Duration::from_secs(3600))));
    world
        .store
        .write(|c| {
            user::insert(
                c,
                &user::User {
                    id: ann.clone(),
                    display_name: "Ann".to_owned(),
                    password_hash: String::new(),
                    roles: Vec::new(),
                    created_at: now,
                    disabled: false,
                },
            )?;
            session::insert(c, &ended)?;
            session::insert(c, &open)?;
            log::register(c, &origin(), &vkey, &world.log_dir().display().to_string())
        })
        .unwrap();
    let (stop, shutdown) = watch::channel(false);
    let worker =
        tokio::spawn(run(world.indexer(), world.clock(), intervals(), world.tools(), shutdown));
    let of_log = || world.store.read(log::list).unwrap().remove(0);
    wait_for(|| of_log().verified_at.is_some());
    assert_eq!((of_log().verified_size, of_log().findings.as_deref()), (Some(5), Some("[]")));
    let kept = |s: &session::Session| world.store.read(|c| session::get(c, &s.token_hash)).unwrap();
    wait_for(|| kept(&ended).is_none());
    assert!(kept(&open).is_some());

    // One byte of the entries is flipped: the next verification says so.
    world.damage();
    wait_for(|| of_log().findings.as_deref() != Some("[]"));
    stop.send(true).unwrap();
    tokio::time::timeout(Duration::from_secs(5), worker).await.unwrap().unwrap();
    let rows = world.store.read(|c| usage::by_day(c, None, "0000", "9999")).unwrap();
    assert!(rows.iter().all(|row| row.calls == 0));
}
