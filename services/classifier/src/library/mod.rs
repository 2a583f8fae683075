//! libtorch, loaded when something needs it.
//!
//! Linking it costs a process some 170 ms at its start and some 100 MB for as long as it lives, and
//! what most pods serve needs it for nothing. So what computes with it is a library of its own
//! (`reeve-torch` as `libreeve_torch.so`), which exports one function and understands messages.

pub mod message;

use std::{
    ffi::{CStr, c_char, c_void},
    path::{Path, PathBuf},
    slice,
};

use parking_lot::Mutex;

use self::message::{Answer, Call, Request, SourceBytes};
use crate::{
    Arithmetic, Backend, BackendError, Device, Encoded, ExplainSettings, Integral, Network, Source,
};

/// The library's path, and itself once it was needed.
#[derive(Debug)]
pub struct Library {
    path: PathBuf,
    opened: Mutex<Option<Opened>>,
}

/// Loaded, and never unloaded: libtorch cannot be.
#[derive(Debug, Clone, Copy)]
struct Opened {
    call: Call,
}

impl Library {
    /// A library that is looked for at `path` when it is needed.
    pub const fn new(path: PathBuf) -> Self {
        Self { path, opened: Mutex::new(None) }
    }

    /// What the file is called on this system.
    pub fn file_name() -> PathBuf {
        libloading::library_filename("reeve_torch").into()
    }

    fn opened(&self) -> Result<Opened, BackendError> {
        let mut opened = self.opened.lock();
        if let Some(opened) = *opened {
            return Ok(opened);
        }
        let library = open(&self.path)
            .map_err(|why| BackendError(format!("`{}`: {why}", self.path.display())))?;
        Ok(*opened.insert(library))
    }
}

fn open(path: &Path) -> Result<Opened, String> {
    let said = |error: libloading::Error| error.to_string();
    #[expect(
        unsafe_code,
        reason = "a library's initialisers run when it is loaded, and what it exports is taken at \
                  its word"
    )]
    // SAFETY: the operator names the file. Its initialisers are libtorch's. Its release is read
    // before anything is called; what has a variable of that name ends it with a zero.
    unsafe {
        let library = libloading::Library::new(path).map_err(said)?;
        let release = library.get::<*const c_char>(message::RELEASE).map_err(said)?;
        if CStr::from_ptr(*release).to_bytes_with_nul() != message::release() {
            return Err("it is of another release".to_owned());
        }
        let call = *library.get::<Call>(message::CALL).map_err(said)?;
        // Its code stays where it is for as long as the process lives.
        std::mem::forget(library);
        Ok(Opened { call })
    }
}

impl Opened {
    fn ask(self, request: &Request) -> Result<Answer, BackendError> {
        let request = message::to_bytes(request)?;
        let mut answer: Vec<u8> = Vec::new();
        #[expect(unsafe_code, reason = "the library is behind a C interface")]
        // SAFETY: `call` is `message::Call` of this release: it reads as many bytes as it is told,
        // and calls `take` with the context, which is `answer`, before it returns.
        unsafe {
            (self.call)(
                request.as_ptr(),
                request.len(),
                take,
                std::ptr::from_mut(&mut answer).cast(),
            );
        }
        message::from_bytes::<Result<Answer, String>>(&answer)?.map_err(BackendError)
    }
}

/// Copies an answer into the [`Vec`] that `context` is.
#[expect(unsafe_code, reason = "the library is behind a C interface")]
unsafe extern "C" fn take(context: *mut c_void, answer: *const u8, length: usize) {
    // SAFETY: called by the library during a call, with that call's context and bytes of its own.
    let (into, answer) =
        unsafe { (&mut *context.cast::<Vec<u8>>(), slice::from_raw_parts(answer, length)) };
    into.extend_from_slice(answer);
}

fn unexpected(answer: &Answer) -> BackendError {
    BackendError(format!("the library answered something else: {answer:?}"))
}

impl Backend for Library {
    fn device(&self) -> Result<Device, BackendError> {
        match self.opened()?.ask(&Request::Device)? {
            Answer::Device(device) => Ok(device),
            other => Err(unexpected(&other)),
        }
    }

    fn network(
        &self,
        source: Source<'_>,
        device: Device,
        precision: Arithmetic,
    ) -> Result<Box<dyn Network>, BackendError> {
        let library = self.opened()?;
        let request = Request::Network { source: SourceBytes::of(source)?, device, precision };
        match library.ask(&request)? {
            Answer::Network(number) => Ok(Box::new(Remote { library, number })),
            other => Err(unexpected(&other)),
        }
    }
}

/// A network in the library.
#[derive(Debug)]
struct Remote {
    library: Opened,
    number: u64,
}

impl Network for Remote {
    fn answers(&self, texts: &[&Encoded]) -> Result<Vec<Vec<f32>>, BackendError> {
        let texts = texts.iter().map(|&text| text.clone()).collect();
        match self.library.ask(&Request::Answers { network: self.number, texts })? {
            Answer::Answers(rows) => Ok(rows),
            other => Err(unexpected(&other)),
        }
    }

    fn integrate(
        &self,
        text: &Encoded,
        label: usize,
        settings: ExplainSettings,
    ) -> Result<Option<Integral>, BackendError> {
        let text = text.clone();
        let request = Request::Integrate { network: self.number, text, label, settings };
        match self.library.ask(&request)? {
            Answer::Integrate(found) => Ok(found),
            other => Err(unexpected(&other)),
        }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // Nobody is left to be told of an error.
        drop(self.library.ask(&Request::Drop { network: self.number }));
    }
}
