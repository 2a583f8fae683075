use std::{collections::BTreeSet, time::Duration};

use reeve_domain::{Clock, Digest, Measure, ModelName, Timestamp, VersionState, measure};
use reeve_store::{
    Connection, Store, StoreError,
    alert::{self, Alert},
    model,
    observation::{self, Window},
};
use serde::Serialize;

/// What was answered in this time is looked at together.
const WINDOW: Duration = Duration::from_secs(24 * 60 * 60);
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// That an alert was raised or cleared, as it is posted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct News {
    /// `raised` or `cleared`.
    pub event: &'static str,
    /// The alert's id.
    pub alert: String,
    /// The model.
    pub model: ModelName,
    /// The version's digest.
    pub digest: Digest,
    /// What was measured.
    pub measure: String,
    /// The value, in thousandths.
    pub value_permille: i64,
    /// What it passed, in thousandths.
    pub threshold_permille: i64,
    /// When.
    pub at: Timestamp,
}

/// Compares what every version answered in the last day with what it was trained on, and raises,
/// updates and clears alerts. Gives what is new. Blocks.
pub fn watch_models(store: &Store, clock: &dyn Clock) -> Result<Vec<News>, StoreError> {
    let now = clock.now();
    store.write(|c| {
        let thresholds = alert::thresholds(c)?;
        let open = alert::open(c)?;
        let (mut news, mut seen) = (Vec::new(), BTreeSet::new());
        for row in model::rows(c)? {
            if row.version.state == VersionState::Withdrawn {
                continue;
            }
            let facts = row.version.facts;
            let hours = observation::hours(c, &last_day(now, facts.digest))?;
            let (all, mirrored) = observation::total(&hours);
            for it in measure(observation::fingerprint(&row.card).as_ref(), &all, mirrored) {
                let word = it.measure.as_str();
                let threshold = thresholds
                    .get(&(facts.name.to_string(), word.to_owned()))
                    .copied()
                    .unwrap_or(it.measure.threshold_permille());
                if !it.passes(threshold) {
                    continue;
                }
                seen.insert((facts.digest, word.to_owned()));
                let is_it = |one: &&Alert| one.digest == facts.digest && one.measure == word;
                match open.iter().find(is_it) {
                    Some(known) => alert::update(c, &known.id, it.permille)?,
                    None => news.push(raise(
                        c,
                        &facts.name,
                        facts.digest,
                        it.measure,
                        [it.permille, threshold],
                        now,
                    )?),
                }
            }
        }
        for old in open {
            if !seen.contains(&(old.digest, old.measure.clone())) {
                alert::clear(c, &old.id, now)?;
                news.push(told("cleared", &old, now));
            }
        }
        Ok(news)
    })
}

fn last_day(now: Timestamp, digest: Digest) -> Window {
    Window { from: now.before(WINDOW), until: now, digests: BTreeSet::from([digest]), tenant: None }
}

fn raise(
    c: &mut Connection,
    model: &ModelName,
    digest: Digest,
    measure: Measure,
    [value_permille, threshold_permille]: [i64; 2],
    at: Timestamp,
) -> Result<News, StoreError> {
    let measure = measure.as_str().to_owned();
    let new = Alert {
        id: format!("alert_{}_{measure}_{}", digest.short(), at.as_micros()),
        model: model.clone(),
        digest,
        measure,
        value_permille,
        threshold_permille,
        raised_at: at,
        cleared_at: None,
    };
    alert::raise(c, &new)?;
    Ok(told("raised", &new, at))
}

fn told(event: &'static str, alert: &Alert, at: Timestamp) -> News {
    News {
        event,
        alert: alert.id.clone(),
        model: alert.model.clone(),
        digest: alert.digest,
        measure: alert.measure.clone(),
        value_permille: alert.value_permille,
        threshold_permille: alert.threshold_permille,
        at,
    }
}

/// Where alerts are posted to.
#[derive(Clone, Debug)]
pub struct Webhook {
    url: String,
    agent: ureq::Agent,
}

impl Webhook {
    /// Posts to this address; none if it is empty.
    pub fn to(url: &str) -> Option<Self> {
        let agent = ureq::Agent::config_builder().timeout_global(Some(ANSWER_WITHIN)).build();
        (!url.is_empty()).then(|| Self { url: url.to_owned(), agent: agent.new_agent() })
    }

    /// Posts one piece of news as JSON, a few times if it is not taken. Blocks.
    pub fn post(&self, news: &News) -> Result<(), ureq::Error> {
        let mut tries = 1;
        loop {
            match self.agent.post(&self.url).send_json(news) {
                Ok(_) => return Ok(()),
                Err(_) if tries < TRIES => {
                    tries = tries.saturating_add(1);
                    std::thread::sleep(PAUSE);
                }
                Err(fault) => return Err(fault),
            }
        }
    }
}
