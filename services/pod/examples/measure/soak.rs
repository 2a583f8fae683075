use std::path::Path;

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

use crate::{
    Fault,
    start::{Pod, at_once},
};

const TEXTS: usize = 50;
const CALLERS: usize = 4;
/// After each the memory is looked at.
const PARTS: usize = 10;

pub(crate) fn measure(program: &str, dir: &Path, texts: usize) -> Result<Value, Fault> {
    let pod = Pod::start(program, dir, &["--device", "cpu"])?;
    let warrant = pod.warrant("bench")?;
    let words: Vec<&str> = pod.texts.iter().flat_map(|text| text.split(' ')).collect();
    let mut memory = vec![pod.memory_mb()?];
    for part in 0..PARTS {
        at_once(CALLERS, |caller| {
            let mut random = StdRng::seed_from_u64(u64::try_from(part * CALLERS + caller)?);
            for _ in 0..texts / (PARTS * CALLERS * TEXTS) {
                let mut text = || -> String {
                    let length = random.random_range(0..100);
                    let word = |_| words.get(random.random_range(0..words.len())).copied();
                    (0..length).filter_map(word).collect::<Vec<_>>().join(" ")
                };
                let made: Vec<String> = std::iter::repeat_with(&mut text).take(TEXTS).collect();
                let made: Vec<&str> = made.iter().map(String::as_str).collect();
                pod.ask(&warrant, &made, 1)?;
            }
            Ok(())
        })?;
        memory.push(pod.memory_mb()?);
    }
    Ok(json!({ "texts": texts, "memory_mb": memory }))
}
