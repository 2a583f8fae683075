//! Ctrl-C and its kin, noted so that what was started can be stopped in order.

use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

static ASKED: AtomicBool = AtomicBool::new(false);

extern "C" fn note(_: nix::libc::c_int) {
    ASKED.store(true, Ordering::Release);
}

/// From now on SIGINT, SIGTERM and SIGHUP are noted. Programs that are started get the default
/// actions back.
pub(crate) fn listen() -> anyhow::Result<()> {
    let action = SigAction::new(SigHandler::Handler(note), SaFlags::empty(), SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        #[expect(unsafe_code, reason = "the handler stores one atomic, which is safe in a signal")]
        // SAFETY: `note` is async-signal-safe and lives as long as the program.
        unsafe {
            sigaction(signal, &action)?;
        }
    }
    Ok(())
}

/// Whether it was asked to stop.
pub(crate) fn asked_to_stop() -> bool {
    ASKED.load(Ordering::Acquire)
}
