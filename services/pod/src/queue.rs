use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use reeve_classifier::Encoded;
use reeve_domain::{Clock, TenantId};
use reeve_protocol::warrant::Priority;
use tokio::sync::oneshot;

use crate::{
    batch::{Batch, Hosts, Shape, ahead, choose, let_in},
    call::{Answer, Call, Item},
    order::{Order, Share},
};

/// Texts that wait for a worker, bounded. It never waits on a timer: a worker that asks gets what
/// is there, as much as it can use at once.
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    /// How often something came that may be let in while others are computed.
    urgent: AtomicU64,
    capacity: usize,
    clock: Arc<dyn Clock>,
}

struct Waiting {
    interactive: Order,
    batch: Order,
    /// Batches since one of the lower priority went first.
    passed_over: u32,
    /// Workers that have nothing to do.
    idle: usize,
    /// Batches that are computed.
    running: usize,
    /// Tokens a second of all workers together, smoothed; 0 until something was computed.
    rate: f64,
    open: bool,
}

/// Why texts were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There is no room for all of them now.
    Full {
        /// When there may be.
        retry_after: Duration,
    },
    /// There is, but not for this tenant, whose texts hold enough of it.
    Share {
        /// When there may be.
        retry_after: Duration,
    },
    /// Nothing is taken any more.
    Closed,
}

/// A tenant holds at most this many times the room that is left: one alone gets four fifths of the
/// queue, and whoever comes then finds a place (dynamic thresholds, Choudhury and Hahne, 1998).
const SHARE_OF_ROOM: usize = 4;
/// The lower priority goes first after the higher did so many times.
const TURNS: u32 = 16;
/// Fewer texts than this are not worth sharing among idle workers.
const LEAST_SHARED: usize = 8;

impl Queue {
    pub(crate) fn new(capacity: usize, clock: Arc<dyn Clock>) -> Self {
        let waiting = Mutex::new(Waiting {
            interactive: Order::default(),
            batch: Order::default(),
            passed_over: 0,
            idle: 0,
            running: 0,
            rate: 0.0,
            open: true,
        });
        Self { waiting, arrived: Condvar::new(), urgent: AtomicU64::new(0), capacity, clock }
    }

    /// The most texts that can wait, and so the most of one call.
    pub(crate) const fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many texts wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.lock().len()
    }

    /// How long what waits now will take: what to scale by.
    pub(crate) fn backlog(&self) -> Duration {
        self.waiting.lock().backlog()
    }

    /// Takes all texts of a call or none. Dropping the receiver gives the call up: what is still
    /// queued of it then, or at `until`, is never computed.
    pub(crate) fn submit(
        &self,
        texts: Vec<Encoded>,
        share: &Share,
        until: Duration,
    ) -> Result<oneshot::Receiver<Answer>, Refused> {
        let (call, answer) = Call::new(texts.len(), share, until);
        let came = self.clock.monotonic();
        let mut waiting = self.waiting.lock();
        if !waiting.open {
            return Err(Refused::Closed);
        }
        if waiting.room(self.capacity, &texts, share).is_err() {
            // Calls that were given up hold no place against those that are not.
            waiting.drop_given_up(came);
        }
        waiting.room(self.capacity, &texts, share)?;
        let nothing_else_waits = waiting.interactive.waiting(&share.tenant) == 0;
        for (index, text) in texts.into_iter().enumerate() {
            let item = Item { text, call: call.clone(), index, came };
            waiting.order(share.priority).push(item);
        }
        if waiting.running > 0 && waiting.idle == 0 && nothing_else_waits {
            self.urgent.fetch_add(1, Ordering::Release);
        }
        drop(waiting);
        // One worker is enough for them; it wakes another if it leaves any.
        self.arrived.notify_one();
        Ok(answer)
    }

    /// Waits until texts wait; false once the queue is closed and empty.
    pub(crate) fn wait(&self) -> bool {
        let mut waiting = self.waiting.lock();
        waiting.idle = waiting.idle.saturating_add(1);
        while waiting.len() == 0 && waiting.open {
            self.arrived.wait(&mut waiting);
        }
        waiting.idle = waiting.idle.saturating_sub(1);
        waiting.len() > 0
    }

    /// Takes a batch; none if another worker took what there was, or nobody waits for it any more.
    pub(crate) fn take(&self, shape: Shape) -> Option<Batch> {
        let now = self.clock.monotonic();
        let mut waiting = self.waiting.lock();
        let mut batch = None;
        while batch.is_none() && waiting.len() > 0 {
            let fair = waiting.len().div_ceil(waiting.idle.saturating_add(1)).max(LEAST_SHARED);
            let priority = waiting.turn();
            let order = waiting.order(priority);
            let given_up = |item: &Item| item.call.is_given_up(now);
            if order.first(shape.window).any(|(_, item)| given_up(item)) {
                order.drop_if(given_up);
            }
            batch = ahead(order, shape, now).or_else(|| choose(order, shape, fair));
            if let Some(batch) = &mut batch
                && priority == Priority::Interactive
            {
                // Room that is left over costs those who wait nothing.
                waiting.batch.drop_if(given_up);
                batch.fill(&mut waiting.batch, shape);
            }
        }
        waiting.running = waiting.running.saturating_add(usize::from(batch.is_some()));
        if waiting.len() > 0 {
            self.arrived.notify_one();
        }
        batch
    }

    /// Changes when something came since that may be let in: asked between the steps of a batch.
    pub(crate) fn urgent(&self) -> u64 {
        self.urgent.load(Ordering::Acquire)
    }

    /// Takes texts that are let in while a batch of `hosts` is computed.
    pub(crate) fn let_in(&self, hosts: &Hosts, shape: Shape) -> Option<Batch> {
        let now = self.clock.monotonic();
        let_in(&mut self.waiting.lock().interactive, hosts, shape, now)
    }

    /// Told by a worker, one of `workers`, that it is done with a batch, and how long it took for so many
    /// tokens; none if the batch was not a usual one ([`ahead`]).
    pub(crate) fn computed(&self, tokens: Option<usize>, took: Duration, workers: usize) {
        let mut waiting = self.waiting.lock();
        if let Some(tokens) = tokens {
            let rate = number(tokens) * number(workers) / took.as_secs_f64().max(1e-6);
            waiting.rate = if waiting.rate > 0.0 { 0.9 * waiting.rate + 0.1 * rate } else { rate };
        }
        waiting.running = waiting.running.saturating_sub(1);
        if waiting.running == 0 {
            waiting.interactive.rest();
            waiting.batch.rest();
        }
    }

    /// Told by a worker, one of `workers`, how long it took for tenants' texts that were let in: few
    /// texts take longer than their part of a full batch, and who is let in pays for that.
    pub(crate) fn let_in_computed(
        &self,
        tenants: &[(TenantId, usize)],
        took: Duration,
        workers: usize,
    ) {
        let mut waiting = self.waiting.lock();
        let tokens = tenants.iter().map(|(_, tokens)| *tokens).fold(0, usize::saturating_add);
        let usual = took.as_secs_f64() * waiting.rate / number(workers).max(1.0);
        let more = (usual / number(tokens).max(1.0) - 1.0).clamp(0.0, 1e6);
        for (tenant, tokens) in tenants {
            let more = Duration::from_secs_f64(number(*tokens) * more).as_secs();
            waiting.interactive.charge(tenant, usize::try_from(more).unwrap_or(usize::MAX));
        }
    }

    /// Takes nothing more; what waits is still handed out.
    pub(crate) fn close(&self) {
        self.waiting.lock().open = false;
        self.arrived.notify_all();
    }

    /// Takes nothing more and gives up what waits, since nobody is left to compute it.
    pub(crate) fn abandon(&self) {
        let left: Vec<Item> = {
            let mut waiting = self.waiting.lock();
            waiting.open = false;
            let Waiting { interactive, batch, .. } = &mut *waiting;
            interactive.drain().chain(batch.drain()).collect()
        };
        self.arrived.notify_all();
        for item in left {
            item.call.fail();
        }
    }
}

fn number(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

impl Waiting {
    fn len(&self) -> usize {
        self.interactive.len().saturating_add(self.batch.len())
    }

    const fn order(&mut self, priority: Priority) -> &mut Order {
        match priority {
            Priority::Interactive => &mut self.interactive,
            Priority::Batch => &mut self.batch,
        }
    }

    /// Whose turn it is. The lower priority is never starved.
    fn turn(&mut self) -> Priority {
        let lower = self.batch.len() > 0;
        if self.interactive.len() == 0 || (lower && self.passed_over >= TURNS) {
            self.passed_over = 0;
            Priority::Batch
        } else {
            self.passed_over = if lower { self.passed_over.saturating_add(1) } else { 0 };
            Priority::Interactive
        }
    }

    fn room(&self, capacity: usize, texts: &[Encoded], share: &Share) -> Result<(), Refused> {
        let after = self.len().saturating_add(texts.len());
        let retry_after = self.backlog();
        if after > capacity {
            return Err(Refused::Full { retry_after });
        }
        let order = match share.priority {
            Priority::Interactive => &self.interactive,
            Priority::Batch => &self.batch,
        };
        let held = order.waiting(&share.tenant);
        let room = capacity.saturating_sub(self.len()).saturating_mul(SHARE_OF_ROOM);
        if held > 0 && held.saturating_add(texts.len()) > room {
            return Err(Refused::Share { retry_after });
        }
        Ok(())
    }

    fn drop_given_up(&mut self, now: Duration) {
        self.interactive.drop_if(|item| item.call.is_given_up(now));
        self.batch.drop_if(|item| item.call.is_given_up(now));
    }

    fn backlog(&self) -> Duration {
        if self.rate <= 0.0 {
            return Duration::ZERO;
        }
        let tokens = self.interactive.tokens().saturating_add(self.batch.tokens());
        let tokens = f64::from(u32::try_from(tokens).unwrap_or(u32::MAX));
        Duration::from_secs_f64((tokens / self.rate).min(3600.0))
    }
}
