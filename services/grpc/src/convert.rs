//! Between messages of gRPC and the protocol's own types, so that what is sent over either wire
//! is read by the same code.

use prost::bytes::Bytes;
use reeve_protocol::{
    oip::{InferRequest, Parameters, RequestedOutput, Tensor},
    tensor::Output,
};
use serde_json::Value;

use crate::inference::{
    InferParameter, ModelInferRequest, ModelInferResponse, infer_parameter::ParameterChoice,
    model_infer_request::InferInputTensor, model_infer_response::InferOutputTensor,
};

/// A message that the protocol does not permit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub String);

/// A request, and the raw elements of its input where it has such.
pub fn request(message: ModelInferRequest) -> Result<(InferRequest, Bytes), Malformed> {
    let raw = message.raw_input_contents;
    if !raw.is_empty() && raw.len() != message.inputs.len() {
        let inputs = message.inputs.len();
        return Err(Malformed(format!("{inputs} inputs but {} raw contents", raw.len())));
    }
    let inputs = message.inputs.into_iter().map(|input| tensor(input, !raw.is_empty()));
    let outputs = message.outputs.into_iter().map(|output| RequestedOutput {
        name: output.name,
        parameters: parameters(output.parameters),
    });
    let request = InferRequest {
        id: Some(message.id).filter(|id| !id.is_empty()),
        parameters: parameters(message.parameters),
        inputs: inputs.collect::<Result<_, _>>()?,
        outputs: outputs.collect(),
    };
    Ok((request, raw.into_iter().next().unwrap_or_default()))
}

fn tensor(input: InferInputTensor, raw: bool) -> Result<Tensor, Malformed> {
    let negative = || Malformed(format!("the shape {:?} is none of a tensor", input.shape));
    let shape = input.shape.iter().map(|&size| u64::try_from(size).map_err(|_| negative()));
    let shape = shape.collect::<Result<_, _>>()?;
    let data = match input.contents {
        Some(_) if raw => {
            return Err(Malformed("contents and raw contents exclude each other".to_owned()));
        }
        Some(contents) => {
            let text = |bytes: Bytes| {
                let text = std::str::from_utf8(&bytes).map(str::to_owned);
                text.map(Value::String).map_err(|_| Malformed("a text is not UTF-8".to_owned()))
            };
            let texts = contents.bytes_contents.into_iter().map(text);
            Value::Array(texts.collect::<Result<_, _>>()?)
        }
        None => Value::Null,
    };
    let (name, datatype) = (input.name, input.datatype);
    Ok(Tensor { name, shape, datatype, parameters: parameters(input.parameters), data })
}

fn parameters(all: impl IntoIterator<Item = (String, InferParameter)>) -> Parameters {
    let value = |parameter: InferParameter| match parameter.parameter_choice? {
        ParameterChoice::BoolParam(value) => Some(value.into()),
        ParameterChoice::Int64Param(value) => Some(value.into()),
        ParameterChoice::StringParam(value) => Some(value.into()),
        ParameterChoice::DoubleParam(value) => Some(value.into()),
        ParameterChoice::Uint64Param(value) => Some(value.into()),
    };
    all.into_iter().filter_map(|(name, parameter)| Some((name, value(parameter)?))).collect()
}

/// An answer; its elements are raw, as Triton's are.
pub fn response(
    model: &str,
    version: &str,
    id: Option<&str>,
    outputs: &[Output],
) -> ModelInferResponse {
    let tensor = |output: &Output| InferOutputTensor {
        name: output.name.to_owned(),
        datatype: output.elements.datatype().to_owned(),
        shape: output.shape.iter().map(|&n| i64::try_from(n).unwrap_or(i64::MAX)).collect(),
        ..InferOutputTensor::default()
    };
    ModelInferResponse {
        model_name: model.to_owned(),
        model_version: version.to_owned(),
        id: id.unwrap_or_default().to_owned(),
        outputs: outputs.iter().map(tensor).collect(),
        raw_output_contents: outputs.iter().map(|o| o.elements.raw().into()).collect(),
        ..ModelInferResponse::default()
    }
}

#[cfg(test)]
mod tests {
    use reeve_protocol::{tensor::Elements, text::OwnedTextRequest};

    use super::*;
    use crate::inference::InferTensorContents;

    fn message(raw: bool) -> ModelInferRequest {
        let texts = ["a".to_owned(), "发票".to_owned()];
        let contents = InferTensorContents {
            bytes_contents: texts.iter().map(|text| text.clone().into()).collect(),
            ..InferTensorContents::default()
        };
        let input = InferInputTensor {
            name: "text".to_owned(),
            datatype: "BYTES".to_owned(),
            shape: vec![2],
            contents: (!raw).then_some(contents),
            ..InferInputTensor::default()
        };
        let all = Elements::Bytes(texts.to_vec()).raw();
        ModelInferRequest {
            model_name: "m".to_owned(),
            inputs: vec![input],
            raw_input_contents: if raw { vec![all.into()] } else { Vec::new() },
            ..ModelInferRequest::default()
        }
    }

    #[test]
    fn texts_are_read_raw_and_as_contents() {
        for raw in [false, true] {
            let (request, rest) = request(message(raw)).unwrap();
            let read = OwnedTextRequest::read(request, &rest).unwrap();
            assert_eq!(read.texts, ["a", "发票"], "raw: {raw}");
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let mut both = message(false);
        both.raw_input_contents = message(true).raw_input_contents;
        assert!(request(both).is_err());
        let mut more = message(true);
        more.raw_input_contents.push(Bytes::new());
        assert!(request(more).is_err());
        let mut negative = message(true);
        negative.inputs[0].shape = vec![-1];
        assert!(request(negative).is_err());
    }
}
