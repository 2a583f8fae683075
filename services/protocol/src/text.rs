//! Classifying text over the Open Inference Protocol: the one convention that gateway and pod share.
//!
//! Request: input `text`, `BYTES` \[n\]; parameter `top_k`. Answer: outputs `label`, `BYTES` \[n, k\];
//! `score`, `FP32` \[n, k\], probabilities, best first; `tokens`, `UINT32` \[n\].

use std::{borrow::Cow, num::NonZeroU32};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    explanation::{EXPLANATION, Explanation},
    oip::{InferRequest, Tensor},
    tensor::texts as elements,
    wanted::Wanted,
};

/// The input's name.
pub const TEXT: &str = "text";
/// The output with the labels.
pub const LABEL: &str = "label";
/// The output with the probabilities.
pub const SCORE: &str = "score";
/// The output with whether to believe each text's first label: `sure`, `unsure` or
/// `out-of-scope`. It comes only where it is asked for.
pub const STANDING: &str = "standing";
/// The output with the number of tokens read of each text.
pub const TOKENS: &str = "tokens";
/// The output with the number of tokens among them that the vocabulary does not have.
pub const UNKNOWN: &str = "unknown";

/// Texts to classify.
#[derive(Clone, Debug)]
pub struct TextRequest<'a> {
    /// The texts.
    pub texts: Vec<&'a str>,
    /// How many labels for each text.
    pub top_k: u32,
}

/// A message that does not follow the convention.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextMalformed {
    /// Not JSON of the protocol.
    #[error("not a message of the Open Inference Protocol v2 at line {line}, column {column}")]
    Json {
        /// Where it stops making sense.
        line: usize,
        /// Where it stops making sense.
        column: usize,
    },
    /// A tensor is missing, or one that is not known is there.
    #[error("the tensor `{name}` {problem}")]
    Tensor {
        /// The tensor.
        name: Cow<'static, str>,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// A parameter has a value that cannot be used.
    #[error("the parameter `{name}` must be {expected}")]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// What would be right.
        expected: &'static str,
    },
    /// The header that parts JSON and raw elements does not fit the body.
    #[error("`Inference-Header-Content-Length` is not the length of the JSON in this body")]
    Header,
}

fn tensor(name: &'static str, problem: impl Into<String>) -> TextMalformed {
    TextMalformed::Tensor { name: name.into(), problem: problem.into() }
}

fn json(fault: &serde_json::Error) -> TextMalformed {
    TextMalformed::Json { line: fault.line(), column: fault.column() }
}

impl TextRequest<'_> {
    /// The request as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        self.asking_for(&[])
    }

    /// The request for these outputs as JSON; the usual ones if there are none.
    pub fn asking_for(&self, outputs: &[&'static str]) -> Vec<u8> {
        #[derive(Serialize)]
        struct Out<'a> {
            parameters: TopK,
            inputs: [In<'a>; 1],
            #[serde(skip_serializing_if = "Vec::is_empty")]
            outputs: Vec<Named>,
        }
        #[derive(Serialize)]
        struct Named {
            name: &'static str,
        }
        #[derive(Serialize)]
        struct TopK {
            top_k: u32,
        }
        #[derive(Serialize)]
        struct In<'a> {
            name: &'static str,
            shape: [usize; 1],
            datatype: &'static str,
            data: &'a [&'a str],
        }
        let out = Out {
            parameters: TopK { top_k: self.top_k },
            inputs: [In {
                name: TEXT,
                shape: [self.texts.len()],
                datatype: "BYTES",
                data: &self.texts,
            }],
            outputs: outputs.iter().map(|name| Named { name }).collect(),
        };
        // Texts and numbers always have a JSON form.
        serde_json::to_vec(&out).unwrap_or_default()
    }
}

/// A request as the pod reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedTextRequest {
    /// The caller's own name for the request.
    pub id: Option<String>,
    /// The texts.
    pub texts: Vec<String>,
    /// How many labels for each text; all if absent.
    pub top_k: Option<u32>,
    /// Which outputs, and how.
    pub wanted: Wanted,
}

impl OwnedTextRequest {
    /// Reads a request of JSON and checks it against the convention.
    pub fn parse(body: &[u8]) -> Result<Self, TextMalformed> {
        Self::parse_binary(body, &[])
    }

    /// Reads a request whose texts may lie behind its JSON as raw elements.
    pub fn parse_binary(json: &[u8], raw: &[u8]) -> Result<Self, TextMalformed> {
        if let Some(request) = Usual::read(json) {
            return Ok(request);
        }
        let request: InferRequest =
            serde_json::from_slice(json).map_err(|fault| self::json(&fault))?;
        Self::read(request, raw)
    }

    /// Checks a request against the convention; `raw` holds the texts if the input has no data.
    pub fn read(request: InferRequest, raw: &[u8]) -> Result<Self, TextMalformed> {
        let top_k = match request.parameters.get("top_k") {
            None => None,
            Some(value) => {
                Some(value.as_u64().and_then(|k| u32::try_from(k).ok()).filter(|k| *k > 0).ok_or(
                    TextMalformed::Parameter { name: "top_k", expected: "a number above 0" },
                )?)
            }
        };
        let wanted = Wanted::read(&request.parameters, &request.outputs)?;
        let [input] = <[Tensor; 1]>::try_from(request.inputs).map_err(|inputs| {
            tensor(TEXT, format!("must be the only input, not 1 of {}", inputs.len()))
        })?;
        if input.name != TEXT {
            let name = Cow::Owned(input.name);
            let problem = format!("is not known here: the input is named `{TEXT}`");
            return Err(TextMalformed::Tensor { name, problem });
        }
        if input.datatype != "BYTES" {
            return Err(tensor(TEXT, "must have the datatype `BYTES`"));
        }
        let texts = if input.data.is_null() {
            let size = input.parameters.get("binary_data_size").and_then(serde_json::Value::as_u64);
            if size.is_some_and(|size| u64::try_from(raw.len()) != Ok(size)) {
                return Err(tensor(TEXT, "has another `binary_data_size` than bytes follow"));
            }
            elements(raw).ok_or_else(|| tensor(TEXT, "is cut short or holds no UTF-8"))?
        } else {
            let mut texts = Vec::new();
            flatten(input.data, &mut texts)?;
            texts
        };
        let elements = input.shape.iter().try_fold(1_u64, |all, size| all.checked_mul(*size));
        if elements != u64::try_from(texts.len()).ok() || texts.is_empty() {
            return Err(tensor(
                TEXT,
                format!("has the shape {:?} but {} elements", input.shape, texts.len()),
            ));
        }
        Ok(Self { id: request.id, texts, top_k, wanted })
    }
}

/// A request in the form that [`TextRequest`] writes, which nearly all have: it is read without a tree
/// being made of it. What is not of this form is no fault, it is read in the general way.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Usual<'a> {
    #[serde(default)]
    id: Option<String>,
    parameters: UsualParameters,
    #[serde(borrow)]
    inputs: [UsualInput<'a>; 1],
    #[serde(default)]
    outputs: Vec<UsualOutput>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UsualParameters {
    top_k: NonZeroU32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UsualInput<'a> {
    name: &'a str,
    shape: [usize; 1],
    datatype: &'a str,
    data: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UsualOutput {
    name: String,
}

impl<'a> Usual<'a> {
    fn read(json: &'a [u8]) -> Option<OwnedTextRequest> {
        let Self { id, parameters, inputs: [input], outputs } =
            serde_json::from_slice(json).ok()?;
        let fits = input.name == TEXT && input.datatype == "BYTES";
        if !fits || input.shape != [input.data.len()] || input.data.is_empty() {
            return None;
        }
        let wanted = Wanted::named(outputs.into_iter().map(|output| output.name).collect());
        Some(OwnedTextRequest {
            id,
            texts: input.data,
            top_k: Some(parameters.top_k.get()),
            wanted,
        })
    }
}

/// Elements may be nested as their shape is.
fn flatten(data: serde_json::Value, into: &mut Vec<String>) -> Result<(), TextMalformed> {
    match data {
        serde_json::Value::String(text) => into.push(text),
        serde_json::Value::Array(all) => {
            for one in all {
                flatten(one, into)?;
            }
        }
        _ => return Err(tensor(TEXT, "must have a list of strings as data")),
    }
    Ok(())
}

/// Labels and probabilities of one text, best first.
pub type Labels = Vec<(String, f32)>;

/// A pod's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct TextResponse {
    /// The model that answered.
    pub model_name: String,
    /// Its version.
    pub model_version: String,
    /// For each text its labels.
    pub results: Vec<Labels>,
    /// For each text how many tokens were read.
    pub tokens: Vec<u32>,
    /// For each text how many of them the vocabulary does not have; empty if the pod does not tell.
    pub unknown: Vec<u32>,
    /// For each text whether to believe its first label; empty if the pod does not tell.
    pub standings: Vec<Standing>,
    /// For each text why it got its best label; empty unless it was asked for.
    pub explanations: Vec<Explanation>,
}

/// Whether to believe a text's first label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It is as probable as the model's card asks for.
    Sure,
    /// It is less probable than that.
    Unsure,
    /// The text is of nothing that the model knows.
    OutOfScope,
}

impl Standing {
    const ALL: [Self; 3] = [Self::Sure, Self::Unsure, Self::OutOfScope];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sure => "sure",
            Self::Unsure => "unsure",
            Self::OutOfScope => "out-of-scope",
        }
    }
}

/// A pod's answer on the wire; what its tensors hold is read when it is known which they are.
#[derive(Serialize, Deserialize)]
struct Wire<'a, D> {
    #[serde(borrow)]
    model_name: Cow<'a, str>,
    #[serde(borrow, default)]
    model_version: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    id: Option<Cow<'a, str>>,
    outputs: Vec<WireTensor<'a, D>>,
}

#[derive(Serialize, Deserialize)]
struct WireTensor<'a, D> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    datatype: Cow<'a, str>,
    shape: Vec<usize>,
    data: D,
}

impl<'a> WireTensor<'a, &'a RawValue> {
    /// The elements, which must be of this type.
    fn elements<T: Deserialize<'a>>(&self) -> Result<Vec<T>, TextMalformed> {
        serde_json::from_str(self.data.get()).map_err(|_| TextMalformed::Tensor {
            name: Cow::Owned(self.name.clone().into_owned()),
            problem: "has the wrong element type".to_owned(),
        })
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Elements<'a> {
    Texts(Vec<&'a str>),
    Whole(&'a [u32]),
    Real(Vec<f32>),
}

impl TextResponse {
    /// All outputs that are read here of every pod.
    pub const OUTPUTS: [&str; 5] = [LABEL, SCORE, TOKENS, UNKNOWN, STANDING];
    /// The same with explanations.
    pub const EXPLAINED: [&str; 6] = [LABEL, SCORE, TOKENS, UNKNOWN, STANDING, EXPLANATION];

    /// The answer as JSON.
    pub fn to_json(&self, id: Option<&str>) -> Vec<u8> {
        let rows = self.results.len();
        let columns = self.results.first().map_or(0, Vec::len);
        let all = || self.results.iter().flatten();
        let output = |name: &'static str, datatype: &'static str, shape, data| WireTensor {
            name: name.into(),
            datatype: datatype.into(),
            shape,
            data,
        };
        let labels = Elements::Texts(all().map(|(label, _)| label.as_str()).collect());
        let scores = Elements::Real(all().map(|(_, score)| *score).collect());
        let mut wire = Wire {
            model_name: self.model_name.as_str().into(),
            model_version: self.model_version.as_str().into(),
            id: id.map(Into::into),
            outputs: vec![
                output(LABEL, "BYTES", vec![rows, columns], labels),
                output(SCORE, "FP32", vec![rows, columns], scores),
                output(TOKENS, "UINT32", vec![rows], Elements::Whole(&self.tokens)),
            ],
        };
        if !self.unknown.is_empty() {
            let unknown = Elements::Whole(&self.unknown);
            wire.outputs.push(output(UNKNOWN, "UINT32", vec![rows], unknown));
        }
        if !self.standings.is_empty() {
            let words = self.standings.iter().map(|standing| standing.as_str());
            let words = Elements::Texts(words.collect());
            wire.outputs.push(output(STANDING, "BYTES", vec![rows], words));
        }
        serde_json::to_vec(&wire).unwrap_or_default()
    }

    /// Reads a pod's answer about `texts` texts. Nothing of it is believed: shapes, lengths, and
    /// that scores are probabilities are checked.
    pub fn parse(body: &[u8], texts: usize) -> Result<Self, TextMalformed> {
        Self::read(body, texts).map(|(answer, _)| answer)
    }

    /// Reads a pod's answer about texts of so many code points, each of which is to be explained.
    pub fn parse_explained(body: &[u8], lengths: &[usize]) -> Result<Self, TextMalformed> {
        let (mut answer, explanations) = Self::read(body, lengths.len())?;
        if explanations.len() != lengths.len() {
            let problem = format!("does not explain {} texts", lengths.len());
            return Err(tensor(EXPLANATION, problem));
        }
        let of = |((json, labels), characters): ((&String, &Labels), &usize)| {
            let best = labels.first().map_or("", |(label, _)| label);
            Explanation::parse(json, best, *characters)
        };
        let all = explanations.iter().zip(&answer.results).zip(lengths).map(of);
        answer.explanations = all.collect::<Result<_, _>>()?;
        Ok(answer)
    }

    fn read(body: &[u8], texts: usize) -> Result<(Self, Vec<String>), TextMalformed> {
        let wire: Wire<'_, &RawValue> =
            serde_json::from_slice(body).map_err(|fault| json(&fault))?;
        let named = |name| wire.outputs.iter().find(|output| output.name == name);
        let needed = |name| named(name).ok_or_else(|| tensor(name, "is missing"));
        let (label, score, token) = (needed(LABEL)?, needed(SCORE)?, needed(TOKENS)?);
        let labels: Vec<String> = label.elements()?;
        let scores: Vec<f32> = score.elements()?;
        let tokens: Vec<u32> = token.elements()?;
        let unknown: Option<Vec<u32>> = named(UNKNOWN).map(WireTensor::elements).transpose()?;
        let standings: Option<Vec<String>> =
            named(STANDING).map(WireTensor::elements).transpose()?;
        let explanations = named(EXPLANATION).map(WireTensor::elements).transpose()?;
        let (unknown, standings) = (unknown.unwrap_or_default(), standings.unwrap_or_default());
        let [rows, columns] = label.shape[..] else {
            return Err(tensor(LABEL, "must have two dimensions"));
        };
        if rows != texts || columns == 0 || rows.checked_mul(columns) != Some(labels.len()) {
            return Err(tensor(LABEL, format!("does not hold labels for {texts} texts")));
        }
        if score.shape != label.shape || scores.len() != labels.len() {
            return Err(tensor(SCORE, "does not have the shape of `label`"));
        }
        if !scores.iter().all(|score| (0.0..=1.001).contains(score)) {
            return Err(tensor(SCORE, "holds a number that is no probability"));
        }
        if token.shape != [texts] || tokens.len() != texts {
            return Err(tensor(TOKENS, format!("does not hold {texts} counts")));
        }
        let more = unknown.iter().zip(&tokens).any(|(unknown, tokens)| unknown > tokens);
        if more || !(unknown.is_empty() || unknown.len() == texts) {
            return Err(tensor(UNKNOWN, format!("does not hold {texts} counts within `tokens`")));
        }
        let word = |word: &String| Standing::ALL.into_iter().find(|known| known.as_str() == word);
        let standings: Option<Vec<Standing>> = standings.iter().map(word).collect();
        let standings = standings
            .filter(|all| all.is_empty() || all.len() == texts)
            .ok_or_else(|| tensor(STANDING, format!("does not hold {texts} known words")))?;
        let mut pairs = labels.into_iter().zip(scores);
        let results: Vec<Labels> =
            (0..rows).map(|_| pairs.by_ref().take(columns).collect::<Labels>()).collect();
        let answer = Self {
            model_name: wire.model_name.into_owned(),
            model_version: wire.model_version.into_owned(),
            results,
            tokens,
            unknown,
            standings,
            explanations: Vec::new(),
        };
        Ok((answer, explanations.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn requests_round_trip(texts in prop::collection::vec(".*", 1..5), top_k in 1_u32..9) {
            let request = TextRequest { texts: texts.iter().map(String::as_str).collect(), top_k };
            let read = OwnedTextRequest::parse(&request.to_json()).unwrap();
            prop_assert_eq!(read, OwnedTextRequest { id: None, texts: texts.clone(), top_k: Some(top_k), wanted: Wanted::default() });
            // Both ways of reading say the same.
            let json = request.asking_for(&[SCORE, STANDING]);
            let general: InferRequest = serde_json::from_slice(&json).unwrap();
            let usual = Usual::read(&json);
            prop_assert_eq!(usual, Some(OwnedTextRequest::read(general, &[]).unwrap()));
        }

        #[test]
        fn answers_round_trip(
            rows in prop::collection::vec(prop::collection::vec((".*", 0_f32..=1.0), 3), 1..5),
            tokens in any::<u32>(),
        ) {
            let response = TextResponse {
                model_name: "m".to_owned(),
                model_version: "1".to_owned(),
                tokens: vec![tokens; rows.len()],
                unknown: if tokens % 2 == 0 { Vec::new() } else { vec![tokens / 2; rows.len()] },
                standings: vec![Standing::Unsure; if tokens % 3 == 0 { 0 } else { rows.len() }],
                explanations: Vec::new(),
                results: rows,
            };
            let texts = response.results.len();
            prop_assert_eq!(&TextResponse::parse(&response.to_json(None), texts).unwrap(), &response);
            prop_assert!(TextResponse::parse(&response.to_json(None), texts + 1).is_err());
        }

        #[test]
        fn nothing_that_comes_panics(body in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(TextResponse::parse(&body, 1));
            drop(OwnedTextRequest::parse(&body));
        }
    }

    #[test]
    fn what_does_not_follow_the_convention_is_refused() {
        let of = |text: &str| OwnedTextRequest::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(of("{").contains("Open Inference Protocol"));
        let one = |tensor: &str| of(&format!("{{\"inputs\":[{tensor}]}}"));
        assert!(
            one(r#"{"name":"ids","shape":[1],"datatype":"BYTES","data":["a"]}"#).contains("ids")
        );
        assert!(
            one(r#"{"name":"text","shape":[1],"datatype":"FP32","data":[1]}"#).contains("BYTES")
        );
        assert!(
            one(r#"{"name":"text","shape":[2],"datatype":"BYTES","data":["a"]}"#).contains("shape")
        );
        assert!(
            one(r#"{"name":"text","shape":[0],"datatype":"BYTES","data":[]}"#).contains("shape")
        );
        assert!(
            one(r#"{"name":"text","shape":[1],"datatype":"BYTES","data":[1]}"#).contains("strings")
        );
    }

    #[test]
    fn outputs_that_nobody_asked_for_are_passed_over() {
        let body = |more: &str| {
            format!(
                r#"{{"model_name":"m","outputs":[{more}
                {{"name":"label","shape":[1,1],"datatype":"BYTES","data":["a"]}},
                {{"name":"score","shape":[1,1],"datatype":"FP32","data":[0.5]}},
                {{"name":"tokens","shape":[1],"datatype":"UINT32","data":[3]}}]}}"#
            )
        };
        let usual = TextResponse::parse(body("").as_bytes(), 1).unwrap();
        for data in ["[[true,null],[]]", r#"{"of":"ours"}"#, r#"["a",1]"#] {
            let more =
                format!(r#"{{"name":"embedding","shape":[2],"datatype":"BOOL","data":{data}}},"#);
            let found = TextResponse::parse(body(&more).as_bytes(), 1);
            assert_eq!(found.as_ref(), Ok(&usual), "{data}");
        }
    }

    #[test]
    fn a_lying_pod_is_not_believed() {
        let body = |label: &str, score: &str, tokens: &str| {
            format!(
                r#"{{"model_name":"m","model_version":"1","outputs":[
                {{"name":"label","shape":[1,1],"datatype":"BYTES","data":{label}}},
                {{"name":"score","shape":[1,1],"datatype":"FP32","data":{score}}},
                {{"name":"tokens","shape":[1],"datatype":"UINT32","data":{tokens}}}]}}"#
            )
        };
        assert!(TextResponse::parse(body(r#"["a"]"#, "[1]", "[3]").as_bytes(), 1).is_ok());
        for (label, score, tokens) in [
            ("[]", "[0.5]", "[3]"),
            (r#"["a"]"#, "[7.5]", "[3]"),
            (r#"["a"]"#, "[7]", "[3]"),
            (r#"["a"]"#, "[0.5]", "[]"),
            ("[1]", "[0.5]", "[3]"),
            (r#"["a"]"#, r#"["0.5"]"#, "[3]"),
            (r#"["a"]"#, "[0.5]", "[-3]"),
        ] {
            assert!(TextResponse::parse(body(label, score, tokens).as_bytes(), 1).is_err());
        }
        let also = |name: &str, data: &str| {
            let more =
                format!(r#",{{"name":"{name}","shape":[1],"datatype":"BYTES","data":{data}}}]}}"#);
            let body = body(r#"["a"]"#, "[0.5]", "[3]");
            TextResponse::parse((body.strip_suffix("]}").unwrap().to_owned() + &more).as_bytes(), 1)
        };
        assert_eq!(also(STANDING, r#"["sure"]"#).unwrap().standings, [Standing::Sure]);
        assert_eq!(also(UNKNOWN, "[2]").unwrap().unknown, [2]);
        for (name, data) in [
            (STANDING, r#"["certain"]"#),
            (STANDING, r#"["sure",1]"#),
            (STANDING, r#"["sure","sure"]"#),
            (UNKNOWN, r#"["2"]"#),
            (UNKNOWN, "[4]"),
            (EXPLANATION, "[1]"),
        ] {
            let refused = also(name, data).unwrap_err();
            assert!(
                matches!(&refused, TextMalformed::Tensor { name: of, .. } if of == name),
                "{refused}"
            );
        }
    }
}
