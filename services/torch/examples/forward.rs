//! Measures the bare forward pass, tokenizer included:
//! `forward BUNDLE TEXTS.jsonl SECONDS WORKERS PRECISION [BATCH]`, with PRECISION one of `fp32`,
//! `bf16`, `int8`, or `libtorch` and `libtorch-bf16` for what PyTorch computes. Prints texts a second
//! by batch size, of several if none is given, as one line of JSON. Each worker is a thread, as in
//! the pod.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc, thread, time::Duration};

use reeve_classifier::{
    Arithmetic, Backend, BackendError, Bundle, Classifier, Device, Engine, Network, Serving, Source,
};
use reeve_domain::{Clock as _, SystemClock};
use reeve_torch::{Torch, set_threads};

type Fault = Box<dyn std::error::Error + Send + Sync>;

const BATCHES: [usize; 5] = [1, 6, 8, 16, 32];

#[expect(clippy::print_stdout, reason = "the program's output")]
fn main() -> Result<(), Fault> {
    const USAGE: &str = "usage: forward BUNDLE TEXTS.jsonl SECONDS WORKERS PRECISION [BATCH]";
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or(USAGE);
    let bundle = Bundle::open(Path::new(&next()?))?;
    let lines = fs::read_to_string(next()?)?;
    let texts = lines.lines().map(serde_json::from_str).collect::<Result<Vec<String>, _>>()?;
    let time = Duration::from_secs(next()?.parse()?);
    let workers: usize = next()?.parse()?;
    set_threads(1);
    let (by_torch, precision) = match next()?.as_str() {
        "libtorch" => (true, Arithmetic::Fp32),
        "libtorch-bf16" => (true, Arithmetic::Bf16),
        "fp32" => (false, Arithmetic::Fp32),
        "bf16" => (false, Arithmetic::Bf16),
        "int8" => (false, Arithmetic::Int8),
        _ => return Err(USAGE.into()),
    };
    let batches = match arguments.next() {
        Some(batch) => vec![batch.parse()?],
        None => BATCHES.to_vec(),
    };
    let serving = Serving { precision: Some(precision), bound: 1.0 };
    let engine = match by_torch {
        false => Some(Engine::load(bundle.clone(), Device::Cpu, serving, Arc::new(Torch))?),
        true => None,
    };
    let mut figures = BTreeMap::new();
    for batch in batches {
        let counts: Vec<Result<u32, Fault>> = thread::scope(|scope| {
            let run = || {
                set_threads(1);
                let classifier = match &engine {
                    Some(engine) => engine.classifier()?,
                    None => Classifier::load(&bundle, Device::Cpu, &TorchIn(precision))?,
                };
                measure(&classifier, &texts, batch, time)
            };
            let threads: Vec<_> = (0..workers).map(|_| scope.spawn(run)).collect();
            let lost = |_| Err(Fault::from("a worker ended"));
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(lost)).collect()
        });
        let texts = counts.into_iter().sum::<Result<u32, Fault>>()?;
        figures.insert(batch, f64::from(texts) / time.as_secs_f64());
    }
    println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}

/// libtorch in one precision, whichever is asked for.
#[derive(Debug)]
struct TorchIn(Arithmetic);

impl Backend for TorchIn {
    fn device(&self) -> Result<Device, BackendError> {
        Torch.device()
    }

    fn network(
        &self,
        source: Source<'_>,
        device: Device,
        _precision: Arithmetic,
    ) -> Result<Box<dyn Network>, BackendError> {
        Torch.network(source, device, self.0)
    }
}

/// How many texts one worker classified within `time`.
fn measure(
    classifier: &Classifier,
    texts: &[String],
    batch: usize,
    time: Duration,
) -> Result<u32, Fault> {
    let mut source = texts.iter().cycle();
    let mut run_once = || -> Result<(), Fault> {
        let encoded: Vec<_> = source
            .by_ref()
            .take(batch)
            .map(|text| classifier.encode(text))
            .collect::<Result<_, _>>()?;
        classifier.logits(&encoded.iter().collect::<Vec<_>>())?;
        Ok(())
    };
    for _ in 0..texts.len().div_ceil(batch) {
        run_once()?;
    }
    let step = u32::try_from(batch)?;
    let clock = SystemClock::default();
    let end = clock.monotonic() + time;
    let mut done = 0;
    while clock.monotonic() < end {
        run_once()?;
        done += step;
    }
    Ok(done)
}
