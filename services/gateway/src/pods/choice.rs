use std::{sync::Arc, time::Duration};

use reeve_domain::{Digest, Entropy, Region};

use super::{Member, PodState, Speaks};

/// A process that will be asked, and whose it is.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    pub(crate) state: Arc<PodState>,
    pub(crate) speaks: Speaks,
    pub(crate) member: Arc<Member>,
}

/// Chooses a process that serves `model` in one of `permitted` and speaks as is `wanted`, leaving out
/// those that were `tried`: of two at random the one with less load (Mitzenmacher, The Power of Two Choices), so that
/// gateways that know nothing of each other do not all run to the same one. Regions that are not
/// permitted are never looked at.
pub(crate) fn choose(
    pods: &[Arc<PodState>],
    model: &Digest,
    permitted: &[Region],
    wanted: &dyn Fn(Speaks) -> bool,
    tried: &[Arc<Member>],
    now: Duration,
    entropy: &dyn Entropy,
) -> Option<Chosen> {
    let mut open: Vec<Chosen> = Vec::new();
    let serving = pods
        .iter()
        .filter(|state| permitted.contains(&state.pod.region))
        .filter(|state| !state.pod.draining && state.pod.models.contains(model));
    for state in serving {
        let Some(speaks) = state.speaks().filter(|speaks| wanted(*speaks)) else { continue };
        for member in state.members().iter() {
            if member.is_open(now) && !tried.iter().any(|tried| Arc::ptr_eq(tried, member)) {
                let (state, member) = (Arc::clone(state), Arc::clone(member));
                open.push(Chosen { state, speaks, member });
            }
        }
    }
    // Who has no room is asked only where nobody else can be.
    if open.iter().any(|chosen| !chosen.member.rests(now)) {
        open.retain(|chosen| !chosen.member.rests(now));
    }
    if open.len() <= 1 {
        return open.pop();
    }
    let one = open.swap_remove(below(open.len(), entropy));
    let other = open.swap_remove(below(open.len(), entropy));
    Some(if other.member.load(now) < one.member.load(now) { other } else { one })
}

/// A number below `end`, which is above 0; the bias of 2^-32 decides nothing.
fn below(end: usize, entropy: &dyn Entropy) -> usize {
    let mut random = [0; 4];
    entropy.fill(&mut random);
    usize::try_from(u32::from_le_bytes(random)).unwrap_or(0).checked_rem(end).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use reeve_domain::{Pod, PodId, SeededEntropy};

    use super::*;
    use crate::pods::PodBoard;

    const NOW: Duration = Duration::from_secs(9);

    fn pod(id: &str, region: &str, model: Digest) -> Pod {
        Pod {
            id: PodId::new(id).unwrap(),
            region: Region::new(region).unwrap(),
            url: format!("http://127.0.0.1/{id}"),
            models: vec![model],
            draining: false,
        }
    }

    fn heal(pods: &[Arc<PodState>]) {
        for pod in pods {
            pod.members()[0].note(true);
        }
    }

    #[test]
    fn only_a_healthy_pod_in_a_permitted_region_is_chosen() {
        let model = Digest::of(b"m");
        let pods =
            PodBoard::default().follow(&[pod("eu", "eu-west", model), pod("us", "us-east", model)]);
        let eu = [Region::new("eu-west").unwrap()];
        let entropy = SeededEntropy::new(1);
        let of = |model: &Digest, tried: &[Arc<Member>]| {
            choose(&pods, model, &eu, &|_| true, tried, NOW, &entropy)
                .map(|c| c.state.pod.id.to_string())
        };
        assert!(of(&model, &[]).is_none(), "nothing is healthy yet");
        pods[1].members()[0].note(true);
        assert!(of(&model, &[]).is_none(), "never another region");
        heal(&pods);
        assert_eq!(of(&model, &[]).as_deref(), Some("eu"));
        assert!(of(&model, &pods[0].members()).is_none());
        assert!(of(&Digest::of(b"other"), &[]).is_none());
    }

    #[test]
    fn the_less_loaded_of_two_is_chosen() {
        let model = Digest::of(b"m");
        let board = PodBoard::default();
        let pods = board.follow(&["a", "b", "c"].map(|id| pod(id, "eu-west", model)));
        heal(&pods);
        let eu = [Region::new("eu-west").unwrap()];
        let entropy = SeededEntropy::new(7);
        let mut counts = std::collections::BTreeMap::<String, u32>::new();
        let under_way: Vec<_> = (0..3).map(|_| pods[0].members()[0].begin(NOW)).collect();
        for _ in 0..600 {
            let chosen = choose(&pods, &model, &eu, &|_| true, &[], NOW, &entropy).unwrap();
            *counts.entry(chosen.state.pod.id.to_string()).or_default() += 1;
        }
        // The loaded one is the lesser of no pair.
        assert_eq!(counts.get("a"), None, "{counts:?}");
        assert!(counts["b"] > 200 && counts["c"] > 200, "{counts:?}");
        drop(under_way);
        pods[1].members()[0].had_no_room(NOW);
        pods[2].members()[0].had_no_room(NOW);
        let chosen = choose(&pods, &model, &eu, &|_| true, &[], NOW, &entropy).unwrap();
        assert_eq!(chosen.state.pod.id.as_str(), "a", "the others rest");
        pods[0].members()[0].note(false);
        assert!(
            choose(&pods, &model, &eu, &|_| true, &[], NOW, &entropy).is_some(),
            "better than nobody"
        );
    }
}
