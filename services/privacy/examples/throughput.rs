//! How fast texts are searched for all kinds, on one core: bytes a second over mixed text or the
//! lines of a file, and the median for a text of 80 bytes. Prints JSON.
//!
//! `cargo run --release -p reeve-privacy --example throughput -- [SECONDS [FILE]]`
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a bench reads the clock and prints"
)]

use std::{fs, time::Instant};

use reeve_privacy::Detector;

/// Eighty bytes as people write them, with one value.
const SHORT: &str =
    "Hello, please send the invoice of last week to jo.smith@example.com, thank you!!";

/// What people write to a bank or a shop, one text in eight with values.
const MIXED: &str = "\
How do I change the delivery address of an order that has not left your warehouse yet?
I ordered 2 pairs of shoes in size 42 last Tuesday and only one of them has arrived so far.
你好，我上周买的外套颜色和网页上的图片差很多，请问可以换成另外一种颜色吗？
Why was I charged a fee of 3.50 for taking out cash abroad although my plan says it is free?
The app closes whenever I open the page with my statements; I have version 4.2.1 installed.
请问你们周末营业吗？我想带孩子过去看看新到的书，大概下午三点左右到。
Please transfer it to DE89 3704 0044 0532 0130 00 and confirm to jo.smith@example.com today.
It is the second time this month that a parcel was left in front of the door in the rain.
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let seconds: f64 = arguments.next().map_or(Ok(3.0), |text| text.parse())?;
    let text = match arguments.next() {
        Some(file) => fs::read_to_string(file)?,
        None => MIXED.repeat(400),
    };
    let lines: Vec<&str> = text.lines().collect();
    let detector = Detector::new(&Detector::known_kinds());
    let mut rates = Vec::new();
    let mut found = 0;
    let begun = Instant::now();
    while begun.elapsed().as_secs_f64() < seconds {
        let round = Instant::now();
        found = 0;
        for line in &lines {
            found += detector.scan_str(line)?.len();
        }
        let bytes = u32::try_from(text.len()).map_or(f64::MAX, f64::from);
        rates.push(bytes / round.elapsed().as_secs_f64() / 1e6);
    }
    rates.sort_by(f64::total_cmp);
    let plain = "Hello, please send the invoice of last week to the office in town, thank you!!!";
    println!(
        "{}",
        serde_json::json!({
            "megabytes_per_second": rates.get(rates.len() / 2),
            "findings": found,
            "short_text_with_a_value_us": short(&detector, SHORT)?,
            "short_text_us": short(&detector, plain)?,
        })
    );
    Ok(())
}

/// The median time for one text, in microseconds, over runs of a hundred.
fn short(detector: &Detector, text: &str) -> Result<Option<f64>, reeve_privacy::DetectorFailed> {
    let mut times = Vec::with_capacity(2_000);
    for _ in 0..2_000 {
        let run = Instant::now();
        for _ in 0..100 {
            std::hint::black_box(detector.scan_str(std::hint::black_box(text))?);
        }
        times.push(run.elapsed().as_secs_f64() * 1e6 / 100.0);
    }
    times.sort_by(f64::total_cmp);
    Ok(times.get(times.len() / 2).copied())
}
