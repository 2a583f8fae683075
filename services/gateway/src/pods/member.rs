use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use reeve_domain::Timestamp;
use reeve_protocol::agreement::Acquaintance;

use super::breaker::Breaker;

/// How long a process that had no room is asked only if no other can be.
const REST: Duration = Duration::from_millis(50);

/// Below this, in microseconds, latencies are alike.
const QUICK: u64 = 100;

/// A process behind a pod's address, as this gateway knows it.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) url: String,
    healthy: AtomicBool,
    /// A probe is under way.
    probed: AtomicBool,
    in_flight: AtomicU32,
    /// How long answers took lately, in microseconds, and when that was noted last.
    latency: AtomicU64,
    noted: AtomicU64,
    /// Until when it rests, in microseconds of the monotonic clock.
    rests: AtomicU64,
    breaker: Breaker,
    /// How warrants for it can be sealed, once it has seen the introduction.
    known: ArcSwapOption<Acquaintance>,
    introduction: ArcSwapOption<Acquaintance>,
}

fn micros(of: Duration) -> u64 {
    u64::try_from(of.as_micros()).unwrap_or(u64::MAX)
}

impl Member {
    pub(crate) fn new(url: String) -> Self {
        Self {
            url,
            healthy: AtomicBool::new(false),
            probed: AtomicBool::new(false),
            in_flight: AtomicU32::new(0),
            latency: AtomicU64::new(0),
            noted: AtomicU64::new(0),
            rests: AtomicU64::new(0),
            breaker: Breaker::default(),
            known: ArcSwapOption::empty(),
            introduction: ArcSwapOption::empty(),
        }
    }

    /// Whether it answered the last probe, and no call has failed to reach it since.
    pub(crate) fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Acquire)
    }

    /// Notes what a probe or a call found; tells whether that was news.
    pub(crate) fn note(&self, healthy: bool) -> bool {
        self.healthy.swap(healthy, Ordering::AcqRel) != healthy
    }

    /// Whether a probe may begin: there is only one at a time.
    pub(crate) fn begin_probe(&self) -> bool {
        !self.probed.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn end_probe(&self) {
        self.probed.store(false, Ordering::Release);
    }

    /// Whether a call may go there now.
    pub(crate) fn is_open(&self, now: Duration) -> bool {
        self.is_healthy() && self.breaker.allows(now)
    }

    /// It said that it has no room.
    pub(crate) fn had_no_room(&self, now: Duration) {
        self.rests.store(micros(now.saturating_add(REST)), Ordering::Relaxed);
    }

    pub(crate) fn rests(&self, now: Duration) -> bool {
        micros(now) < self.rests.load(Ordering::Relaxed)
    }

    /// How long a new call is likely to wait: what is under way, each as long as the last ones took.
    pub(crate) fn load(&self, now: Duration) -> u64 {
        let under_way = u64::from(self.in_flight.load(Ordering::Relaxed)).saturating_add(1);
        // One that never answered yet counts as quick, so that it is tried.
        under_way.saturating_mul(self.latency(now).max(QUICK))
    }

    /// Halved for every second without news: one that was slow once is tried again.
    fn latency(&self, now: Duration) -> u64 {
        let since = micros(now).saturating_sub(self.noted.load(Ordering::Relaxed));
        let seconds = since.checked_div(1_000_000).and_then(|s| u32::try_from(s).ok());
        let halvings = seconds.unwrap_or(u32::MAX);
        self.latency.load(Ordering::Relaxed).checked_shr(halvings).unwrap_or(0)
    }

    /// How warrants for it can be sealed; none: they must be signed.
    pub(crate) fn known(&self) -> Option<Arc<Acquaintance>> {
        self.known.load_full()
    }

    /// What introduces this gateway to it, for the next probe.
    pub(crate) fn introduction(&self) -> Option<Arc<Acquaintance>> {
        self.introduction.load_full()
    }

    /// It answered a probe that brought `sent` along, and told its public key if it has one.
    pub(crate) fn told(
        &self,
        key: Option<&str>,
        sent: Option<Arc<Acquaintance>>,
        now: Timestamp,
        introduce: impl FnOnce(&str) -> Option<Acquaintance>,
    ) {
        let is_with = |it: &Arc<Acquaintance>| key.is_some_and(|key| it.is_with(key));
        let sent = sent.filter(is_with);
        let lasts = sent.as_ref().is_some_and(|sent| sent.lasts(now));
        if sent.is_some() {
            self.known.store(sent);
        } else if !self.known().as_ref().is_some_and(is_with) {
            self.known.store(None);
        }
        if !lasts {
            self.introduction.store(key.and_then(introduce).map(Arc::new));
        }
    }

    /// It says that it does not know this gateway: it was started anew.
    pub(crate) fn forget(&self) {
        self.known.store(None);
    }

    /// Counts a call as under way until the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>, now: Duration) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight { member: Arc::clone(self), tries: self.breaker.begin(), begun: now, told: false }
    }

    /// Peaks count soon and are forgotten slowly.
    pub(crate) fn took(&self, took: Duration, now: Duration) {
        let (before, took) = (self.latency(now), micros(took));
        let old = if took > before { before } else { before.saturating_mul(7) };
        let parts = if took > before { 2 } else { 8 };
        let mean = old.saturating_add(took).checked_div(parts).unwrap_or(took);
        self.latency.store(if before == 0 { took } else { mean }, Ordering::Relaxed);
        self.noted.store(micros(now), Ordering::Relaxed);
    }
}

/// A call under way at a process. Dropped without an outcome, it was given up: the breaker learns
/// nothing.
#[derive(Debug)]
pub(crate) struct InFlight {
    member: Arc<Member>,
    tries: bool,
    begun: Duration,
    told: bool,
}

impl InFlight {
    /// It was answered.
    pub(crate) fn succeeded(mut self, now: Duration) {
        self.told = true;
        self.member.took(now.saturating_sub(self.begun), now);
        self.member.breaker.succeeded();
    }

    /// It failed; tells whether the process is asked no more for a while because of it.
    pub(crate) fn failed(mut self, now: Duration) -> bool {
        self.told = true;
        let took = now.saturating_sub(self.begun);
        // A quick failure is no quick answer.
        if micros(took) > self.member.latency(now) {
            self.member.took(took, now);
        }
        self.member.breaker.failed(now)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.member.in_flight.fetch_sub(1, Ordering::Relaxed);
        if self.tries && !self.told {
            self.member.breaker.given_up();
        }
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use reeve_domain::{Region, SeededEntropy};
    use reeve_protocol::warrant::WarrantSigner;

    use super::*;

    /// Two X25519 public keys (RFC 7748, section 6.1).
    const KEYS: [&str; 2] = [
        "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo",
        "3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08",
    ];

    #[test]
    fn a_process_is_known_once_it_has_seen_the_introduction() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let signer = WarrantSigner::new(key, "reeve.test/gateway", &SeededEntropy::new(1));
        let (member, region) = (Member::new("a".to_owned()), Region::new("eu-west").unwrap());
        let probe = |key: Option<&str>, at: i64| {
            let now = Timestamp::from_micros(at * 1_000_000);
            let introduce = |key: &str| signer.introduce(key, &region, now);
            member.told(key, member.introduction(), now, introduce);
        };
        let is_known = |key: &str| member.known().is_some_and(|known| known.is_with(key));
        probe(Some(KEYS[0]), 0);
        assert!(member.known().is_none(), "it has seen nothing yet");
        probe(Some(KEYS[0]), 1);
        assert!(is_known(KEYS[0]));
        let first = member.introduction().unwrap();
        probe(Some(KEYS[0]), 2);
        assert!(Arc::ptr_eq(&first, &member.introduction().unwrap()), "it lasts");
        probe(Some(KEYS[0]), 1900);
        assert!(is_known(KEYS[0]) && !Arc::ptr_eq(&first, &member.introduction().unwrap()));
        probe(Some(KEYS[0]), 1901);
        assert!(Arc::ptr_eq(&member.known().unwrap(), &member.introduction().unwrap()));
        // Started anew, it has another key.
        probe(Some(KEYS[1]), 1902);
        assert!(member.known().is_none());
        probe(Some(KEYS[1]), 1903);
        assert!(is_known(KEYS[1]));
        member.forget();
        assert!(member.known().is_none());
        probe(Some(KEYS[1]), 1904);
        assert!(is_known(KEYS[1]));
        // Something that has no key stands there now.
        probe(None, 1905);
        assert!(member.known().is_none() && member.introduction().is_none());
    }

    #[test]
    fn load_is_what_waits_times_how_long_it_takes() {
        let (quick, slow) =
            (Arc::new(Member::new("a".to_owned())), Arc::new(Member::new("b".to_owned())));
        let at = Duration::from_millis;
        quick.begin(at(0)).succeeded(at(2));
        slow.begin(at(0)).succeeded(at(40));
        assert!(quick.load(at(40)) < slow.load(at(40)));
        let under_way: Vec<_> = (0..30).map(|_| quick.begin(at(40))).collect();
        assert!(quick.load(at(40)) > slow.load(at(40)));
        drop(under_way);
        assert!(quick.load(at(40)) < slow.load(at(40)));
    }

    #[test]
    fn what_was_slow_once_is_not_slow_for_ever() {
        let member = Arc::new(Member::new("a".to_owned()));
        let at = Duration::from_millis;
        member.took(at(400), at(1_000));
        let load = member.load(at(1_000));
        assert_eq!(member.load(at(4_000)), load / 8);
        assert_eq!(member.load(at(900_000)), QUICK);
        assert!(!member.begin(at(4_000)).failed(at(4_001)), "one failure opens nothing");
        assert_eq!(member.load(at(4_001)), load / 8, "nor does it look quick");
    }

    #[test]
    fn one_that_had_no_room_rests() {
        let member = Member::new("a".to_owned());
        let now = Duration::from_secs(5);
        member.had_no_room(now);
        assert!(member.rests(now) && !member.rests(now + REST));
    }
}
