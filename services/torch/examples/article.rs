//! Writes a bundle of the article's size with made-up weights, and texts for it:
//! `article DIR [LENGTHS.json]`. Into DIR go `bundle`, `texts.jsonl` (texts of 64 words, or of the
//! lengths in the list), `ids.jsonl` (the same as token ids) and `logits.jsonl` (what libtorch
//! computes of them), so that other servers can be given the same weights and the same work.

use std::{fmt::Write as _, fs, path::Path};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use reeve_classifier::{
    Activation, Architecture, Body, Bundle, Card, Device, LongInput, Parts, Readout,
    TokenizerSettings, Weight, Weights, learn_tokenizer,
};
use reeve_torch::set_threads;

type Fault = Box<dyn std::error::Error + Send + Sync>;

const VOCABULARY: u32 = 20_000;
const TOKENS: u32 = 64;
const TEXTS: usize = 512;

fn main() -> Result<(), Fault> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().ok_or("usage: article DIR [LENGTHS.json]")?;
    let lengths: Vec<usize> = match arguments.next() {
        Some(file) => serde_json::from_slice(&fs::read(file)?)?,
        None => vec![usize::try_from(TOKENS)?],
    };
    set_threads(1);
    let dir = Path::new(&dir);
    let mut random = StdRng::seed_from_u64(1);
    let bundle = Bundle::write(&dir.join("bundle"), parts(&mut random)?)?;
    let classifier = reeve_torch::load(&bundle, Device::Cpu)?;
    let (mut texts, mut ids, mut logits) = (String::new(), String::new(), String::new());
    for length in lengths.iter().cycle().take(TEXTS) {
        let words = (0..*length).map(|_| word(random.random_range(0..VOCABULARY - 8)));
        let text = words.collect::<Vec<_>>().join(" ");
        let encoded = classifier.encode(&text)?;
        writeln!(texts, "{}", serde_json::to_string(&text)?)?;
        writeln!(ids, "{}", serde_json::to_string(&encoded.ids)?)?;
        writeln!(logits, "{}", serde_json::to_string(&classifier.logits(&[&encoded])?)?)?;
    }
    fs::write(dir.join("texts.jsonl"), texts)?;
    fs::write(dir.join("ids.jsonl"), ids)?;
    fs::write(dir.join("logits.jsonl"), logits)?;
    Ok(())
}

/// A word of letters for a number: digits would all be the same to the tokenizer.
fn word(mut number: u32) -> String {
    let mut word = String::from("w");
    for _ in 0..4 {
        word.push(char::from(b'a' + u8::try_from(number % 26).unwrap_or(0)));
        number /= 26;
    }
    word
}

fn parts(random: &mut StdRng) -> Result<Parts, Fault> {
    let words: Vec<String> = (0..VOCABULARY - 8).map(word).collect();
    let tokenizer = learn_tokenizer(words.iter().map(String::as_str), 20_000, 1)?;
    let architecture = Architecture {
        body: Body::Lstm,
        wide: None,
        vocabulary: VOCABULARY,
        embedding: 128,
        hidden: 256,
        layers: 1,
        bidirectional: false,
        classes: 4,
        activation: Activation::None,
        readout: Readout::LastReal,
    };
    let mut weights = Weights::default();
    for (name, shape) in architecture.weights() {
        // As PyTorch begins: N(0, 1) for an embedding is close to a uniform one of the same
        // variance, U(−1/√H, 1/√H) for the rest.
        let range = if name.starts_with("embedding") { 3_f32.sqrt() } else { 1.0 / 16.0 };
        let count = shape.iter().product::<usize>();
        let values = (0..count).map(|_| random.random_range(-range..range)).collect();
        weights.0.insert(name, Weight { shape, values });
    }
    Ok(Parts {
        architecture,
        labels: ["a", "b", "c", "d"].map(str::to_owned).to_vec(),
        settings: TokenizerSettings {
            max_tokens: TOKENS,
            empty_token: "[UNK]".to_owned(),
            long: LongInput::Cut,
        },
        tokenizer,
        weights,
        script: None,
        confidence: None,
        card: Card {
            name: "article".to_owned(),
            version: "1".to_owned(),
            intended_use: "measuring".to_owned(),
            languages: Vec::new(),
            license: "Apache-2.0".to_owned(),
            limits: vec!["its weights are made up".to_owned()],
            risk_class: "minimal".to_owned(),
            generative: false,
            training_data: None,
            metrics: None,
            ..Card::default()
        },
    })
}
