use std::sync::OnceLock;

use libloading::Library;
pub use tch::Device;

/// The CUDA half of libtorch, kept loaded for as long as the process lives.
static CUDA: OnceLock<Option<Library>> = OnceLock::new();

/// The first GPU where libtorch has its CUDA half and finds one, else the CPU.
///
/// The binary is linked to libtorch's CPU half only, so that one build runs on both kinds of
/// machine; where `libtorch_cuda.so` lies beside it, loading it registers the CUDA backend. That
/// has to happen before libtorch is first asked about CUDA, so call this first.
pub fn device() -> Device {
    CUDA.get_or_init(|| {
        #[expect(
            unsafe_code,
            reason = "loading a library runs its initialisers; libtorch's are \
            those that a linked libtorch_cuda would run"
        )]
        // SAFETY: the library is libtorch's own other half, from the same release and folder.
        let library = unsafe { Library::new("libtorch_cuda.so") };
        library.ok()
    });
    Device::cuda_if_available()
}

/// Sets how many threads one operator may use. One, and one worker thread a core, is the fastest
/// on a busy machine: two collapse as soon as another process wants the core.
pub fn set_threads(intra: i32) {
    tch::set_num_threads(intra.max(1));
}
