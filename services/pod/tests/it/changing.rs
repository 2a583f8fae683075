//! Models that come and go while calls do.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use reeve_protocol::order::Action;
use serde_json::Value;

use crate::pod::{Pod, renamed, train};

/// The states of a pod's models by name and version.
fn index(pod: &Pod) -> Vec<(String, String, String)> {
    let url = format!("{}/v2/repository/index", pod.address);
    let listed = pod.agent.post(url).send_empty().unwrap().into_body().read_to_vec().unwrap();
    let listed: Vec<Value> = serde_json::from_slice(&listed).unwrap();
    let text = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
    listed.iter().map(|one| (text(one, "name"), text(one, "version"), text(one, "state"))).collect()
}

#[test]
fn a_model_is_loaded_and_unloaded_under_load_without_a_dropped_call() {
    let store = tempfile::tempdir().unwrap();
    let place = store.path().to_str().unwrap();
    let pod = Pod::start(&["--workers", "2", "--model-store", place]);
    let second = train(&store.path().join("second/1"), "second", "1", 2);
    let newer = train(&store.path().join("support/2"), "support", "2", 3);
    let unknown = train(&pod.dir.path().join("elsewhere"), "elsewhere", "1", 4);
    let reply = pod.change(Action::Load, &unknown);
    assert_eq!(reply.status, 400);
    assert!(reply.error().contains("model store"), "{}", reply.error());

    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut calls = 0;
                    while !over.load(Ordering::SeqCst) {
                        let reply = pod.classify(&["where is parcel 3", "courier"]);
                        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
                        calls += 1;
                    }
                    calls
                })
            })
            .collect();
        for _ in 0..3 {
            for bundle in [&second, &newer] {
                assert_eq!(pod.ask(bundle, &["courier"]).status / 100, 4);
                assert_eq!(pod.change(Action::Load, bundle).status, 200);
                assert_eq!(pod.ask(bundle, &["courier"]).status, 200);
                // What was ordered is so.
                assert_eq!(pod.change(Action::Load, bundle).status, 200);
            }
            assert_eq!(index(&pod).len(), 3);
            for bundle in [&second, &newer] {
                assert_eq!(pod.change(Action::Unload, bundle).status, 200);
                assert_eq!(pod.change(Action::Unload, bundle).status, 200);
            }
        }
        over.store(true, Ordering::SeqCst);
        for caller in callers {
            assert!(caller.join().unwrap() > 0);
        }
    });
    assert_eq!(index(&pod).len(), 1);
    // A pod that was told to unload its only model says that it has none.
    assert_eq!(pod.change(Action::Unload, &pod.bundle).status, 200);
    assert_eq!(pod.classify(&["courier"]).status, 404);
}

#[test]
fn what_was_not_used_for_long_makes_room_and_comes_back() {
    let store = tempfile::tempdir().unwrap();
    let place = store.path().to_str().unwrap();
    // Each takes some twenty kibibytes, so that a mebibyte holds many and not all.
    let pod = Pod::start(&["--workers", "1", "--model-store", place, "--memory-mb", "1"]);
    let more: Vec<_> = (0..90)
        .map(|n| {
            let name = format!("more-{n:02}");
            renamed(&pod.dir.path().join("bundle"), &store.path().join(&name), &name)
        })
        .collect();
    for bundle in &more {
        assert_eq!(pod.change(Action::Load, bundle).status, 200);
        assert_eq!(pod.classify(&["courier"]).status, 200);
    }
    let of = |state: &str| index(&pod).iter().filter(|one| one.2 == state).count();
    assert!(of("UNAVAILABLE") > 0 && of("READY") > 1, "{:?}", index(&pod));
    // The one that is always called stays.
    assert!(index(&pod).contains(&("support".into(), "1".into(), "READY".into())));
    // The first one made room; a call brings it back.
    assert!(index(&pod).contains(&("more-00".into(), "1".into(), "UNAVAILABLE".into())));
    assert_eq!(pod.ask(&more[0], &["courier"]).status, 200);
    assert!(index(&pod).contains(&("more-00".into(), "1".into(), "READY".into())));
}

#[test]
fn memory_comes_back_when_a_model_is_unloaded() {
    let store = tempfile::tempdir().unwrap();
    let place = store.path().to_str().unwrap();
    let pod = Pod::start(&["--workers", "1", "--model-store", place]);
    let second = train(&store.path().join("second"), "second", "1", 2);
    let round = || {
        assert_eq!(pod.change(Action::Load, &second).status, 200);
        assert_eq!(pod.ask(&second, &["courier"; 32]).status, 200);
        assert_eq!(pod.change(Action::Unload, &second).status, 200);
    };
    for _ in 0..3 {
        round();
    }
    let before = pod.memory_mb();
    for _ in 0..25 {
        round();
    }
    thread::sleep(Duration::from_millis(300));
    let after = pod.memory_mb();
    assert!(after < before + 16, "{before} MiB, then {after} MiB");
}
