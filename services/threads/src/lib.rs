//! How the threads of Reeve's programs share cores that several of them want.
//!
//! A thread that is woken for every call costs a change of threads each time, and finds nothing in the
//! caches that another has just gone through. One that waits for its turn finds all that came meanwhile
//! and does it in one go: more calls in one read, more records under one `fsync`.
//!
//! On Linux a policy and a priority are a thread's own; elsewhere both stay as they are.

/// How much lower the priority of those is that give way (nice(2)).
#[cfg(target_os = "linux")]
const LOWER: i32 = 5;

/// Said by a thread that does small things for many calls: it interrupts nobody who runs, and begins
/// when a core is free or it is its turn (`SCHED_BATCH`, sched(7)).
pub fn interrupt_nobody() {
    #[cfg(target_os = "linux")]
    {
        let none = libc::sched_param { sched_priority: 0 };
        #[expect(unsafe_code, reason = "no library here has the call")]
        // SAFETY: 0 is the thread that says it, and the parameters live as long as the call.
        let set = unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const none) };
        if set != 0 {
            let error = std::io::Error::last_os_error();
            tracing::warn!(%error, "a thread keeps its usual policy");
        }
    }
}

/// Said by a thread that computes for long: the others go first where they want the same core.
pub fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(LOWER) {
        tracing::warn!(%error, "a thread keeps the priority of the others");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn policy() -> i32 {
        #[expect(unsafe_code, reason = "no library here has the call")]
        // SAFETY: 0 is the thread that asks; nothing is written.
        unsafe {
            libc::sched_getscheduler(0)
        }
    }

    #[test]
    fn it_holds_for_the_thread_that_says_it_and_no_other() {
        let of_thread = std::thread::spawn(|| {
            interrupt_nobody();
            policy()
        });
        assert_eq!(of_thread.join().ok(), Some(libc::SCHED_BATCH));
        assert_eq!(policy(), libc::SCHED_OTHER);
    }

    #[test]
    fn the_priority_is_lower_for_the_thread_that_says_it_and_no_other() {
        let here = rustix::process::nice(0).ok();
        let of_thread = std::thread::spawn(|| {
            give_way();
            rustix::process::nice(0).ok()
        });
        // nice(2) goes no further than 19.
        assert_eq!(of_thread.join().ok().flatten(), here.map(|nice| (nice + LOWER).min(19)));
        assert_eq!(rustix::process::nice(0).ok(), here);
    }
}
