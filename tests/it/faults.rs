//! Faults at the system calls of a gateway that serves: no answer without its two records, and it
//! serves again by itself when the fault is over.

use std::{
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reeve_tests::{World, wait_until};

use crate::crash::{unanswered, verify};

/// Whether every fault is tried, as `./x chaos` asks for, and not a few.
#[expect(clippy::disallowed_methods, reason = "how `./x chaos` asks")]
pub(crate) fn is_thorough() -> bool {
    std::env::var("REEVE_CHAOS").is_ok()
}

#[test]
fn faults_at_system_calls_leave_no_answer_unrecorded() {
    let world = World::start().unwrap();
    let answered = Mutex::new(Vec::new());
    let refused = Mutex::new(Vec::new());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for tenant in [&world.eu, &world.us, &world.eu, &world.us] {
            let client = world.client(tenant);
            let (answered, refused, stop) = (&answered, &refused, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let Ok(answer) = client.classify("my parcel has not arrived") else { continue };
                    if answer.status == 200 {
                        answered.lock().unwrap().push(answer.decision().to_owned());
                    } else {
                        refused.lock().unwrap().push((answer.status, answer.code().to_owned()));
                    }
                }
            });
        }
        let calls: &[&str] = &["fdatasync", "pwrite64", "fsync", "openat", "rename", "ftruncate"];
        let errors: &[&str] = if is_thorough() { &["EIO", "ENOSPC", "EROFS"] } else { &["EIO"] };
        for call in calls {
            for error in errors {
                for when in if is_thorough() { &["1", "3+7", "1+"][..] } else { &["3+7"][..] } {
                    strike(&world, &format!("{call}:error={error}:when={when}"));
                    let client = world.client(&world.eu);
                    wait_until("it serves again", Duration::from_secs(10), || {
                        Ok(client.classify("after").is_ok_and(|answer| answer.status == 200))
                    })
                    .unwrap_or_else(|why| panic!("{call} {error} {when}: {why}"));
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    let (answered, refused) = (answered.into_inner().unwrap(), refused.into_inner().unwrap());
    let lost = unanswered(&world.records().unwrap(), &answered);
    assert!(lost.is_empty(), "{} of {} answered calls: {lost:?}", lost.len(), answered.len());
    let (clean, report) = verify(&world);
    assert!(clean, "{report}");
    let unavailable = refused.iter().filter(|(_, code)| code == "audit-unavailable").count();
    assert!(unavailable > 0, "no fault hit the log: {} answers", answered.len());
    for (status, code) in &refused {
        // A fault may hit the gateway's sockets or its sight of the pods as well.
        let known = ["audit-unavailable", "pod-failed", "no-pod-in-permitted-region"];
        assert!(known.contains(&code.as_str()) && *status >= 500, "{status} {code}");
    }
    println!("{} answered, {unavailable} refused for want of a record", answered.len());
}

/// Has a system call of the running server fail for a while.
fn strike(world: &World, inject: &str) {
    let call = inject.split(':').next().unwrap();
    let mut strace = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")])
        .args(["-e", &format!("inject={inject}"), "-p", &world.reeve.pid().to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|why| panic!("strace is needed (`apt install strace`): {why}"));
    std::thread::sleep(Duration::from_millis(700));
    kill(Pid::from_raw(i32::try_from(strace.id()).unwrap()), Signal::SIGTERM).unwrap();
    strace.wait().unwrap();
}
