//! What `./x bench privacy` asks of each program that it compares, and the scores of all.
//!
//! * `texts`: the labelled texts, one JSON string a line.
//! * `find FILE`: for each line (a JSON string) a line of findings at whatever confidence.
//! * `time SECONDS FILE`: megabytes a second over the lines on one core, and the medians for the
//!   first two lines, which are short and without and with a value.
//! * `score FILE [MINIMUM]`: how well the findings for `texts` agree with the labels.
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a bench reads the clock, prints, and ends where it cannot go on"
)]

#[path = "../tests/score/mod.rs"]
mod score;

use std::{error::Error, fs, hint::black_box, time::Instant};

use reeve_privacy::{Detector, DetectorFailed};
use score::{Found, Score};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["texts"] => {
            for labelled in score::labelled().ok_or("the labelled data are missing")? {
                println!("{}", json!(labelled.text));
            }
            Ok(())
        }
        ["find", file] => find(&strings(file)?),
        ["time", seconds, file] => time(seconds.parse()?, &strings(file)?),
        ["score", file] => score(&fs::read_to_string(file)?, 0.0),
        ["score", file, minimum] => score(&fs::read_to_string(file)?, minimum.parse()?),
        _ => Err("texts | find FILE | time SECONDS FILE | score FILE [MINIMUM]".into()),
    }
}

fn strings(file: &str) -> Result<Vec<String>, Box<dyn Error>> {
    Ok(fs::read_to_string(file)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

fn find(texts: &[String]) -> Result<(), Box<dyn Error>> {
    let detector = Detector::new(&Detector::known_kinds()).at_least(0.0);
    for text in texts {
        let points = |at: usize| text[..at].chars().count();
        let findings = detector.scan_str(text)?.into_iter().map(|found| {
            json!({
                "kind": found.kind,
                "start": points(found.range.start),
                "end": points(found.range.end),
                "confidence": found.confidence,
            })
        });
        println!("{}", json!({ "findings": findings.collect::<Vec<_>>() }));
    }
    Ok(())
}

fn time(seconds: f64, texts: &[String]) -> Result<(), Box<dyn Error>> {
    let [plain, with_a_value, texts @ ..] = texts else { return Err("texts are missing".into()) };
    let detector = Detector::new(&Detector::known_kinds());
    let (mut read, begun) = (0, Instant::now());
    while begun.elapsed().as_secs_f64() < seconds {
        for text in texts {
            black_box(detector.scan_str(black_box(text))?);
            read += text.len();
        }
    }
    let bytes: f64 = u32::try_from(read / 1_000).map_or(f64::MAX, f64::from) * 1e3;
    println!(
        "{}",
        json!({
            "megabytes_per_second": bytes / begun.elapsed().as_secs_f64() / 1e6,
            "short_text_us": short(&detector, plain)?,
            "short_text_with_a_value_us": short(&detector, with_a_value)?,
        })
    );
    Ok(())
}

/// The median time for one text, in microseconds, over runs of a hundred.
fn short(detector: &Detector, text: &str) -> Result<f64, DetectorFailed> {
    let mut times = Vec::with_capacity(2_000);
    for _ in 0..2_000 {
        let run = Instant::now();
        for _ in 0..100 {
            black_box(detector.scan_str(black_box(text))?);
        }
        times.push(run.elapsed().as_secs_f64() * 1e6 / 100.0);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

fn score(findings: &str, minimum: f64) -> Result<(), Box<dyn Error>> {
    let texts = score::labelled().ok_or("the labelled data are missing")?;
    let mut score = Score::default();
    for (labelled, line) in texts.iter().zip(findings.lines()) {
        let line: Value = serde_json::from_str(line)?;
        let place = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
        let mut found: Vec<Found> = line["findings"]
            .as_array()
            .ok_or("no findings")?
            .iter()
            .filter(|one| one["confidence"].as_f64().unwrap() >= minimum)
            .map(|one| Found {
                kind: one["kind"].as_str().unwrap().to_owned(),
                range: place(&one["start"])..place(&one["end"]),
            })
            .collect();
        found.sort_by_key(|one| one.range.start);
        score.add(labelled, &found);
    }
    let Score { labelled, found, reported, right, cases, exact, .. } = score;
    let share = |part: u32, whole: u32| f64::from(part) / f64::from(whole);
    println!(
        "{}",
        json!({
            "recall": share(found, labelled),
            "precision": share(right, reported),
            "cases_exact": share(exact, cases),
        })
    );
    Ok(())
}
