//! What `libreeve_torch.so` exports: [`message::CALL`] and [`message::RELEASE`].

use std::{
    cell::Cell,
    collections::HashMap,
    ffi::c_void,
    panic::{AssertUnwindSafe, catch_unwind},
    slice,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use reeve_classifier::{
    Backend as _, BackendError, Network,
    library::message::{self, Answer, Reply, Request},
};

use crate::Torch;

/// Each is one thread's; a lock keeps that so.
type Networks = HashMap<u64, Arc<Mutex<Box<dyn Network>>>>;

static NETWORKS: LazyLock<Mutex<Networks>> = LazyLock::new(Mutex::default);
static NEXT: AtomicU64 = AtomicU64::new(0);

#[expect(unsafe_code, reason = "the name is what the other side looks for")]
// SAFETY: nothing else in a process is called so.
#[unsafe(no_mangle)]
static reeve_torch_release: [u8; message::release().len()] = message::release();

/// [`message::Call`].
///
/// # Safety
///
/// `request` must be readable for `length` bytes, and `reply` callable with `context`.
#[expect(unsafe_code, reason = "the name is what the other side looks for")]
// SAFETY: nothing else in a process is called so.
#[unsafe(no_mangle)]
unsafe extern "C" fn reeve_torch_call(
    request: *const u8,
    length: usize,
    reply: Reply,
    context: *mut c_void,
) {
    // SAFETY: the caller keeps to what is written above.
    let request = unsafe { slice::from_raw_parts(request, length) };
    let answer = catch_unwind(AssertUnwindSafe(|| answer(request)));
    let answer = answer.unwrap_or_else(|_| Err(BackendError("libtorch panicked".to_owned())));
    let answer = message::to_bytes(&answer.map_err(|error| error.0)).unwrap_or_default();
    // SAFETY: the caller keeps to what is written above.
    unsafe { reply(context, answer.as_ptr(), answer.len()) };
}

fn answer(request: &[u8]) -> Result<Answer, BackendError> {
    thread_local! {
        static IS_SET: Cell<bool> = const { Cell::new(false) };
    }
    if !IS_SET.replace(true) {
        crate::set_threads(1);
    }
    match message::from_bytes(request)? {
        Request::Device => Torch.device().map(Answer::Device),
        Request::Network { source, device, precision } => {
            let network = Torch.network(source.open()?.source(), device, precision)?;
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            NETWORKS.lock().insert(number, Arc::new(Mutex::new(network)));
            Ok(Answer::Network(number))
        }
        Request::Answers { network, texts } => {
            let network = find(network)?;
            let rows = network.lock().answers(&texts.iter().collect::<Vec<_>>())?;
            Ok(Answer::Answers(rows))
        }
        Request::Integrate { network, text, label, settings } => {
            let network = find(network)?;
            let found = network.lock().integrate(&text, label, settings)?;
            Ok(Answer::Integrate(found))
        }
        Request::Drop { network } => {
            let gone = NETWORKS.lock().remove(&network);
            drop(gone);
            Ok(Answer::Dropped)
        }
    }
}

fn find(network: u64) -> Result<Arc<Mutex<Box<dyn Network>>>, BackendError> {
    let found = NETWORKS.lock().get(&network).cloned();
    found.ok_or_else(|| BackendError(format!("there is no network {network}")))
}
