//! Finding names over the Open Inference Protocol: the same input as for classifying; the answer
//! has the output `spans`, `BYTES` \[n\], for each text a JSON list of
//! `{"kind", "start", "end", "score"}` with places in Unicode code points.

use serde::{Deserialize, Serialize};

use crate::{
    oip::{InferResponse, Parameters, Tensor},
    text::TextMalformed,
};

/// The output with the names.
pub const SPANS: &str = "spans";

/// A name in a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NameSpan {
    /// Its kind, `PERSON`.
    pub kind: String,
    /// Where it begins, in Unicode code points.
    pub start: usize,
    /// Behind its last character.
    pub end: usize,
    /// How likely it is, 0 to 1.
    pub score: f32,
}

/// A pod's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct NamesResponse {
    /// The model that answered.
    pub model_name: String,
    /// Its version.
    pub model_version: String,
    /// For each text its names, in order.
    pub spans: Vec<Vec<NameSpan>>,
}

fn malformed(problem: impl Into<String>) -> TextMalformed {
    TextMalformed::Tensor { name: SPANS.into(), problem: problem.into() }
}

impl NamesResponse {
    /// The answer as JSON.
    pub fn to_json(&self, id: Option<&str>) -> Vec<u8> {
        // Names and numbers always have a JSON form.
        let data: Vec<String> =
            self.spans.iter().map(|all| serde_json::to_string(all).unwrap_or_default()).collect();
        let response = InferResponse {
            model_name: self.model_name.clone(),
            model_version: Some(self.model_version.clone()),
            id: id.map(str::to_owned),
            parameters: Parameters::default(),
            outputs: vec![Tensor {
                name: SPANS.to_owned(),
                shape: vec![u64::try_from(data.len()).unwrap_or(u64::MAX)],
                datatype: "BYTES".to_owned(),
                parameters: Parameters::default(),
                data: data.into(),
            }],
        };
        serde_json::to_vec(&response).unwrap_or_default()
    }

    /// Reads a pod's answer about texts of these lengths in code points. Nothing of it is
    /// believed: names that are not in their text, or not in order, are refused.
    pub fn parse(body: &[u8], lengths: &[usize]) -> Result<Self, TextMalformed> {
        let response: InferResponse = serde_json::from_slice(body)
            .map_err(|fault| TextMalformed::Json { line: fault.line(), column: fault.column() })?;
        let output = response.outputs.into_iter().find(|output| output.name == SPANS);
        let output = output.ok_or_else(|| malformed("is missing"))?;
        let data: Vec<String> = serde_json::from_value(output.data)
            .map_err(|_| malformed("must be a flat list of strings"))?;
        if data.len() != lengths.len() {
            return Err(malformed(format!("does not hold names of {} texts", lengths.len())));
        }
        let mut all = Vec::with_capacity(data.len());
        for (text, length) in data.iter().zip(lengths) {
            let spans: Vec<NameSpan> = serde_json::from_str(text)
                .map_err(|_| malformed("holds what is no list of names"))?;
            let mut edge = 0;
            for span in &spans {
                let sound = edge <= span.start
                    && span.start < span.end
                    && span.end <= *length
                    && (0.0..=1.001).contains(&span.score);
                if !sound {
                    return Err(malformed("holds a name that is not in its text"));
                }
                edge = span.end;
            }
            all.push(spans);
        }
        Ok(Self {
            model_name: response.model_name,
            model_version: response.model_version.unwrap_or_default(),
            spans: all,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(start: usize, end: usize, score: f32) -> NamesResponse {
        let span = NameSpan { kind: "PERSON".to_owned(), start, end, score };
        NamesResponse {
            model_name: "names".to_owned(),
            model_version: "1".to_owned(),
            spans: vec![Vec::new(), vec![span]],
        }
    }

    #[test]
    fn answers_round_trip_and_are_not_believed() {
        let good = response(3, 7, 0.5);
        assert_eq!(NamesResponse::parse(&good.to_json(None), &[0, 7]).unwrap(), good);
        for wrong in [response(3, 8, 0.5), response(3, 3, 0.5), response(3, 7, 1.5)] {
            assert!(NamesResponse::parse(&wrong.to_json(None), &[0, 7]).is_err(), "{wrong:?}");
        }
        assert!(NamesResponse::parse(&good.to_json(None), &[7]).is_err());
        assert!(NamesResponse::parse(b"{}", &[7]).is_err());
    }
}
