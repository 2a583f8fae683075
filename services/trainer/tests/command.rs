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
    let text = "My name is Anna Smith and I live at 12 Oak Street, London.";
    let (found, _) = succeed(dir, &["tag", "find", "--bundle", "names", text]);
    assert!(found.contains("PERSON `Anna"), "{found}");
    assert!(found.contains("STREET_ADDRESS"), "{found}");
    // A classifier is not taken for one.
    succeed(dir, &["sample", "--out", "sample.csv"]);
    succeed(dir, &["fit", "--data", "sample.csv", "--out", "model", "--epochs", "1"]);
    let wrong = train(dir, &["tag", "find", "--bundle", "model", text]);
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("labels no tokens"));
}
