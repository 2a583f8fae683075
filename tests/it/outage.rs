//! The store, the disk or a program goes away.

use std::{panic::AssertUnwindSafe, path::Path, process::Command, time::Duration};

use nix::sys::signal::Signal;
use reeve_domain::{Clock as _, SystemClock};
use reeve_store::testing::PostgresServer;
use reeve_tests::{Engine, World, WorldOptions, wait_until};

use crate::crash::verify;

#[test]
fn with_the_store_gone_the_gateway_serves_records_restarts_and_catches_up() {
    let Some(server) = PostgresServer::start_or_skip().unwrap() else { return };
    let options = WorldOptions { engine: Engine::Postgres(server), ..WorldOptions::default() };
    let mut world = World::start_with(options).unwrap();
    assert_eq!(world.client(&world.eu).classify("before").unwrap().status, 200);
    world.wait_indexed().unwrap();

    let Engine::Postgres(server) = &mut world.engine else { unreachable!() };
    server.stop().unwrap();
    let size = world.records().unwrap().len();
    for _ in 0..5 {
        let answer = world.client(&world.eu).classify("while it is away").unwrap();
        assert_eq!(answer.status, 200, "an outage of the store is no outage: {answer:?}");
    }
    assert_eq!(world.records().unwrap().len(), size + 10, "and every call is recorded");

    // Even a restart: the snapshot is on disk.
    world.reeve.kill().unwrap();
    world.restart().unwrap();
    wait_until("calls are served", Duration::from_secs(10), || {
        Ok(world.client(&world.eu).classify("from the snapshot")?.status == 200)
    })
    .unwrap();

    let Engine::Postgres(server) = &mut world.engine else { unreachable!() };
    server.restart().unwrap();
    world.wait_indexed().unwrap();
    let report = world.client(&world.eu).get("/v1/usage").unwrap();
    assert_eq!(report.status, 200, "{report:?}");
    assert!(report.at("/rows/0/calls").as_i64().unwrap() >= 7, "{report:?}");
}

#[test]
fn without_its_log_the_gateway_answers_503_and_recovers_when_it_is_back() {
    let world = World::start().unwrap();
    let client = world.client(&world.eu);
    assert_eq!(client.classify("before").unwrap().status, 200);
    let inputs = world.pod_inputs("eu-west").unwrap();
    let (here, away) = (world.log_dir(), world.path().join("moved"));
    std::fs::rename(&here, &away).unwrap();
    for _ in 0..3 {
        let answer = client.classify("unrecorded").unwrap();
        assert_eq!(answer.code(), "audit-unavailable", "{answer:?}");
        assert_eq!(answer.status, 503);
    }
    assert_eq!(world.pod_inputs("eu-west").unwrap(), inputs, "nothing left without a record");
    std::fs::rename(&away, &here).unwrap();
    wait_until("the log is written again", Duration::from_secs(10), || {
        Ok(client.classify("after")?.status == 200)
    })
    .unwrap();
}

/// Runs a command of the system; false where it may not be done here.
fn done(program: &str, arguments: &[&str], path: &Path) -> bool {
    Command::new(program).args(arguments).arg(path).output().is_ok_and(|it| it.status.success())
}

/// Calls get 503 in time and nothing reaches a pod; when the disk is mended, calls are served again.
fn unrecorded_until(world: &World, mend: impl FnOnce()) {
    let (client, clock) = (world.client(&world.eu), SystemClock::default());
    wait_until("calls are refused", Duration::from_secs(5), || {
        Ok(client.classify("on the brink")?.status == 503)
    })
    .unwrap();
    let inputs = world.pod_inputs("eu-west").unwrap();
    for _ in 0..3 {
        let asked = clock.monotonic();
        let answer = client.classify("unrecorded").unwrap();
        assert_eq!((answer.status, answer.code()), (503, "audit-unavailable"), "{answer:?}");
        // The deadline of a commit is two seconds.
        assert!(clock.monotonic().saturating_sub(asked) < Duration::from_secs(4));
    }
    assert_eq!(world.pod_inputs("eu-west").unwrap(), inputs, "nothing left without a record");
    mend();
    wait_until("the log is written again", Duration::from_secs(10), || {
        Ok(client.classify("after")?.status == 200)
    })
    .unwrap();
    let (holds, text) = verify(world);
    assert!(holds, "{text}");
}

#[test]
fn a_log_that_may_not_be_written_any_more_is_noticed_and_comes_back() {
    let world = World::start().unwrap();
    assert_eq!(world.client(&world.eu).classify("before").unwrap().status, 200);
    let log = world.log_dir();
    // Permissions do not hold root back, and files that are open already keep theirs.
    if !done("chattr", &["-R", "+i"], &log) {
        println!("skipped: files cannot be made immutable here");
        return;
    }
    let mend = || assert!(done("chattr", &["-R", "-i"], &log));
    let tried = std::panic::catch_unwind(AssertUnwindSafe(|| unrecorded_until(&world, mend)));
    // Else the directory could not be removed.
    done("chattr", &["-R", "-i"], &log);
    if let Err(failed) = tried {
        std::panic::resume_unwind(failed);
    }
}

#[test]
fn a_full_disk_stops_calls_before_it_is_full_and_again_when_it_is() {
    let mut world = World::start().unwrap();
    world.reeve.stop().unwrap();
    let (log, aside) = (world.log_dir(), world.path().join("aside"));
    std::fs::rename(&log, &aside).unwrap();
    std::fs::create_dir(&log).unwrap();
    if !done("mount", &["-t", "tmpfs", "-o", "size=96m", "tmpfs"], &log) {
        println!("skipped: nothing can be mounted here");
        return;
    }
    let tried = std::panic::catch_unwind(AssertUnwindSafe(|| {
        assert!(done("cp", &["-a", &format!("{}/.", aside.display())], &log));
        world.restart().unwrap();
        assert_eq!(world.client(&world.eu).classify("before").unwrap().status, 200);
        let big = log.join("somebody-elses");
        // Less than the headroom of 64 MiB is left; then nothing at all.
        for bytes in [48 << 20, 200 << 20] {
            // Where the disk ends, so does the writing.
            drop(std::fs::write(&big, vec![0; bytes]));
            unrecorded_until(&world, || std::fs::remove_file(&big).unwrap());
        }
        world.reeve.stop().unwrap();
    }));
    drop(world.reeve.stop());
    assert!(done("umount", &["-l"], &log));
    if let Err(failed) = tried {
        std::panic::resume_unwind(failed);
    }
}

#[test]
fn a_gateway_told_to_stop_finishes_what_it_took() {
    let mut world = World::start().unwrap();
    let client = world.client(&world.eu);
    let answered = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut answered = Vec::new();
                    // Ends when the gateway no longer accepts; every answer it gave must be whole.
                    while let Ok(answer) = client.classify("hello") {
                        if answer.status == 200 {
                            answered.push(answer.decision().to_owned());
                        }
                    }
                    answered
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(700));
        world.reeve.signal(Signal::SIGTERM).unwrap();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(answered.len() > 20, "{}", answered.len());
    assert!(world.reeve.stop().unwrap().success());
    let open = crate::crash::unanswered(&world.records().unwrap(), &answered);
    assert!(open.is_empty(), "{open:?}");
    let orphans = crate::crash::orphans(&world.records().unwrap());
    assert!(orphans.is_empty(), "a clean stop left intents open: {orphans:?}");
}
