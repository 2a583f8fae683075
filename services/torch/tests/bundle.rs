//! Training, bundles, and what is refused about them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{fs, path::Path, process::Command};

use proptest::prelude::*;
use reeve_classifier::{
    Activation, Bundle, BundleError, Card, Dataset, DatasetError, Device, Encoded, Parts,
    WeightsError, softmax,
};
use reeve_torch::{Fitted, Loss, Optimizer, Recipe, fit};

fn data() -> Dataset {
    let mut csv = String::from("text,label\n");
    for n in 0..40 {
        csv += &format!("where is parcel {n} of the courier,delivery\n");
        csv += &format!("the invoice {n} shows a wrong amount,billing\n");
        csv += &format!("我的快递{n}还没有到,delivery\n");
        csv += &format!("发票{n}的金额不对,billing\n");
    }
    Dataset::parse(csv.as_bytes()).unwrap()
}

fn recipe(seed: u64) -> Recipe {
    Recipe {
        epochs: 4,
        learning_rate: 0.02,
        optimizer: Optimizer::Adam,
        embedding: 8,
        hidden: 12,
        batch: 16,
        max_tokens: 12,
        vocabulary: 1000,
        unknown_share: 0.05,
        seed,
        ..Recipe::default()
    }
}

fn trained(recipe: &Recipe) -> Fitted {
    reeve_torch::set_threads(1);
    fit(&data(), recipe, Device::Cpu, |_| ()).unwrap()
}

fn parts(fitted: Fitted) -> Parts {
    let card = Card {
        name: "support".to_owned(),
        version: "1.0.0".to_owned(),
        intended_use: "a test".to_owned(),
        languages: vec!["en".to_owned(), "zh".to_owned()],
        license: "Apache-2.0".to_owned(),
        limits: Vec::new(),
        risk_class: "minimal".to_owned(),
        generative: false,
        training_data: None,
        metrics: Some(fitted.metrics.clone()),
        ..Card::default()
    };
    fitted.into_parts(card)
}

fn write(dir: &Path) -> Bundle {
    Bundle::write(dir, parts(trained(&recipe(1)))).unwrap()
}

#[test]
fn every_loss_optimiser_and_activation_learns_two_languages() {
    for (optimizer, learning_rate) in [
        (Optimizer::Sgd, 3.0),
        (Optimizer::Momentum, 0.3),
        (Optimizer::Nesterov, 0.3),
        (Optimizer::Adam, 0.02),
        (Optimizer::Adamw, 0.02),
    ] {
        for loss in [Loss::CrossEntropy, Loss::Mse] {
            for activation in [Activation::None, Activation::Tanh, Activation::Relu] {
                let what = format!("{optimizer:?} {loss:?} {activation:?}");
                let recipe =
                    Recipe { optimizer, learning_rate, loss, activation, epochs: 8, ..recipe(1) };
                let accuracy = trained(&recipe).metrics.accuracy;
                assert!(accuracy > 0.9, "{what}: {accuracy}");
            }
        }
    }
}

#[test]
fn a_seed_gives_the_same_weights_bit_for_bit_and_another_seed_others() {
    let (first, second) = (trained(&recipe(1)), trained(&recipe(1)));
    assert_eq!(first.weights, second.weights);
    assert_eq!(first.tokenizer, second.tokenizer);
    assert_ne!(first.weights, trained(&recipe(2)).weights);
}

#[test]
fn writing_and_opening_changes_no_bit_and_no_digest() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let parts = parts(trained(&recipe(1)));
    let bundle = Bundle::write(first.path(), parts.clone()).unwrap();
    assert_eq!(bundle.weights(), &parts.weights);
    assert_eq!(bundle.labels(), ["billing", "delivery"]);
    assert_eq!(Bundle::write(second.path(), parts).unwrap().digest(), bundle.digest());
    bundle.digest().parse::<reeve_domain::Digest>().unwrap();
}

#[test]
fn the_digest_is_what_coreutils_say() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = write(dir.path());
    let script = "sha256sum bundle.json card.json tokenizer.json weights.safetensors | sha256sum";
    let output = Command::new("sh").args(["-c", script]).current_dir(dir.path()).output().unwrap();
    let digits: String = String::from_utf8(output.stdout).unwrap().chars().take(64).collect();
    assert_eq!(bundle.digest(), format!("sha256:{digits}"));
}

#[test]
fn a_changed_file_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let digest = write(dir.path()).digest().to_owned();
    for file in ["card.json", "tokenizer.json", "weights.safetensors"] {
        let path = dir.path().join(file);
        let whole = fs::read(&path).unwrap();
        let mut changed = whole.clone();
        let last = changed.len() - 2;
        changed[last] ^= 1;
        fs::write(&path, changed).unwrap();
        let error = Bundle::open(dir.path()).unwrap_err();
        assert!(
            matches!(error, BundleError::DigestMismatch { file: found, .. } if found == file),
            "{error}"
        );
        fs::remove_file(&path).unwrap();
        assert!(matches!(Bundle::open(dir.path()), Err(BundleError::Io { .. })));
        fs::write(&path, whole).unwrap();
    }
    // A changed bundle.json that is consistent in itself is another bundle, with another digest.
    let path = dir.path().join("bundle.json");
    let manifest = fs::read_to_string(&path).unwrap();
    fs::write(&path, manifest.replace("\"max_tokens\": 12", "\"max_tokens\": 11")).unwrap();
    assert_ne!(Bundle::open(dir.path()).unwrap().digest(), digest);
    fs::write(&path, manifest.replace("\"format\": 1", "\"format\": 2")).unwrap();
    assert!(matches!(Bundle::open(dir.path()), Err(BundleError::Format(2))));
}

#[test]
fn parts_that_do_not_fit_make_no_bundle() {
    let dir = tempfile::tempdir().unwrap();
    let good = parts(trained(&recipe(1)));
    let mut wrong = good.clone();
    wrong.architecture.hidden += 1;
    let error = Bundle::write(dir.path(), wrong).unwrap_err();
    assert!(matches!(error, BundleError::Weights(WeightsError::Shape { .. })), "{error}");
    let mut wrong = good.clone();
    wrong.weights.0.remove("fc.bias");
    let error = Bundle::write(dir.path(), wrong).unwrap_err();
    assert!(matches!(error, BundleError::Weights(WeightsError::Names { .. })), "{error}");
    let mut wrong = good.clone();
    wrong.weights.0.get_mut("fc.bias").unwrap().values[0] = f32::NAN;
    let error = Bundle::write(dir.path(), wrong).unwrap_err();
    assert!(matches!(error, BundleError::Weights(WeightsError::NotFinite(_))), "{error}");
    let mut wrong = good.clone();
    wrong.labels.push("third".to_owned());
    let error = Bundle::write(dir.path(), wrong).unwrap_err();
    assert!(matches!(error, BundleError::Inconsistent(_)), "{error}");
    let mut wrong = good;
    wrong.settings.empty_token = "[NOTHING]".to_owned();
    let error = Bundle::write(dir.path(), wrong).unwrap_err();
    assert!(matches!(error, BundleError::Tokenizer(_)), "{error}");
}

#[test]
fn texts_of_any_kind_get_finite_logits_that_their_company_does_not_change() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = write(dir.path());
    let classifier = reeve_torch::load(&bundle, Device::Cpu).unwrap();
    let encoder = bundle.encoder();
    for empty in ["", " ", "\n\t", "\u{3000}"] {
        let encoded = encoder.encode(empty).unwrap();
        assert_eq!((encoded.ids.len(), encoded.truncated), (1, false), "{empty:?}");
    }
    let text = prop_oneof![
        any::<String>(),
        Just(String::new()),
        "[a-z ]{0,80}",
        "[我的快递发票不对]{1,20}",
    ];
    let texts = prop::collection::vec(text, 1..12);
    proptest!(ProptestConfig::with_cases(64), |(texts in texts)| {
        let rows: Vec<Encoded> = texts.iter().map(|t| encoder.encode(t).unwrap()).collect();
        let batch: Vec<&Encoded> = rows.iter().collect();
        let together = classifier.logits(&batch).unwrap();
        for (row, together) in batch.iter().zip(together) {
            prop_assert!((1..=12).contains(&row.ids.len()));
            let alone = classifier.logits(&[row]).unwrap().remove(0);
            for (alone, together) in alone.iter().zip(&together) {
                prop_assert!((alone - together).abs() < 1e-5);
            }
            let sum: f32 = softmax(&together).iter().sum();
            prop_assert!((sum - 1.0).abs() < 1e-5);
        }
    });
}

#[test]
fn tokens_are_words_han_characters_and_redacted_kinds() {
    let texts = ["Where is it, [EMAIL_ADDRESS]? 我的快递", "where is it 我的快递 1234"];
    let json = reeve_classifier::learn_tokenizer(texts.into_iter(), 1000, 1).unwrap();
    let tokenizer = tokenizers::Tokenizer::from_bytes(json).unwrap();
    let tokens = |text: &str| tokenizer.encode(text, true).unwrap().get_tokens().to_vec();
    assert_eq!(
        tokens("WHERE我的[EMAIL_ADDRESS]快９８７６ never"),
        ["where", "我", "的", "[EMAIL_ADDRESS]", "快", "0000", "[UNK]"]
    );
}

#[test]
fn long_texts_are_cut_and_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let encoder = write(dir.path()).encoder();
    let long = encoder.encode(&"parcel ".repeat(13)).unwrap();
    assert_eq!((long.ids.len(), long.truncated), (12, true));
    let fits = encoder.encode(&"parcel ".repeat(12)).unwrap();
    assert_eq!((fits.ids.len(), fits.truncated), (12, false));
}

#[test]
fn bad_rows_are_named_with_their_line() {
    let csv = "text,label\na,b\nonly text\n\"two\nlines\",c\nd,e,f\ng,\n";
    let error = Dataset::parse(csv.as_bytes()).unwrap_err();
    assert!(matches!(error, DatasetError::Rows { count: 3, .. }), "{error}");
    let error = error.to_string();
    for line in ["line 3: 1 fields", "line 6: 3 fields", "line 7: no label"] {
        assert!(error.contains(line), "{line} in {error}");
    }
    let error = Dataset::parse(b"message,class\na,b\n").unwrap_err();
    assert!(matches!(error, DatasetError::Header { .. }), "{error}");
}
