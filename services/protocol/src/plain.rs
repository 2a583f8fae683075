//! Classifying text with servers of the Open Inference Protocol that are not Reeve's, such as Triton
//! or KServe: what can be asked of every one of them.
//!
//! Request: input `text`, `BYTES` \[n, 1\], as a server wants it that batches along the first
//! dimension; parameter `top_k`. Answer: `label`, `BYTES`, and `score`, `FP32` or `FP64`, both
//! \[n, k\] or \[n\]; or `score` alone, \[n, classes\], in the order of the model's labels. `tokens`,
//! \[n\], may be missing: then none are counted.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::text::{LABEL, Labels, SCORE, TEXT, TOKENS, TextMalformed, TextRequest, TextResponse};

/// What matters of an answer. KServe's servers write `null` for what they have not.
#[derive(Deserialize)]
struct Answer {
    model_name: String,
    model_version: Option<String>,
    outputs: Vec<Tensor>,
}

#[derive(Deserialize)]
struct Tensor {
    name: String,
    shape: Vec<u64>,
    data: Value,
}

/// The request as JSON.
pub fn request(of: &TextRequest<'_>) -> Vec<u8> {
    let request = json!({
        "parameters": { "top_k": of.top_k },
        "inputs": [{
            "name": TEXT, "shape": [of.texts.len(), 1], "datatype": "BYTES", "data": of.texts,
        }],
    });
    // Texts and numbers always have a JSON form.
    serde_json::to_vec(&request).unwrap_or_default()
}

/// Reads an answer about `texts` texts, of which the best `top_k` labels are kept. Nothing of it is
/// believed: shapes, lengths, labels, and that scores are probabilities are checked.
pub fn parse(
    body: &[u8],
    texts: usize,
    top_k: u32,
    labels: &[String],
) -> Result<TextResponse, TextMalformed> {
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|fault| TextMalformed::Json { line: fault.line(), column: fault.column() })?;
    let output = |name: &str| answer.outputs.iter().find(|output| output.name == name);
    let score = output(SCORE).ok_or_else(|| wrong(SCORE, "is missing"))?;
    let columns = columns(score, texts)?;
    let scores = numbers(score, texts.saturating_mul(columns))?;
    let names = match output(LABEL) {
        Some(named) if named.shape == score.shape => {
            elements(named).into_iter().map(|name| name.as_str().map(str::to_owned)).collect()
        }
        Some(_) => return Err(wrong(LABEL, "does not have the shape of `score`")),
        None if columns == labels.len() => {
            Some(labels.iter().cycle().take(scores.len()).cloned().collect::<Vec<_>>())
        }
        None => return Err(wrong(LABEL, "is missing, and `score` has not one column a label")),
    };
    let names = names.ok_or_else(|| wrong(LABEL, "must hold texts"))?;
    if names.len() != scores.len() {
        return Err(wrong(LABEL, "does not have the shape of `score`"));
    }
    if !names.iter().all(|name| labels.contains(name)) {
        return Err(wrong(LABEL, "holds a label that the model does not have"));
    }
    let tokens = match output(TOKENS) {
        None => vec![0; texts],
        Some(counts) => elements(counts)
            .into_iter()
            .map(|count| count.as_u64().and_then(|count| u32::try_from(count).ok()))
            .collect::<Option<Vec<_>>>()
            .filter(|counts| counts.len() == texts)
            .ok_or_else(|| wrong(TOKENS, "does not hold one count a text"))?,
    };
    let mut pairs = names.into_iter().zip(scores);
    let keep = usize::try_from(top_k).unwrap_or(usize::MAX);
    let results = (0..texts).map(|_| {
        let mut row: Labels = pairs.by_ref().take(columns).collect();
        row.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        row.truncate(keep);
        row
    });
    Ok(TextResponse {
        results: results.collect(),
        model_name: answer.model_name,
        model_version: answer.model_version.unwrap_or_default(),
        tokens,
        unknown: Vec::new(),
        standings: Vec::new(),
        explanations: Vec::new(),
    })
}

fn wrong(name: &'static str, problem: impl Into<String>) -> TextMalformed {
    TextMalformed::Tensor { name: name.into(), problem: problem.into() }
}

fn columns(score: &Tensor, texts: usize) -> Result<usize, TextMalformed> {
    let rows = |rows: u64| usize::try_from(rows) == Ok(texts);
    match score.shape[..] {
        [n] if rows(n) => Ok(1),
        [n, k] if rows(n) && k > 0 => usize::try_from(k).map_err(|_| wrong(SCORE, "is too wide")),
        _ => Err(wrong(SCORE, format!("does not hold scores for {texts} texts"))),
    }
}

fn numbers(score: &Tensor, count: usize) -> Result<Vec<f32>, TextMalformed> {
    let read: Vec<f32> = elements(score)
        .into_iter()
        .map(|number| serde_json::from_value(number.clone()).ok())
        .collect::<Option<_>>()
        .ok_or_else(|| wrong(SCORE, "must hold numbers"))?;
    if read.len() != count {
        return Err(wrong(SCORE, "has not as many elements as its shape says"));
    }
    if !read.iter().all(|score| (0.0..=1.001).contains(score)) {
        return Err(wrong(SCORE, "holds a number that is no probability"));
    }
    Ok(read)
}

/// The elements in row-major order, nested or not.
fn elements(tensor: &Tensor) -> Vec<&Value> {
    fn flatten<'a>(value: &'a Value, into: &mut Vec<&'a Value>) {
        match value {
            Value::Array(parts) => parts.iter().for_each(|part| flatten(part, into)),
            one => into.push(one),
        }
    }
    let mut all = Vec::new();
    flatten(&tensor.data, &mut all);
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels() -> Vec<String> {
        ["billing", "delivery"].map(str::to_owned).to_vec()
    }

    fn read(outputs: Value) -> Result<TextResponse, TextMalformed> {
        let body = json!({ "model_name": "m", "model_version": "3", "outputs": outputs });
        parse(body.to_string().as_bytes(), 2, 1, &labels())
    }

    fn tensor(name: &str, shape: &[u64], data: Value) -> Value {
        json!({ "name": name, "shape": shape, "datatype": "any", "data": data, "parameters": null })
    }

    #[test]
    fn labels_and_scores_or_scores_alone() {
        let best = |of: TextResponse| of.results.into_iter().flatten().collect::<Vec<_>>();
        let expected = vec![("delivery".to_owned(), 0.75), ("billing".to_owned(), 0.5)];
        let flat = read(json!([
            tensor("label", &[2], json!(["delivery", "billing"])),
            tensor("score", &[2], json!([0.75, 0.5])),
        ]));
        let flat = flat.unwrap();
        assert_eq!((flat.model_version.as_str(), &flat.tokens[..]), ("3", &[0, 0][..]));
        assert_eq!(best(flat), expected);
        let alone = read(json!([
            tensor("score", &[2, 2], json!([[0.25, 0.75], [0.5, 0.5]])),
            tensor("tokens", &[2], json!([4, 5])),
        ]));
        let alone = alone.unwrap();
        assert_eq!(alone.tokens, [4, 5]);
        assert_eq!(best(alone), expected);
    }

    #[test]
    fn nothing_is_believed() {
        let scores = || tensor("score", &[2], json!([0.5, 0.5]));
        for outputs in [
            json!([]),
            json!([scores()]),
            json!([tensor("score", &[2, 2], json!([0.1, 0.2, 0.3]))]),
            json!([tensor("score", &[2, 2], json!([0.1, 0.2, 0.3, 7]))]),
            json!([tensor("score", &[3, 2], json!([0.1, 0.2, 0.3, 0.4]))]),
            json!([scores(), tensor("label", &[2], json!(["billing", "gossip"]))]),
            json!([scores(), tensor("label", &[2], json!(["billing"]))]),
            json!([scores(), tensor("label", &[1, 2], json!(["billing", "billing"]))]),
            json!([
                scores(),
                tensor("label", &[2], json!(["billing", "billing"])),
                tensor("tokens", &[1], json!([1]))
            ]),
        ] {
            assert!(read(outputs.clone()).is_err(), "{outputs}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_comes_panics(body in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(parse(&body, 1, 1, &labels()));
        }
    }

    #[test]
    fn texts_are_asked_as_a_column() {
        let asked: Value =
            serde_json::from_slice(&request(&TextRequest { texts: vec!["a", "退"], top_k: 3 }))
                .unwrap();
        assert_eq!(asked["inputs"][0]["shape"], json!([2, 1]));
        assert_eq!(asked["inputs"][0]["data"], json!(["a", "退"]));
    }
}
