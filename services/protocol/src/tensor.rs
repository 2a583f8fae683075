//! Elements of tensors as bytes: what Triton's clients send behind the JSON of a request when the
//! header `Inference-Header-Content-Length` says how long that is, and what gRPC carries in
//! `raw_input_contents`. `BYTES` are elements of a little-endian 32-bit length and as many bytes;
//! numbers are little-endian.

use serde::Serialize;

use crate::text::TextMalformed;

/// The header that says how many bytes of a body are JSON; raw elements follow these.
pub const BINARY_HEADER: &str = "Inference-Header-Content-Length";

/// A tensor's elements.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Elements {
    /// `BYTES`
    Bytes(Vec<String>),
    /// `FP32`
    Real(Vec<f32>),
    /// `UINT32`
    Whole(Vec<u32>),
}

/// A tensor of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Its name.
    pub name: &'static str,
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Its elements in row-major order.
    pub elements: Elements,
    /// Whether they are sent as bytes behind the JSON.
    pub binary: bool,
}

impl Elements {
    /// The protocol's name of their type.
    pub const fn datatype(&self) -> &'static str {
        match self {
            Self::Bytes(_) => "BYTES",
            Self::Real(_) => "FP32",
            Self::Whole(_) => "UINT32",
        }
    }

    /// As bytes.
    pub fn raw(&self) -> Vec<u8> {
        match self {
            Self::Bytes(texts) => {
                let mut raw = Vec::with_capacity(texts.iter().map(|text| text.len() + 4).sum());
                for text in texts {
                    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
                    raw.extend_from_slice(&length.to_le_bytes());
                    raw.extend_from_slice(text.as_bytes());
                }
                raw
            }
            Self::Real(numbers) => numbers.iter().flat_map(|n| n.to_le_bytes()).collect(),
            Self::Whole(numbers) => numbers.iter().flat_map(|n| n.to_le_bytes()).collect(),
        }
    }
}

/// The texts of a raw `BYTES` tensor; `None` if it is cut short or a text is not UTF-8.
pub fn texts(mut raw: &[u8]) -> Option<Vec<String>> {
    let mut texts = Vec::new();
    while !raw.is_empty() {
        let (length, rest) = raw.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (text, rest) = rest.split_at_checked(length)?;
        texts.push(std::str::from_utf8(text).ok()?.to_owned());
        raw = rest;
    }
    Some(texts)
}

/// Parts a body into its JSON and the raw elements behind it. `header` is the value of
/// [`BINARY_HEADER`].
pub fn split<'a>(body: &'a [u8], header: &str) -> Result<(&'a [u8], &'a [u8]), TextMalformed> {
    header
        .trim()
        .parse()
        .ok()
        .and_then(|length| body.split_at_checked(length))
        .ok_or(TextMalformed::Header)
}

/// An answer's body, and how much of it is JSON where raw elements follow.
pub fn body(
    model: &str,
    version: &str,
    id: Option<&str>,
    outputs: &[Output],
) -> (Vec<u8>, Option<usize>) {
    #[derive(Serialize)]
    struct Answer<'a> {
        model_name: &'a str,
        model_version: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        outputs: Vec<Tensor<'a>>,
    }
    #[derive(Serialize)]
    struct Tensor<'a> {
        name: &'a str,
        datatype: &'a str,
        shape: &'a [usize],
        #[serde(skip_serializing_if = "Option::is_none")]
        parameters: Option<Size>,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<&'a Elements>,
    }
    #[derive(Serialize)]
    struct Size {
        binary_data_size: usize,
    }
    let mut raw = Vec::new();
    let mut tensors = Vec::with_capacity(outputs.len());
    for Output { name, shape, elements, binary } in outputs {
        let datatype = elements.datatype();
        let mut tensor = Tensor { name, datatype, shape, parameters: None, data: None };
        if *binary {
            let bytes = elements.raw();
            tensor.parameters = Some(Size { binary_data_size: bytes.len() });
            raw.extend(bytes);
        } else {
            tensor.data = Some(elements);
        }
        tensors.push(tensor);
    }
    let answer = Answer { model_name: model, model_version: version, id, outputs: tensors };
    // Names and numbers always have a JSON form.
    let mut body = serde_json::to_vec(&answer).unwrap_or_default();
    let binary = outputs.iter().any(|output| output.binary).then_some(body.len());
    body.extend(raw);
    (body, binary)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    proptest! {
        #[test]
        fn texts_come_back_as_they_went(all in prop::collection::vec(".*", 0..6)) {
            prop_assert_eq!(texts(&Elements::Bytes(all.clone()).raw()), Some(all));
        }

        #[test]
        fn nothing_that_comes_panics(raw in prop::collection::vec(any::<u8>(), 0..64), header in ".*") {
            drop(texts(&raw));
            drop(split(&raw, &header));
        }
    }

    #[test]
    fn what_is_cut_short_is_refused() {
        let raw = Elements::Bytes(vec!["hello".to_owned()]).raw();
        assert_eq!(texts(&raw[..7]), None);
        assert_eq!(texts(&[1, 0, 0, 0, 0xff]), None);
        assert!(split(b"{}", "3").is_err());
        assert_eq!(split(b"{}x", "2").unwrap(), (&b"{}"[..], &b"x"[..]));
    }

    #[test]
    fn raw_elements_follow_the_json_in_order() {
        let output = |name, elements, binary| Output { name, shape: vec![1], elements, binary };
        let outputs = [
            output("tokens", Elements::Whole(vec![7]), true),
            output("label", Elements::Bytes(vec!["a".to_owned()]), false),
            output("score", Elements::Real(vec![0.5]), true),
        ];
        let (body, length) = body("m", "1", Some("x"), &outputs);
        let (head, raw) = body.split_at(length.unwrap());
        let head: Value = serde_json::from_slice(head).unwrap();
        assert_eq!(head["outputs"][0]["parameters"]["binary_data_size"], 4);
        assert_eq!(head["outputs"][1]["data"][0], "a");
        assert_eq!(raw, [&7_u32.to_le_bytes()[..], &0.5_f32.to_le_bytes()].concat());
    }
}
