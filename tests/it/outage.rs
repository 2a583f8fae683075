//! The store, the disk or a program goes away.

use std::time::Duration;

use nix::sys::signal::Signal;
use reeve_store::testing::PostgresServer;
use reeve_tests::{Engine, World, WorldOptions, wait_until};

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
