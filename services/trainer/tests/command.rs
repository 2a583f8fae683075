//! The command itself, from a sample corpus to a judged bundle.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

fn train(dir: &Path, arguments: &[&str]) -> Output {
    // No LD_LIBRARY_PATH: the binary finds libtorch by itself.
    Command::new(env!("CARGO_BIN_EXE_reeve-train"))
        .args(arguments)
        .current_dir(dir)
        .env_remove("LD_LIBRARY_PATH")
        .output()
        .unwrap()
}

fn succeed(dir: &Path, arguments: &[&str]) -> (String, String) {
    let output = train(dir, arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, errors) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{arguments:?}: {errors}");
    (out, errors)
}

#[test]
fn the_sample_trains_well_in_seconds_and_redaction_does_not_hurt() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    succeed(dir, &["sample", "--out", "sample.csv"]);
    let (_, progress) = succeed(dir, &["fit", "--data", "sample.csv", "--out", "model"]);
    assert!(progress.contains("texts/s") && progress.contains("s left"), "{progress}");

    succeed(dir, &["sample", "--out", "other.csv", "--seed", "2"]);
    let judge = ["evaluate", "--bundle", "model", "--data", "other.csv", "--json"];
    let (json, _) = succeed(dir, &judge);
    let metrics: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(metrics["accuracy"].as_f64().unwrap() > 0.95, "{json}");
    assert!(metrics["macro_f1"].as_f64().unwrap() > 0.95, "{json}");
    assert_eq!(metrics["labels"].as_object().unwrap().len(), 7);

    for (label, texts) in [
        ("delivery", ["My parcel never arrived, write to <>", "我的快递还没到，邮箱<>"]),
        ("refund", ["I want my money back for the headphones. Answer me: <>", "请退款，邮箱<>"]),
    ] {
        for text in texts {
            for value in ["anna.smith@example.com", "[EMAIL_ADDRESS]"] {
                let text = text.replace("<>", value);
                let (line, _) = succeed(dir, &["classify", "--bundle", "model", &text]);
                assert!(line.starts_with(label), "{label}: {line}");
            }
        }
    }
    succeed(dir, &["classify", "--bundle", "model", ""]);
}

#[test]
fn a_killed_training_is_resumed_and_comes_to_the_same_bundle() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    succeed(dir, &["sample", "--out", "sample.csv"]);
    let fit = "fit --data sample.csv --no-baseline --epochs 4 --wide-buckets 4096 \
               --readout-dropout 0.2 --optimizer adam --patience 3 --checkpoint-every 20";
    let with = |more: &[&'static str]| -> Vec<&str> {
        fit.split_ascii_whitespace().chain(more.iter().copied()).collect()
    };
    let (whole, _) = succeed(dir, &with(&["--out", "whole"]));
    let digest = |said: &str| said.lines().last().unwrap().to_owned();

    let mut child = Command::new(env!("CARGO_BIN_EXE_reeve-train"))
        .args(with(&["--out", "killed"]))
        .current_dir(dir)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let state = dir.join("killed.training/state.json");
    // In the middle of the second epoch or later.
    let far_enough = || {
        let state: Option<serde_json::Value> =
            fs::read(&state).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        state.is_some_and(|state| {
            state["standing"]["epochs"].as_u64() >= Some(1)
                && state["standing"]["batches"].as_u64() > Some(0)
        })
    };
    while !far_enough() {
        assert!(child.try_wait().unwrap().is_none(), "it was over before it could be killed");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!dir.join("killed").exists());

    // With another recipe it is another training.
    let other = train(dir, &with(&["--out", "killed", "--resume", "--seed", "2"]));
    let reason = String::from_utf8(other.stderr).unwrap();
    assert!(!other.status.success() && reason.contains("another recipe"), "{reason}");

    let (resumed, progress) = succeed(dir, &with(&["--out", "killed", "--resume"]));
    assert!(!progress.contains("epoch 1/"), "what was done is not done again: {progress}");
    assert_eq!(digest(&resumed), digest(&whole));
    assert!(!dir.join("killed.training").exists());
}

#[test]
fn a_model_is_calibrated_for_sources_that_it_did_not_learn_from() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    // What one source calls a complaint another calls a question, a little or half of the time.
    let csv = |seed: usize| {
        let mut csv = String::from("text,label,source\n");
        for (source, wrong_in) in [("mail", 20), ("chat", 10), ("forum", 3)] {
            for n in seed..seed + 120 {
                let (text, label) = if n % 2 == 0 {
                    (format!("this is broken again {n}"), n / 2 % wrong_in == 0)
                } else {
                    (format!("how do I change my address {n}"), n / 2 % wrong_in != 0)
                };
                let label = if label { "question" } else { "complaint" };
                csv += &format!("{text} {source},{label},{source}\n");
            }
        }
        csv
    };
    fs::write(dir.join("texts.csv"), csv(0)).unwrap();
    fs::write(dir.join("held-out.csv"), csv(1000)).unwrap();
    let fit = "fit --data texts.csv --validation held-out.csv --out model --report report \
               --epochs 6 --no-baseline --calibrate-across";
    let with = |column| -> Vec<&str> { fit.split_ascii_whitespace().chain([column]).collect() };
    let (said, _) = succeed(dir, &with("source"));
    assert!(said.contains("calibrated across source: temperature"), "{said}");
    let read = |path: &str| -> serde_json::Value {
        serde_json::from_slice(&fs::read(dir.join(path)).unwrap()).unwrap()
    };
    let report = read("report/report.json");
    let across = report["calibrated_across"].as_object().unwrap();
    assert_eq!(across.keys().collect::<Vec<_>>(), ["chat", "forum", "mail"]);
    let most = across.values().filter_map(serde_json::Value::as_f64).fold(0.0, f64::max);
    assert_eq!(across["forum"].as_f64(), Some(most), "{across:?}");
    let taken = read("model/bundle.json")["confidence"]["temperature"].as_f64().unwrap();
    assert!((taken - most).abs() < 1e-6, "{taken} {most}");

    for (column, why) in [("label", "are of"), ("nowhere", "the columns are")] {
        let refused = train(dir, &with(column));
        let reason = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && reason.contains(why), "{column}: {reason}");
    }
}

#[test]
fn a_training_is_reported_with_its_baseline_and_a_bundle_is_signed() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut csv = String::from("utterance,intent\n");
    for n in 0..60 {
        csv += &format!("where is the parcel {n},delivery\nthe invoice {n} is wrong,billing\n");
        csv += &format!("what is the weather in town {n},oos\n");
    }
    fs::write(dir.join("texts.csv"), &csv).unwrap();
    let fit = "fit --data texts.csv --test texts.csv --text-column utterance \
               --label-column intent --out-of-scope-label oos --out model --report report \
               --epochs 4 --sure-accuracy 0.9 --in-scope-loss 0.05 --risk-class limited";
    let (said, _) = succeed(dir, &fit.split_ascii_whitespace().collect::<Vec<_>>());
    for part in ["McNemar's p", "out of scope", "calibration error", "sure of"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let report: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.join("report/report.json")).unwrap()).unwrap();
    assert_eq!(report["history"].as_array().unwrap().len(), 4);
    assert_eq!(report["test"]["out_of_scope"]["texts"], 60);
    assert_eq!(report["test"]["labels"].as_object().unwrap().len(), 2);
    for picture in ["loss", "accuracy", "reliability"] {
        let svg = fs::read_to_string(dir.join(format!("report/{picture}.svg"))).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("<polyline"), "{picture}");
    }
    let card = fs::read_to_string(dir.join("model/card.json")).unwrap();
    assert!(card.contains("\"limited\"") && card.contains("first 128 tokens"), "{card}");
    // The report's recipe is one that can be used again.
    fs::write(dir.join("recipe.json"), report["recipe"].to_string()).unwrap();
    let again =
        fit.replace("--epochs 4", "--recipe recipe.json").replace("--out model", "--out again");
    let (again, _) = succeed(dir, &again.split_ascii_whitespace().collect::<Vec<_>>());
    let last = |said: &str| said.lines().last().unwrap().to_owned();
    assert_eq!(last(&again), last(&said));

    let explain = ["classify", "--bundle", "model", "--explain", "the invoice is wrong"];
    let (explained, _) = succeed(dir, &explain);
    assert!(explained.contains("invoice") && explained.contains("steps"), "{explained}");

    succeed(dir, &["sign", "--bundle", "model", "--key", "model.key"]);
    let verify = ["verify", "--bundle", "model", "--key", "model.pub"];
    assert!(succeed(dir, &verify).0.contains("signed by this key"));
    fs::copy(dir.join("again/tokenizer.json"), dir.join("model/tokenizer.json")).unwrap();
    succeed(dir, &verify);
    let card = dir.join("model/card.json");
    fs::write(&card, fs::read_to_string(&card).unwrap().replace("limited", "minimal")).unwrap();
    assert!(!train(dir, &verify).status.success());
}

#[test]
fn weights_under_other_names_are_recognised_and_a_module_is_taken_whole() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/pytorch");
    let words: String = (1..40).map(|n| format!(", \"w{n}\": {n}")).collect();
    let tokenizer = format!(
        r#"{{"version": "1.0", "added_tokens": [], "pre_tokenizer": {{"type": "Whitespace"}},
        "model": {{"type": "WordLevel", "vocab": {{"[UNK]": 0{words}}}, "unk_token": "[UNK]"}}}}"#
    );
    fs::write(dir.join("tokenizer.json"), tokenizer).unwrap();
    fs::write(dir.join("labels.txt"), "a\nb\nc\n").unwrap();
    let rest = "--tokenizer tokenizer.json --labels labels.txt --out imported --name imported \
                --intended-use tests --languages en --license MIT";
    for (option, file) in [
        ("--weights", "before-1.6.pth"),
        ("--weights", "shapes/lstm-2-both.pth"),
        ("--script", "shapes/script.pt"),
    ] {
        let file = format!("{fixture}/{file}");
        let arguments: Vec<&str> =
            ["import", option, &file].into_iter().chain(rest.split_ascii_whitespace()).collect();
        succeed(dir, &arguments);
        let (line, _) = succeed(dir, &["classify", "--bundle", "imported", "w1 w2 w3"]);
        assert!(line.contains("a ") && line.contains("b ") && line.contains("c "), "{line}");
    }
    let transformer = format!("{fixture}/shapes/transformer-1.pth");
    let arguments: Vec<&str> = ["import", "--weights", &transformer]
        .into_iter()
        .chain(rest.split_ascii_whitespace())
        .collect();
    let refused = String::from_utf8(train(dir, &arguments).stderr).unwrap();
    assert!(refused.contains("no LSTM"), "{refused}");
}

#[test]
fn pytorchs_weights_become_a_bundle_or_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/pytorch");
    let tokenizer = r#"{"version": "1.0", "added_tokens": [],
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "one": 1}, "unk_token": "[UNK]"}}"#;
    fs::write(dir.join("tokenizer.json"), tokenizer).unwrap();
    let config = r#"{"vocabulary": 40, "embedding": 8, "hidden": 12, "classes": 3}"#;
    fs::write(dir.join("config.json"), config).unwrap();
    fs::write(dir.join("labels.txt"), "a\nb\nc\n").unwrap();
    let import = |weights: &str| {
        let weights = format!("{fixture}/{weights}");
        let rest = "--config config.json --tokenizer tokenizer.json --labels labels.txt \
            --out imported --name imported --intended-use tests --languages en --license MIT";
        let arguments: Vec<&str> =
            ["import", "--weights", &weights].into_iter().chain(rest.split(' ')).collect();
        train(dir, &arguments)
    };
    let refused = import("whole-module.pth");
    assert!(!refused.status.success() && !dir.join("imported").exists());
    let reason = String::from_utf8(refused.stderr).unwrap();
    assert!(reason.contains("`__main__.TextClassifier`, which is not allowed"), "{reason}");

    let imported = import("model.pth");
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    let (line, _) = succeed(dir, &["classify", "--bundle", "imported", "one two"]);
    assert!(line.contains("a ") && line.contains("b ") && line.contains("c "), "{line}");
}

#[test]
fn bad_data_is_refused_naming_its_lines() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("bad.csv"), "text,label\na\nb,x\nc,\n").unwrap();
    let output = train(dir.path(), &["fit", "--data", "bad.csv", "--out", "model"]);
    assert!(!output.status.success());
    let reason = String::from_utf8(output.stderr).unwrap();
    assert!(reason.contains("line 2: 1 fields") && reason.contains("line 4: no label"), "{reason}");
}

#[test]
fn a_network_for_names_is_trained_judged_and_asked() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    succeed(dir, &["tag", "sample", "--out", "names.jsonl", "--texts", "3000"]);
    let fit = ["tag", "fit", "--data", "names.jsonl", "--out", "names", "--epochs", "6"];
    let (said, _) = succeed(dir, &fit);
    assert!(said.contains("STREET_ADDRESS"), "{said}");
    succeed(dir, &["tag", "sample", "--out", "other.jsonl", "--texts", "500", "--seed", "2"]);
    let judge = ["tag", "evaluate", "--bundle", "names", "--data", "other.jsonl", "--json"];
    let metrics: serde_json::Value = serde_json::from_str(&succeed(dir, &judge).0).unwrap();
    assert!(metrics["macro_f1"].as_f64().unwrap() > 0.6, "{metrics}");
    // Which names one text yields depends on the processor's rounding, the score above does not.
    let text = "My name is Anna Smith and I live at 12 Oak Street, London.";
    let (found, _) = succeed(dir, &["tag", "find", "--bundle", "names", text]);
    assert!(found.contains("PERSON `") || found.contains("STREET_ADDRESS `"), "{found}");
    let names: Vec<&str> = found.split('`').skip(1).step_by(2).collect();
    assert!(names.iter().all(|name| text.contains(name)), "{found}");
    // A classifier is not taken for one.
    succeed(dir, &["sample", "--out", "sample.csv"]);
    succeed(dir, &["fit", "--data", "sample.csv", "--out", "model", "--epochs", "1"]);
    let wrong = train(dir, &["tag", "find", "--bundle", "model", text]);
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("labels no tokens"));
}
