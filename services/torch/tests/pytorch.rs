//! Weights that real PyTorch saved give PyTorch's logits, and hostile files are refused. The
//! fixture and how it was made: `tests/fixtures/pytorch/make.py` at the top of the checkout.

#![expect(
    clippy::as_conversions,
    clippy::unwrap_used,
    reason = "small numbers of a test, which fails where it cannot go on"
)]

use std::{
    fs,
    io::{Cursor, Write as _},
    path::PathBuf,
};

use proptest::prelude::*;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use reeve_classifier::{
    Activation, Architecture, Body, Bundle, Card, Classifier, Device, Encoded, Parts, Readout,
    TokenizerSettings, Weights,
    pytorch::{self, PytorchError},
};
use serde::Deserialize;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

#[derive(Deserialize)]
struct Expected {
    architecture: Architecture,
    rows: Vec<Vec<i64>>,
    logits: Vec<Vec<f32>>,
    float16: Vec<Vec<f32>>,
    bfloat16: Vec<Vec<f32>>,
}

fn fixture(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../tests/fixtures/pytorch", name].iter().collect()
}

fn expected() -> Expected {
    serde_json::from_slice(&fs::read(fixture("expected.json")).unwrap()).unwrap()
}

fn classifier(weights: Weights, architecture: Architecture) -> Classifier {
    load(weights, None, architecture)
}

fn load(weights: Weights, script: Option<Vec<u8>>, architecture: Architecture) -> Classifier {
    // Several threads that wait for each other come to a standstill where others want the cores.
    reeve_torch::set_threads(1);
    let dir = tempfile::tempdir().unwrap();
    let text = "one two three two one";
    let tokenizer = reeve_classifier::learn_tokenizer([text].into_iter(), 40, 1).unwrap();
    let card = Card {
        name: "fixture".to_owned(),
        version: "1".to_owned(),
        intended_use: "a test".to_owned(),
        languages: Vec::new(),
        license: "Apache-2.0".to_owned(),
        limits: Vec::new(),
        risk_class: "minimal".to_owned(),
        generative: false,
        ..Card::default()
    };
    let settings = TokenizerSettings {
        max_tokens: 34,
        empty_token: "[UNK]".to_owned(),
        ..TokenizerSettings::default()
    };
    let labels = vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
    let confidence = None;
    let parts =
        Parts { architecture, labels, settings, tokenizer, weights, script, confidence, card };
    let bundle = Bundle::write(dir.path(), parts).unwrap();
    reeve_torch::load(&bundle, Device::Cpu).unwrap()
}

fn encoded(rows: &[Vec<i64>]) -> Vec<Encoded> {
    rows.iter().map(|ids| Encoded { ids: ids.clone(), ..Encoded::default() }).collect()
}

fn assert_close(found: &[Vec<f32>], expected: &[Vec<f32>], what: &str) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        assert!((found - expected).abs() < 1e-5, "{what}: {found} instead of {expected}");
    }
}

#[test]
fn every_way_of_saving_gives_pytorchs_logits() {
    let expected = expected();
    for (file, logits) in [
        ("model.pth", &expected.logits),
        ("nested.pth", &expected.logits),
        ("parameters.pth", &expected.logits),
        ("views.pth", &expected.logits),
        ("double.pth", &expected.logits),
        ("before-1.6.pth", &expected.logits),
        ("compiled.pth", &expected.logits),
        ("before-1.6-nested-half.pth", &expected.float16),
        ("half.pth", &expected.float16),
        ("bfloat16.pth", &expected.bfloat16),
    ] {
        let weights = pytorch::read_state_dict(&fixture(file)).unwrap();
        let classifier = classifier(weights, expected.architecture.clone());
        let rows = encoded(&expected.rows);
        let batch: Vec<&Encoded> = rows.iter().collect();
        assert_close(&classifier.logits(&batch).unwrap(), logits, file);
        for (row, logits) in batch.iter().zip(logits) {
            let alone = classifier.logits(&[row]).unwrap();
            assert_close(&alone, std::slice::from_ref(logits), file);
        }
    }
}

#[test]
fn no_company_in_a_batch_changes_a_texts_logits() {
    let expected = expected();
    let weights = pytorch::read_state_dict(&fixture("model.pth")).unwrap();
    let classifier = classifier(weights, expected.architecture.clone());
    let rows = encoded(&expected.rows);
    let composition = prop::collection::vec(0..rows.len(), 1..24);
    proptest!(ProptestConfig::with_cases(64), |(indices in composition)| {
        let batch: Vec<&Encoded> = indices.iter().map(|&i| &rows[i]).collect();
        let logits: Vec<Vec<f32>> =
            indices.iter().map(|&i| expected.logits[i].clone()).collect();
        assert_close(&classifier.logits(&batch).unwrap(), &logits, "a batch");
    });
}

#[test]
fn ids_outside_the_vocabulary_are_refused_before_they_reach_the_device() {
    let expected = expected();
    let weights = pytorch::read_state_dict(&fixture("model.pth")).unwrap();
    let classifier = classifier(weights, expected.architecture);
    for ids in [vec![], vec![40], vec![3, -1]] {
        let row = Encoded { ids, ..Encoded::default() };
        classifier.logits(&[&row]).unwrap_err();
    }
}

#[test]
fn a_whole_pickled_module_is_refused_naming_its_global() {
    let error = pytorch::read_state_dict(&fixture("whole-module.pth")).unwrap_err();
    let PytorchError::Global(name) = &error else { panic!("{error}") };
    assert_eq!(name, "__main__.TextClassifier");
    assert!(error.to_string().contains("state_dict()"), "{error}");
}

#[test]
fn what_is_more_than_tensors_is_refused_naming_it() {
    for (file, named) in [
        ("more-than-tensors.pth", "`options` is not a tensor"),
        ("namespace.pth", "`argparse.Namespace`"),
        ("integer.pth", "`steps` holds I64"),
        ("shapes/script.pt", "TorchScript"),
    ] {
        let error = pytorch::read_state_dict(&fixture(file)).unwrap_err().to_string();
        assert!(error.contains(named), "{file}: {error}");
    }
    let error = pytorch::read_archive(Cursor::new(b"nothing of the kind".to_vec())).unwrap_err();
    assert!(matches!(error, PytorchError::Format), "{error}");
}

#[derive(Deserialize)]
struct Shapes {
    heads: u32,
    positions: u32,
    cases: Vec<Shape>,
    script: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct Shape {
    file: String,
    kind: String,
    layers: u32,
    both: bool,
    readout: Readout,
    activation: Activation,
    logits: Vec<Vec<f32>>,
}

fn shapes() -> Shapes {
    serde_json::from_slice(&fs::read(fixture("shapes/expected.json")).unwrap()).unwrap()
}

#[test]
fn every_depth_direction_readout_and_activation_gives_pytorchs_logits_in_any_company() {
    let expected = expected();
    let shapes = shapes();
    assert_eq!(shapes.cases.len(), 96);
    for (number, case) in (0..).zip(&shapes.cases) {
        let what = format!("{} {:?} {:?}", case.file, case.readout, case.activation);
        let (heads, positions) = (shapes.heads, shapes.positions);
        let body = match case.kind.as_str() {
            "lstm" => Body::Lstm,
            _ => Body::Transformer { heads, positions },
        };
        let architecture = Architecture {
            body,
            layers: case.layers,
            bidirectional: case.both,
            activation: case.activation,
            readout: case.readout,
            ..expected.architecture.clone()
        };
        let file = fixture(&format!("shapes/{}", case.file));
        let weights = pytorch::read_state_dict(&file).unwrap();
        let classifier = classifier(weights, architecture);
        let rows = encoded(&expected.rows);
        let batch: Vec<&Encoded> = rows.iter().collect();
        assert_close(&classifier.logits(&batch).unwrap(), &case.logits, &what);
        for (row, logits) in batch.iter().zip(&case.logits) {
            let alone = classifier.logits(&[row]).unwrap();
            assert_close(&alone, std::slice::from_ref(logits), &what);
        }
        let mut random = StdRng::seed_from_u64(number);
        for _ in 0..2 {
            let indices: Vec<usize> = (0..random.random_range(1..20))
                .map(|_| random.random_range(0..rows.len()))
                .collect();
            let batch: Vec<&Encoded> = indices.iter().map(|&at| &rows[at]).collect();
            let logits: Vec<Vec<f32>> = indices.iter().map(|&at| case.logits[at].clone()).collect();
            assert_close(&classifier.logits(&batch).unwrap(), &logits, &what);
        }
    }
}

#[test]
fn a_torchscript_module_gives_pytorchs_logits_in_any_company() {
    let expected = expected();
    let architecture = Architecture {
        body: Body::Script,
        embedding: 0,
        hidden: 0,
        ..expected.architecture.clone()
    };
    let script = fs::read(fixture("shapes/script.pt")).unwrap();
    let classifier = load(Weights::default(), Some(script), architecture);
    let rows = encoded(&expected.rows);
    let batch: Vec<&Encoded> = rows.iter().collect();
    assert_close(&classifier.logits(&batch).unwrap(), &shapes().script, "all together");
    for (row, logits) in batch.iter().zip(&shapes().script) {
        let alone = classifier.logits(&[row]).unwrap();
        assert_close(&alone, std::slice::from_ref(logits), "alone");
    }
}

/// An archive as torch.save lays it out, with a pickle and one storage `0` of our making.
fn archive(pickle: &[u8], storage: &[u8], method: CompressionMethod) -> Cursor<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, bytes) in [("model/data.pkl", pickle), ("model/data/0", storage)] {
        zip.start_file(name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap()
}

fn read(pickle: &[u8]) -> Result<Weights, PytorchError> {
    pytorch::read_archive(archive(pickle, &[0; 64], CompressionMethod::Stored))
}

fn text(text: &str) -> Vec<u8> {
    [b"X".as_slice(), &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
}

/// The pickle of `{"w": tensor}` over a storage that claims `elements` 32-bit floats.
fn tensor(elements: i32, offset: i32, shape: &[i32], stride: &[i32]) -> Vec<u8> {
    let int = |n: i32| [b"J".as_slice(), &n.to_le_bytes()].concat();
    let ints = |ns: &[i32]| {
        let ns: Vec<u8> = ns.iter().flat_map(|n| int(*n)).collect();
        [b"(".as_slice(), &ns, b"t"].concat()
    };
    [
        b"\x80\x02}".as_slice(),
        &text("w"),
        b"ctorch._utils\n_rebuild_tensor_v2\n((",
        &text("storage"),
        b"ctorch\nFloatStorage\n",
        &text("0"),
        &text("cpu"),
        &int(elements),
        b"tQ",
        &int(offset),
        &ints(shape),
        &ints(stride),
        b"\x89ccollections\nOrderedDict\n)RtRs.",
    ]
    .concat()
}

#[test]
fn a_tensor_of_our_own_pickle_is_read_so_that_the_refusals_below_mean_something() {
    let weights = read(&tensor(16, 0, &[4, 4], &[4, 1])).unwrap();
    assert_eq!(weights.0["w"].shape, [4, 4]);
    assert_eq!(weights.0["w"].values, [0.0; 16]);
}

#[test]
fn no_global_outside_the_list_is_taken() {
    for (pickle, name) in [
        (b"\x80\x02cposix\nsystem\n".to_vec(), "posix.system"),
        (b"\x80\x02cbuiltins\neval\n".to_vec(), "builtins.eval"),
        (b"\x80\x02ctorch\nload\n".to_vec(), "torch.load"),
        (b"\x80\x02ctorch.storage\n_load_from_bytes\n".to_vec(), "torch.storage._load_from_bytes"),
        // Protocol 4 takes the names from the stack.
        ([b"\x80\x04".as_slice(), &text("os"), &text("system"), b"\x93."].concat(), "os.system"),
    ] {
        match read(&pickle) {
            Err(PytorchError::Global(found)) => assert_eq!(found, name),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn tensors_that_leave_or_repeat_their_storage_are_refused() {
    for (elements, offset, shape, stride) in [
        (16, 1, &[4, 4][..], &[4, 1][..]), // past the end by its offset
        (16, 0, &[4, 4], &[5, 1]),         // by its strides
        (16, 0, &[5, 4], &[4, 1]),         // by its shape
        (16, 0, &[1_000_000, 1_000_000], &[0, 0]), // repeats what is there
        (16, 0, &[i32::MAX; 8], &[0; 8]),  // overflows
        (17, 0, &[4, 4], &[4, 1]),         // a storage shorter than it claims
        (i32::MAX, 0, &[i32::MAX], &[1]),
        (16, 0, &[-4, 4], &[4, 1]),
        (16, -1, &[4, 4], &[4, 1]),
        (16, 0, &[4, 4], &[4]),
        (16, 0, &[1; 9], &[1; 9]),
    ] {
        let read = read(&tensor(elements, offset, shape, stride));
        assert!(read.is_err(), "{elements} {offset} {shape:?} {stride:?}: {read:?}");
    }
}

#[test]
fn pickles_that_exhaust_or_confuse_a_machine_are_refused() {
    let deep: Vec<u8> = std::iter::once(b')').chain([0x85; 100_000]).collect();
    let many = vec![b'N'; 3_000_000];
    for (what, body) in [
        ("nested tuples", deep.as_slice()),
        ("too many values", &many),
        ("nothing to pop", b"."),
        ("no mark", b"t."),
        ("a pair from below a mark", b"NN(\x86."),
        ("no memo", b"h\x05."),
        ("text past the end", b"X\xff\xff\xff\xffabc"),
        ("a call of a number", b"K\x01)R."),
        ("items of a number", b"K\x01K\x01K\x01s."),
        ("an instance", b"(ios\nsystem\n."),
        ("an extension", b"\x82\x01."),
        ("an end in the middle", b"}"),
        ("a list, not a state dict", b"]."),
        ("an empty state dict", b"}."),
    ] {
        let read = read(&[b"\x80\x02", body].concat());
        assert!(read.is_err(), "{what}: {read:?}");
    }
}

#[test]
fn a_dictionary_that_contains_itself_ends() {
    let pickle = [b"\x80\x02}q\x00".as_slice(), &text("model"), b"h\x00s."].concat();
    assert!(matches!(read(&pickle), Err(PytorchError::NotTensor(name)) if name == "model"));
}

#[test]
fn a_compressed_entry_is_refused_before_it_is_unpacked() {
    let bomb = vec![0; 8 << 20];
    let pickle = tensor(2 << 20, 0, &[2 << 20], &[1]);
    let read = pytorch::read_archive(archive(&pickle, &bomb, CompressionMethod::Deflated));
    assert!(matches!(read, Err(PytorchError::Archive(_))), "{read:?}");
}

#[test]
fn damaged_files_are_refused_and_never_panic() {
    let whole = fs::read(fixture("model.pth")).unwrap();
    for end in (0..whole.len()).step_by(97) {
        assert!(pytorch::read_archive(Cursor::new(&whole[..end])).is_err(), "cut at {end}");
    }
    let pickle = tensor(16, 0, &[4, 4], &[4, 1]);
    proptest!(ProptestConfig::with_cases(512), |(at in 0..pickle.len(), byte: u8)| {
        let mut pickle = pickle.clone();
        pickle[at] = byte;
        // Whatever it says now, it is read or refused.
        let _outcome = read(&pickle);
    });
}

#[test]
fn weights_of_another_architecture_are_refused_by_name_and_shape() {
    let expected = expected();
    let weights = pytorch::read_state_dict(&fixture("model.pth")).unwrap();
    weights.check(&expected.architecture).unwrap();
    let deeper = Architecture { layers: 2, ..expected.architecture.clone() };
    let error = weights.check(&deeper).unwrap_err().to_string();
    assert!(error.contains("lstm.weight_hh_l1"), "{error}");
    let wider = Architecture { hidden: 13, ..expected.architecture.clone() };
    let error = weights.check(&wider).unwrap_err().to_string();
    assert!(error.contains("shape"), "{error}");
    let mut more = weights;
    let copy = more.0["fc.bias"].clone();
    more.0.insert("fc2.bias".to_owned(), copy);
    let error = more.check(&expected.architecture).unwrap_err().to_string();
    assert!(error.contains("unexpected [\"fc2.bias\"]"), "{error}");
}
