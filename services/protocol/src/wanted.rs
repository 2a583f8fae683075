//! What a caller of the Open Inference Protocol wants of an answer: which outputs, as JSON or as
//! bytes, and Triton's `classification: k` in place of the raw scores.

use serde_json::Value;

use crate::{
    explanation::{EXPLANATION, Explanation},
    oip::{Parameters, RequestedOutput},
    tensor::{Elements, Output},
    text::{LABEL, Labels, SCORE, STANDING, TOKENS, TextMalformed, UNKNOWN},
};

/// What is told of texts besides their labels.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told<'a> {
    /// How many tokens were read of each.
    pub tokens: &'a [u32],
    /// How many of them the vocabulary does not have, where that is known.
    pub unknown: Option<&'a [u32]>,
    /// Whether to believe the labels of each, where that is known.
    pub standings: Option<&'a [String]>,
    /// Why each got its best label, where it was found out.
    pub explanations: Option<&'a [Explanation]>,
}

/// The outputs that are wanted of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// All, in their usual order, if empty.
    outputs: Vec<One>,
    /// Whether all are sent as bytes where an output says nothing.
    binary: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct One {
    name: String,
    binary: bool,
    classification: Option<usize>,
}

fn flag(parameters: &Parameters, name: &'static str) -> Result<Option<bool>, TextMalformed> {
    match parameters.get(name) {
        None => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(TextMalformed::Parameter { name, expected: "true or false" }),
    }
}

impl Wanted {
    /// Reads a request's `outputs` and its parameter `binary_data_output`.
    pub fn read(
        parameters: &Parameters,
        outputs: &[RequestedOutput],
    ) -> Result<Self, TextMalformed> {
        let binary = flag(parameters, "binary_data_output")?.unwrap_or(false);
        let read = |output: &RequestedOutput| {
            let classification = match output.parameters.get("classification") {
                None => None,
                Some(value) => {
                    let k = value.as_u64().and_then(|k| usize::try_from(k).ok());
                    Some(k.filter(|k| *k > 0).ok_or(TextMalformed::Parameter {
                        name: "classification",
                        expected: "a number above 0",
                    })?)
                }
            };
            if classification.is_some() && output.name != SCORE {
                return Err(TextMalformed::Parameter {
                    name: "classification",
                    expected: "asked of the output `score`",
                });
            }
            let binary = flag(&output.parameters, "binary_data")?.unwrap_or(binary);
            Ok(One { name: output.name.clone(), binary, classification })
        };
        Ok(Self { outputs: outputs.iter().map(read).collect::<Result<_, _>>()?, binary })
    }

    /// These outputs, as JSON.
    pub(crate) fn named(outputs: Vec<String>) -> Self {
        let one = |name| One { name, binary: false, classification: None };
        Self { outputs: outputs.into_iter().map(one).collect(), binary: false }
    }

    /// Whether an output is asked for by its name.
    pub fn asks_for(&self, name: &str) -> bool {
        self.outputs.iter().any(|output| output.name == name)
    }

    /// The outputs of classified texts: for each text its labels, best first, how many tokens were
    /// read, and, for who asks for it, what else is told. `order` is the bundle's order of labels.
    pub fn classified(
        &self,
        results: &[Labels],
        Told { tokens, unknown, standings, explanations }: Told<'_>,
        order: &[String],
    ) -> Result<Vec<Output>, TextMalformed> {
        let shape = vec![results.len(), results.first().map_or(0, Vec::len)];
        let all = || results.iter().flatten();
        self.select(&[LABEL, SCORE, TOKENS], |name, classification| match (name, classification) {
            (SCORE, Some(k)) => Some((SCORE, classes(results, order, k))),
            (LABEL, _) => {
                let labels = all().map(|(label, _)| label.clone()).collect();
                Some((LABEL, (shape.clone(), Elements::Bytes(labels))))
            }
            (SCORE, None) => {
                let scores = all().map(|(_, score)| *score).collect();
                Some((SCORE, (shape.clone(), Elements::Real(scores))))
            }
            (TOKENS, _) => Some((TOKENS, (vec![tokens.len()], Elements::Whole(tokens.to_vec())))),
            (UNKNOWN, _) => {
                let unknown = Elements::Whole(unknown?.to_vec());
                Some((UNKNOWN, (vec![tokens.len()], unknown)))
            }
            (STANDING, _) => {
                let standings = Elements::Bytes(standings?.to_vec());
                Some((STANDING, (vec![tokens.len()], standings)))
            }
            (EXPLANATION, _) => {
                // Names and finite numbers always have a JSON form.
                let text = |one| serde_json::to_string(one).unwrap_or_default();
                let texts = explanations?.iter().map(text).collect();
                Some((EXPLANATION, (vec![tokens.len()], Elements::Bytes(texts))))
            }
            _ => None,
        })
    }

    /// The one output of a model that has one.
    pub fn only(
        &self,
        name: &'static str,
        elements: Vec<String>,
    ) -> Result<Vec<Output>, TextMalformed> {
        self.select(&[name], |asked, _| {
            let shape = vec![elements.len()];
            (asked == name).then(|| (name, (shape, Elements::Bytes(elements.clone()))))
        })
    }

    fn select(
        &self,
        usual: &[&str],
        make: impl Fn(&str, Option<usize>) -> Option<(&'static str, (Vec<usize>, Elements))>,
    ) -> Result<Vec<Output>, TextMalformed> {
        let one = |name: &str, binary, classification| {
            let (name, (shape, elements)) =
                make(name, classification).ok_or_else(|| TextMalformed::Tensor {
                    name: name.to_owned().into(),
                    problem: format!("is no output of this model: it has {}", usual.join(", ")),
                })?;
            Ok(Output { name, shape, elements, binary })
        };
        if self.outputs.is_empty() {
            return usual.iter().map(|name| one(name, self.binary, None)).collect();
        }
        let asked = self.outputs.iter();
        asked.map(|output| one(&output.name, output.binary, output.classification)).collect()
    }
}

/// Triton's form of the best classes: `score:index:label` for each.
fn classes(results: &[Labels], order: &[String], k: usize) -> (Vec<usize>, Elements) {
    let k = k.min(results.iter().map(Vec::len).min().unwrap_or(0));
    let class = |(label, score): &(String, f32)| {
        let index = order.iter().position(|other| other == label).unwrap_or(0);
        format!("{score:.6}:{index}:{label}")
    };
    let texts = results.iter().flat_map(|labels| labels.iter().take(k).map(class)).collect();
    (vec![results.len(), k], Elements::Bytes(texts))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanted(parameters: Value, outputs: Value) -> Result<Wanted, TextMalformed> {
        let outputs: Vec<RequestedOutput> = serde_json::from_value(outputs).unwrap();
        Wanted::read(parameters.as_object().unwrap(), &outputs)
    }

    fn answer(wanted: &Wanted) -> Result<Vec<Output>, TextMalformed> {
        let labels = vec![("b".to_owned(), 0.75), ("a".to_owned(), 0.25)];
        let standings = ["sure".to_owned()];
        let told = Told {
            tokens: &[3],
            unknown: Some(&[1]),
            standings: Some(&standings),
            explanations: None,
        };
        wanted.classified(&[labels], told, &["a", "b"].map(str::to_owned))
    }

    #[test]
    fn all_outputs_come_unless_some_are_asked_for() {
        let all = answer(&wanted(json!({}), json!([])).unwrap()).unwrap();
        assert_eq!(all.iter().map(|o| o.name).collect::<Vec<_>>(), [LABEL, SCORE, TOKENS]);
        assert!(!all.iter().any(|output| output.binary));
        let outputs = json!([{"name": "score"}, {"name": "label", "parameters": {"binary_data": false}}, {"name": "standing"}]);
        let some = answer(&wanted(json!({"binary_data_output": true}), outputs).unwrap()).unwrap();
        assert_eq!(
            some.iter().map(|o| (o.name, o.binary)).collect::<Vec<_>>(),
            [(SCORE, true), (LABEL, false), (STANDING, true)]
        );
        for missing in ["logits", "explanation"] {
            let wanted = wanted(json!({}), json!([{"name": missing}])).unwrap();
            assert!(wanted.asks_for(missing) && answer(&wanted).is_err());
        }
    }

    #[test]
    fn classes_are_told_as_triton_tells_them() {
        let outputs = json!([{"name": "score", "parameters": {"classification": 1}}]);
        let [classes] = &answer(&wanted(json!({}), outputs).unwrap()).unwrap()[..] else {
            panic!("one output was asked for");
        };
        assert_eq!(classes.elements, Elements::Bytes(vec!["0.750000:1:b".to_owned()]));
        assert_eq!(classes.shape, [1, 1]);
        for bad in [
            json!([{"name": "score", "parameters": {"classification": 0}}]),
            json!([{"name": "label", "parameters": {"classification": 1}}]),
            json!([{"name": "label", "parameters": {"binary_data": "yes"}}]),
        ] {
            assert!(wanted(json!({}), bad).is_err());
        }
    }
}
