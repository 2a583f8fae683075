//! The Open Inference Protocol v2 over gRPC. A message is a body like any other; what is answered
//! is an encoded message, and a refusal is the text of a status.

use actix_web::web::Bytes;
use prost::Message as _;
use reeve_grpc::{convert, inference::ModelInferRequest};
use reeve_protocol::{text::OwnedTextRequest, wanted::Told};

use super::{Classification, Form, Front, Misread, Question, Target, Written, oip};
use crate::problem::Problem;

#[derive(Debug)]
pub(crate) struct Grpc;

const MESSAGE: &str = "application/grpc+proto";

impl Front for Grpc {
    fn takes(&self, _: Option<&str>) -> bool {
        true
    }

    fn read(&self, target: &Target, body: Bytes) -> Result<Question, Misread> {
        let message = ModelInferRequest::decode(body)
            .map_err(|_| Misread::unreadable("not a message of the Open Inference Protocol v2"))?;
        let (request, raw) = convert::request(message)
            .map_err(|convert::Malformed(what)| Misread::field("inputs", what))?;
        let request = OwnedTextRequest::read(request, &raw).map_err(oip::misread)?;
        oip::question(target, request, |request| Box::new(Answered(request)))
    }

    fn refusal(&self, problem: &Problem) -> Written {
        Written {
            content_type: "text/plain; charset=utf-8",
            body: problem.sentence().into_bytes(),
            headers: Vec::new(),
        }
    }
}

struct Answered(OwnedTextRequest);

impl Form for Answered {
    fn write(&self, answer: Classification<'_>) -> Written {
        let (asked, model) = (&self.0, answer.model);
        // What is not there was refused before.
        let told = Told { tokens: answer.tokens, ..Told::default() };
        let outputs =
            asked.wanted.classified(&answer.results, told, &model.labels).unwrap_or_default();
        let (name, version) = (model.facts.name.as_str(), &model.facts.version);
        let message = convert::response(name, version, asked.id.as_deref(), &outputs);
        Written { content_type: MESSAGE, body: message.encode_to_vec(), headers: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use reeve_domain::Code;
    use reeve_grpc::inference::{ModelInferResponse, model_infer_request::InferInputTensor};
    use reeve_protocol::tensor::{Elements, texts};

    use super::super::testing::{answered, labels, problem};
    use super::*;

    fn message(shape: i64) -> Bytes {
        let input = InferInputTensor {
            name: "text".to_owned(),
            datatype: "BYTES".to_owned(),
            shape: vec![shape],
            ..InferInputTensor::default()
        };
        let raw = Elements::Bytes(["a", "退款"].map(str::to_owned).to_vec()).raw();
        let message = ModelInferRequest {
            id: "7".to_owned(),
            inputs: vec![input],
            raw_input_contents: vec![raw.into()],
            ..ModelInferRequest::default()
        };
        message.encode_to_vec().into()
    }

    #[test]
    fn a_message_is_read_and_answered_by_one() {
        let question = Grpc.read(&Target::default(), message(2)).ok().unwrap();
        assert_eq!(question.texts, ["a", "退款"]);
        let results = vec![labels(&[("ok", 0.75)]), labels(&[("billing", 0.5)])];
        let answer = ModelInferResponse::decode(&answered(&question, results).body[..]).unwrap();
        assert_eq!((answer.id.as_str(), answer.model_name.as_str()), ("7", "support"));
        assert_eq!(answer.outputs[0].shape, [2, 1]);
        assert_eq!(texts(&answer.raw_output_contents[0]).unwrap(), ["ok", "billing"]);
    }

    #[test]
    fn what_is_none_is_refused() {
        let code = |body: Bytes| Grpc.read(&Target::default(), body).err().unwrap().code;
        assert_eq!(code(Bytes::from_static(b"\xff\xff")), Code::MalformedJson);
        assert_eq!(code(message(3)), Code::InvalidRequest);
        assert_eq!(code(Bytes::new()), Code::InvalidRequest);
        let refused = Grpc.refusal(&problem(Code::DeniedByPolicy));
        assert_eq!(refused.body, b"Policy does not permit this call. the detail");
    }
}
