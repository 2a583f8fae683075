use std::{
    net::SocketAddr,
    num::{NonZeroU64, NonZeroUsize},
    path::PathBuf,
    thread,
};

use clap::{Parser, ValueEnum};
use reeve_classifier::Device;
use reeve_domain::Region;

/// Serves a model bundle over the Open Inference Protocol v2 to callers with a warrant.
#[derive(Debug, Parser)]
#[command(name = "reeve-pod", version)]
pub(crate) struct Arguments {
    /// Directory of the bundle.
    #[arg(long, env = "REEVE_POD_BUNDLE")]
    pub(crate) bundle: PathBuf,
    /// The region where this pod stands; warrants for another are refused.
    #[arg(long, env = "REEVE_POD_REGION", value_parser = region)]
    pub(crate) region: Region,
    /// Address to listen on.
    #[arg(long, env = "REEVE_POD_LISTEN", default_value = "127.0.0.1:9001")]
    pub(crate) listen: SocketAddr,
    /// The gateway's public warrant key (PEM).
    #[arg(long, env = "REEVE_POD_WARRANT_KEY")]
    pub(crate) warrant_key: PathBuf,
    /// Worker threads, each with a copy of the network [default: one a core, one on a GPU].
    #[arg(long, env = "REEVE_POD_WORKERS")]
    pub(crate) workers: Option<NonZeroUsize>,
    /// Where the network runs.
    #[arg(long, env = "REEVE_POD_DEVICE", value_enum, default_value_t = DeviceName::Auto)]
    pub(crate) device: DeviceName,
    /// Most texts in one forward pass.
    #[arg(long, env = "REEVE_POD_MAX_BATCH", default_value = "32")]
    pub(crate) max_batch: NonZeroUsize,
    /// Most texts that wait; past it callers get 503.
    #[arg(long, env = "REEVE_POD_QUEUE", default_value = "1024")]
    pub(crate) queue: NonZeroUsize,
    /// Largest request body in bytes.
    #[arg(long, env = "REEVE_POD_MAX_BODY", default_value = "4194304")]
    pub(crate) max_body: NonZeroUsize,
    /// Milliseconds after which a call is given up with 504.
    #[arg(long, env = "REEVE_POD_DEADLINE_MS", default_value = "10000")]
    pub(crate) deadline_ms: NonZeroU64,
    /// Writes every received text to this file, in the clear. Only for proving redaction in tests.
    #[arg(long, env = "REEVE_POD_RECORD_INPUTS")]
    pub(crate) record_inputs: Option<PathBuf>,
    /// What is logged, in the form of tracing's `EnvFilter`.
    #[arg(long, env = "REEVE_POD_LOG", default_value = "info")]
    pub(crate) log: String,
    /// One JSON object a log line.
    #[arg(long, env = "REEVE_POD_LOG_JSON")]
    pub(crate) log_json: bool,
    /// An OTLP collector over HTTP that traces go to, such as `http://127.0.0.1:4318`.
    #[arg(long, env = "REEVE_POD_OTLP_ENDPOINT")]
    pub(crate) otlp_endpoint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeviceName {
    /// A GPU where there is one, else the CPU.
    Auto,
    Cpu,
    Cuda,
}

fn region(text: &str) -> Result<Region, reeve_domain::InvalidId> {
    Region::new(text)
}

impl Arguments {
    /// The device that was asked for; asking for a GPU where there is none is an error.
    pub(crate) fn device(&self) -> anyhow::Result<Device> {
        match self.device {
            DeviceName::Cpu => Ok(Device::Cpu),
            DeviceName::Auto => Ok(reeve_classifier::device()),
            DeviceName::Cuda => match reeve_classifier::device() {
                Device::Cpu => anyhow::bail!("`--device cuda`: no GPU is usable here"),
                device => Ok(device),
            },
        }
    }

    /// As many as were asked for, else as many as are fastest.
    pub(crate) fn workers(&self, device: Device) -> NonZeroUsize {
        self.workers.unwrap_or_else(|| match device {
            Device::Cpu => thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            _ => NonZeroUsize::MIN,
        })
    }
}
