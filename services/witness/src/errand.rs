use std::{path::PathBuf, time::Duration};

use actix_web::{
    http::StatusCode,
    rt,
    web::{self, Bytes},
};
use reeve_ledger::{ReadFailed, Reader, WitnessKey};

/// A witness that can be asked.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it is: `add-checkpoint` is looked for below.
    pub url: String,
    /// Its public key.
    pub key: WitnessKey,
}

/// A witness has seen more of the log, or another history of it: the log was rolled back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the log was rolled back or replaced: the witness {witness} has seen {seen} entries of \
     another history, {here} are here"
)]
pub struct RolledBack {
    /// Who says so.
    pub witness: String,
    /// How many entries it has seen.
    pub seen: u64,
    /// How many there are.
    pub here: u64,
}

const TIMEOUT: Duration = Duration::from_secs(2);
/// How often the newest checkpoint is taken to the witnesses.
const EVERY: Duration = Duration::from_secs(1);
/// It is said once that a witness is away, after so many rounds.
const PATIENCE: u32 = 5;

/// Takes the checkpoints of one log to witnesses, and keeps what they cosigned beside the log.
pub struct Errand {
    dir: PathBuf,
    /// Each with the size that it has seen last, as far as known.
    peers: Vec<(Peer, u64)>,
    client: awc::Client,
    cosigned: Option<u64>,
    /// Rounds in which a witness was away, one after the other.
    away: u32,
}

/// What one witness said.
enum Said {
    Cosigned(String),
    Away(String),
}

impl Errand {
    /// The errand of the log in `dir`.
    pub fn new(dir: PathBuf, peers: Vec<Peer>) -> Self {
        let client = awc::Client::builder().timeout(TIMEOUT).disable_redirects().finish();
        let peers = peers.into_iter().map(|peer| (peer, 0)).collect();
        Self { dir, peers, client, cosigned: None, away: 0 }
    }

    /// Goes on until a witness finds the log rolled back.
    pub async fn run(mut self) -> RolledBack {
        loop {
            if let Err(rolled_back) = self.round().await {
                return rolled_back;
            }
            rt::time::sleep(EVERY).await;
        }
    }

    /// Asks every witness once for the newest checkpoint, if it is a new one.
    pub async fn round(&mut self) -> Result<(), RolledBack> {
        if self.peers.is_empty() {
            return Ok(());
        }
        let dir = self.dir.clone();
        let newest = web::block(move || Reader::open(&dir)?.newest()).await;
        let Ok(Ok(newest)) = newest else { return Ok(()) };
        if self.cosigned == Some(newest.size) {
            return Ok(());
        }
        let (mut lines, mut notes) = (Vec::new(), Vec::new());
        let mut away = None;
        for (peer, seen) in &mut self.peers {
            match ask(&self.client, &self.dir, peer, seen).await? {
                (note, Said::Cosigned(line)) => {
                    // The log may have grown between two witnesses: only what is of one checkpoint
                    // is put together.
                    if notes.first().is_none_or(|first| *first == note) {
                        notes.push(note);
                        lines.push(line);
                    }
                }
                (_, Said::Away(why)) => away = Some((peer.url.clone(), why)),
            }
        }
        match away {
            Some((witness, why)) => {
                self.away = self.away.saturating_add(1);
                if self.away == PATIENCE {
                    tracing::warn!(%witness, reason = %why, "a witness does not cosign");
                }
            }
            None => {
                if self.away >= PATIENCE {
                    tracing::info!("all witnesses cosign again");
                }
                self.away = 0;
            }
        }
        let whole = lines.len() == self.peers.len();
        let Some(note) = notes.into_iter().next() else { return Ok(()) };
        let dir = self.dir.clone();
        let kept = web::block(move || Reader::open(&dir)?.keep_cosigned(&note, &lines)).await;
        if let Ok(Err(fault)) = kept {
            tracing::warn!(error = %fault, "cosignatures cannot be kept");
        } else if whole {
            self.cosigned = Some(newest.size);
        }
        Ok(())
    }
}

/// Asks one witness, a second time if it has seen another size than was thought.
async fn ask(
    client: &awc::Client,
    dir: &std::path::Path,
    peer: &Peer,
    seen: &mut u64,
) -> Result<(String, Said), RolledBack> {
    let mut note = String::new();
    for _ in 0..2 {
        let (from, old) = (dir.to_owned(), *seen);
        let request = web::block(move || -> Result<_, ReadFailed> {
            let reader = Reader::open(&from)?;
            let here = reader.size();
            reader.submission(old.min(here)).map(|(body, note)| (body, note, here))
        });
        let (body, newest, here) = match request.await {
            Ok(Ok(request)) => request,
            Ok(Err(fault)) => return Ok((note, Said::Away(fault.to_string()))),
            Err(fault) => return Ok((note, Said::Away(fault.to_string()))),
        };
        note = newest;
        let rolled_back =
            |seen: u64| RolledBack { witness: peer.key.name().to_string(), seen, here };
        if *seen > here {
            return Err(rolled_back(*seen));
        }
        let (status, answer) = match send(client, &peer.url, body).await {
            Ok(answered) => answered,
            Err(why) => return Ok((note, Said::Away(why))),
        };
        let text = String::from_utf8_lossy(&answer).into_owned();
        match status {
            StatusCode::OK => {
                return Ok(match peer.key.cosigned(&format!("{note}{text}")) {
                    Ok(_) => {
                        *seen = here;
                        (note, Said::Cosigned(text))
                    }
                    Err(refused) => (note, Said::Away(refused.to_string())),
                });
            }
            StatusCode::CONFLICT => {
                let Ok(size) = text.trim().parse() else {
                    return Ok((note, Said::Away("a conflict without a size".to_owned())));
                };
                // The same size and still a conflict: another root.
                if size > here || (size == *seen && size == here) {
                    return Err(rolled_back(size));
                }
                *seen = size;
            }
            StatusCode::UNPROCESSABLE_ENTITY => return Err(rolled_back(*seen)),
            other => return Ok((note, Said::Away(format!("{other}: {}", text.trim())))),
        }
    }
    Ok((note, Said::Away("it has seen yet another size".to_owned())))
}

async fn send(
    client: &awc::Client,
    url: &str,
    body: String,
) -> Result<(StatusCode, Bytes), String> {
    let mut answer = client
        .post(format!("{}/add-checkpoint", url.trim_end_matches('/')))
        .content_type("text/plain; charset=utf-8")
        .send_body(body)
        .await
        .map_err(|fault| fault.to_string())?;
    let body = answer.body().limit(16 * 1024).await.map_err(|fault| fault.to_string())?;
    Ok((answer.status(), body))
}
