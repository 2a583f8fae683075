//! Measures how long verifying a log from its first byte takes, on one core: `verification DIR
//! RECORDS`. Prints one line of JSON.

use std::{path::PathBuf, sync::Arc, time::Duration};

use reeve_domain::{Clock, Origin, SystemClock, SystemEntropy};
use reeve_ledger::{Ledger, Options, load_or_create_key, verify};

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// About the size of a call's intent.
const RECORD_BYTES: usize = 700;
/// Records that wait for one commit, as under load.
const TOGETHER: usize = 64;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the program's output")]
async fn main() -> Result<(), Fault> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("usage: verification DIR RECORDS");
    let dir = PathBuf::from(next()?);
    let records: usize = next()?.parse()?;
    std::fs::create_dir_all(&dir)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let options = Options {
        dir: dir.clone(),
        origin: Origin::new("reeve.local/bench")?,
        commit_deadline: Duration::from_secs(10),
        headroom_bytes: 64 * 1024 * 1024,
        segment_bytes: reeve_ledger::SEGMENT_BYTES,
    };
    let key = load_or_create_key(&dir.join("key.pem"), &SystemEntropy)?;
    let (ledger, _) = Ledger::open(options, key, Arc::clone(&clock))?;
    let writers = (0..TOGETHER).map(|writer| {
        let ledger = ledger.clone();
        let share = records / TOGETHER + usize::from(writer < records % TOGETHER);
        tokio::spawn(async move {
            for _ in 0..share {
                ledger.append(vec![b'x'; RECORD_BYTES]).await?;
            }
            Ok::<_, Fault>(())
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await??;
    }
    drop(ledger);
    let begun = clock.monotonic();
    let report = verify(&dir, None);
    let seconds = clock.monotonic().saturating_sub(begun).as_secs_f64();
    if !report.is_clean() {
        return Err(format!("the log is not clean: {:?}", report.findings).into());
    }
    let figures = serde_json::json!({ "records": report.size, "seconds": seconds });
    println!("{figures}");
    Ok(())
}
