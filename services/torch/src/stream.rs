//! A CUDA stream for each network, so that what workers do on one GPU overlaps: in the default stream
//! one's copies would wait for the other's kernels.
//!
//! tch does not bind streams. libtorch has them in the part of its C interface that it keeps stable
//! (`torch/csrc/stable/c/shim.h`, `torch/csrc/inductor/aoti_torch/c/shim.h`), where 0 means success.

use std::{ffi::c_void, ptr};

use libloading::Library;
use parking_lot::Mutex;
use reeve_classifier::Device;

use crate::device;

/// What is needed of libtorch.
#[derive(Clone, Copy, Debug)]
struct Api {
    from_pool: unsafe extern "C" fn(high: bool, device: i32, stream: *mut *mut c_void) -> i32,
    enter: unsafe extern "C" fn(stream: *mut c_void, device: i32, guard: *mut *mut c_void) -> i32,
    leave: unsafe extern "C" fn(guard: *mut c_void) -> i32,
}

/// A stream of libtorch's pool, which keeps it as long as the process lives.
#[derive(Debug)]
pub(crate) struct Stream {
    api: Api,
    place: Place,
}

/// Which stream it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// `cudaStream_t`, which every thread may use; as a number, since it is never looked into.
    handle: usize,
    device: i32,
}

/// Until it is dropped, what this thread asks of libtorch is done in a stream.
pub(crate) struct Entered {
    api: Api,
    guard: *mut c_void,
}

/// Streams of networks that are gone. libtorch keeps the memory that was freed in a stream for that
/// stream, so the next network gets one of these.
static FREE: Mutex<Vec<Place>> = Mutex::new(Vec::new());

impl Api {
    fn of(library: &Library) -> Option<Self> {
        #[expect(unsafe_code, reason = "tch does not bind them")]
        // SAFETY: the types are those of libtorch's headers, of the release that is linked.
        unsafe {
            Some(Self {
                from_pool: *library.get(b"torch_get_cuda_stream_from_pool\0").ok()?,
                enter: *library.get(b"aoti_torch_create_cuda_stream_guard\0").ok()?,
                leave: *library.get(b"aoti_torch_delete_cuda_stream_guard\0").ok()?,
            })
        }
    }
}

impl Stream {
    /// One that nobody uses; none on the CPU, or where libtorch has no streams to give.
    pub(crate) fn of(device: Device) -> Option<Self> {
        let Device::Cuda(number) = device else { return None };
        Self::new(Api::of(device::cuda()?)?, i32::try_from(number).ok()?)
    }

    fn new(api: Api, device: i32) -> Option<Self> {
        let mut free = FREE.lock();
        if let Some(index) = free.iter().position(|place| place.device == device) {
            return Some(Self { api, place: free.swap_remove(index) });
        }
        let mut stream = ptr::null_mut();
        #[expect(unsafe_code, reason = "tch does not bind it")]
        // SAFETY: the pointer is written to and not kept.
        let failed = unsafe { (api.from_pool)(false, device, &raw mut stream) };
        (failed == 0).then(|| Self { api, place: Place { handle: stream.addr(), device } })
    }

    /// Has this thread's work done in the stream. Where that fails it is done in the default one, as
    /// right and not as fast.
    pub(crate) fn enter(&self) -> Option<Entered> {
        let Self { api, place: Place { handle, device } } = *self;
        let mut guard = ptr::null_mut();
        #[expect(unsafe_code, reason = "tch does not bind it")]
        // SAFETY: the stream is the pool's, and the guard is written to and not kept.
        let failed =
            unsafe { (api.enter)(ptr::without_provenance_mut(handle), device, &raw mut guard) };
        (failed == 0).then_some(Entered { api, guard })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        FREE.lock().push(self.place);
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "tch does not bind it")]
        // SAFETY: the guard was made by the thread that drops it, since it is not `Send`, and is
        // dropped once.
        let _failed = unsafe { (self.api.leave)(self.guard) };
    }
}

#[cfg(test)]
#[expect(unsafe_code, reason = "functions as libtorch has them, for a machine without a GPU")]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    static MADE: AtomicUsize = AtomicUsize::new(0);
    /// Where work goes now; 0 is the default stream.
    static CURRENT: AtomicUsize = AtomicUsize::new(0);

    /// Device 7 has no streams.
    unsafe extern "C" fn from_pool(_: bool, device: i32, stream: *mut *mut c_void) -> i32 {
        let number = MADE.fetch_add(1, Ordering::SeqCst) + 1;
        // SAFETY: the caller's own variable.
        unsafe { stream.write(ptr::without_provenance_mut(number)) };
        i32::from(device == 7)
    }

    unsafe extern "C" fn enter(stream: *mut c_void, _: i32, guard: *mut *mut c_void) -> i32 {
        let before = CURRENT.swap(stream.addr(), Ordering::SeqCst);
        // SAFETY: the caller's own variable.
        unsafe { guard.write(ptr::without_provenance_mut(before)) };
        0
    }

    unsafe extern "C" fn leave(guard: *mut c_void) -> i32 {
        CURRENT.store(guard.addr(), Ordering::SeqCst);
        0
    }

    #[test]
    fn each_network_has_its_stream_and_leaves_it_to_the_next() {
        let api = Api { from_pool, enter, leave };
        let current = || CURRENT.load(Ordering::SeqCst);
        let (one, two) = (Stream::new(api, 5).unwrap(), Stream::new(api, 5).unwrap());
        assert_ne!(one.place, two.place);
        let entered = one.enter();
        assert_eq!(current(), one.place.handle);
        drop(two.enter());
        assert_eq!(current(), one.place.handle);
        drop(entered);
        assert_eq!(current(), 0);
        let (place, made) = (one.place, MADE.load(Ordering::SeqCst));
        drop(one);
        assert_eq!(Stream::new(api, 5).unwrap().place, place);
        assert_eq!(MADE.load(Ordering::SeqCst), made);
        assert_eq!(Stream::new(api, 6).unwrap().place.device, 6);
        assert!(Stream::new(api, 7).is_none());
    }

    #[test]
    fn the_processor_has_no_streams() {
        assert!(Stream::of(Device::Cpu).is_none());
    }
}
