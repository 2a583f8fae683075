//! What is placed comes to the pods and leaves them: a server that answers as a pod does, and takes
//! orders only if they are signed.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use reeve_domain::{Digest, ModelFacts, ModelName, ModelVersion, Pod, PodId, Region, VersionState};
use reeve_protocol::order::{Action, ORDER_HEADER, OrderVerifier};
use reeve_store::{
    StoreError, model,
    model::VersionRow,
    placement::{self, Placement, PodModelState},
    pod,
};
use serde_json::json;

use crate::world::World;

/// What the pod has, and whether it takes more.
#[derive(Clone)]
struct ThePod {
    has: Arc<Mutex<BTreeMap<Digest, &'static str>>>,
    full: Arc<Mutex<bool>>,
    orders: OrderVerifier,
}

async fn index(pod: web::Data<ThePod>) -> HttpResponse {
    let has = pod.has.lock().unwrap();
    let list: Vec<_> = has
        .iter()
        .map(|(digest, state)| {
            json!({ "name": "support", "version": "2", "state": state, "digest": digest })
        })
        .collect();
    HttpResponse::Ok().json(list)
}

async fn order(
    pod: web::Data<ThePod>,
    path: web::Path<(String, String)>,
    request: HttpRequest,
) -> HttpResponse {
    let (name, verb) = path.into_inner();
    let action = if verb == "load" { Action::Load } else { Action::Unload };
    let token = request.headers().get(ORDER_HEADER).and_then(|it| it.to_str().ok());
    let Ok(order) = pod.orders.verify(token.unwrap_or_default(), action, &name) else {
        return HttpResponse::Forbidden().finish();
    };
    let mut has = pod.has.lock().unwrap();
    if action == Action::Unload {
        has.remove(&order.model);
    } else if *pod.full.lock().unwrap() {
        return HttpResponse::InsufficientStorage().body("no room");
    } else {
        has.insert(order.model, "READY");
    }
    HttpResponse::Ok().json(json!({}))
}

fn region() -> Region {
    Region::new("eu-west").unwrap()
}

fn id() -> PodId {
    PodId::new("eu-1").unwrap()
}

/// Starts the pod, and makes it and a version known.
fn start(world: &World, bundle: Digest) -> ThePod {
    let key = World::order_key().verifying_key();
    let clock = world.clock.clone();
    let pod = ThePod {
        has: Arc::default(),
        full: Arc::default(),
        orders: OrderVerifier::new(key, region(), clock),
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let of_pod = web::Data::new(pod.clone());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(of_pod.clone())
            .route("/v2/repository/index", web::post().to(index))
            .route("/v2/repository/models/{name}/{verb}", web::post().to(order))
    });
    actix_web::rt::spawn(server.workers(1).listen(listener).unwrap().run());
    let facts = ModelFacts {
        name: ModelName::new("support").unwrap(),
        version: "2".to_owned(),
        digest: bundle,
        generative: false,
        risk_class: "minimal".to_owned(),
        conformity: false,
        instructions: false,
    };
    let version = ModelVersion { facts, labels: Vec::new(), state: VersionState::Candidate };
    let row = VersionRow::registered(version, world.now());
    let new = Pod { id: id(), region: region(), url, models: Vec::new(), draining: false };
    world
        .store
        .write(|c| {
            pod::upsert(c, &new)?;
            model::insert(c, &row)
        })
        .unwrap();
    pod
}

fn place(world: &World, digest: Digest, wanted: bool) {
    let changed_at = world.now();
    let new = Placement { digest, region: region(), wanted, changed_at, changed_by: "ann".into() };
    world.store.write(|c| placement::set(c, &new)).unwrap();
}

/// Waits until something holds of the store.
async fn until(world: &World, what: &str, holds: impl Fn(&Seen) -> bool) -> Seen {
    for _ in 0..200 {
        let seen = world
            .store
            .read(|c| {
                Ok::<_, StoreError>(Seen {
                    serves: pod::list(c)?.remove(0).models,
                    progress: placement::progress(c)?
                        .into_iter()
                        .map(|it| (it.state, it.failure))
                        .collect(),
                    placed: placement::list(c)?.len(),
                })
            })
            .unwrap();
        if holds(&seen) {
            return seen;
        }
        actix_web::rt::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("never: {what}");
}

#[derive(Debug)]
struct Seen {
    serves: Vec<Digest>,
    progress: Vec<(PodModelState, Option<String>)>,
    placed: usize,
}

#[actix_web::test]
async fn what_is_placed_is_loaded_and_what_is_not_is_unloaded_in_time() {
    let world = World::start().await;
    let bundle = Digest::of(b"bundle 2");
    let pod = start(&world, bundle);
    place(&world, bundle, true);
    until(&world, "the pod serves it", |seen| seen.serves == [bundle]).await;
    let loads = |action: &str| world.events().iter().filter(|it| it.action == action).count();
    assert_eq!(loads("model.load"), 1, "who deployed what is recorded");

    // A pod that was started anew is told again; until then gateways do not ask it.
    pod.has.lock().unwrap().clear();
    until(&world, "it is loaded again", |seen| {
        seen.serves == [bundle] && !pod.has.lock().unwrap().is_empty()
    })
    .await;
    assert_eq!(loads("model.load"), 2);

    // Gateways are told first; the pod keeps it for those who are under way.
    place(&world, bundle, false);
    until(&world, "gateways ask it no more", |seen| seen.serves.is_empty()).await;
    actix_web::rt::time::sleep(Duration::from_millis(2500)).await;
    assert!(pod.has.lock().unwrap().contains_key(&bundle), "not before its time");
    assert_eq!(loads("model.unload"), 0);
    world.clock.advance(Duration::from_secs(13));
    let left = until(&world, "nothing is left", |seen| seen.placed == 0).await;
    assert!(pod.has.lock().unwrap().is_empty() && left.progress.is_empty(), "{left:?}");
    assert_eq!(loads("model.unload"), 1);
}

#[actix_web::test]
async fn a_pod_that_cannot_is_told_again_later_and_says_why() {
    let world = World::start().await;
    let bundle = Digest::of(b"bundle 2");
    let pod = start(&world, bundle);
    *pod.full.lock().unwrap() = true;
    place(&world, bundle, true);
    let seen = until(&world, "it failed", |seen| {
        seen.progress.first().is_some_and(|(state, _)| *state == PodModelState::Failed)
    })
    .await;
    assert!(seen.progress[0].1.as_ref().unwrap().contains("no room"), "{seen:?}");
    assert!(seen.serves.is_empty());
    *pod.full.lock().unwrap() = false;
    world.clock.advance(Duration::from_secs(16));
    until(&world, "it is loaded", |seen| seen.serves == [bundle]).await;
}
