use std::sync::Arc;

#[cfg(target_arch = "x86_64")]
use crate::native::{Instructions, Native};
use crate::{
    Arithmetic, Backend, BackendError, Body, Bundle, Classifier, Device, Encoded, ForwardError,
    LoadError, Plain, SelfTest, Serving, softmax,
};

/// A bundle that is served on one device: what its workers share, and what each of them gets.
#[derive(Debug)]
pub struct Engine {
    bundle: Bundle,
    device: Device,
    backend: Arc<dyn Backend>,
    test: SelfTest,
    #[cfg(target_arch = "x86_64")]
    native: Option<Arc<Native>>,
}

impl Engine {
    /// Puts a bundle on a device and holds what it computes there against fp32 on the CPU, an LSTM
    /// computed plainly, others by the backend. Who leaves the precision to us gets bf16 where that
    /// is native and close enough. An LSTM on the CPU asks the backend for nothing where the
    /// processor has AVX2.
    pub fn load(
        bundle: Bundle,
        device: Device,
        serving: Serving,
        backend: Arc<dyn Backend>,
    ) -> Result<Self, LoadError> {
        if let Some(precision) = serving.precision {
            return Self::with(bundle, device, precision, serving.bound, backend);
        }
        if multiplies_bf16(&bundle, device) {
            let bf16 = Arithmetic::Bf16;
            match Self::with(bundle.clone(), device, bf16, serving.bound, backend.clone()) {
                Err(LoadError::Differs { .. }) => {}
                other => return other,
            }
        }
        Self::with(bundle, device, Arithmetic::Fp32, serving.bound, backend)
    }

    fn with(
        bundle: Bundle,
        device: Device,
        precision: Arithmetic,
        bound: f32,
        backend: Arc<dyn Backend>,
    ) -> Result<Self, LoadError> {
        let mut engine = Self {
            device,
            backend,
            test: SelfTest {
                precision,
                native: false,
                rows: 0,
                logits: 0.0,
                difference: 0.0,
                changed: 0,
            },
            #[cfg(target_arch = "x86_64")]
            native: None,
            bundle,
        };
        #[cfg(target_arch = "x86_64")]
        if device == Device::Cpu {
            let (architecture, weights) = (engine.bundle.architecture(), engine.bundle.weights());
            engine.native = Native::new(architecture, weights, precision).map(Arc::new);
            engine.test.native = engine.native.is_some();
        }
        if precision == Arithmetic::Int8 && !engine.test.native {
            return Err(LoadError::Precision(precision));
        }
        let trusted = precision == Arithmetic::Fp32 && !engine.test.native && device == Device::Cpu;
        if !trusted {
            engine.compare()?;
        }
        // Nothing may be answered that a NaN hides in.
        let SelfTest { difference, .. } = engine.test;
        if difference.is_nan() || difference > bound {
            return Err(LoadError::Differs { precision, difference, bound });
        }
        Ok(engine)
    }

    /// What it was found to compute.
    pub const fn test(&self) -> &SelfTest {
        &self.test
    }

    /// Whether the rows of a batch are padded to the longest.
    pub const fn pads(&self) -> bool {
        !self.test.native
    }

    /// The network for one worker.
    pub fn classifier(&self) -> Result<Classifier, LoadError> {
        #[cfg(target_arch = "x86_64")]
        if let Some(native) = &self.native {
            return Ok(Classifier::native(&self.bundle, native.clone()));
        }
        Classifier::in_precision(&self.bundle, self.device, self.test.precision, &*self.backend)
    }

    /// The network to explain with: by the backend, which has gradients, and in fp32, whatever it
    /// is served in.
    pub fn explaining(&self) -> Result<Classifier, LoadError> {
        Classifier::load(&self.bundle, self.device, &*self.backend)
    }

    /// What that one takes of memory.
    pub fn explaining_bytes(&self) -> u64 {
        u64::try_from(self.bundle.weights().bytes()).unwrap_or(u64::MAX)
    }

    /// What it is reckoned to take of memory with so many workers.
    pub fn bytes(&self, workers: usize) -> u64 {
        #[cfg(target_arch = "x86_64")]
        if let Some(native) = &self.native {
            let parameters = self.bundle.weights().bytes();
            return u64::try_from(native.bytes().saturating_add(parameters)).unwrap_or(u64::MAX);
        }
        reckon_copies(&self.bundle, self.device, workers)
    }

    /// What a bundle would take at most, reckoned before it is loaded.
    pub fn reckon(bundle: &Bundle, device: Device, workers: usize) -> u64 {
        #[cfg(target_arch = "x86_64")]
        if device == Device::Cpu
            && Instructions::best(Arithmetic::Fp32).is_some()
            && bundle.architecture().body == Body::Lstm
        {
            let architecture = bundle.architecture();
            let directions = if architecture.bidirectional { 2 } else { 1 };
            let table = u64::from(architecture.vocabulary)
                .saturating_mul(u64::from(architecture.hidden))
                .saturating_mul(16 * directions);
            let parameters = u64::try_from(bundle.weights().bytes()).unwrap_or(u64::MAX);
            return parameters.saturating_mul(2).saturating_add(table);
        }
        reckon_copies(bundle, device, workers)
    }

    /// The first passes allocate and choose kernels: they are made here, and not for a caller.
    pub fn warm_up(&self, classifier: &Classifier, most: usize) -> Result<(), ForwardError> {
        if self.test.native {
            let short = Encoded { ids: vec![0; 2], ..Encoded::default() };
            return classifier.logits(&[&short]).map(drop);
        }
        let tokens = usize::try_from(self.bundle.max_tokens()).unwrap_or(1);
        let of = |length: usize| Encoded { ids: vec![0; length], ..Encoded::default() };
        let (short, long) = (of(2.min(tokens)), of(tokens));
        let mut size = 1;
        while size <= most.min(64) {
            classifier.logits(&vec![&short; size])?;
            classifier.logits(&vec![&long; size])?;
            size = size.saturating_mul(2);
        }
        Ok(())
    }

    /// Compares the logits of made-up texts of several lengths with those in fp32 on the CPU.
    fn compare(&mut self) -> Result<(), LoadError> {
        let failed = |error: ForwardError| LoadError::Device(BackendError(error.to_string()));
        let texts = samples(self.bundle.architecture().vocabulary, self.bundle.max_tokens());
        let texts: Vec<&Encoded> = texts.iter().collect();
        let expected = match Plain::new(self.bundle.architecture(), self.bundle.weights()) {
            Some(plain) => texts.iter().map(|text| plain.logits(text)).collect(),
            None => {
                let reference = Classifier::load(&self.bundle, Device::Cpu, &*self.backend)?;
                reference.logits(&texts).map_err(failed)?
            }
        };
        let found = self.classifier()?.logits(&texts).map_err(failed)?;
        let classes = self.bundle.labels().len().max(1);
        let rows = expected.iter().zip(&found);
        let rows = rows.flat_map(|(left, right)| left.chunks(classes).zip(right.chunks(classes)));
        let test = &mut self.test;
        for (expected, found) in rows {
            let largest = |left: &[f32], right: &[f32]| {
                let apart = left.iter().zip(right).map(|(left, right)| (left - right).abs());
                apart
                    .fold(0.0, |most: f32, one| if one > most || one.is_nan() { one } else { most })
            };
            test.rows = test.rows.saturating_add(1);
            test.logits = test.logits.max(largest(expected, found));
            let apart = largest(&softmax(expected), &softmax(found));
            test.difference = if apart.is_nan() { apart } else { test.difference.max(apart) };
            let changed = best(expected) != best(found);
            test.changed = test.changed.saturating_add(usize::from(changed));
        }
        Ok(())
    }
}

/// Whether a network like this is faster in bf16 here.
fn multiplies_bf16(bundle: &Bundle, device: Device) -> bool {
    let body = bundle.architecture().body;
    #[cfg(target_arch = "x86_64")]
    if device == Device::Cpu {
        let fast = [Some(Instructions::Avx512), Some(Instructions::Avx512Fp16)];
        return body == Body::Lstm && fast.contains(&Instructions::best(Arithmetic::Bf16));
    }
    device.is_cuda() && body != Body::Script
}

fn reckon_copies(bundle: &Bundle, device: Device, workers: usize) -> u64 {
    let copies = if device == Device::Cpu { workers.saturating_add(1) } else { workers };
    u64::try_from(bundle.weights().bytes().saturating_mul(copies)).unwrap_or(u64::MAX)
}

fn best(row: &[f32]) -> Option<usize> {
    row.iter().enumerate().max_by(|left, right| left.1.total_cmp(right.1)).map(|(index, _)| index)
}

/// Texts of tokens all over the vocabulary, of lengths from 1 to the longest: always the same.
fn samples(vocabulary: u32, most: u32) -> Vec<Encoded> {
    const LONGEST: u32 = 64;
    let most = most.clamp(1, LONGEST);
    let mut state = 0x2545_f491_u32;
    let mut random = || {
        // Xorshift (Marsaglia, 2003).
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    let lengths = [1, 2, 3, 5, 8, 13, 21, 34, 55, 64, 7, 11, 17, 26, 40, 48];
    let mut texts = Vec::with_capacity(lengths.len());
    for length in lengths {
        let length = usize::try_from(length.min(most)).unwrap_or(1);
        let ids = (0..length).map(|_| i64::from(random() % vocabulary.max(1))).collect();
        texts.push(Encoded { ids, ..Encoded::default() });
    }
    texts
}
