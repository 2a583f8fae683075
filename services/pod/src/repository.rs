//! Changing what is served, on a signed order: the part that HTTP and gRPC share.

use std::sync::Arc;

use reeve_protocol::order::{Action, Order, OrderRefusal};

use crate::{model::NotLoaded, models::Asked, pod::Pod, problem::Problem};

/// Loads the bundle that the order names.
pub(crate) async fn load(pod: &Arc<Pod>, name: &str, order: Option<&str>) -> Result<(), Problem> {
    let order = check(pod, name, order, Action::Load)?;
    if pod.source.is_none() {
        return Err(Problem::NoStore);
    }
    let (finder, digest) = (pod.clone(), order.model);
    let dir = tokio::task::spawn_blocking(move || match &finder.source {
        Some(source) => source.find(&order.name, &order.model),
        None => Err(NotLoaded::Unknown("there is no model store".to_owned())),
    });
    let dir = dir.await.map_err(|_| Problem::Failed)??;
    let model = pod.models.load(&dir, Some((name, digest))).await?;
    tracing::info!(model = name, version = model.version, %digest, "loaded by order");
    Ok(())
}

/// Unloads the bundle that the order names. One that is not loaded is no fault: what was ordered
/// is so.
pub(crate) async fn unload(pod: &Arc<Pod>, name: &str, order: Option<&str>) -> Result<(), Problem> {
    let order = check(pod, name, order, Action::Unload)?;
    pod.models.unload(Asked { name, version: None, digest: Some(&order.model) }).await;
    if let Some(source) = &pod.source {
        source.forget(&order.model);
    }
    Ok(())
}

fn check(pod: &Pod, name: &str, order: Option<&str>, action: Action) -> Result<Order, Problem> {
    let token = order.ok_or(OrderRefusal::Missing)?;
    Ok(pod.orders.verify(token, action, name)?)
}
