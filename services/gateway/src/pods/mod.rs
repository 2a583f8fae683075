//! The pods that are registered, the processes behind each of them, and which of these is asked.

mod address;
mod breaker;
mod budget;
mod choice;
mod discovery;
mod kubernetes;
mod member;
mod send;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use reeve_domain::{Digest, Pod, PodId};
use tokio::sync::Notify;

pub use address::{AddressRefused, PodAddress};
pub(crate) use address::{Found, Speaks};
pub(crate) use budget::RetryBudget;
pub(crate) use choice::{Chosen, choose};
pub use discovery::{Discovery, KubernetesApi};
pub(crate) use member::{InFlight, Member};
pub(crate) use send::{Errand, Missed, overslept, send};

/// A registered pod and what this gateway knows of the processes behind it.
#[derive(Debug)]
pub struct PodState {
    pub(crate) pod: Pod,
    /// None if the address cannot be read; such a pod has no processes.
    pub(crate) address: Option<PodAddress>,
    members: Arc<ArcSwap<Vec<Arc<Member>>>>,
}

impl PodState {
    /// The processes behind it now.
    pub(crate) fn members(&self) -> Arc<Vec<Arc<Member>>> {
        self.members.load_full()
    }

    /// Whether it serves a model and one of its processes is healthy.
    pub(crate) fn can_serve(&self, model: &Digest) -> bool {
        !self.pod.draining
            && self.pod.models.contains(model)
            && self.members.load().iter().any(|member| member.is_healthy())
    }

    pub(crate) const fn speaks(&self) -> Option<Speaks> {
        match &self.address {
            Some(address) => Some(address.speaks),
            None => None,
        }
    }

    /// Takes over where its processes are now. What is known of those that stay is kept; tells
    /// whether there are others than before.
    pub(crate) fn found(&self, urls: &[String]) -> bool {
        let before = self.members.load();
        if before.len() == urls.len() && before.iter().all(|member| urls.contains(&member.url)) {
            return false;
        }
        let kept = |url: &String| before.iter().find(|member| member.url == *url).cloned();
        let new = |url: &String| kept(url).unwrap_or_else(|| Arc::new(Member::new(url.clone())));
        self.members.store(Arc::new(urls.iter().map(new).collect()));
        true
    }
}

type Members = Arc<ArcSwap<Vec<Arc<Member>>>>;

/// What is known of every pod, kept across snapshots: a change in the store must not make a pod's
/// state unknown.
#[derive(Default)]
pub(crate) struct PodBoard {
    members: Mutex<HashMap<(PodId, String), Members>>,
    probed: AtomicBool,
    /// Wakes whoever looks for pods and asks for their health, before its time.
    look: Notify,
}

impl PodBoard {
    /// States for the pods of a new snapshot. A pod that is new, or that moved to another
    /// address, begins unhealthy until a probe has reached it.
    pub(crate) fn follow(&self, pods: &[Pod]) -> Vec<Arc<PodState>> {
        let mut board = self.members.lock();
        board.retain(|(id, url), _| pods.iter().any(|pod| pod.id == *id && pod.url == *url));
        let states = pods.iter().map(|pod| {
            let address = match pod.url.parse::<PodAddress>() {
                Ok(address) => Some(address),
                Err(refused) => {
                    tracing::error!(pod = %pod.id, error = %refused, "a pod cannot be asked");
                    None
                }
            };
            let members = Arc::clone(board.entry((pod.id.clone(), pod.url.clone())).or_default());
            let state = PodState { pod: pod.clone(), address, members };
            if let Some(PodAddress { found: Found::There(url), .. }) = &state.address {
                state.found(std::slice::from_ref(url));
            }
            Arc::new(state)
        });
        states.collect()
    }

    /// Has pods looked for and asked for their health at once.
    pub(crate) fn look_again(&self) {
        self.look.notify_one();
    }

    /// Waits until somebody wants that.
    pub(crate) async fn wanted(&self) {
        self.look.notified().await;
    }

    /// Whether all pods have been asked for their health once.
    pub(crate) fn were_probed(&self) -> bool {
        self.probed.load(Ordering::Acquire)
    }

    pub(crate) fn note_probed(&self) {
        self.probed.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use reeve_domain::Region;

    use super::*;

    fn pod(url: &str) -> Pod {
        Pod {
            id: PodId::new("a").unwrap(),
            region: Region::new("eu-west").unwrap(),
            url: url.to_owned(),
            models: vec![Digest::of(b"m")],
            draining: false,
        }
    }

    #[test]
    fn what_is_known_of_a_process_outlives_a_snapshot() {
        let board = PodBoard::default();
        let before = board.follow(&[pod("http://127.0.0.1:1")]);
        let [state] = &before[..] else { panic!("one pod") };
        assert!(!state.can_serve(&Digest::of(b"m")), "nothing was probed yet");
        assert!(state.members()[0].note(true));
        let after = board.follow(&[pod("http://127.0.0.1:1")]);
        assert!(after[0].can_serve(&Digest::of(b"m")));
        assert!(!after[0].can_serve(&Digest::of(b"other")));
        let moved = board.follow(&[pod("http://127.0.0.1:2")]);
        assert!(!moved[0].can_serve(&Digest::of(b"m")));
    }

    #[test]
    fn processes_come_and_go_behind_a_pod() {
        let board = PodBoard::default();
        let states = board.follow(&[pod("dns+http://pods.example:9001")]);
        let urls =
            |n: &[u8]| n.iter().map(|n| format!("http://10.0.0.{n}:9001")).collect::<Vec<_>>();
        assert!(states[0].members().is_empty());
        assert!(states[0].found(&urls(&[1, 2])));
        states[0].members()[1].note(true);
        assert!(!states[0].found(&urls(&[2, 1])), "the same in another order");
        assert!(states[0].found(&urls(&[2, 3])));
        let now = states[0].members();
        assert!(now[0].is_healthy() && !now[1].is_healthy());
        assert!(states[0].found(&[]));
    }

    #[test]
    fn an_address_that_cannot_be_read_is_never_asked() {
        let states = PodBoard::default().follow(&[pod("ftp://127.0.0.1")]);
        assert!(states[0].speaks().is_none() && states[0].members().is_empty());
    }
}
