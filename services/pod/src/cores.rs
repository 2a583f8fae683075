use parking_lot::{Condvar, Mutex};

/// As many passes at a time as there are cores to compute them, whatever model they are of: more
/// would only take turns on the same cores, each slower for it.
pub(crate) struct Cores {
    free: Mutex<usize>,
    freed: Condvar,
}

/// The right to compute, until it is dropped.
pub(crate) struct Core<'a>(&'a Cores);

impl Cores {
    pub(crate) const fn new(count: usize) -> Self {
        Self { free: Mutex::new(count), freed: Condvar::new() }
    }

    /// Waits for a core.
    pub(crate) fn take(&self) -> Core<'_> {
        let mut free = self.free.lock();
        while *free == 0 {
            self.freed.wait(&mut free);
        }
        *free = free.saturating_sub(1);
        Core(self)
    }
}

impl Drop for Core<'_> {
    fn drop(&mut self) {
        let mut free = self.0.free.lock();
        *free = free.saturating_add(1);
        drop(free);
        self.0.freed.notify_one();
    }
}
