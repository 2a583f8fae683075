//! The real program with a real bundle, asked over HTTP.
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test reads the clock, and fails where it is surprised"
)]

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reeve_classifier::{
    Bundle, Card, Classifier, Dataset, Device, Optimizer, Recipe, fit, softmax,
};
use reeve_domain::{Digest, Entropy as _, Region, SystemEntropy, TenantId, Timestamp};
use reeve_protocol::{
    keys::write_key_pair,
    oip::ErrorBody,
    text::{TextRequest, TextResponse},
    warrant::{Claims, WARRANT_HEADER, WarrantSigner},
};

struct Pod {
    dir: tempfile::TempDir,
    child: Child,
    address: String,
    bundle: Bundle,
    signer: WarrantSigner,
    agent: ureq::Agent,
}

impl Drop for Pod {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

struct Reply {
    status: u16,
    retry_after: bool,
    body: Vec<u8>,
}

impl Reply {
    fn error(&self) -> String {
        serde_json::from_slice::<ErrorBody>(&self.body).unwrap().error
    }
}

fn train(dir: &Path) -> Bundle {
    let mut csv = String::from("text,label\n");
    for n in 0..40 {
        csv += &format!("where is parcel {n} of the courier,delivery\n");
        csv += &format!("the invoice {n} shows a wrong amount,billing\n");
    }
    let recipe = Recipe {
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
    };
    reeve_classifier::set_threads(1);
    let data = Dataset::parse(csv.as_bytes()).unwrap();
    let fitted = fit(&data, &recipe, Device::Cpu, |_| ()).unwrap();
    let card = Card {
        name: "support".to_owned(),
        version: "1".to_owned(),
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

impl Pod {
    fn start(more: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bundle = train(&dir.path().join("bundle"));
        let (private, public) = (dir.path().join("warrant.key"), dir.path().join("warrant.pub"));
        let key = write_key_pair(&private, &public, &SystemEntropy).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let listen = format!("127.0.0.1:{port}");
        let child = Command::new(env!("CARGO_BIN_EXE_reeve-pod"))
            .args(["--region", "eu-west", "--device", "cpu", "--listen", &listen])
            .arg("--bundle")
            .arg(dir.path().join("bundle"))
            .arg("--warrant-key")
            .arg(&public)
            .arg("--record-inputs")
            .arg(dir.path().join("inputs"))
            .args(more)
            .spawn()
            .unwrap();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .into();
        let signer = WarrantSigner::new(key, "reeve.local/gateway-1");
        let pod = Self { dir, child, address: format!("http://{listen}"), bundle, signer, agent };
        let begun = Instant::now();
        while pod.try_get("/v2/health/ready").is_none_or(|reply| reply.status != 200) {
            assert!(begun.elapsed() < Duration::from_secs(60), "not ready");
            thread::sleep(Duration::from_millis(20));
        }
        pod
    }

    fn try_get(&self, path: &str) -> Option<Reply> {
        self.agent.get(format!("{}{path}", self.address)).call().ok().and_then(read)
    }

    fn get(&self, path: &str) -> Reply {
        self.try_get(path).unwrap()
    }

    fn claims(&self) -> Claims {
        let now = unix_seconds();
        Claims {
            iss: String::new(),
            dec: SystemEntropy.decision_id(Timestamp::from_micros(now * 1_000_000)),
            tenant: TenantId::new("acme").unwrap(),
            model: self.bundle.digest().parse().unwrap(),
            region: Region::new("eu-west").unwrap(),
            iat: now,
            exp: now + 60,
        }
    }

    fn try_post(&self, path: &str, warrant: Option<&str>, body: &[u8]) -> Option<Reply> {
        let mut request = self.agent.post(format!("{}{path}", self.address));
        if let Some(warrant) = warrant {
            request = request.header(WARRANT_HEADER, warrant);
        }
        request.send(body).ok().and_then(read)
    }

    fn post(&self, path: &str, body: &[u8]) -> Reply {
        self.try_post(path, Some(&self.signer.sign(&self.claims())), body).unwrap()
    }

    fn classify(&self, texts: &[&str]) -> Reply {
        self.post("/v2/models/support/infer", &request(texts))
    }

    fn signal(&self) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGTERM).unwrap();
    }

    fn wait(&mut self) -> ExitStatus {
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

fn unix_seconds() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

fn request(texts: &[&str]) -> Vec<u8> {
    TextRequest { texts: texts.to_vec(), top_k: 2 }.to_json()
}

const TEXTS: [&str; 5] = [
    "where is parcel 3",
    "",
    "the invoice shows a wrong amount and more words than this bundle ever reads of one text",
    "courier",
    "发票的金额不对",
];

#[test]
fn answers_are_the_bundle_s_own_alone_together_and_at_once() {
    let pod = Pod::start(&["--workers", "2", "--max-batch", "8"]);
    let classifier = Classifier::load(&pod.bundle, Device::Cpu).unwrap();
    let check = |texts: &[&str], reply: &Reply| {
        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
        let answer = TextResponse::parse(&reply.body, texts.len()).unwrap();
        for (index, text) in texts.iter().enumerate() {
            let encoded = classifier.encode(text).unwrap();
            assert_eq!(usize::try_from(answer.tokens[index]).unwrap(), encoded.ids.len());
            let expected = softmax(&classifier.logits(&[&encoded]).unwrap()[0]);
            let got = &answer.results[index];
            assert!(got.len() == 2 && got[0].1 >= got[1].1);
            for (label, score) in got {
                let place = pod.bundle.labels().iter().position(|l| l == label).unwrap();
                assert!((expected[place] - score).abs() < 1e-5, "{text}: {label} {score}");
            }
        }
    };
    for text in TEXTS {
        check(&[text], &pod.classify(&[text]));
    }
    check(&TEXTS, &pod.classify(&TEXTS));
    thread::scope(|scope| {
        let callers: Vec<_> = (0..12)
            .map(|n| {
                let pod = &pod;
                scope.spawn(move || {
                    let texts: Vec<&str> =
                        TEXTS.iter().cycle().skip(n).take(1 + n % 5).copied().collect();
                    (0..20).map(|_| (texts.clone(), pod.classify(&texts))).collect::<Vec<_>>()
                })
            })
            .collect();
        for (texts, reply) in callers.into_iter().flat_map(|caller| caller.join().unwrap()) {
            check(&texts, &reply);
        }
    });
    let metrics = String::from_utf8(pod.get("/metrics").body).unwrap();
    let figure = |name: &str| -> f64 {
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert!(figure("reeve_pod_batch_texts_count") < figure("reeve_pod_texts_total"), "{metrics}");
    let received = std::fs::read_to_string(pod.dir.path().join("inputs")).unwrap();
    assert!(received.lines().any(|line| line.contains("发票的金额不对")));
}

#[test]
fn what_is_wrong_is_refused_and_said() {
    let pod = Pod::start(&["--workers", "1", "--queue", "8", "--max-body", "2000"]);
    let path = "/v2/models/support/infer";
    let body = request(&["courier"]);
    let refused = |warrant: Option<&str>, what: &str| {
        let reply = pod.try_post(path, warrant, &body).unwrap();
        assert_eq!(reply.status, 403);
        assert!(reply.error().contains(what), "{}", reply.error());
    };
    let claims = pod.claims();
    refused(None, "required");
    refused(Some("nonsense"), "signed");
    let with = |claims: &Claims| pod.signer.sign(claims);
    let elsewhere = Region::new("us-east").unwrap();
    refused(Some(&with(&Claims { region: elsewhere, ..claims.clone() })), "wrong region");
    refused(Some(&with(&Claims { model: Digest::of(b"x"), ..claims.clone() })), "wrong model");
    refused(Some(&with(&Claims { exp: claims.iat - 60, ..claims.clone() })), "expired");
    refused(Some(&with(&Claims { iat: claims.iat + 600, ..claims })), "not valid yet");

    assert_eq!(pod.post("/v2/models/support/versions/1/infer", &body).status, 200);
    for (path, what) in [
        ("/v2/models/other/infer", "`other`"),
        ("/v2/models/support/versions/9/infer", "`9`"),
        ("/v3", "/v3"),
    ] {
        let reply = pod.post(path, &body);
        assert_eq!(reply.status, 404);
        assert!(reply.error().contains(what), "{}", reply.error());
    }
    assert_eq!(pod.get(path).status, 405);
    for bad in [
        &b"{"[..],
        br#"{"inputs":[]}"#,
        br#"{"inputs":[{"name":"text","shape":[2],"datatype":"BYTES","data":["a"]}]}"#,
    ] {
        let reply = pod.post(path, bad);
        assert_eq!(reply.status, 400);
        assert!(!reply.error().is_empty());
    }
    assert_eq!(pod.classify(&["a"; 9]).status, 413);
    let reply =
        pod.classify(&["long "; 8].map(|word| word.repeat(100)).each_ref().map(String::as_str));
    assert_eq!(reply.status, 413, "{}", reply.error());

    for path in [
        "/v2",
        "/v2/health/live",
        "/v2/models/support/ready",
        "/v2/models/support/versions/1/ready",
    ] {
        assert_eq!(pod.get(path).status, 200, "{path}");
    }
    let metadata = String::from_utf8(pod.get("/v2/models/support").body).unwrap();
    assert!(metadata.contains(pod.bundle.digest()), "{metadata}");
}

#[test]
fn a_full_queue_answers_at_once_and_nothing_hangs() {
    let pod = Pod::start(&["--workers", "1", "--queue", "4", "--max-batch", "1"]);
    let replies: Vec<Reply> = thread::scope(|scope| {
        let callers: Vec<_> = (0..16)
            .map(|_| {
                let pod = &pod;
                scope.spawn(move || {
                    (0..20).map(|_| pod.classify(&["courier"; 4])).collect::<Vec<_>>()
                })
            })
            .collect();
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    });
    assert!(replies.iter().any(|reply| reply.status == 200));
    assert!(replies.iter().any(|reply| reply.status == 503), "the queue was never full");
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        assert_eq!(reply.status, 503);
        assert!(reply.retry_after && reply.error().contains("full"));
    }
}

#[test]
fn a_pod_told_to_stop_finishes_what_it_accepted() {
    let mut pod = Pod::start(&["--workers", "1", "--max-batch", "4", "--queue", "4096"]);
    let (answered, refused): (usize, usize) = thread::scope(|scope| {
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let pod = &pod;
                scope.spawn(move || {
                    let (mut answered, mut refused) = (0, 0);
                    // Until the pod refuses or its listener is gone: a call that it accepted and
                    // then lost would end as a broken connection while the pod still runs.
                    loop {
                        let warrant = pod.signer.sign(&pod.claims());
                        let body = request(&["where is parcel 3"; 64]);
                        match pod.try_post("/v2/models/support/infer", Some(&warrant), &body) {
                            Some(reply) if reply.status == 200 => {
                                TextResponse::parse(&reply.body, 64).unwrap();
                                answered += 1;
                            }
                            Some(reply) => {
                                assert_eq!(reply.status, 503);
                                assert!(reply.retry_after);
                                refused += 1;
                                break;
                            }
                            None => break,
                        }
                    }
                    (answered, refused)
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(300));
        pod.signal();
        callers
            .into_iter()
            .map(|caller| caller.join().unwrap())
            .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    });
    assert!(pod.wait().success());
    assert!(answered > 0);
    // Every call that reached the pod was answered: what it wrote down as received is the texts of
    // the answered calls and those of the refused ones, and nothing else.
    let received = std::fs::read_to_string(pod.dir.path().join("inputs")).unwrap();
    assert_eq!(received.lines().count(), (answered + refused) * 64);
}
