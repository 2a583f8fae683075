use std::time::Duration;

use reeve_domain::Clock;
use reeve_torch::Progress;

/// Prints progress: at the end of every epoch, and every few seconds.
pub(crate) struct Lines {
    started: Option<(Duration, u64)>,
    printed: Duration,
}

impl Lines {
    const EVERY: Duration = Duration::from_secs(2);

    pub(crate) fn new(clock: &dyn Clock) -> Self {
        Self { started: None, printed: clock.monotonic() }
    }

    #[expect(clippy::print_stderr, reason = "progress for a person")]
    pub(crate) fn show(&mut self, progress: Progress, clock: &dyn Clock) {
        let now = clock.monotonic();
        // A resumed training did not do in this time what was done before.
        let (started, before) = *self.started.get_or_insert((self.printed, progress.texts));
        if progress.accuracy.is_none() && now.saturating_sub(self.printed) < Self::EVERY {
            return;
        }
        self.printed = now;
        let small = |n: u64| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
        let seconds = now.saturating_sub(started).as_secs_f64().max(1e-3);
        let rate = small(progress.texts.saturating_sub(before)) / seconds;
        let left = small(progress.texts_total.saturating_sub(progress.texts)) / rate.max(1e-3);
        let accuracy =
            progress.accuracy.map_or_else(String::new, |share| format!("  accuracy {share:.3}"));
        eprintln!(
            "epoch {}/{}  {}/{} texts  loss {:.4}{accuracy}  {rate:.0} texts/s  {left:.0} s left",
            progress.epoch, progress.epochs, progress.texts, progress.texts_total, progress.loss
        );
    }
}
