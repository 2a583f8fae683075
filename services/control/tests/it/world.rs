use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use actix_web::http::{Method, header::HeaderMap};
use ed25519_dalek::SigningKey;
use reeve_control::{ControlOptions, LogDirs, ModelOptions, server};
use reeve_domain::{
    Clock as _, ControlEvent, FixedClock, Origin, Record, SeededEntropy, Timestamp, UserId,
};
use reeve_identity::{Pepper, Role, password};
use reeve_ledger::{Ledger, Options, Reader, leaf_hash};
use reeve_protocol::{activation::ActivationSigner, order::OrderSigner, signature::Vouchers};
use reeve_registry::Registry;
use reeve_store::{
    Store,
    audit::{self, Leaf},
    log, policy, user,
};
use serde_json::{Value, json};

pub(crate) const PASSWORD: &str = "correct horse battery";

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) store: Store,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) gateway: Ledger,
    pub(crate) base: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) bytes: Vec<u8>,
}

/// A browser: its cookie and its CSRF token, if it is signed in.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) base: String,
    pub(crate) cookie: Option<String>,
    pub(crate) csrf: Option<String>,
    pub(crate) token: Option<String>,
}

pub(crate) fn gateway() -> Origin {
    Origin::new("reeve.test/gateway-1").unwrap()
}

pub(crate) fn control() -> Origin {
    Origin::new("reeve.test/control").unwrap()
}

fn open(dir: &Path, origin: Origin, seed: u8, clock: &Arc<FixedClock>) -> Ledger {
    let options = Options {
        dir: dir.to_owned(),
        origin,
        commit_deadline: Duration::from_secs(10),
        headroom_bytes: 0,
        // Small, so that a test can have several.
        segment_bytes: 8_000,
    };
    let clock: Arc<FixedClock> = Arc::clone(clock);
    Ledger::open(options, SigningKey::from_bytes(&[seed; 32]), clock).unwrap().0
}

impl World {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let start = Timestamp::parse("2026-11-24T08:00:00Z").unwrap();
        let clock = Arc::new(FixedClock::new(start));
        let store =
            Store::connect(&format!("sqlite:{}", dir.path().join("store.sqlite").display()))
                .unwrap();
        store.migrate().unwrap();
        let (own, of_calls) = (dir.path().join("control"), dir.path().join("gateway-1"));
        let ledger = open(&own, control(), 1, &clock);
        let gateway_log = open(&of_calls, gateway(), 2, &clock);
        write_web(&dir.path().join("web"));
        prepare(&store, start, &[(control(), own.clone()), (gateway(), of_calls.clone())]);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let running = server(ControlOptions {
            listener,
            workers: 1,
            store: store.clone(),
            log: ledger,
            witness: None,
            files: Arc::new(LogDirs {
                dirs: [(control(), own), (gateway(), of_calls)].into(),
                witness: dir.path().join("witness"),
            }),
            origin: control(),
            witness_keys: Vec::new(),
            pepper: Self::pepper(),
            signer: ActivationSigner::new(SigningKey::from_bytes(&[5; 32])),
            models: ModelOptions {
                registry: Registry::open(dir.path().join("registry").to_str().unwrap()).unwrap(),
                vouchers: Vouchers::default(),
                upload_limit: 100_000,
                unload_after: Duration::from_secs(12),
                orders: Arc::new(OrderSigner::new(Self::order_key(), "reeve.test/control")),
            },
            clock: clock.clone(),
            entropy: Arc::new(SeededEntropy::new(1)),
            static_dir: Some(dir.path().join("web")),
            secure_cookie: true,
        })
        .unwrap();
        actix_web::rt::spawn(running);
        Self { dir, store, clock, gateway: gateway_log, base }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// All that is on disk.
    pub(crate) fn every_file(&self) -> Vec<PathBuf> {
        let (mut dirs, mut files) = (vec![self.dir.path().to_owned()], Vec::new());
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { dirs.push(path) } else { files.push(path) }
            }
        }
        files
    }

    /// What signs orders to pods.
    pub(crate) fn order_key() -> SigningKey {
        SigningKey::from_bytes(&[5; 32])
    }

    pub(crate) fn pepper() -> Pepper {
        Pepper::new([9; 32])
    }

    pub(crate) fn log_dir(&self, origin: &Origin) -> PathBuf {
        let name = origin.as_str().rsplit('/').next().unwrap();
        self.dir.path().join(name)
    }

    pub(crate) fn anonymous(&self) -> Client {
        Client { base: self.base.clone(), cookie: None, csrf: None, token: None }
    }

    /// Signs in as `user`: a role's name, or `demo`, who has three.
    pub(crate) async fn client(&self, user: &str) -> Client {
        // So that many may sign in from one address.
        self.clock.advance(Duration::from_secs(6));
        let body = json!({ "user": user, "password": PASSWORD });
        let answer = self.anonymous().post("/api/v1/session", &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let cookie = answer.header("set-cookie");
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let csrf = answer.json()["csrf"].as_str().unwrap().to_owned();
        Client { base: self.base.clone(), cookie: Some(cookie), csrf: Some(csrf), token: None }
    }

    /// What the control plane's log says.
    pub(crate) fn events(&self) -> Vec<ControlEvent> {
        let reader = Reader::open(&self.log_dir(&control())).unwrap();
        reader
            .entries(0)
            .map(|entry| match serde_json::from_slice(&entry.unwrap().1).unwrap() {
                Record::Control(event) => *event,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    pub(crate) fn last_event(&self) -> ControlEvent {
        self.events().pop().unwrap()
    }

    /// Appends calls to the gateway's log and indexes what is new in it.
    pub(crate) fn call(&self, records: &[Record]) {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for record in records {
                    let entry = serde_json::to_vec(record).unwrap();
                    self.gateway.append_blocking(entry).unwrap();
                }
            });
        });
        self.index(&gateway());
    }

    pub(crate) fn index(&self, origin: &Origin) {
        let reader = Reader::open(&self.log_dir(origin)).unwrap();
        let from = self.store.read(|c| audit::cursor(c, origin)).unwrap();
        let leaves: Vec<Leaf> = reader
            .entries(from)
            .map(|entry| {
                let (index, bytes) = entry.unwrap();
                Leaf::parse(index, leaf_hash(&bytes), &bytes)
            })
            .collect();
        self.store.write(|c| audit::index(c, origin, &leaves)).unwrap();
    }
}

fn write_web(web: &Path) {
    std::fs::create_dir_all(web.join("assets")).unwrap();
    std::fs::write(web.join("index.html"), "<!doctype html><title>Reeve</title>").unwrap();
    std::fs::write(web.join("assets/app-1a2b.js"), "export {}").unwrap();
    std::fs::write(web.join(".secret"), "hidden").unwrap();
    std::fs::write(web.parent().unwrap().join("outside.txt"), "outside").unwrap();
}

fn prepare(store: &Store, now: Timestamp, logs: &[(Origin, PathBuf)]) {
    let hash = password::hash(PASSWORD, &SeededEntropy::new(2)).unwrap();
    let person = |id: &str, roles: &[Role]| user::User {
        id: UserId::new(id).unwrap(),
        display_name: id.to_uppercase(),
        password_hash: hash.clone(),
        roles: roles.iter().map(ToString::to_string).collect(),
        created_at: now,
        disabled: id == "gone",
    };
    let bundle = reeve_policy::default_bundle().document();
    store
        .write(|c| {
            for role in Role::ALL {
                user::insert(c, &person(role.as_str(), &[role]))?;
            }
            let several = [Role::Operator, Role::Auditor, Role::PolicyAuthor];
            user::insert(c, &person("demo", &several))?;
            user::insert(c, &person("gone", &several))?;
            let two = [Role::PolicyAuthor, Role::PolicyApprover];
            user::insert(c, &person("author-and-approver", &two))?;
            policy::insert_bundle(c, &bundle, "test", now)?;
            policy::activate(c, &bundle.digest, "test", None, now, &|_| String::new())?;
            for (origin, dir) in logs {
                let vkey = std::fs::read_to_string(dir.join("log.pub")).unwrap();
                log::register(c, origin, vkey.trim(), &dir.display().to_string())?;
            }
            Ok::<_, reeve_store::StoreError>(())
        })
        .unwrap();
    assert_eq!(now.as_micros() % 1_000_000, 0);
}

impl Client {
    /// A program that calls with a person's token.
    pub(crate) fn with_token(base: &str, token: &str) -> Self {
        let token = Some(token.to_owned());
        Self { base: base.to_owned(), cookie: None, csrf: None, token }
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<&str>) -> Answer {
        let media = body.map(|_| "application/json");
        self.send_as(method, path, media, body.unwrap_or_default().as_bytes().to_vec()).await
    }

    pub(crate) async fn send_bytes(
        &self,
        method: Method,
        path: &str,
        media: &str,
        body: Vec<u8>,
    ) -> Answer {
        self.send_as(method, path, Some(media), body).await
    }

    async fn send_as(
        &self,
        method: Method,
        path: &str,
        media: Option<&str>,
        body: Vec<u8>,
    ) -> Answer {
        let client = awc::Client::builder().timeout(Duration::from_secs(30)).finish();
        let mut request = client.request(method, format!("{}{path}", self.base));
        if let Some(cookie) = &self.cookie {
            request = request.insert_header(("Cookie", cookie.as_str()));
        }
        if let Some(csrf) = &self.csrf {
            request = request.insert_header(("X-CSRF-Token", csrf.as_str()));
        }
        if let Some(token) = &self.token {
            request = request.insert_header(("Authorization", format!("Bearer {token}")));
        }
        if let Some(media) = media {
            request = request.insert_header(("Content-Type", media));
        }
        let mut response = request.send_body(body).await.unwrap();
        let bytes = response.body().await.unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in response.headers() {
            headers.append(name.clone(), value.clone());
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status: response.status().as_u16(), headers, text, bytes: bytes.to_vec() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, Some(&body.to_string())).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PUT, path, Some(&body.to_string())).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{self:?}"))
    }

    /// The body, if the status is 200.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()
    }

    pub(crate) fn header(&self, name: &str) -> String {
        let value = self.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        value.unwrap_or_default()
    }

    /// Checks that it is a problem with this code and nothing of the inside in it; gives it.
    #[track_caller]
    pub(crate) fn problem(&self, code: &str) -> Value {
        let problem = self.json();
        assert_eq!(problem["code"], code, "{self:?}");
        assert_eq!(problem["status"], self.status, "{self:?}");
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(code.parse::<reeve_domain::Code>().unwrap().status(), self.status);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.header("cache-control"), "no-store");
        for inside in [
            "sqlite", "diesel", "/tmp", "panicked", "reeve_", "serde", "struct ", " line ",
            "Error(", PASSWORD,
        ] {
            assert!(!self.text.contains(inside), "`{inside}` in {}", self.text);
        }
        problem
    }

    /// The fields that a 422 names.
    #[track_caller]
    pub(crate) fn wrong_fields(&self) -> Vec<String> {
        let problem = self.problem("invalid-request");
        let errors = problem["errors"].as_array().unwrap();
        assert!(errors.iter().all(|one| !one["message"].as_str().unwrap().is_empty()));
        errors.iter().map(|one| one["field"].as_str().unwrap().to_owned()).collect()
    }
}
