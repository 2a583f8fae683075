//! What a pod needs libtorch for, with and without it.

use reeve_classifier::{Device, Readout, softmax};
use reeve_protocol::{
    explanation::Explanation,
    order::Action,
    text::{TextRequest, TextResponse},
};
use reeve_torch::{BodyKind, Recipe};

use crate::pod::{Pod, recipe, train_by};

const TEXTS: [&str; 2] = ["where is parcel 7", "the invoice shows a wrong amount"];

fn transformer() -> Recipe {
    let body = BodyKind::Transformer { heads: 2 };
    Recipe { body, readout: Readout::Mean, learning_rate: 0.005, ..recipe() }
}

fn explained(pod: &Pod) -> Vec<Explanation> {
    let request = TextRequest { texts: TEXTS.to_vec(), top_k: 2 };
    let request = request.asking_for(&TextResponse::EXPLAINED);
    let reply = pod.post("/v2/models/support/infer", &request);
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    let lengths = TEXTS.map(|text| text.chars().count());
    TextResponse::parse_explained(&reply.body, &lengths).unwrap().explanations
}

fn maps(pod: &Pod) -> String {
    std::fs::read_to_string(format!("/proc/{}/maps", pod.child.id())).unwrap()
}

#[test]
fn libtorch_is_loaded_when_something_needs_it_and_computes_what_it_does_elsewhere() {
    let store = tempfile::tempdir().unwrap();
    let pod = Pod::start(&["--workers", "2", "--model-store", store.path().to_str().unwrap()]);
    assert_eq!(pod.classify(&TEXTS).status, 200);
    // Where the processor has no kernel of our own it is there from the start.
    if cfg!(target_arch = "x86_64") && std::is_x86_feature_detected!("avx2") {
        assert!(!maps(&pod).contains("libtorch"), "an LSTM needs it for nothing");
    }
    let other = train_by(&store.path().join("other/1"), ("other", "1"), transformer());
    assert_eq!(pod.change(Action::Load, &other).status, 200);
    assert!(maps(&pod).contains("libtorch_cpu"));
    let reply = pod.ask(&other, &TEXTS);
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    let found = TextResponse::parse(&reply.body, TEXTS.len()).unwrap();
    let here = reeve_torch::load(&other, Device::Cpu).unwrap();
    let encoded = TEXTS.map(|text| here.encode(text).unwrap());
    let rows = here.logits(&[&encoded[0], &encoded[1]]).unwrap();
    for (found, logits) in found.results.iter().zip(&rows) {
        let expected = other.confidence().probabilities(logits);
        assert_eq!(expected.len(), softmax(logits).len());
        for (label, score) in found {
            let at = other.labels().iter().position(|known| known == label).unwrap();
            assert!((score - expected[at]).abs() < 1e-6, "{score} {}", expected[at]);
        }
    }
    assert_eq!(explained(&pod)[0].method, "integrated-gradients");
}

#[test]
fn without_libtorch_an_lstm_is_served_and_explained_and_nothing_else() {
    let store = tempfile::tempdir().unwrap();
    let place = store.path().to_str().unwrap();
    if !(cfg!(target_arch = "x86_64") && std::is_x86_feature_detected!("avx2")) {
        eprintln!("skipped: this processor has no AVX2, so that an LSTM needs libtorch as well");
        return;
    }
    let pod = Pod::start(&["--model-store", place, "--torch", "/nowhere/libreeve_torch.so"]);
    assert_eq!(pod.classify(&TEXTS).status, 200);
    let explanations = explained(&pod);
    assert_eq!(explanations[0].method, "occlusion");
    assert!(explanations[0].tokens.iter().any(|token| token.score.abs() > 1e-3));
    let other = train_by(&store.path().join("other/1"), ("other", "1"), transformer());
    let reply = pod.change(Action::Load, &other);
    assert_eq!(reply.status, 400);
    assert!(reply.error().contains("/nowhere/libreeve_torch.so"), "{}", reply.error());
    assert_eq!(pod.classify(&TEXTS).status, 200);
}
