//! The crate `redact-core`, its patterns as they come.
//!
//! `find FILE`: for each line (a JSON string) a line of findings.
//! `time SECONDS FILE`: megabytes a second over the lines, and medians for short texts.

use std::{error::Error, fs, hint::black_box, time::Instant};

use redact_core::AnalyzerEngine;
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let file = arguments.last().ok_or("a file is needed")?;
    let texts: Vec<String> =
        fs::read_to_string(file)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let engine = AnalyzerEngine::new();
    if arguments[0] == "find" {
        for text in &texts {
            let points = |at: usize| text[..at].chars().count();
            let found = engine.analyze(text, None)?.detected_entities;
            let findings: Vec<_> = found
                .iter()
                .map(|entity| {
                    json!({
                        "kind": entity.entity_type.as_str(),
                        "start": points(entity.start),
                        "end": points(entity.end),
                        "confidence": entity.score,
                    })
                })
                .collect();
            println!("{}", json!({ "findings": findings }));
        }
        return Ok(());
    }
    let seconds: f64 = arguments[1].parse()?;
    let [plain, with_value, texts @ ..] = texts.as_slice() else { return Err("no texts".into()) };
    let (mut read, begun) = (0, Instant::now());
    for text in texts.iter().cycle() {
        black_box(engine.analyze(black_box(text), None)?);
        read += text.len();
        if begun.elapsed().as_secs_f64() >= seconds {
            break;
        }
    }
    let rate = read as f64 / begun.elapsed().as_secs_f64() / 1e6;
    println!(
        "{}",
        json!({
            "megabytes_per_second": rate,
            "short_text_us": median_us(&engine, plain)?,
            "short_text_with_a_value_us": median_us(&engine, with_value)?,
        })
    );
    Ok(())
}

fn median_us(engine: &AnalyzerEngine, text: &str) -> Result<f64, Box<dyn Error>> {
    let mut times = Vec::new();
    for _ in 0..2_000 {
        let begun = Instant::now();
        black_box(engine.analyze(black_box(text), None)?);
        times.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
