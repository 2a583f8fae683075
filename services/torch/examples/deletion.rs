//! Whether explanations name what decides: how far the label's probability falls when the tokens
//! that speak most for it are deleted, beside as many random ones.
//! `deletion BUNDLE CORPUS.csv TEXTS DELETED` prints means over the texts as one line of JSON, by
//! method.

use std::{collections::BTreeMap, ops::Range, path::Path};

use rand::{SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use reeve_classifier::{Bundle, Dataset, Device, ExplainSettings};
use reeve_torch::set_threads;
use serde_json::json;

type Fault = Box<dyn std::error::Error>;

/// Random deletions of each text, to take the mean of.
const DRAWS: u16 = 10;

#[expect(clippy::print_stdout, reason = "the program's output")]
fn main() -> Result<(), Fault> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("usage: deletion BUNDLE CORPUS.csv TEXTS DELETED");
    let bundle = Bundle::open(Path::new(&next()?))?;
    let mut texts = Dataset::read(Path::new(&next()?))?.examples;
    let (count, deleted): (usize, usize) = (next()?.parse()?, next()?.parse()?);
    set_threads(1);
    let classifier = reeve_torch::load(&bundle, Device::Cpu)?;
    let mut random = StdRng::seed_from_u64(1);
    texts.shuffle(&mut random);
    let mut figures = BTreeMap::new();
    for (method, occlusion) in [("integrated-gradients", false), ("occlusion", true)] {
        let settings = ExplainSettings { occlusion, ..ExplainSettings::default() };
        let (mut judged, mut top_fall, mut random_fall) = (0_u32, 0.0, 0.0);
        let (mut error, mut steps) = (0.0, 0);
        for example in &texts {
            if usize::try_from(judged)? == count {
                break;
            }
            let explanation = classifier.explain(&example.text, None, settings)?;
            if explanation.tokens.len() <= deleted * 2 {
                continue;
            }
            judged += 1;
            error += explanation.error;
            steps += explanation.steps;
            let score = |text: &str| -> Result<f32, Fault> {
                let logits = classifier.logits(&[&classifier.encode(text)?])?.remove(0);
                Ok(classifier.answer(&logits).scores.get(explanation.label).copied().unwrap_or(0.0))
            };
            let before = score(&example.text)?;
            let mut tokens = explanation.tokens.clone();
            tokens.sort_by(|a, b| b.score.total_cmp(&a.score));
            let mut places: Vec<Range<usize>> = tokens.iter().map(|t| t.start..t.end).collect();
            let without = |places: &[Range<usize>]| -> String {
                let gone = |at: usize| places.iter().take(deleted).any(|p| p.contains(&at));
                let kept = example.text.chars().enumerate().filter(|(at, _)| !gone(*at));
                kept.map(|(_, character)| character).collect()
            };
            top_fall += before - score(&without(&places))?;
            for _ in 0..DRAWS {
                places.shuffle(&mut random);
                random_fall += (before - score(&without(&places))?) / f32::from(DRAWS);
            }
        }
        let mean = |sum: f32| f64::from(sum) / f64::from(judged.max(1));
        figures.insert(
            method,
            json!({
                "texts": judged,
                "fall_without_top": mean(top_fall),
                "fall_without_random": mean(random_fall),
                "completeness_error": mean(error),
                "steps": f64::from(steps) / f64::from(judged.max(1)),
            }),
        );
    }
    println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}
