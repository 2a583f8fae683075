use std::time::Duration;

use actix_web::http::Method;
use reeve_domain::{Actor, Code, UserId};
use serde_json::json;

use crate::world::{Client, PASSWORD, World};

const PATH: &str = "/api/v1/session";

async fn try_as(world: &World, user: &str, password: &str) -> crate::world::Answer {
    world.anonymous().post(PATH, &json!({ "user": user, "password": password })).await
}

#[actix_web::test]
async fn who_signs_in_gets_a_cookie_that_scripts_cannot_read() {
    let world = World::start().await;
    let answer = try_as(&world, "demo", PASSWORD).await;
    let body = answer.ok();
    assert_eq!(body["user"]["id"], "demo");
    assert_eq!(body["user"]["display_name"], "DEMO");
    assert_eq!(body["user"]["roles"], json!(["operator", "auditor", "policy-author"]));
    let cookie = answer.header("set-cookie");
    for part in
        ["reeve_session=", "HttpOnly", "SameSite=Strict", "Path=/", "Secure", "Max-Age=28800"]
    {
        assert!(cookie.contains(part), "{part} in {cookie}");
    }
    assert!(!answer.text.contains(cookie.split(['=', ';']).nth(1).unwrap()));
    let event = world.last_event();
    assert_eq!((event.action.as_str(), event.target.as_str()), ("session.create", "demo"));
    assert_eq!(event.actor, Actor::User(UserId::new("demo").unwrap()));

    let client = world.client("demo").await;
    let again = client.get(PATH).await.ok();
    assert_eq!(again["user"]["id"], "demo");
    assert_eq!(again["csrf"], *client.csrf.as_ref().unwrap());
}

#[actix_web::test]
async fn a_failed_attempt_tells_nothing_and_is_recorded() {
    let world = World::start().await;
    let mut told = Vec::new();
    for (user, password, target) in [
        ("demo", "wrong password here", "demo"),
        ("hunter2-typed-as-a-name", PASSWORD, "unknown"),
        ("not a name!", PASSWORD, "unknown"),
        ("gone", PASSWORD, "gone"),
    ] {
        let answer = try_as(&world, user, password).await;
        answer.problem("invalid-credential");
        assert!(!answer.headers.contains_key("set-cookie"));
        told.push(answer.text);
        let event = world.last_event();
        assert_eq!(event.target, target);
        assert_eq!((event.actor, event.code), (Actor::Anonymous, Some(Code::InvalidCredential)));
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
}

#[actix_web::test]
async fn too_many_attempts_have_to_wait() {
    let world = World::start().await;
    for _ in 0..10 {
        try_as(&world, "demo", "wrong password here").await.problem("invalid-credential");
    }
    let before = world.events().len();
    for _ in 0..3 {
        // The right password too, or it could be found by trying.
        let answer = try_as(&world, "demo", PASSWORD).await;
        answer.problem("rate-limited");
        let seconds: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=7).contains(&seconds), "{seconds}");
    }
    let events = world.events();
    assert_eq!(events.len(), before + 1, "a flood is recorded once");
    let event = events.last().unwrap();
    assert_eq!((event.target.as_str(), event.code), ("demo", Some(Code::RateLimited)));
    world.clock.advance(Duration::from_secs(7));
    try_as(&world, "demo", PASSWORD).await.ok();
}

#[actix_web::test]
async fn a_change_needs_the_sessions_csrf_token() {
    let world = World::start().await;
    let client = world.client("operator").await;
    let other = world.client("demo").await;
    let tenant = json!({ "id": "acme", "display_name": "Acme", "plan": "standard" });
    for csrf in [None, Some("wrong".to_owned()), Some(String::new()), other.csrf.clone()] {
        let forged = Client { csrf, ..client.clone() };
        let answer = forged.post("/api/v1/tenants", &tenant).await;
        answer.problem("csrf-token-mismatch");
        let event = world.last_event();
        assert_eq!(event.action, "request.refuse");
        assert_eq!(event.target, "POST /api/v1/tenants");
        assert_eq!(event.code, Some(Code::CsrfTokenMismatch));
        assert_eq!(event.actor, Actor::User(UserId::new("operator").unwrap()));
        // Reading needs none.
        forged.get("/api/v1/tenants").await.ok();
    }
    client.get("/api/v1/tenants/acme").await.problem("not-found");
    assert_eq!(client.post("/api/v1/tenants", &tenant).await.status, 201);
}

#[actix_web::test]
async fn who_signs_out_is_out() {
    let world = World::start().await;
    let client = world.client("demo").await;
    Client { csrf: None, ..client.clone() }.delete(PATH).await.problem("csrf-token-mismatch");
    client.get(PATH).await.ok();
    let answer = client.delete(PATH).await;
    assert_eq!(answer.status, 204);
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("reeve_session=;") && cookie.contains("Max-Age=0"), "{cookie}");
    assert_eq!(world.last_event().action, "session.delete");
    client.get(PATH).await.problem("invalid-credential");
    world.anonymous().get(PATH).await.problem("missing-credential");
    let forged = Client { cookie: Some("reeve_session=AAAA".to_owned()), ..client };
    forged.get(PATH).await.problem("invalid-credential");
}

#[actix_web::test]
async fn a_session_ends_when_it_is_left_alone() {
    let world = World::start().await;
    let client = world.client("demo").await;
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(3_600));
        client.get(PATH).await.ok();
    }
    world.clock.advance(Duration::from_secs(3_601));
    for _ in 0..2 {
        client.get(PATH).await.problem("invalid-credential");
    }
}

#[actix_web::test]
async fn a_session_ends_after_eight_hours() {
    let world = World::start().await;
    let client = world.client("demo").await;
    for _ in 0..15 {
        world.clock.advance(Duration::from_secs(1_800));
        client.get(PATH).await.ok();
    }
    world.clock.advance(Duration::from_secs(1_800));
    client.get(PATH).await.problem("invalid-credential");
}

#[actix_web::test]
async fn a_bad_form_is_told_by_field_and_without_its_values() {
    let world = World::start().await;
    let anonymous = world.anonymous();
    let answer = anonymous.post(PATH, &json!({ "user": 7, "password": [PASSWORD] })).await;
    assert_eq!(answer.wrong_fields(), ["password", "user"]);
    assert_eq!(anonymous.post(PATH, &json!({ "user": "a" })).await.wrong_fields(), ["password"]);
    assert_eq!(
        anonymous.post(PATH, &json!(["a", "b"])).await.problem("invalid-request")["errors"],
        json!(null)
    );
    let malformed = anonymous.send(Method::POST, PATH, Some("{\"user\": ")).await;
    malformed.problem("malformed-json");
    anonymous.send(Method::POST, PATH, None).await.problem("unsupported-media-type");
    let large = format!("{{\"user\":\"{}\"}}", "a".repeat(70_000));
    anonymous.send(Method::POST, PATH, Some(&large)).await.problem("payload-too-large");
}
