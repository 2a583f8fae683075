use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use reeve_classifier::Encoded;
use tokio::sync::oneshot;

use crate::order::Share;

/// The logits of each text of a call in order, or nothing if any of them could not be computed.
pub(crate) type Answer = Result<Computed, Failed>;

/// What came of a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Computed {
    /// Logits of each text, in order.
    pub(crate) rows: Vec<Vec<f32>>,
    /// The longest that one of its texts waited for a worker.
    pub(crate) waited: Duration,
    /// The longest that a batch with one of its texts was computed.
    pub(crate) computed: Duration,
}

/// The model failed on a text; the log says how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed;

/// One text of a call on its way through the queue.
pub(crate) struct Item {
    pub(crate) text: Encoded,
    pub(crate) call: Arc<Call>,
    pub(crate) index: usize,
    /// When it came, by the monotonic clock.
    pub(crate) came: Duration,
}

impl Item {
    pub(crate) fn tokens(&self) -> usize {
        self.text.tokens()
    }
}

/// Puts the answers of a call's texts together, whatever batches they went through.
pub(crate) struct Call {
    /// Whose it is.
    pub(crate) share: Share,
    open: Mutex<Option<Open>>,
    /// After this, by the monotonic clock, nobody waits any more.
    until: Duration,
}

struct Open {
    rows: Vec<Option<Vec<f32>>>,
    left: usize,
    waited: Duration,
    computed: Duration,
    reply: oneshot::Sender<Answer>,
}

impl Call {
    /// A call of `texts` texts and where its answer will come.
    pub(crate) fn new(
        texts: usize,
        share: &Share,
        until: Duration,
    ) -> (Arc<Self>, oneshot::Receiver<Answer>) {
        let (reply, answer) = oneshot::channel();
        let (waited, computed) = (Duration::ZERO, Duration::ZERO);
        let open = Open { rows: vec![None; texts], left: texts, waited, computed, reply };
        let (share, open) = (share.clone(), Mutex::new(Some(open)));
        (Arc::new(Self { share, open, until }), answer)
    }

    /// Whether nobody waits for the answer: the client is gone, its time is over, or one of its
    /// texts failed.
    pub(crate) fn is_given_up(&self, now: Duration) -> bool {
        now >= self.until || self.open.lock().as_ref().is_none_or(|open| open.reply.is_closed())
    }

    /// Puts in the logits of one text; the last one sends the answer.
    pub(crate) fn answer(
        &self,
        index: usize,
        logits: Vec<f32>,
        (waited, computed): (Duration, Duration),
    ) {
        let mut guard = self.open.lock();
        let Some(open) = guard.as_mut() else { return };
        let Some(row @ None) = open.rows.get_mut(index) else { return };
        *row = Some(logits);
        open.waited = open.waited.max(waited);
        open.computed = open.computed.max(computed);
        open.left = open.left.saturating_sub(1);
        if open.left == 0
            && let Some(open) = guard.take()
        {
            let rows: Option<Vec<Vec<f32>>> = open.rows.into_iter().collect();
            let (waited, computed) = (open.waited, open.computed);
            let answer = rows.map(|rows| Computed { rows, waited, computed }).ok_or(Failed);
            // A receiver that is gone needs no answer.
            drop(open.reply.send(answer));
        }
    }

    /// One text failed, so the call did.
    pub(crate) fn fail(&self) {
        if let Some(open) = self.open.lock().take() {
            drop(open.reply.send(Err(Failed)));
        }
    }
}
