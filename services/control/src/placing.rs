//! Has pods load and unload what is placed: each is asked what it has, and told under a signed order
//! what to load from the registry and what to give up. What is given up leaves the pod's row first,
//! so that gateways send it no more calls; it is unloaded when those under way have had their time.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use actix_web::{rt, web};
use reeve_domain::{Actor, Digest, ModelName, Pod, PodId};
use reeve_protocol::order::{Action, ORDER_HEADER, Order};
use reeve_store::{
    StoreError, model,
    placement::{self, Placement, PodModel, PodModelState},
    pod,
};
use serde::Deserialize;

use crate::{
    problem::Refused,
    state::{Control, Deed},
};

const LOOK_EVERY: Duration = Duration::from_secs(1);
const INDEX_WITHIN: Duration = Duration::from_secs(2);
/// Fetching and warming up a large model takes its time.
const ORDER_WITHIN: Duration = Duration::from_secs(300);
/// What failed is tried again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(15);
const ORDER_HOLDS: Duration = Duration::from_secs(60);

pub(crate) fn start(control: web::Data<Control>) {
    rt::spawn(async move {
        let client = awc::Client::builder().disable_redirects().no_default_headers().finish();
        loop {
            rt::time::sleep(LOOK_EVERY).await;
            // A store that is away is tried again.
            let _tried = round(&control, &client).await;
        }
    });
}

/// What there is to place, by bundle.
struct Known {
    names: BTreeMap<Digest, (ModelName, String)>,
    placements: Vec<Placement>,
    progress: BTreeMap<(PodId, Digest), PodModel>,
    pods: Vec<Pod>,
}

async fn round(control: &web::Data<Control>, client: &awc::Client) -> Result<(), Refused> {
    let known = control
        .read(|c| {
            let names = model::rows(c)?.into_iter().map(|row| {
                let facts = row.version.facts;
                (facts.digest, (facts.name, facts.version))
            });
            let progress = placement::progress(c)?.into_iter();
            Ok(Known {
                names: names.collect(),
                placements: placement::list(c)?,
                progress: progress.map(|it| ((it.pod.clone(), it.digest), it)).collect(),
                pods: pod::list(c)?,
            })
        })
        .await?;
    if known.placements.is_empty() {
        return Ok(());
    }
    let known = Arc::new(known);
    let pods = known
        .pods
        .iter()
        .filter(|pod| known.placements.iter().any(|placement| placement.region == pod.region));
    let told = pods.map(|pod| tell(control, client, &known, pod));
    let followed: BTreeMap<PodId, bool> =
        futures_util::future::join_all(told).await.into_iter().collect();
    for placement in known.placements.iter().filter(|placement| !placement.wanted) {
        let here = known.pods.iter().filter(|pod| pod.region == placement.region);
        let all = here.into_iter().all(|pod| {
            let has = pod.models.contains(&placement.digest)
                || known.progress.contains_key(&(pod.id.clone(), placement.digest));
            followed.get(&pod.id) == Some(&true) && !has
        });
        if all {
            let (digest, region) = (placement.digest, placement.region.clone());
            control.write(move |c| placement::forget(c, &digest, &region)).await?;
        }
    }
    Ok(())
}

/// A model as a pod lists it.
#[derive(Debug, Deserialize)]
struct Listed {
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    digest: Option<Digest>,
}

impl Listed {
    fn is(&self, digest: &Digest, name: &(ModelName, String)) -> bool {
        match &self.digest {
            Some(here) => here == digest,
            None => self.name == name.0.as_str() && self.version == name.1,
        }
    }
}

/// Tells one pod what to do next. Gives whether it could be asked.
async fn tell(
    control: &web::Data<Control>,
    client: &awc::Client,
    known: &Known,
    pod: &Pod,
) -> (PodId, bool) {
    let id = pod.id.clone();
    let Some(listed) = index(client, pod).await else { return (id, false) };
    for placement in known.placements.iter().filter(|it| it.region == pod.region) {
        let Some(name) = known.names.get(&placement.digest) else { continue };
        // One that has made room for others is there too: the next call loads it.
        let has = listed.iter().any(|it| it.is(&placement.digest, name));
        let row = known.progress.get(&(pod.id.clone(), placement.digest));
        let one = One { control, client, pod, digest: placement.digest, name };
        let done = if placement.wanted {
            one.wanted(has, row).await
        } else {
            one.unwanted(has, row).await
        };
        if let Err(refused) = done {
            tracing::warn!(pod = %pod.id, code = %refused.code(), "placing a model failed");
        }
    }
    (id, true)
}

async fn index(client: &awc::Client, pod: &Pod) -> Option<Vec<Listed>> {
    let mut answer = client
        .post(format!("{}/v2/repository/index", pod.url))
        .timeout(INDEX_WITHIN)
        .insert_header(("Content-Type", "application/json"))
        .send_body("{}")
        .await
        .ok()?;
    if !answer.status().is_success() {
        return None;
    }
    answer.json().await.ok()
}

/// One bundle at one pod.
struct One<'a> {
    control: &'a web::Data<Control>,
    client: &'a awc::Client,
    pod: &'a Pod,
    digest: Digest,
    name: &'a (ModelName, String),
}

impl One<'_> {
    async fn wanted(&self, has: bool, row: Option<&PodModel>) -> Result<(), Refused> {
        let state = row.map(|row| row.state);
        let lists = self.pod.models.contains(&self.digest);
        if has {
            if !lists || state == Some(PodModelState::Leaving) {
                return self.serve(true).await;
            }
            if row.is_some() && state != Some(PodModelState::Ready) {
                return self.note(PodModelState::Ready, None).await;
            }
            return Ok(());
        }
        if lists {
            // It was started anew, without what it had loaded.
            self.serve(false).await?;
        }
        let since = row.map(|row| self.control.clock.now().since(row.at));
        let waits = match state {
            Some(PodModelState::Loading) => since < Some(ORDER_WITHIN),
            Some(PodModelState::Failed) => since < Some(AGAIN_AFTER),
            _ => false,
        };
        if waits {
            return Ok(());
        }
        self.record("model.load").await?;
        self.note(PodModelState::Loading, None).await?;
        let (control, order) = (self.control.clone(), self.order(Action::Load));
        let (client, url) = (self.client.clone(), self.address("load"));
        let (pod, digest) = (self.pod.id.clone(), self.digest);
        // Not waited for: others need not wait for this one.
        rt::spawn(async move {
            if let Err(why) = send(&client, &url, &order).await {
                tracing::warn!(%pod, %digest, error = %why, "a pod could not load a model");
                let at = control.clock.now();
                let state = PodModelState::Failed;
                let row = PodModel { pod, digest, state, failure: Some(why), at };
                let _tried = control.write(move |c| placement::note(c, &row)).await;
            }
        });
        Ok(())
    }

    async fn unwanted(&self, has: bool, row: Option<&PodModel>) -> Result<(), Refused> {
        if self.pod.models.contains(&self.digest) {
            return self.leave().await;
        }
        let Some(row) = row else {
            return if has { self.note(PodModelState::Leaving, None).await } else { Ok(()) };
        };
        if !has {
            let (pod, digest) = (self.pod.id.clone(), self.digest);
            return self.control.write(move |c| placement::gone(c, &pod, &digest)).await;
        }
        if row.state != PodModelState::Leaving {
            return self.note(PodModelState::Leaving, None).await;
        }
        if self.control.clock.now().since(row.at) < self.control.models.unload_after {
            return Ok(());
        }
        self.record("model.unload").await?;
        let order = self.order(Action::Unload);
        if let Err(why) = send(self.client, &self.address("unload"), &order).await {
            tracing::warn!(pod = %self.pod.id, error = %why, "a pod could not unload a model");
            return self.note(PodModelState::Leaving, Some(why)).await;
        }
        Ok(())
    }

    /// Lets gateways know that the pod serves the bundle, or does not.
    async fn serve(&self, serves: bool) -> Result<(), Refused> {
        let (id, digest, at) = (self.pod.id.clone(), self.digest, self.control.clock.now());
        self.control
            .write(move |c| {
                pod::set_serves(c, &id, &digest, serves)?;
                if serves {
                    let state = PodModelState::Ready;
                    placement::note(c, &PodModel { pod: id, digest, state, failure: None, at })
                } else {
                    placement::gone(c, &id, &digest)
                }
            })
            .await
    }

    async fn leave(&self) -> Result<(), Refused> {
        let (id, digest, at) = (self.pod.id.clone(), self.digest, self.control.clock.now());
        self.control
            .write(move |c| {
                pod::set_serves(c, &id, &digest, false)?;
                let state = PodModelState::Leaving;
                placement::note(c, &PodModel { pod: id, digest, state, failure: None, at })?;
                Ok::<_, StoreError>(())
            })
            .await
    }

    async fn note(&self, state: PodModelState, failure: Option<String>) -> Result<(), Refused> {
        let (pod, at) = (self.pod.id.clone(), self.control.clock.now());
        let row = PodModel { pod, digest: self.digest, state, failure, at };
        self.control.write(move |c| placement::note(c, &row)).await
    }

    async fn record(&self, action: &'static str) -> Result<(), Refused> {
        let (name, version) = self.name;
        let deed = Deed {
            actor: Actor::System,
            action,
            target: self.digest.to_string(),
            tenant: None,
            details: BTreeMap::from([
                ("pod".to_owned(), self.pod.id.to_string()),
                ("model".to_owned(), format!("{name}@{version}")),
            ]),
        };
        self.control.record(&deed, None).await
    }

    fn order(&self, action: Action) -> String {
        let now = self.control.clock.now();
        self.control.models.orders.sign(&Order {
            iss: String::new(),
            action,
            name: self.name.0.to_string(),
            model: self.digest,
            region: self.pod.region.clone(),
            iat: now.as_seconds(),
            exp: now.after(ORDER_HOLDS).as_seconds(),
        })
    }

    fn address(&self, verb: &str) -> String {
        format!("{}/v2/repository/models/{}/{verb}", self.pod.url, self.name.0)
    }
}

async fn send(client: &awc::Client, url: &str, order: &str) -> Result<(), String> {
    let mut answer = client
        .post(url)
        .timeout(ORDER_WITHIN)
        .insert_header((ORDER_HEADER, order))
        .insert_header(("Content-Type", "application/json"))
        .send_body("{}")
        .await
        .map_err(|fault| fault.to_string())?;
    if answer.status().is_success() {
        return Ok(());
    }
    let said = answer.body().limit(4096).await.unwrap_or_default();
    let said: String = String::from_utf8_lossy(&said).chars().take(300).collect();
    Err(format!("{}: {said}", answer.status()))
}
