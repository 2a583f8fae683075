use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use parking_lot::Mutex;
use reeve_domain::{Digest, Pod, PodId, Region};

/// Whether a pod may be given work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodHealth {
    /// It answered the last probe, and no call has failed to reach it since.
    Healthy,
    /// It did not.
    Unhealthy,
}

/// A registered pod and what this gateway knows of it.
#[derive(Debug)]
pub struct PodState {
    pub(crate) pod: Pod,
    health: Arc<Health>,
}

/// Outlives snapshots: a change in the store must not make a pod's state unknown.
#[derive(Debug, Default)]
struct Health {
    healthy: AtomicBool,
    in_flight: AtomicU32,
}

impl PodState {
    pub(crate) fn health(&self) -> PodHealth {
        if self.health.healthy.load(Ordering::Acquire) {
            PodHealth::Healthy
        } else {
            PodHealth::Unhealthy
        }
    }

    /// Notes what a probe or a call found; tells whether that was news.
    pub(crate) fn note(&self, health: PodHealth) -> bool {
        let healthy = health == PodHealth::Healthy;
        self.health.healthy.swap(healthy, Ordering::AcqRel) != healthy
    }

    /// Counts a call as under way until the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> InFlight {
        self.health.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    fn in_flight(&self) -> u32 {
        self.health.in_flight.load(Ordering::Relaxed)
    }
}

/// A call under way at a pod.
pub(crate) struct InFlight(Arc<PodState>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.health.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is known of every pod, kept across snapshots.
#[derive(Default)]
pub(crate) struct PodBoard(Mutex<HashMap<(PodId, String), Arc<Health>>>);

impl PodBoard {
    /// States for the pods of a new snapshot. A pod that is new, or that moved to another
    /// address, begins unhealthy until a probe has reached it.
    pub(crate) fn follow(&self, pods: &[Pod]) -> Vec<Arc<PodState>> {
        let mut board = self.0.lock();
        board.retain(|(id, url), _| pods.iter().any(|pod| pod.id == *id && pod.url == *url));
        pods.iter()
            .map(|pod| {
                let health = board.entry((pod.id.clone(), pod.url.clone())).or_default();
                Arc::new(PodState { pod: pod.clone(), health: Arc::clone(health) })
            })
            .collect()
    }
}

/// The least loaded healthy pod that serves `model` in one of `permitted`, leaving out those that
/// were `tried`. Regions that are not permitted are never looked at.
pub(crate) fn choose(
    pods: &[Arc<PodState>],
    model: &Digest,
    permitted: &[Region],
    tried: &[PodId],
) -> Option<Arc<PodState>> {
    pods.iter()
        .filter(|state| permitted.contains(&state.pod.region))
        .filter(|state| state.pod.models.contains(model))
        .filter(|state| !state.pod.draining && !tried.contains(&state.pod.id))
        .filter(|state| state.health() == PodHealth::Healthy)
        .min_by_key(|state| state.in_flight())
        .cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(id: &str, region: &str, model: Digest) -> Pod {
        Pod {
            id: PodId::new(id).unwrap(),
            region: Region::new(region).unwrap(),
            url: format!("http://127.0.0.1/{id}"),
            models: vec![model],
            draining: false,
        }
    }

    #[test]
    fn only_a_healthy_pod_in_a_permitted_region_is_chosen() {
        let model = Digest::of(b"m");
        let board = PodBoard::default();
        let pods = board.follow(&[pod("eu", "eu-west", model), pod("us", "us-east", model)]);
        let eu = [Region::new("eu-west").unwrap()];
        assert!(choose(&pods, &model, &eu, &[]).is_none(), "nothing is healthy yet");
        assert!(pods[1].note(PodHealth::Healthy));
        assert!(choose(&pods, &model, &eu, &[]).is_none(), "never another region");
        assert!(pods[0].note(PodHealth::Healthy));
        assert_eq!(choose(&pods, &model, &eu, &[]).unwrap().pod.id.as_str(), "eu");
        assert!(choose(&pods, &model, &eu, &[PodId::new("eu").unwrap()]).is_none());
        assert!(choose(&pods, &Digest::of(b"other"), &eu, &[]).is_none());
    }

    #[test]
    fn the_less_loaded_pod_is_chosen_and_health_outlives_a_snapshot() {
        let model = Digest::of(b"m");
        let board = PodBoard::default();
        let listed = [pod("a", "eu-west", model), pod("b", "eu-west", model)];
        for state in board.follow(&listed) {
            state.note(PodHealth::Healthy);
        }
        let pods = board.follow(&listed);
        let eu = [Region::new("eu-west").unwrap()];
        let under_way = pods[0].begin();
        assert_eq!(choose(&pods, &model, &eu, &[]).unwrap().pod.id.as_str(), "b");
        drop(under_way);
        assert_eq!(choose(&pods, &model, &eu, &[]).unwrap().pod.id.as_str(), "a");
    }
}
