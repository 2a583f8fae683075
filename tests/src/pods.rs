//! More pods than a world begins with.

use std::time::Duration;

use anyhow::Context as _;
use reeve_domain::{
    Clock as _, ModelFacts, ModelName, ModelVersion, Pod, PodId, Region, SystemClock,
};
use reeve_store::model::VersionRow;

use crate::{
    client::Client,
    model::sample_bundle,
    program::{Program, free_port, wait_until},
    world::{World, start_pod},
};

impl World {
    /// Where a region's own pod listens.
    pub fn pod_port(&self, region: &str) -> anyhow::Result<u16> {
        self.pod_ports.get(region).copied().context("no such region")
    }

    /// Starts one more pod of the sample model without registering it, and gives its port. What it
    /// receives is in the inputs of `name`.
    pub fn start_more(&self, name: &str, region: &str) -> anyhow::Result<(Program, u16)> {
        let port = free_port()?;
        Ok((self.start_more_at(name, region, port)?, port))
    }

    /// The same at a port, such as that of one that ended.
    pub fn start_more_at(&self, name: &str, region: &str, port: u16) -> anyhow::Result<Program> {
        let mut pod =
            start_pod(self.path(), self.bucket.as_ref(), &sample_bundle()?, name, region, port)?;
        let client = Client::new(&format!("http://127.0.0.1:{port}"), None);
        wait_until("the pod is ready", Duration::from_secs(60), || {
            anyhow::ensure!(pod.runs(), "the pod ended:\n{}", pod.output());
            Ok(client.get("/v2/health/ready").is_ok_and(|answer| answer.status == 200))
        })?;
        Ok(pod)
    }

    /// Registers a pod of the sample model at an address, or moves the one of that name there.
    pub fn register(&self, name: &str, region: &str, url: &str) -> anyhow::Result<()> {
        let digest = reeve_protocol::model::BundleSummary::read(&sample_bundle()?)?.digest;
        let pod = Pod {
            id: PodId::new(name)?,
            region: Region::new(region)?,
            url: url.to_owned(),
            models: vec![digest],
            draining: false,
        };
        self.store.write(|c| reeve_store::pod::upsert(c, &pod))?;
        Ok(())
    }

    /// Registers a model that no bundle is of, and the one server that has it.
    pub fn register_foreign(
        &self,
        model: &str,
        labels: &[&str],
        region: &str,
        url: &str,
    ) -> anyhow::Result<()> {
        let facts = ModelFacts {
            name: ModelName::new(model)?,
            version: "1".to_owned(),
            digest: reeve_domain::Digest::of(model.as_bytes()),
            generative: false,
            risk_class: "minimal".to_owned(),
            conformity: false,
            instructions: false,
        };
        let pod = Pod {
            id: PodId::new(model)?,
            region: Region::new(region)?,
            url: url.to_owned(),
            models: vec![facts.digest],
            draining: false,
        };
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        let now = SystemClock::default().now();
        let version = VersionRow::registered(ModelVersion::approved(facts, labels), now);
        self.store.write(|c| {
            reeve_store::model::register(c, &version)?;
            reeve_store::pod::upsert(c, &pod)
        })?;
        Ok(())
    }
}
