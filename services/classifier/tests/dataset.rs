//! Labelled texts in every format that is read, and what is refused about them. The Parquet
//! fixtures and how they were made: `tests/fixtures/data/make.py` at the top of the checkout.

use std::path::PathBuf;

use reeve_classifier::{Columns, Dataset, DatasetError, Format};

const TEXTS: [&str; 4] =
    ["where is my parcel", "发票的金额不对", "two\nlines, \"quoted\"", "the invoice is wrong"];

fn columns(text: &str, label: &str) -> Columns {
    Columns { text: text.to_owned(), label: label.to_owned() }
}

fn assert_is_the_four_texts(data: &Dataset) {
    assert_eq!(data.labels, ["billing", "delivery"]);
    let texts: Vec<&str> = data.examples.iter().map(|example| example.text.as_str()).collect();
    assert_eq!(texts, TEXTS);
    let labels: Vec<usize> = data.examples.iter().map(|example| example.label).collect();
    assert_eq!(labels, [1, 0, 1, 0]);
}

#[test]
fn every_format_gives_the_same_texts() {
    let csv = "id,label,text\n1,delivery,where is my parcel\n2,billing,发票的金额不对\n\
               3,delivery,\"two\nlines, \"\"quoted\"\"\"\n4,billing,the invoice is wrong\n";
    assert_is_the_four_texts(&Dataset::parse(csv.as_bytes()).unwrap());
    let tsv = csv.replace(", ", "\u{1}").replace(',', "\t").replace('\u{1}', ", ");
    let tsv = Dataset::parse_as(Format::Tsv, tsv.as_bytes(), &Columns::default()).unwrap();
    assert_is_the_four_texts(&tsv);
    let lines: String = TEXTS
        .iter()
        .zip(["delivery", "billing", "delivery", "billing"])
        .map(|(text, label)| {
            serde_json::json!({"t": text, "l": label, "more": 1}).to_string() + "\n"
        })
        .collect();
    let json = Dataset::parse_as(Format::JsonLines, lines.as_bytes(), &columns("t", "l")).unwrap();
    assert_is_the_four_texts(&json);
    assert_eq!(json.examples[3].row, 4);
    let fixture = |name: &str| -> PathBuf {
        [env!("CARGO_MANIFEST_DIR"), "../../tests/fixtures/data", name].iter().collect()
    };
    assert_is_the_four_texts(&Dataset::read(&fixture("named.parquet")).unwrap());
    let names = columns("utterance", "intent");
    let numbered = Dataset::read_columns(&fixture("numbered.parquet"), &names).unwrap();
    assert_is_the_four_texts(&numbered);
    let error = Dataset::read(&fixture("missing.parquet")).unwrap_err().to_string();
    assert!(error.contains("row 2: no text in `text`"), "{error}");
    assert!(error.contains("row 3: no label"), "{error}");
    let error = Dataset::read(&fixture("numbered.parquet")).unwrap_err();
    assert!(matches!(error, DatasetError::Header { .. }), "{error}");
}

#[test]
fn bad_lines_are_named_and_files_that_are_none_refused() {
    let lines = "{\"text\": \"a\", \"label\": \"x\"}\nnot json\n{\"text\": 3, \"label\": \"x\"}\n\
                 {\"text\": \"b\"}\n{\"text\": \"c\", \"label\": [1]}\n";
    let parse = |bytes: &[u8], format| Dataset::parse_as(format, bytes, &Columns::default());
    let error = parse(lines.as_bytes(), Format::JsonLines).unwrap_err();
    assert!(matches!(error, DatasetError::Rows { count: 4, .. }), "{error}");
    let error = error.to_string();
    for line in ["line 2: not a JSON object", "line 3: no text", "line 4: no `label`", "line 5"] {
        assert!(error.contains(line), "{line} in {error}");
    }
    let error = parse(b"PAR1 and then nothing of the kind", Format::Parquet).unwrap_err();
    assert!(matches!(error, DatasetError::Malformed { .. }), "{error}");
    let error = parse(b"text,label\n", Format::Csv).unwrap_err();
    assert!(matches!(error, DatasetError::Empty), "{error}");
    let error = parse(b"text,label\n\xff\xfe,x\n", Format::Csv).unwrap_err().to_string();
    assert!(error.contains("line"), "{error}");
}

#[test]
fn texts_out_of_scope_are_taken_out_with_their_label() {
    let csv = "text,label\na,x\nb,oos\nc,y\nd,oos\ne,a\n";
    let mut data = Dataset::parse(csv.as_bytes()).unwrap();
    assert_eq!(data.take_label("oos"), ["b", "d"]);
    assert_eq!(data.labels, ["a", "x", "y"]);
    let labels: Vec<&str> =
        data.examples.iter().map(|example| data.labels[example.label].as_str()).collect();
    assert_eq!(labels, ["x", "y", "a"]);
    assert!(data.take_label("oos").is_empty());
}

#[test]
fn of_every_label_one_in_so_many_is_held_out() {
    let mut csv = String::from("text,label\n");
    for n in 0..100 {
        csv += &format!("text {n},{}\n", if n % 10 == 0 { "rare" } else { "frequent" });
    }
    let data = Dataset::parse(csv.as_bytes()).unwrap();
    let (learned, judged) = data.clone().hold_out(10, 1).unwrap();
    assert_eq!((learned.examples.len(), judged.examples.len()), (90, 10));
    assert_eq!(judged.examples.iter().filter(|example| example.label == 1).count(), 1);
    assert!(judged.examples.iter().all(|example| !learned.examples.contains(example)));
    assert_eq!(data.clone().hold_out(10, 1).unwrap().1.examples, judged.examples);
    assert_ne!(data.hold_out(10, 2).unwrap().1.examples, judged.examples);
}
