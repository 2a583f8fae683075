use reeve_classifier::{
    Arithmetic, Backend, BackendError, Device, Encoded, ExplainSettings, Integral, Source,
};
use tch::{Kind, TchError};

use crate::{device, gradients::Gradients, network::Network, script::Script, stream::Stream};

/// libtorch, as it is linked here.
#[derive(Debug, Clone, Copy, Default)]
pub struct Torch;

fn failed(error: TchError) -> BackendError {
    BackendError(error.to_string())
}

impl Backend for Torch {
    fn device(&self) -> Result<Device, BackendError> {
        Ok(device::first())
    }

    fn network(
        &self,
        source: Source<'_>,
        device: Device,
        precision: Arithmetic,
    ) -> Result<Box<dyn reeve_classifier::Network>, BackendError> {
        let stream = Stream::of(device);
        // Weights are put where they will be used.
        let _here = stream.as_ref().and_then(Stream::enter);
        if let Some(script) = source.script {
            let script = Script::load(script, source.classes, source.empty_token, device);
            return Ok(Box::new(Streamed { network: script.map_err(failed)?, stream }));
        }
        let kind = if precision == Arithmetic::Bf16 { Kind::BFloat16 } else { Kind::Float };
        let network = Network::new(source.architecture, source.weights, device).map_err(failed)?;
        Ok(Box::new(Streamed { network: network.computes_in(kind), stream }))
    }
}

/// A network that computes in a stream of its own, where its device has streams.
#[derive(Debug)]
struct Streamed<N> {
    // Goes first, so that its memory is free when another network gets the stream.
    network: N,
    stream: Option<Stream>,
}

impl<N: reeve_classifier::Network> reeve_classifier::Network for Streamed<N> {
    fn answers(&self, texts: &[&Encoded]) -> Result<Vec<Vec<f32>>, BackendError> {
        let _here = self.stream.as_ref().and_then(Stream::enter);
        self.network.answers(texts)
    }

    fn integrate(
        &self,
        text: &Encoded,
        label: usize,
        settings: ExplainSettings,
    ) -> Result<Option<Integral>, BackendError> {
        let _here = self.stream.as_ref().and_then(Stream::enter);
        self.network.integrate(text, label, settings)
    }
}

impl reeve_classifier::Network for Network {
    fn answers(&self, texts: &[&Encoded]) -> Result<Vec<Vec<f32>>, BackendError> {
        self.rows(texts).map_err(failed)
    }

    fn integrate(
        &self,
        text: &Encoded,
        label: usize,
        settings: ExplainSettings,
    ) -> Result<Option<Integral>, BackendError> {
        let gradients = Gradients { network: self, encoded: text, label };
        tch::with_grad(|| gradients.integrate(settings)).map(Some).map_err(failed)
    }
}

impl reeve_classifier::Network for Script {
    fn answers(&self, texts: &[&Encoded]) -> Result<Vec<Vec<f32>>, BackendError> {
        self.rows(texts).map_err(failed)
    }

    fn integrate(
        &self,
        _: &Encoded,
        _: usize,
        _: ExplainSettings,
    ) -> Result<Option<Integral>, BackendError> {
        Ok(None)
    }
}
