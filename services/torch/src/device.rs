use std::sync::OnceLock;

use libloading::Library;
use reeve_classifier::Device;

/// The CUDA half of libtorch, kept loaded for as long as the process lives.
static CUDA: OnceLock<Option<Library>> = OnceLock::new();

/// The first GPU where libtorch has its CUDA half and finds one, else the CPU.
///
/// This is linked to libtorch's CPU half only, so that one build runs on both kinds of machine;
/// where `libtorch_cuda.so` lies beside it, loading it registers the CUDA backend. That has to
/// happen before libtorch is first asked about CUDA, so call this first.
pub(crate) fn first() -> Device {
    let _loaded = cuda();
    match tch::Device::cuda_if_available() {
        tch::Device::Cuda(number) => Device::Cuda(number),
        _ => Device::Cpu,
    }
}

/// The CUDA half of libtorch, where there is one.
pub(crate) fn cuda() -> Option<&'static Library> {
    let load = || {
        #[expect(
            unsafe_code,
            reason = "loading a library runs its initialisers; libtorch's are \
            those that a linked libtorch_cuda would run"
        )]
        // SAFETY: the library is libtorch's own other half, from the same release and folder.
        let library = unsafe { Library::new("libtorch_cuda.so") };
        library.ok()
    };
    CUDA.get_or_init(load).as_ref()
}

/// As libtorch calls it.
pub(crate) const fn of(device: Device) -> tch::Device {
    match device {
        Device::Cpu => tch::Device::Cpu,
        Device::Cuda(number) => tch::Device::Cuda(number),
    }
}

/// Sets how many threads one operator may use. One, and one worker thread a core, is the fastest
/// on a busy machine: two collapse as soon as another process wants the core. Holds for the thread
/// that says it.
pub fn set_threads(intra: i32) {
    tch::set_num_threads(intra.max(1));
}
