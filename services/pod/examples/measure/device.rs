use std::{fs, path::Path, time::Duration};

use reeve_classifier::softmax;
use reeve_domain::Clock as _;
use serde_json::{Value, json};

use crate::{
    Fault,
    start::{Pod, at_once},
};

pub(crate) fn measure(
    program: &str,
    dir: &Path,
    (device, precision): (&str, &str),
    time: Duration,
) -> Result<Value, Fault> {
    let arguments = ["--device", device, "--precision", precision, "--queue", "16384"];
    let bound = ["--precision-bound", "0.05"];
    let pod = Pod::start(program, dir, &[&arguments[..], &bound].concat())?;
    let warrant = pod.warrant("bench")?;
    let (largest, changed) = compare(&pod, &warrant, dir)?;
    let mut rates = serde_json::Map::new();
    for (callers, texts) in [(1, 1), (32, 1), (256, 1), (8, 64), (32, 256)] {
        let rate = rate(&pod, &warrant, (callers, texts), time)?;
        rates.insert(format!("{callers} callers, {texts} texts a call"), json!(rate.round()));
    }
    let metadata = pod.agent.get(format!("http://{}/v2/models/article", pod.address)).call()?;
    let metadata: Value = metadata.into_body().read_json()?;
    Ok(json!({
        "device": device, "precision": precision,
        "largest_difference_of_a_probability": largest, "changed_labels": changed,
        "served": metadata.pointer("/parameters/precision"),
        "self_test": metadata.pointer("/parameters/precision_difference"),
        "texts_per_second": rates,
    }))
}

/// The largest difference from the CPU's probabilities, and how many texts have another label.
fn compare(pod: &Pod, warrant: &str, dir: &Path) -> Result<(f32, usize), Fault> {
    let logits = fs::read_to_string(dir.join("logits.jsonl"))?;
    let (mut largest, mut changed) = (0.0_f32, 0);
    let mut lines = logits.lines();
    for texts in pod.texts.chunks(64) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        for labels in pod.ask(warrant, &texts, 4)?.results {
            let [row]: [Vec<f32>; 1] = serde_json::from_str(lines.next().ok_or("no logits")?)?;
            let expected = softmax(&row);
            let of = |label: &str| ["a", "b", "c", "d"].iter().position(|other| *other == label);
            for (label, score) in &labels {
                let expected = of(label).and_then(|index| expected.get(index)).ok_or("a label")?;
                largest = largest.max((expected - score).abs());
            }
            let best = expected.iter().copied().fold(0.0, f32::max);
            let first = labels.first().and_then(|(label, _)| of(label));
            let same = first.and_then(|index| expected.get(index)).is_some_and(|p| *p >= best);
            changed += usize::from(!same);
        }
    }
    Ok((largest, changed))
}

/// Texts a second.
fn rate(
    pod: &Pod,
    warrant: &str,
    (callers, texts): (usize, usize),
    time: Duration,
) -> Result<f64, Fault> {
    let end = pod.clock.monotonic() + time;
    let counts = at_once(callers, |number| {
        let mut source = pod.texts.iter().cycle().skip(number * 7);
        let mut done = 0;
        while pod.clock.monotonic() < end {
            let some: Vec<&str> = source.by_ref().take(texts).map(String::as_str).collect();
            done += u32::try_from(pod.ask(warrant, &some, 1)?.results.len())?;
        }
        Ok(done)
    })?;
    Ok(f64::from(counts.into_iter().sum::<u32>()) / time.as_secs_f64())
}
