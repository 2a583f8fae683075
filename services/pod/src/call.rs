use std::sync::Arc;

use parking_lot::Mutex;
use reeve_classifier::Encoded;
use tokio::sync::oneshot;

/// The logits of each text of a call in order, or nothing if any of them could not be computed.
pub(crate) type Answer = Result<Vec<Vec<f32>>, Failed>;

/// The model failed on a text; the log says how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed;

/// One text of a call on its way through the queue.
pub(crate) struct Item {
    pub(crate) text: Encoded,
    pub(crate) call: Arc<Call>,
    pub(crate) index: usize,
}

/// Puts the answers of a call's texts together, whatever batches they went through.
pub(crate) struct Call {
    open: Mutex<Option<Open>>,
}

struct Open {
    rows: Vec<Option<Vec<f32>>>,
    left: usize,
    reply: oneshot::Sender<Answer>,
}

impl Call {
    /// A call of `texts` texts and where its answer will come.
    pub(crate) fn new(texts: usize) -> (Arc<Self>, oneshot::Receiver<Answer>) {
        let (reply, answer) = oneshot::channel();
        let open = Open { rows: vec![None; texts], left: texts, reply };
        (Arc::new(Self { open: Mutex::new(Some(open)) }), answer)
    }

    /// Whether nobody waits for the answer: the client is gone, its time is over, or one of its
    /// texts failed.
    pub(crate) fn is_given_up(&self) -> bool {
        self.open.lock().as_ref().is_none_or(|open| open.reply.is_closed())
    }

    /// Puts in the logits of one text; the last one sends the answer.
    pub(crate) fn answer(&self, index: usize, logits: Vec<f32>) {
        let mut guard = self.open.lock();
        let Some(open) = guard.as_mut() else { return };
        let Some(row @ None) = open.rows.get_mut(index) else { return };
        *row = Some(logits);
        open.left = open.left.saturating_sub(1);
        if open.left == 0
            && let Some(open) = guard.take()
        {
            let rows: Option<Vec<Vec<f32>>> = open.rows.into_iter().collect();
            // A receiver that is gone needs no answer.
            drop(open.reply.send(rows.ok_or(Failed)));
        }
    }

    /// One text failed, so the call did.
    pub(crate) fn fail(&self) {
        if let Some(open) = self.open.lock().take() {
            drop(open.reply.send(Err(Failed)));
        }
    }
}
