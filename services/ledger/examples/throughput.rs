//! Measures the ledger: `throughput DIR SECONDS`. Prints one line of JSON: records a second and
//! latencies by number of writers, beside bare writes with an `fsync` each on the same file system,
//! and beside SQLite's own commits (WAL, `synchronous=FULL`), one by one.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use reeve_domain::{Clock, Origin, SystemClock, SystemEntropy};
use reeve_ledger::{Ledger, Options, load_or_create_key};

type Fault = Box<dyn std::error::Error + Send + Sync>;

const WRITERS: [u32; 4] = [1, 8, 64, 256];
/// About the size of a call's intent.
const RECORD_BYTES: usize = 700;

#[derive(serde::Serialize)]
struct Figures {
    per_second: f64,
    p50_us: u128,
    p99_us: u128,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the program's output")]
async fn main() -> Result<(), Fault> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("usage: throughput DIR SECONDS");
    let dir = PathBuf::from(next()?);
    let time = Duration::from_secs(next()?.parse()?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let mut all = BTreeMap::from([("bare".to_owned(), bare(&dir, time, clock.as_ref())?)]);
    all.insert("sqlite".to_owned(), sqlite(&dir, time, clock.as_ref())?);
    for writers in WRITERS {
        let dir = dir.join(format!("log-{writers}"));
        all.insert(writers.to_string(), ledger(&dir, time, writers, &clock).await?);
    }
    println!("{}", serde_json::to_string(&all)?);
    Ok(())
}

/// One record after the other, each with its own `fsync`.
fn bare(dir: &Path, time: Duration, clock: &dyn Clock) -> Result<Figures, Fault> {
    let mut file = File::create(dir.join("bare"))?;
    let mut latencies = Vec::new();
    let begun = clock.monotonic();
    loop {
        let before = clock.monotonic();
        if before.saturating_sub(begun) >= time {
            return figures(latencies, before.saturating_sub(begun));
        }
        file.write_all(&[b'x'; RECORD_BYTES])?;
        file.sync_data()?;
        latencies.push(clock.monotonic().saturating_sub(before));
    }
}

/// One record after the other, each in a transaction of its own.
fn sqlite(dir: &Path, time: Duration, clock: &dyn Clock) -> Result<Figures, Fault> {
    use diesel::{
        Connection as _, RunQueryDsl as _, SqliteConnection, connection::SimpleConnection as _,
        sql_query, sql_types::Binary,
    };
    let mut c = SqliteConnection::establish(&dir.join("bare.sqlite").display().to_string())?;
    c.batch_execute(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; \
         CREATE TABLE record (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL)",
    )?;
    let mut latencies = Vec::new();
    let begun = clock.monotonic();
    loop {
        let before = clock.monotonic();
        if before.saturating_sub(begun) >= time {
            return figures(latencies, before.saturating_sub(begun));
        }
        sql_query("INSERT INTO record (bytes) VALUES (?)")
            .bind::<Binary, _>([b'x'; RECORD_BYTES].as_slice())
            .execute(&mut c)?;
        latencies.push(clock.monotonic().saturating_sub(before));
    }
}

async fn ledger(
    dir: &Path,
    time: Duration,
    writers: u32,
    clock: &Arc<dyn Clock>,
) -> Result<Figures, Fault> {
    std::fs::create_dir_all(dir)?;
    let key = load_or_create_key(&dir.join("key.pem"), &SystemEntropy)?;
    let options = Options {
        dir: dir.to_owned(),
        origin: Origin::new("reeve.local/bench")?,
        commit_deadline: Duration::from_secs(10),
        headroom_bytes: 64 * 1024 * 1024,
        segment_bytes: reeve_ledger::SEGMENT_BYTES,
    };
    let (ledger, _) = Ledger::open(options, key, Arc::clone(clock))?;
    let begun = clock.monotonic();
    let tasks: Vec<_> = (0..writers)
        .map(|_| {
            let (ledger, clock) = (ledger.clone(), Arc::clone(clock));
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                loop {
                    let before = clock.monotonic();
                    if before.saturating_sub(begun) >= time {
                        return Ok::<_, Fault>(latencies);
                    }
                    ledger.append(vec![b'x'; RECORD_BYTES]).await?;
                    latencies.push(clock.monotonic().saturating_sub(before));
                }
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    figures(latencies, clock.monotonic().saturating_sub(begun))
}

fn figures(mut latencies: Vec<Duration>, time: Duration) -> Result<Figures, Fault> {
    latencies.sort_unstable();
    let count = latencies.len();
    let at = |percent: usize| latencies.get(count * percent / 100).map(Duration::as_micros);
    Ok(Figures {
        per_second: f64::from(u32::try_from(count)?) / time.as_secs_f64(),
        p50_us: at(50).ok_or("nothing was written")?,
        p99_us: at(99).ok_or("nothing was written")?,
    })
}
