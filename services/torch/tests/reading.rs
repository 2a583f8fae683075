//! What becomes of long texts, n-grams beside the network, and explanations.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use reeve_classifier::{
    Attribution, Bundle, Card, Classifier, Dataset, Device, EncodeError, Encoded, ExplainSettings,
    LongInput, Method, Readout, TokenizerKind, Wide,
};
use reeve_torch::{Dropouts, Optimizer, Recipe, WideRecipe, fit};

fn data() -> Dataset {
    let mut csv = String::from("text,label\n");
    for n in 0..40 {
        csv += &format!("where is the parcel {n} of our courier,delivery\n");
        csv += &format!("the invoice {n} shows a wrong amount,billing\n");
        csv += &format!("我的快递{n}还没有到,delivery\n");
        csv += &format!("发票{n}的金额不对,billing\n");
    }
    Dataset::parse(csv.as_bytes()).unwrap()
}

fn recipe() -> Recipe {
    Recipe {
        epochs: 6,
        learning_rate: 0.02,
        optimizer: Optimizer::Adam,
        embedding: 8,
        hidden: 12,
        batch: 16,
        max_tokens: 12,
        vocabulary: 1000,
        ..Recipe::default()
    }
}

const WIDE: WideRecipe = WideRecipe {
    shape: Wide { buckets: 4096, words: 2, characters_from: 3, characters_to: 4, width: 0 },
    least: 1,
    learning_rate: 0.02,
    weight_decay: 0.0,
    own_loss: 0.3,
};

fn bundle(recipe: &Recipe) -> Bundle {
    reeve_torch::set_threads(1);
    let fitted = fit(&data(), recipe, Device::Cpu, |_| ()).unwrap();
    assert!(fitted.metrics.accuracy > 0.9, "{recipe:?}: {}", fitted.metrics.accuracy);
    let card = Card {
        name: "support".to_owned(),
        version: "1".to_owned(),
        risk_class: "minimal".to_owned(),
        metrics: Some(fitted.metrics.clone()),
        ..Card::default()
    };
    let dir = tempfile::tempdir().unwrap();
    Bundle::write(dir.path(), fitted.into_parts(card)).unwrap()
}

fn classifier(recipe: &Recipe) -> Classifier {
    reeve_torch::load(&bundle(recipe), Device::Cpu).unwrap()
}

#[test]
fn a_long_text_is_refused_where_the_bundle_says_so() {
    let encoder = bundle(&Recipe { long: LongInput::Refuse, ..recipe() }).encoder();
    assert_eq!(encoder.encode(&"parcel ".repeat(12)).unwrap().ids.len(), 12);
    let error = encoder.encode(&"parcel ".repeat(13)).unwrap_err();
    assert!(matches!(error, EncodeError::TooLong { tokens: 13, most: 12 }), "{error}");
}

#[test]
fn a_long_text_that_is_split_gets_its_windows_mean_and_no_token_is_lost() {
    let classifier = classifier(&Recipe { long: LongInput::Split { overlap: 4 }, ..recipe() });
    let words = ["where", "is", "the", "parcel", "invoice", "amount", "wrong", "of", "our"];
    let text: Vec<&str> = words.iter().cycle().take(31).copied().collect();
    let encoded = classifier.encode(&text.join(" ")).unwrap();
    let windows: Vec<&Vec<i64>> = [&encoded.ids].into_iter().chain(&encoded.more).collect();
    assert_eq!(windows.iter().map(|w| w.len()).collect::<Vec<_>>(), [12, 12, 12, 12]);
    assert!(!encoded.truncated && encoded.tokens() == 48);
    assert_eq!(windows[0][8..], windows[1][..4]);
    let alone: Vec<Vec<f32>> = windows
        .iter()
        .map(|ids| {
            let window = Encoded { ids: (*ids).clone(), ..Encoded::default() };
            classifier.logits(&[&window]).unwrap().remove(0)
        })
        .collect();
    let short = classifier.encode("where is it").unwrap();
    let together = classifier.logits(&[&short, &encoded, &short]).unwrap();
    for (label, logit) in together[1].iter().enumerate() {
        let mean = alone.iter().map(|row| row[label]).sum::<f32>() / 4.0;
        assert!((mean - logit).abs() < 1e-5, "{mean} {logit}");
    }
    assert_eq!(together[0], together[2]);
}

#[test]
fn every_tokenizer_readout_depth_and_body_learns_with_and_without_n_grams() {
    let dropout = Dropouts { embedding: 0.1, between: 0.1, readout: 0.1, grams: 0.1 };
    let transformer = reeve_torch::BodyKind::Transformer { heads: 2 };
    for changed in [
        Recipe { readout: Readout::Max, bidirectional: true, ..recipe() },
        Recipe { readout: Readout::Mean, layers: 2, dropout, ..recipe() },
        Recipe { tokenizer: TokenizerKind::Character, max_tokens: 64, epochs: 12, ..recipe() },
        Recipe { tokenizer: TokenizerKind::Bpe, ..recipe() },
        Recipe { tokenizer: TokenizerKind::HanWord, ..recipe() },
        Recipe { wide: Some(WIDE), dropout, ..recipe() },
        Recipe {
            wide: Some(WideRecipe { shape: Wide { width: 8, ..WIDE.shape }, ..WIDE }),
            ..recipe()
        },
        Recipe {
            body: transformer,
            readout: Readout::Mean,
            learning_rate: 0.005,
            epochs: 20,
            ..recipe()
        },
        Recipe { precision: reeve_torch::Precision::Mixed, ..recipe() },
        Recipe { class_weights: reeve_torch::ClassWeights::Balanced, patience: 2, ..recipe() },
    ] {
        bundle(&changed);
    }
}

#[test]
fn a_bundle_with_n_grams_answers_as_it_did_when_it_was_trained_in_any_company() {
    let recipe = Recipe { wide: Some(WIDE), ..recipe() };
    let (learned, judged) = data().hold_out(10, recipe.seed).unwrap();
    let training = reeve_torch::Training {
        validation: Some(&judged),
        ..reeve_torch::Training::new(&learned, &recipe, Device::Cpu)
    };
    let fitted = training.run(|_| ()).unwrap();
    let before = fitted.judged.clone();
    let dir = tempfile::tempdir().unwrap();
    let card =
        Card { name: "s".to_owned(), metrics: Some(fitted.metrics.clone()), ..Card::default() };
    let bundle = Bundle::write(dir.path(), fitted.into_parts(card)).unwrap();
    let classifier = reeve_torch::load(&bundle, Device::Cpu).unwrap();
    for (example, (logits, _)) in judged.examples.iter().zip(&before) {
        let alone = classifier.encode(&example.text).unwrap();
        assert!(!alone.grams.is_empty());
        for (a, b) in classifier.logits(&[&alone]).unwrap()[0].iter().zip(logits) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }
    // A text without any n-gram that was seen.
    let nothing = classifier.encode("").unwrap();
    assert!(nothing.grams.is_empty());
    assert_eq!(classifier.logits(&[&nothing]).unwrap()[0].len(), 2);
}

#[test]
fn an_explanation_is_complete_stands_where_its_tokens_do_and_names_what_decides() {
    for recipe in [
        recipe(),
        Recipe { wide: Some(WIDE), ..recipe() },
        Recipe { bidirectional: true, readout: Readout::Max, ..recipe() },
    ] {
        let classifier = classifier(&recipe);
        for (text, words) in [
            ("the invoice shows a wrong amount", "the invoice shows a wrong amount"),
            ("where is the parcel of our courier", "where is the parcel of our courier"),
            ("我的快递还没有到", "我 的 快 递 还 没 有 到"),
        ] {
            for occlusion in [false, true] {
                let settings = ExplainSettings { occlusion, ..ExplainSettings::default() };
                let explanation = classifier.explain(text, None, settings).unwrap();
                let tokens = &explanation.tokens;
                let slice = |token: &Attribution| -> String {
                    text.chars().skip(token.start).take(token.end - token.start).collect()
                };
                assert_eq!(tokens.iter().map(slice).collect::<Vec<_>>().join(" "), words);
                // Without the token that speaks most for it the logit falls further than without
                // the one that speaks least for it.
                let without = |token: &Attribution| {
                    let gone = |at: &usize| (token.start..token.end).contains(at);
                    let kept = text.chars().enumerate().filter(|(at, _)| !gone(at));
                    let kept: String = kept.map(|(_, character)| character).collect();
                    let encoded = classifier.encode(&kept).unwrap();
                    classifier.logits(&[&encoded]).unwrap()[0][explanation.label]
                };
                let most = tokens.iter().max_by(|a, b| a.score.total_cmp(&b.score)).unwrap();
                let least = tokens.iter().min_by(|a, b| a.score.total_cmp(&b.score)).unwrap();
                assert!(without(most) < without(least), "{text}: {explanation:?}");
                if !occlusion {
                    assert_eq!(explanation.method, Method::IntegratedGradients);
                    assert!(explanation.error <= 0.01, "{explanation:?}");
                    let sum: f32 = tokens.iter().map(|token| token.score).sum();
                    let whole = explanation.logit - explanation.baseline;
                    assert!((sum + explanation.rest - whole).abs() <= 0.011 * whole.abs());
                }
            }
        }
        let empty = classifier.explain("", None, ExplainSettings::default()).unwrap();
        assert!(empty.tokens.is_empty());
        classifier.explain("a", Some(2), ExplainSettings::default()).unwrap_err();
    }
}

#[test]
fn an_explanation_costs_no_more_than_was_allowed() {
    let classifier = classifier(&recipe());
    let settings = ExplainSettings { tolerance: 0.0, steps_max: 64, occlusion: false };
    let explanation = classifier.explain("the invoice is wrong", None, settings).unwrap();
    assert_eq!(explanation.steps, 64);
    let long = "invoice ".repeat(500);
    let settings = ExplainSettings { occlusion: true, ..settings };
    assert_eq!(classifier.explain(&long, None, settings).unwrap().tokens.len(), 12);
}
