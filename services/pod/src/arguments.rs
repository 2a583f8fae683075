use std::{
    env,
    net::SocketAddr,
    num::{NonZeroU64, NonZeroUsize},
    path::{Path, PathBuf},
    thread,
};

use clap::{Parser, ValueEnum};
use reeve_classifier::{Arithmetic, Backend as _, Device, Library, Serving};
use reeve_domain::Region;

use crate::batch::Shape;

/// Serves model bundles over the Open Inference Protocol v2 to callers with a warrant.
#[derive(Debug, Parser)]
#[command(name = "reeve-pod", version)]
pub(crate) struct Arguments {
    /// Directory of a bundle that is served from the start; may be given more than once.
    #[arg(long, env = "REEVE_POD_BUNDLE", value_delimiter = ',')]
    #[arg(required_unless_present_any = ["model_store", "store"])]
    pub(crate) bundle: Vec<PathBuf>,
    /// Directory with bundles that signed orders may have loaded.
    #[arg(long, env = "REEVE_POD_MODEL_STORE")]
    pub(crate) model_store: Option<PathBuf>,
    /// Where models are kept, from which signed orders have bundles fetched by their digest: a
    /// directory, or `s3://BUCKET/PREFIX` with the credentials of the usual `AWS_…` variables.
    #[arg(long, env = "REEVE_POD_STORE", conflicts_with = "model_store", requires = "cache")]
    pub(crate) store: Option<String>,
    /// The directory that fetched bundles are kept in; each is checked whenever it is loaded.
    #[arg(long, env = "REEVE_POD_CACHE")]
    pub(crate) cache: Option<PathBuf>,
    /// How much is kept there that is not in use, in MiB.
    #[arg(long, env = "REEVE_POD_CACHE_MB", default_value = "4096")]
    pub(crate) cache_mb: u64,
    /// What all models together may take of the device's memory, in MiB; past it those that were
    /// not called for the longest time make room.
    #[arg(long, env = "REEVE_POD_MEMORY_MB", default_value = "4096")]
    pub(crate) memory_mb: NonZeroU64,
    /// The region where this pod stands; warrants for another are refused.
    #[arg(long, env = "REEVE_POD_REGION", value_parser = region)]
    pub(crate) region: Region,
    /// Address to listen on.
    #[arg(long, env = "REEVE_POD_LISTEN", default_value = "127.0.0.1:9001")]
    pub(crate) listen: SocketAddr,
    /// Address to listen on for gRPC [default: none].
    #[arg(long, env = "REEVE_POD_GRPC_LISTEN")]
    pub(crate) grpc_listen: Option<SocketAddr>,
    /// The gateway's public warrant key (PEM).
    #[arg(long, env = "REEVE_POD_WARRANT_KEY")]
    pub(crate) warrant_key: PathBuf,
    /// The public key of who may order models to be loaded and unloaded (PEM) [default: the
    /// warrant key].
    #[arg(long, env = "REEVE_POD_ORDER_KEY")]
    pub(crate) order_key: Option<PathBuf>,
    /// The public key of somebody who vouches for models (PEM); may be given more than once. With one,
    /// no bundle is served but those that one of them signed (`reeve-train sign`).
    #[arg(long, env = "REEVE_POD_MODEL_KEY", value_delimiter = ',')]
    pub(crate) model_key: Vec<PathBuf>,
    /// Worker threads of a model [default: one a core, two on a GPU].
    #[arg(long, env = "REEVE_POD_WORKERS")]
    pub(crate) workers: Option<NonZeroUsize>,
    /// Where the network runs.
    #[arg(long, env = "REEVE_POD_DEVICE", value_enum, default_value_t = DeviceName::Auto)]
    pub(crate) device: DeviceName,
    /// The library that computes on GPUs, whatever is no LSTM, and explanations; it is loaded when
    /// something needs it [default: `libreeve_torch.so` beside this program].
    #[arg(long, env = "REEVE_POD_TORCH")]
    pub(crate) torch: Option<PathBuf>,
    /// How precisely the networks compute. What is not fp32 is held against it when a model is
    /// loaded.
    #[arg(long, env = "REEVE_POD_PRECISION", value_enum, default_value_t = PrecisionName::Auto)]
    pub(crate) precision: PrecisionName,
    /// A model whose probabilities differ by more than this from those in fp32 is not served.
    #[arg(long, env = "REEVE_POD_PRECISION_BOUND", default_value = "0.02")]
    pub(crate) precision_bound: f32,
    /// Most texts in one forward pass [default: 32, 512 on a GPU].
    #[arg(long, env = "REEVE_POD_MAX_BATCH")]
    pub(crate) max_batch: Option<NonZeroUsize>,
    /// Most tokens in one forward pass, with padding where rows are padded [default: 384, 65536
    /// on a GPU]. A smaller number gives short waits for all, a larger one more texts a second.
    #[arg(long, env = "REEVE_POD_MAX_BATCH_TOKENS")]
    pub(crate) max_batch_tokens: Option<NonZeroUsize>,
    /// How many of the texts that wait are looked at for such as are of like length [default: four
    /// batches].
    #[arg(long, env = "REEVE_POD_WINDOW")]
    pub(crate) window: Option<NonZeroUsize>,
    /// Most texts that wait for a model; past it callers get 503, and 429 where it is their own
    /// tenant's texts that wait.
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PrecisionName {
    /// bf16 where the device computes it natively, else fp32.
    Auto,
    Fp32,
    Bf16,
    /// 8-bit weights and hidden states, on the CPU.
    Int8,
}

/// Whether the system has an NVIDIA GPU, so that it is worth asking libtorch for it.
fn has_gpu() -> bool {
    ["/dev/nvidiactl", "/dev/dxg"].iter().any(|device| Path::new(device).exists())
}

fn region(text: &str) -> Result<Region, reeve_domain::InvalidId> {
    Region::new(text)
}

impl Arguments {
    /// libtorch, where it was said to be.
    pub(crate) fn library(&self) -> anyhow::Result<Library> {
        let path = match &self.torch {
            Some(path) => path.clone(),
            None => env::current_exe()?.with_file_name(Library::file_name()),
        };
        Ok(Library::new(path))
    }

    /// The device that was asked for; asking for a GPU where there is none is an error.
    pub(crate) fn device(&self, library: &Library) -> anyhow::Result<Device> {
        match self.device {
            DeviceName::Cpu => Ok(Device::Cpu),
            DeviceName::Auto if !has_gpu() => Ok(Device::Cpu),
            DeviceName::Auto => Ok(library.device().unwrap_or_else(|error| {
                tracing::warn!(%error, "the GPU is not used");
                Device::Cpu
            })),
            DeviceName::Cuda => match library.device()? {
                Device::Cpu => anyhow::bail!("`--device cuda`: no GPU is usable here"),
                device => Ok(device),
            },
        }
    }

    /// As many as were asked for, else as many as are fastest.
    pub(crate) fn workers(&self, device: Device) -> NonZeroUsize {
        const OVERLAPPING: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);
        self.workers.unwrap_or_else(|| match device {
            Device::Cpu => thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            // One prepares its batch while the other's is computed.
            _ => OVERLAPPING,
        })
    }

    /// How precisely, and how far from fp32 at most.
    pub(crate) const fn serving(&self) -> Serving {
        let precision = match self.precision {
            PrecisionName::Auto => None,
            PrecisionName::Fp32 => Some(Arithmetic::Fp32),
            PrecisionName::Bf16 => Some(Arithmetic::Bf16),
            PrecisionName::Int8 => Some(Arithmetic::Int8),
        };
        Serving { precision, bound: self.precision_bound }
    }

    /// What a batch may be on this device.
    pub(crate) fn shape(&self, device: Device) -> Shape {
        // Six texts of 64 tokens are as many as the network computes at once without libtorch; more
        // would only have others wait longer.
        let (texts, tokens) = if device == Device::Cpu { (32, 384) } else { (512, 65_536) };
        let texts = self.max_batch.map_or(texts, NonZeroUsize::get);
        let tokens = self.max_batch_tokens.map_or(tokens, NonZeroUsize::get);
        let window = self.window.map_or(texts.saturating_mul(4), NonZeroUsize::get).max(texts);
        Shape { texts, tokens, window, pads: true }
    }
}
