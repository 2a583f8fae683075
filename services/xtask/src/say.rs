//! Lines of progress, and how long things took.

use std::{
    io::{self, Write as _},
    time::{Duration, Instant},
};

/// A piece of work that was announced.
pub(crate) struct Work {
    begun: Instant,
}

/// Announces a piece of work on a line that `Work::done` ends.
pub(crate) fn begin(what: &str) -> Work {
    print!("{what:<52} ");
    flush();
    Work { begun: Instant::now() }
}

impl Work {
    /// Ends the line with the time it took.
    pub(crate) fn done(self) {
        println!("{}", seconds(self.begun.elapsed()));
    }

    /// Ends the line with what happened.
    pub(crate) fn ended(self, how: &str) {
        println!("{how} ({})", seconds(self.begun.elapsed()));
    }
}

/// Seconds with one digit behind the point.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// Shows what was printed so far.
pub(crate) fn flush() {
    // A closed terminal is nobody's failure.
    drop(io::stdout().flush());
}
