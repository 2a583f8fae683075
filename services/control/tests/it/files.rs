use actix_web::http::Method;
use serde_json::json;

use crate::world::{Answer, World};

fn has_security_headers(answer: &Answer) {
    let policy = answer.header("content-security-policy");
    assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"));
    assert!(!policy.contains("script-src") && !policy.contains("unsafe-eval"), "{policy}");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("x-frame-options"), "DENY");
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    assert!(answer.header("x-request-id").starts_with("req_"), "{answer:?}");
    assert!(!answer.header("cache-control").is_empty());
}

#[actix_web::test]
async fn every_answer_has_the_security_headers_and_an_id_of_its_own() {
    let world = World::start().await;
    let client = world.client("demo").await;
    let mut ids = Vec::new();
    for path in
        ["/", "/assets/app-1a2b.js", "/api/v1/tenants", "/api/v1/none", "/health/live", "/metrics"]
    {
        let answer = client.get(path).await;
        has_security_headers(&answer);
        ids.push(answer.header("x-request-id"));
    }
    has_security_headers(&world.anonymous().get("/api/v1/tenants").await);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 6);
}

#[actix_web::test]
async fn the_console_is_served_with_its_addresses() {
    let world = World::start().await;
    let anonymous = world.anonymous();
    for path in ["/", "/index.html", "/audit", "/decisions/dec_1?x=1", "/audit/"] {
        let answer = anonymous.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert!(answer.text.contains("<title>Reeve</title>"), "{path}");
        assert!(answer.header("content-type").starts_with("text/html"));
        assert_eq!(answer.header("cache-control"), "no-cache");
    }
    let asset = anonymous.get("/assets/app-1a2b.js").await;
    assert_eq!((asset.status, asset.text.as_str()), (200, "export {}"));
    assert_eq!(asset.header("cache-control"), "public, max-age=31536000, immutable");
    assert!(asset.header("content-type").contains("javascript"));
    assert_eq!(anonymous.send(Method::HEAD, "/", None).await.status, 200);
}

#[actix_web::test]
async fn nothing_outside_the_console_is_served() {
    let world = World::start().await;
    let anonymous = world.anonymous();
    for path in [
        "/assets/gone.js",
        "/assets",
        "/assets/",
        "/.secret",
        "/../outside.txt",
        "/assets/../../outside.txt",
        "/%2e%2e/outside.txt",
        "/..%2foutside.txt",
        "/%2esecret",
        "//etc/passwd",
    ] {
        let answer = anonymous.get(path).await;
        assert!(!answer.text.contains("outside") && !answer.text.contains("hidden"), "{path}");
        assert!(!answer.text.contains("root:"), "{path}");
        if answer.status != 200 {
            answer.problem("route-not-found");
        }
    }
    anonymous.get("/assets/gone.js").await.problem("route-not-found");
    anonymous.get("/assets").await.problem("route-not-found");
    anonymous.get("/.secret").await.problem("route-not-found");
    anonymous.post("/", &json!({})).await.problem("method-not-allowed");
}

#[actix_web::test]
async fn an_address_of_the_api_that_does_not_exist_is_a_problem_and_not_a_page() {
    let world = World::start().await;
    let client = world.client("demo").await;
    for path in ["/api", "/api/", "/api/v1", "/api/v1/none", "/api/v1/tenants/", "/health/none"] {
        client.get(path).await.problem("route-not-found");
    }
    for (method, path, allowed) in [
        (Method::PUT, "/api/v1/tenants", "GET, POST"),
        (Method::DELETE, "/api/v1/tenants/acme", "GET"),
        (Method::GET, "/api/v1/keys/k", "DELETE"),
        (Method::POST, "/api/v1/audit", "GET"),
        (Method::GET, "/api/v1/logs/verify", "POST"),
        (Method::PATCH, "/api/v1/session", "GET, POST, DELETE"),
        (Method::POST, "/health/live", "GET"),
    ] {
        let answer = client.send(method, path, None).await;
        answer.problem("method-not-allowed");
        assert_eq!(answer.header("allow"), allowed);
    }
    for body in ["", "{", "{\"id\":}", "nul"] {
        let answer = client.send(Method::POST, "/api/v1/tenants", Some(body)).await;
        answer.problem("malformed-json");
    }
}

#[actix_web::test]
async fn health_metrics_and_the_document_need_no_session() {
    let world = World::start().await;
    let anonymous = world.anonymous();
    assert_eq!(anonymous.get("/health/live").await.ok()["status"], "live");
    assert_eq!(anonymous.get("/health/ready").await.ok()["status"], "ready");
    anonymous.get("/api/v1/tenants").await.problem("missing-credential");
    let metrics = anonymous.get("/metrics").await;
    assert!(metrics.header("content-type").starts_with("text/plain; version=0.0.4"));
    for line in [
        r#"reeve_control_requests_total{status="200"} 2"#,
        r#"reeve_control_requests_total{status="401"} 1"#,
    ] {
        assert!(metrics.text.contains(line), "{line} in {}", metrics.text);
    }
    let document = anonymous.get("/api/openapi.json").await.ok();
    assert!(document["paths"]["/api/v1/session"].is_object());
}
