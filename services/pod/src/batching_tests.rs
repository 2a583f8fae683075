//! Batching without a network: what is put in comes back to whom it belongs to, or fails; it
//! never hangs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use proptest::prelude::*;
use reeve_classifier::{Encoded, ForwardError};
use reeve_domain::SystemClock;
use tokio::sync::oneshot;

use crate::{
    call::{Answer, Failed},
    metrics::Metrics,
    queue::{Queue, Refused},
    worker::{Forward, work},
};

/// Answers with a text's own first token. Token −1 is refused, token −2 panics.
struct Echo {
    most: usize,
    largest: Arc<AtomicUsize>,
}

impl Forward for Echo {
    fn logits(&self, batch: &[&Encoded]) -> Result<Vec<Vec<f32>>, ForwardError> {
        assert!(!batch.is_empty() && batch.len() <= self.most);
        self.largest.fetch_max(batch.len(), Ordering::SeqCst);
        assert!(batch.iter().all(|text| text.ids[0] != -2), "a network that panics");
        match batch.iter().position(|text| text.ids[0] == -1) {
            Some(index) => Err(ForwardError::Tokens(index)),
            None => Ok(batch.iter().map(|text| vec![number(text.ids[0])]).collect()),
        }
    }
}

fn number(id: i64) -> f32 {
    f32::from(i16::try_from(id).unwrap())
}

fn text(id: i64) -> Encoded {
    Encoded { ids: vec![id], ..Encoded::default() }
}

/// Runs workers until the queue is closed and empty; returns the largest batch.
fn serve(queue: &Queue, workers: usize, most: usize, while_they_work: impl FnOnce()) -> usize {
    let largest = Arc::new(AtomicUsize::new(0));
    let (metrics, clock) = (Metrics::new().unwrap(), SystemClock::default());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let load = || Ok::<_, NeverFails>(Echo { most, largest: largest.clone() });
                work(queue, load().unwrap(), load, most, (&metrics, &clock)).unwrap();
            });
        }
        while_they_work();
        queue.close();
    });
    largest.load(Ordering::SeqCst)
}

#[derive(Debug, thiserror::Error)]
#[error("never")]
struct NeverFails;

fn submit(queue: &Queue, ids: &[i64]) -> oneshot::Receiver<Answer> {
    queue.submit(ids.iter().copied().map(text).collect()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_call_gets_its_own_answers_in_order(
        calls in prop::collection::vec(prop::collection::vec(-1_i64..100, 1..9), 1..40),
        workers in 1_usize..5,
        most in 1_usize..12,
    ) {
        let queue = Queue::new(1000);
        let mut answers = Vec::new();
        serve(&queue, workers, most, || {
            answers = calls.iter().map(|call| submit(&queue, call)).collect();
        });
        for (call, answer) in calls.iter().zip(answers) {
            let expected = if call.contains(&-1) {
                Err(Failed)
            } else {
                Ok(call.iter().map(|id| vec![number(*id)]).collect())
            };
            prop_assert_eq!(answer.blocking_recv().unwrap(), expected);
        }
    }
}

#[test]
fn what_waits_shares_a_batch() {
    let queue = Queue::new(100);
    let answers: Vec<_> = (0..20).map(|id| submit(&queue, &[id])).collect();
    assert_eq!(serve(&queue, 1, 8, || ()), 8);
    for (id, answer) in (0_i64..).zip(answers) {
        assert_eq!(answer.blocking_recv().unwrap(), Ok(vec![vec![number(id)]]));
    }
}

#[test]
fn a_panic_fails_its_batch_and_the_worker_goes_on() {
    let queue = Queue::new(100);
    let (bad, good) = (submit(&queue, &[-2]), submit(&queue, &[7]));
    serve(&queue, 1, 1, || ());
    assert_eq!(bad.blocking_recv().unwrap(), Err(Failed));
    assert_eq!(good.blocking_recv().unwrap(), Ok(vec![vec![7.0]]));
}

#[test]
fn a_full_queue_refuses_the_whole_call_and_a_call_given_up_frees_its_place() {
    let queue = Queue::new(3);
    let first = submit(&queue, &[1, 2]);
    assert_eq!(queue.submit(vec![text(3), text(4)]).unwrap_err(), Refused::Full);
    assert_eq!(queue.len(), 2);
    drop(first);
    let second = submit(&queue, &[3, 4]);
    // -2 would panic, were it computed.
    drop(submit(&queue, &[-2]));
    serve(&queue, 1, 8, || ());
    assert_eq!(second.blocking_recv().unwrap(), Ok(vec![vec![3.0], vec![4.0]]));
    assert_eq!(queue.submit(vec![text(1)]).unwrap_err(), Refused::Closed);
}

#[test]
fn nobody_left_to_compute_fails_what_waits() {
    let queue = Queue::new(3);
    let answer = submit(&queue, &[1]);
    queue.abandon();
    assert_eq!(answer.blocking_recv().unwrap(), Err(Failed));
}
