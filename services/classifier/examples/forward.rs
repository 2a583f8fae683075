//! Measures the bare forward pass, tokenizer included: `forward BUNDLE CORPUS.csv SECONDS WORKERS`.
//! Prints texts a second by batch size as one line of JSON. Each worker is a thread with a network
//! of its own, as in the pod.

use std::{collections::BTreeMap, path::Path, thread, time::Duration};

use reeve_classifier::{Bundle, Classifier, Dataset, Device, set_threads};
use reeve_domain::{Clock as _, SystemClock};

type Fault = Box<dyn std::error::Error + Send + Sync>;

const BATCHES: [usize; 3] = [1, 8, 32];

#[expect(clippy::print_stdout, reason = "the program's output")]
fn main() -> Result<(), Fault> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("usage: forward BUNDLE CORPUS.csv SECONDS WORKERS");
    let bundle = Bundle::open(Path::new(&next()?))?;
    let texts = Dataset::read(Path::new(&next()?))?.examples;
    let texts: Vec<String> = texts.into_iter().map(|example| example.text).collect();
    let time = Duration::from_secs(next()?.parse()?);
    let workers: usize = next()?.parse()?;
    set_threads(1);
    let mut figures = BTreeMap::new();
    for batch in BATCHES {
        let counts: Vec<Result<u32, Fault>> = thread::scope(|scope| {
            let run = || measure(&bundle, &texts, batch, time);
            let threads: Vec<_> = (0..workers).map(|_| scope.spawn(run)).collect();
            let lost = |_| Err(Fault::from("a worker ended"));
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(lost)).collect()
        });
        let texts = counts.into_iter().sum::<Result<u32, Fault>>()?;
        figures.insert(batch.to_string(), f64::from(texts) / time.as_secs_f64());
    }
    println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}

/// How many texts one worker classified within `time`.
fn measure(bundle: &Bundle, texts: &[String], batch: usize, time: Duration) -> Result<u32, Fault> {
    let classifier = Classifier::load(bundle, Device::Cpu)?;
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
    for _ in 0..20 {
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
