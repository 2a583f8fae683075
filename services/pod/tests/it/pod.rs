//! Starting the real program with a real bundle, and asking it over HTTP.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reeve_classifier::{Bundle, Card, Dataset, Device, Library};
use reeve_domain::{Digest, Entropy as _, Region, SystemEntropy, TenantId, Timestamp};
use reeve_protocol::{
    keys::write_key_pair,
    oip::ErrorBody,
    order::{Action, ORDER_HEADER, Order, OrderSigner},
    text::TextRequest,
    warrant::{Claims, Priority, USUAL_WEIGHT, WARRANT_HEADER, WarrantSigner},
};
use reeve_torch::{Optimizer, Recipe, fit};

pub(crate) struct Pod {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) child: Child,
    pub(crate) address: String,
    pub(crate) bundle: Bundle,
    pub(crate) signer: WarrantSigner,
    pub(crate) orders: OrderSigner,
    pub(crate) agent: ureq::Agent,
}

impl Drop for Pod {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) retry_after: bool,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn error(&self) -> String {
        serde_json::from_slice::<ErrorBody>(&self.body).unwrap().error
    }
}

pub(crate) fn train(dir: &Path, name: &str, version: &str, seed: u64) -> Bundle {
    train_by(dir, (name, version), Recipe { seed, ..recipe() })
}

/// A small network, quickly trained.
pub(crate) fn recipe() -> Recipe {
    Recipe {
        epochs: 4,
        learning_rate: 0.02,
        optimizer: Optimizer::Adam,
        embedding: 8,
        hidden: 12,
        batch: 16,
        max_tokens: 12,
        vocabulary: 1000,
        unknown_share: 0.05,
        ..Recipe::default()
    }
}

pub(crate) fn train_by(dir: &Path, (name, version): (&str, &str), recipe: Recipe) -> Bundle {
    let mut csv = String::from("text,label\n");
    for n in 0..40 {
        csv += &format!("where is parcel {n} of the courier,delivery\n");
        csv += &format!("the invoice {n} shows a wrong amount,billing\n");
    }
    reeve_torch::set_threads(1);
    let data = Dataset::parse(csv.as_bytes()).unwrap();
    let fitted = fit(&data, &recipe, Device::Cpu, |_| ()).unwrap();
    let card = Card {
        name: name.to_owned(),
        version: version.to_owned(),
        intended_use: "a test".to_owned(),
        languages: vec!["en".to_owned()],
        license: "Apache-2.0".to_owned(),
        limits: Vec::new(),
        risk_class: "minimal".to_owned(),
        generative: false,
        training_data: None,
        metrics: Some(fitted.metrics.clone()),
        ..Card::default()
    };
    Bundle::write(dir, fitted.into_parts(card)).unwrap()
}

/// libtorch for pods, where cargo puts what tests link.
fn library() -> PathBuf {
    std::env::current_exe().unwrap().with_file_name(Library::file_name())
}

/// A bundle under another name.
pub(crate) fn renamed(bundle: &Path, into: &Path, name: &str) -> Bundle {
    std::fs::create_dir_all(into).unwrap();
    for file in ["tokenizer.json", "weights.safetensors"] {
        std::fs::copy(bundle.join(file), into.join(file)).unwrap();
    }
    let read = |file: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(bundle.join(file)).unwrap()).unwrap()
    };
    let (mut card, mut manifest) = (read("card.json"), read("bundle.json"));
    card["name"] = name.into();
    manifest["name"] = name.into();
    let card = serde_json::to_vec(&card).unwrap();
    manifest["files"]["card.json"] = Digest::of(&card).to_string().into();
    std::fs::write(into.join("card.json"), card).unwrap();
    std::fs::write(into.join("bundle.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
    Bundle::open(into).unwrap()
}

impl Pod {
    pub(crate) fn start(more: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bundle = train(&dir.path().join("bundle"), "support", "1", 1);
        let (private, public) = (dir.path().join("warrant.key"), dir.path().join("warrant.pub"));
        let key = write_key_pair(&private, &public, &SystemEntropy).unwrap();
        let place = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let (listen, grpc) = (place(), place());
        let child = Command::new(env!("CARGO_BIN_EXE_reeve-pod"))
            .args(["--region", "eu-west", "--device", "cpu", "--listen", &listen])
            .args(["--grpc-listen", &grpc])
            .arg("--bundle")
            .arg(dir.path().join("bundle"))
            .arg("--warrant-key")
            .arg(&public)
            .arg("--record-inputs")
            .arg(dir.path().join("inputs"))
            .env("REEVE_POD_TORCH", library())
            .args(more)
            .spawn()
            .unwrap();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .into();
        let signer = WarrantSigner::new(key.clone(), "reeve.local/gateway-1", &SystemEntropy);
        let orders = OrderSigner::new(key, "reeve.local/control");
        let address = format!("http://{listen}");
        let pod = Self { dir, child, address, bundle, signer, orders, agent };
        let begun = Instant::now();
        while pod.try_get("/v2/health/ready").is_none_or(|reply| reply.status != 200) {
            assert!(begun.elapsed() < Duration::from_secs(60), "not ready");
            thread::sleep(Duration::from_millis(20));
        }
        pod
    }

    pub(crate) fn try_get(&self, path: &str) -> Option<Reply> {
        self.agent.get(format!("{}{path}", self.address)).call().ok().and_then(read)
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.try_get(path).unwrap()
    }

    pub(crate) fn claims(&self) -> Claims {
        let now = unix_seconds();
        Claims {
            iss: String::new(),
            dec: SystemEntropy.decision_id(Timestamp::from_micros(now * 1_000_000)),
            tenant: TenantId::new("acme").unwrap(),
            model: self.bundle.digest().parse().unwrap(),
            region: Region::new("eu-west").unwrap(),
            iat: now,
            exp: now + 60,
            weight: USUAL_WEIGHT,
            priority: Priority::default(),
        }
    }

    pub(crate) fn try_post(&self, path: &str, warrant: Option<&str>, body: &[u8]) -> Option<Reply> {
        let mut request = self.agent.post(format!("{}{path}", self.address));
        if let Some(warrant) = warrant {
            request = request.header(WARRANT_HEADER, warrant);
        }
        request.send(body).ok().and_then(read)
    }

    pub(crate) fn post(&self, path: &str, body: &[u8]) -> Reply {
        self.try_post(path, Some(&self.signer.sign(&self.claims())), body).unwrap()
    }

    /// An order about a bundle, valid now.
    pub(crate) fn order(&self, action: Action, bundle: &Bundle) -> String {
        let now = unix_seconds();
        self.orders.sign(&Order {
            iss: String::new(),
            action,
            name: bundle.name().to_owned(),
            model: bundle.digest().parse().unwrap(),
            region: Region::new("eu-west").unwrap(),
            iat: now,
            exp: now + 60,
        })
    }

    /// Has a model loaded or unloaded.
    pub(crate) fn change(&self, action: Action, bundle: &Bundle) -> Reply {
        let verb = if action == Action::Load { "load" } else { "unload" };
        let url = format!("{}/v2/repository/models/{}/{verb}", self.address, bundle.name());
        let order = self.order(action, bundle);
        read(self.agent.post(url).header(ORDER_HEADER, order).send_empty().unwrap()).unwrap()
    }

    /// Asks a bundle by the warrant for it.
    pub(crate) fn ask(&self, bundle: &Bundle, texts: &[&str]) -> Reply {
        let model = bundle.digest().parse().unwrap();
        let warrant = self.signer.sign(&Claims { model, ..self.claims() });
        let path = format!("/v2/models/{}/infer", bundle.name());
        self.try_post(&path, Some(&warrant), &request(texts)).unwrap()
    }

    /// What the process holds of memory now, in MiB.
    pub(crate) fn memory_mb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
    }

    pub(crate) fn classify(&self, texts: &[&str]) -> Reply {
        self.post("/v2/models/support/infer", &request(texts))
    }

    pub(crate) fn signal(&self) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGTERM).unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "does not stop");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn read(mut response: ureq::http::Response<ureq::Body>) -> Option<Reply> {
    let retry_after = response.headers().contains_key("retry-after");
    let body = response.body_mut().read_to_vec().ok()?;
    Some(Reply { status: response.status().as_u16(), retry_after, body })
}

pub(crate) fn unix_seconds() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

pub(crate) fn request(texts: &[&str]) -> Vec<u8> {
    TextRequest { texts: texts.to_vec(), top_k: 2 }.to_json()
}
