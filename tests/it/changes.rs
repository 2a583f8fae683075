//! A change in the store reaches the gateway within a second, without a restart.

use std::time::Duration;

use reeve_domain::{Clock as _, JwtIssuer, SystemClock};
use reeve_tests::{Client, World, wait_until};
use serde_json::json;

const ONE_SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_revoked_key_stops_working_within_a_second() {
    let world = World::start().unwrap();
    let client = world.client(&world.eu);
    assert_eq!(client.classify("hello").unwrap().status, 200);
    let now = SystemClock::default().now();
    assert!(world.store.write(|c| reeve_store::api_key::revoke(c, &world.eu.key, now)).unwrap());
    wait_until("the key is refused", ONE_SECOND, || Ok(client.classify("hello")?.status == 401))
        .unwrap();
    assert_eq!(client.classify("hello").unwrap().code(), "invalid-credential");
    assert_eq!(world.client(&world.us).classify("hello").unwrap().status, 200);
}

#[test]
fn another_policy_is_in_force_within_a_second_and_each_answer_names_its_own() {
    let world = World::start().unwrap();
    let client = world.client(&world.us);
    let before = client.classify("hello").unwrap();
    let mut bundle = reeve_policy::default_bundle();
    bundle.cedar.insert(
        "stop.cedar".to_owned(),
        "@id(\"stop-globex\")\n@title(\"Stop\")\n@reason(\"This tenant is stopped for a test.\")\n\
         forbid (principal == Tenant::\"globex-us\", action == Action::\"classify\", resource);\n"
            .to_owned(),
    );
    world.activate(&bundle).unwrap();
    wait_until("the rule denies", ONE_SECOND, || Ok(client.classify("hello")?.status == 403))
        .unwrap();
    let denied = client.classify("hello").unwrap();
    assert_eq!(denied.code(), "denied-by-policy");
    assert_eq!(denied.at("/rules/0/id"), "stop-globex");
    assert_eq!(denied.at("/rules/0/reason"), "This tenant is stopped for a test.");
    assert_ne!(denied.header("reeve-policy"), before.header("reeve-policy"));
    assert_eq!(denied.header("reeve-policy"), Some(bundle.document().digest.to_string().as_str()));
    assert_eq!(world.client(&world.eu).classify("hello").unwrap().status, 200);
}

#[test]
fn a_policy_that_does_not_compile_leaves_the_one_before_in_force() {
    let world = World::start().unwrap();
    let client = world.client(&world.us);
    let before = client.classify("hello").unwrap();
    let mut bundle = reeve_policy::default_bundle();
    bundle.cedar.insert("broken.cedar".to_owned(), "permit (principal".to_owned());
    world.activate(&bundle).unwrap();
    std::thread::sleep(ONE_SECOND);
    let after = client.classify("hello").unwrap();
    assert_eq!(after.status, 200);
    assert_eq!(after.header("reeve-policy"), before.header("reeve-policy"));
}

#[test]
fn a_token_of_a_registered_issuer_speaks_for_its_tenant_alone() {
    let world = World::start().unwrap();
    let (private, public) = (world.path().join("issuer.key"), world.path().join("issuer.pub"));
    reeve_protocol::keys::write_key_pair(&private, &public, &reeve_domain::SystemEntropy).unwrap();
    let issuer = JwtIssuer {
        issuer: "https://id.globex.example".to_owned(),
        tenant: world.us.id.clone(),
        algorithm: "EdDSA".to_owned(),
        public_key: std::fs::read_to_string(&public).unwrap(),
    };
    world.store.write(|c| reeve_store::jwt_issuer::upsert(c, &issuer)).unwrap();
    let key = jsonwebtoken::EncodingKey::from_ed_pem(&std::fs::read(&private).unwrap()).unwrap();
    let now = SystemClock::default().now().as_seconds();
    let token = |claims: serde_json::Value| {
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::EdDSA);
        jsonwebtoken::encode(&header, &claims, &key).unwrap()
    };
    let good = token(json!({
        "iss": "https://id.globex.example", "aud": "reeve", "sub": "service-7",
        "scope": "classify read", "iat": now, "exp": now + 300
    }));
    let client = Client::new(&world.gateway(), Some(&good));
    wait_until("the issuer is known", ONE_SECOND, || Ok(client.classify("hello")?.status == 200))
        .unwrap();
    assert_eq!(client.classify("hello").unwrap().header("reeve-region"), Some("us-east"));
    let bad = [
        json!({"iss": "https://id.globex.example", "aud": "reeve", "sub": "s", "scope": "classify", "iat": now - 600, "exp": now - 300}),
        json!({"iss": "https://id.globex.example", "aud": "other", "sub": "s", "scope": "classify", "iat": now, "exp": now + 300}),
        json!({"iss": "https://id.elsewhere.example", "aud": "reeve", "sub": "s", "scope": "classify", "iat": now, "exp": now + 300}),
    ];
    for claims in bad {
        let client = Client::new(&world.gateway(), Some(&token(claims.clone())));
        assert_eq!(client.classify("hello").unwrap().code(), "invalid-credential", "{claims}");
    }
    let log = serde_json::to_string(&world.records().unwrap()).unwrap();
    assert!(!log.contains("service-7"), "the token's subject stands in the log");
}
