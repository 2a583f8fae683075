//! Batching without a network: what is put in comes back to whom it belongs to, or fails; it
//! never hangs; and nobody takes from another.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use proptest::prelude::*;
use reeve_classifier::{Encoded, ForwardError};
use reeve_domain::{SystemClock, TenantId};
use reeve_protocol::warrant::{Priority, USUAL_WEIGHT};
use tokio::sync::oneshot;

use crate::{
    batch::{Closed, Hosts, Shape},
    call::{Answer, Failed},
    cores::Cores,
    metrics::Metrics,
    order::Share,
    queue::{Queue, Refused},
    worker::{Bench, Forward, work},
};

/// Answers with a text's own first token. Token −1 is refused, token −2 panics.
struct Echo {
    most: usize,
    largest: Arc<AtomicUsize>,
    served: Arc<Mutex<Vec<i64>>>,
}

impl Forward for Echo {
    fn logits(
        &self,
        batch: &[&Encoded],
        between: &dyn Fn(),
    ) -> Result<Vec<Vec<f32>>, ForwardError> {
        between();
        assert!(!batch.is_empty() && batch.len() <= self.most);
        self.largest.fetch_max(batch.len(), Ordering::SeqCst);
        self.served.lock().extend(batch.iter().map(|text| text.ids[0]));
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

fn text(id: i64, tokens: usize) -> Encoded {
    Encoded { ids: vec![id; tokens], ..Encoded::default() }
}

fn queue(capacity: usize) -> Queue {
    Queue::new(capacity, Arc::new(SystemClock::default()))
}

fn shape(texts: usize) -> Shape {
    Shape { texts, tokens: 10_000, window: 4 * texts, pads: true }
}

/// What workers did until the queue was closed and empty.
struct Served {
    largest: usize,
    order: Vec<i64>,
}

fn serve(queue: &Queue, workers: usize, shape: Shape, while_they_work: impl FnOnce()) -> Served {
    let largest = Arc::new(AtomicUsize::new(0));
    let served = Arc::new(Mutex::new(Vec::new()));
    let (metrics, clock) = (Metrics::new().unwrap(), SystemClock::default());
    let (metrics, cores) = (metrics.model("m"), Cores::new(workers));
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let load = || {
                    let (largest, served) = (largest.clone(), served.clone());
                    Ok::<_, NeverFails>(Echo { most: shape.texts, largest, served })
                };
                let (cores, metrics, clock) = (&cores, &metrics, &clock);
                let bench = Bench { queue, cores, shape, workers, metrics, clock };
                work(&bench, load().unwrap(), load).unwrap();
            });
        }
        while_they_work();
        queue.close();
    });
    let order = served.lock().clone();
    Served { largest: largest.load(Ordering::SeqCst), order }
}

fn share(tenant: &str, weight: u16, priority: Priority) -> Share {
    Share { tenant: TenantId::new(tenant).unwrap(), weight, priority }
}

fn usual(tenant: &str) -> Share {
    share(tenant, USUAL_WEIGHT, Priority::Interactive)
}

/// Texts of one token that nobody hurries.
fn submit(queue: &Queue, ids: &[i64]) -> oneshot::Receiver<Answer> {
    let texts = ids.iter().map(|id| text(*id, 1)).collect();
    queue.submit(texts, &usual("acme"), Duration::MAX).unwrap()
}

/// One text of one token.
fn of(queue: &Queue, share: &Share, id: i64) -> oneshot::Receiver<Answer> {
    queue.submit(vec![text(id, 1)], share, Duration::MAX).unwrap()
}

fn rows(answer: oneshot::Receiver<Answer>) -> Result<Vec<Vec<f32>>, Failed> {
    answer.blocking_recv().unwrap().map(|computed| computed.rows)
}

#[derive(Debug, thiserror::Error)]
#[error("never")]
struct NeverFails;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_call_gets_its_own_answers_in_order(
        calls in prop::collection::vec(prop::collection::vec(-1_i64..100, 1..9), 1..40),
        workers in 1_usize..5,
        most in 1_usize..12,
    ) {
        let queue = queue(1000);
        let mut answers = Vec::new();
        serve(&queue, workers, shape(most), || {
            answers = calls.iter().map(|call| submit(&queue, call)).collect();
        });
        for (call, answer) in calls.iter().zip(answers) {
            let expected = if call.contains(&-1) {
                Err(Failed)
            } else {
                Ok(call.iter().map(|id| vec![number(*id)]).collect())
            };
            prop_assert_eq!(rows(answer), expected);
        }
    }

    #[test]
    fn batches_keep_within_their_bounds_and_nothing_is_passed_over(
        lengths in prop::collection::vec(1_usize..40, 1..80),
        texts in 1_usize..20,
        tokens in 1_usize..200,
        pads in any::<bool>(),
    ) {
        let queue = queue(1000);
        let ids: Vec<i64> = (0..i64::try_from(lengths.len()).unwrap()).collect();
        let all = ids.iter().zip(&lengths).map(|(id, length)| text(*id, *length)).collect();
        let answer = queue.submit(all, &usual("acme"), Duration::MAX).unwrap();
        let shape = Shape { texts, tokens, window: 4 * texts, pads };
        let mut left = ids.len();
        let mut first = 0;
        let mut seen = vec![false; ids.len()];
        while let Some(batch) = queue.take(shape) {
            let count = batch.items.len();
            let sum: usize = batch.items.iter().map(crate::call::Item::tokens).sum();
            let longest = batch.items.iter().map(crate::call::Item::tokens).max().unwrap();
            prop_assert_eq!((batch.tokens, batch.longest), (sum, longest));
            let steps = if pads { count * longest } else { sum };
            prop_assert!(count <= texts && (count == 1 || steps <= tokens));
            // The oldest is always among them.
            while seen[first] { first += 1; }
            prop_assert!(batch.items.iter().any(|item| item.index == first));
            for item in batch.items {
                seen[item.index] = true;
            }
            left -= count;
            prop_assert!(batch.closed != Closed::Drained || left == 0);
        }
        prop_assert_eq!(left, 0);
        drop(answer);
    }

    #[test]
    fn tenants_are_served_by_their_weights(
        weights in prop::collection::vec(1_u16..500, 2..5),
        batch in 1_usize..9,
    ) {
        let queue = queue(100_000);
        let mut answers = Vec::new();
        for (number, weight) in weights.iter().enumerate() {
            let share = share(&format!("t{number}"), *weight, Priority::Interactive);
            for _ in 0..600 {
                answers.push(of(&queue, &share, i64::try_from(number).unwrap()));
            }
        }
        let mut served = vec![0_usize; weights.len()];
        let sum: usize = weights.iter().map(|w| usize::from(*w)).sum();
        // As long as all have something waiting, each got its share of what was served.
        while served.iter().max().unwrap() + 20 < 600 {
            for item in queue.take(shape(batch)).unwrap().items {
                served[usize::try_from(item.text.ids[0]).unwrap()] += 1;
            }
            let all: usize = served.iter().sum();
            for (got, weight) in served.iter().zip(&weights) {
                let due = all * usize::from(*weight) / sum;
                let apart = got.abs_diff(due);
                prop_assert!(apart <= 2 + batch + weights.len(), "{got} of {due}");
            }
        }
    }
}

#[test]
fn what_waits_shares_a_batch() {
    let queue = queue(100);
    let answers: Vec<_> = (0..20).map(|id| submit(&queue, &[id])).collect();
    assert_eq!(serve(&queue, 1, shape(8), || ()).largest, 8);
    for (id, answer) in (0_i64..).zip(answers) {
        assert_eq!(rows(answer), Ok(vec![vec![number(id)]]));
    }
}

#[test]
fn a_panic_fails_its_batch_and_the_worker_goes_on() {
    let queue = queue(100);
    let (bad, good) = (submit(&queue, &[-2]), submit(&queue, &[7]));
    serve(&queue, 1, shape(1), || ());
    assert_eq!(rows(bad), Err(Failed));
    assert_eq!(rows(good), Ok(vec![vec![7.0]]));
}

#[test]
fn a_full_queue_refuses_the_whole_call_and_a_call_given_up_frees_its_place() {
    let queue = queue(3);
    let first = submit(&queue, &[1, 2]);
    let more = queue.submit(vec![text(3, 1), text(4, 1)], &usual("other"), Duration::MAX);
    assert!(matches!(more, Err(Refused::Full { .. })));
    assert_eq!(queue.len(), 2);
    drop(first);
    let second = submit(&queue, &[3, 4]);
    // -2 would panic, were it computed.
    drop(of(&queue, &usual("other"), -2));
    serve(&queue, 1, shape(8), || ());
    assert_eq!(rows(second), Ok(vec![vec![3.0], vec![4.0]]));
    let late = queue.submit(vec![text(1, 1)], &usual("acme"), Duration::MAX);
    assert!(matches!(late, Err(Refused::Closed)));
}

#[test]
fn a_tenant_that_floods_leaves_room_for_the_others() {
    let queue = queue(100);
    let mut held = Vec::new();
    let refused = loop {
        match queue.submit(vec![text(1, 1)], &usual("flood"), Duration::MAX) {
            Ok(answer) => held.push(answer),
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, Refused::Share { .. }), "{refused:?}");
    assert!((70..90).contains(&held.len()), "{}", held.len());
    for number in 0..5 {
        held.push(of(&queue, &usual(&format!("t{number}")), 2));
    }
    drop(held);
}

#[test]
fn a_tenant_that_comes_late_is_served_before_what_another_piled_up() {
    let queue = queue(1000);
    let mut held: Vec<_> = (0..400).map(|_| of(&queue, &usual("flood"), 1)).collect();
    for _ in 0..10 {
        held.extend((0..8).map(|_| of(&queue, &usual("flood"), 1)));
        assert!(queue.take(shape(8)).unwrap().items.iter().all(|item| item.text.ids[0] == 1));
    }
    held.push(of(&queue, &usual("small"), 2));
    assert!(queue.take(shape(8)).unwrap().items.iter().any(|item| item.text.ids[0] == 2));
}

#[test]
fn the_lower_priority_waits_and_is_not_starved() {
    let queue = queue(1000);
    let background = share("acme", USUAL_WEIGHT, Priority::Batch);
    let mut held: Vec<_> = (0..20).map(|_| of(&queue, &background, 2)).collect();
    held.extend((0..300).map(|_| of(&queue, &usual("acme"), 1)));
    let served = serve(&queue, 1, shape(1), || ());
    let first = served.order.iter().position(|id| *id == 2).unwrap();
    assert!((4..40).contains(&first), "at {first}");
    let lower = served.order.iter().take(170).filter(|id| **id == 2).count();
    assert!((8..12).contains(&lower), "{lower} of 170");
}

#[test]
fn what_is_too_late_is_not_computed() {
    let queue = queue(10);
    // -2 would panic, were it computed.
    let late = queue.submit(vec![text(-2, 1)], &usual("acme"), Duration::ZERO).unwrap();
    let good = submit(&queue, &[3]);
    assert_eq!(serve(&queue, 1, shape(8), || ()).order, [3]);
    assert_eq!(rows(good), Ok(vec![vec![3.0]]));
    // Its caller has given up by its own clock.
    assert!(late.blocking_recv().is_err());
}

#[test]
fn short_texts_are_not_padded_to_a_long_one() {
    let queue = queue(100);
    let lengths = [3, 60, 4, 3, 60, 4];
    let texts = lengths.iter().map(|length| text(1, *length)).collect();
    let answer = queue.submit(texts, &usual("acme"), Duration::MAX).unwrap();
    let batch = queue.take(shape(8)).unwrap();
    assert_eq!((batch.items.len(), batch.longest, batch.closed), (4, 4, Closed::Padding));
    assert_eq!(queue.take(shape(8)).unwrap().longest, 60);
    drop(answer);
}

#[test]
fn nobody_left_to_compute_fails_what_waits() {
    let queue = queue(3);
    let answer = submit(&queue, &[1]);
    queue.abandon();
    assert_eq!(rows(answer), Err(Failed));
}

#[test]
fn a_backlog_is_reckoned_in_time() {
    let queue = queue(1000);
    assert_eq!(queue.backlog(), Duration::ZERO);
    queue.computed(Some(100), Duration::from_millis(100), 2);
    let texts = (0..10).map(|_| text(1, 50)).collect();
    let answer = queue.submit(texts, &usual("acme"), Duration::MAX).unwrap();
    assert_eq!(queue.backlog(), Duration::from_millis(250));
    drop(answer);
}

/// Texts of as many tokens as a batch of six has room for.
fn flood(queue: &Queue, share: &Share, texts: usize) -> oneshot::Receiver<Answer> {
    queue.submit(vec![text(1, 64); texts], share, Duration::MAX).unwrap()
}

const SIX: Shape = Shape { texts: 32, tokens: 384, window: 128, pads: false };

const NONE: [i64; 0] = [];

fn let_in(queue: &Queue, hosts: &Hosts) -> Vec<i64> {
    let batch = queue.let_in(hosts, SIX);
    let items = batch.map(|batch| batch.items).unwrap_or_default();
    items.iter().map(|item| item.text.ids[0]).collect()
}

#[test]
fn who_is_far_behind_is_let_in_and_pays_for_it() {
    let queue = queue(1000);
    let mut held = vec![flood(&queue, &usual("flood"), 100)];
    let batch = queue.take(SIX).unwrap();
    assert_eq!(batch.items.len(), 6);
    let hosts = batch.hosts();
    assert_eq!(let_in(&queue, &hosts), NONE, "nobody lets in its own");
    held.push(of(&queue, &usual("small"), 2));
    held.push(of(&queue, &usual("smaller"), 3));
    assert_eq!(let_in(&queue, &hosts), [2, 3]);
    assert_eq!(let_in(&queue, &hosts), NONE);
    // Six texts take 6 ms; the one that was let in took 10 for its one token.
    queue.computed(Some(384), Duration::from_millis(6), 1);
    let small = [(usual("small").tenant, 1)];
    queue.let_in_computed(&small, Duration::from_millis(10), 1);
    held.push(of(&queue, &usual("small"), 2));
    assert_eq!(let_in(&queue, &hosts), NONE, "it has had as much");
    // It has its turn before the others' hundred all the same.
    let mut batches = 0;
    while !queue.take(SIX).unwrap().items.iter().any(|item| item.text.ids[0] == 2) {
        batches += 1;
    }
    assert!(batches < 4, "{batches}");
}

#[test]
fn who_is_far_behind_waits_for_no_full_batch() {
    let of_next = |queue: &Queue| {
        let batch = queue.take(SIX).unwrap();
        let ids: Vec<i64> = batch.items.iter().map(|item| item.text.ids[0]).collect();
        (ids, batch.closed)
    };
    let queue = queue(1000);
    let mut held = vec![flood(&queue, &usual("flood"), 100)];
    assert_eq!(of_next(&queue), (vec![1; 6], Closed::Tokens));
    held.push(of(&queue, &usual("small"), 2));
    held.push(of(&queue, &usual("smaller"), 3));
    assert_eq!(of_next(&queue), (vec![2, 3], Closed::LetIn));
    assert_eq!(of_next(&queue), (vec![1; 6], Closed::Tokens));
    // Where all have room in one batch they share it.
    let queue = self::queue(1000);
    held.push(flood(&queue, &usual("flood"), 4));
    held.push(of(&queue, &usual("small"), 2));
    assert_eq!(of_next(&queue), (vec![1, 2, 1, 1, 1], Closed::Drained));
}

#[test]
fn tenants_that_ask_little_do_not_push_each_other_aside() {
    let queue = queue(1000);
    let mut held: Vec<_> =
        (0..6).map(|number| flood(&queue, &usual(&format!("t{number}")), 1)).collect();
    let hosts = queue.take(SIX).unwrap().hosts();
    held.push(flood(&queue, &usual("late"), 1));
    assert_eq!(let_in(&queue, &hosts), NONE);
    // One that asks many is let in no more than its turn would be before the end of the batch.
    held.push(flood(&queue, &usual("flood"), 100));
    drop(queue.take(SIX));
    let hosts = queue.take(SIX).unwrap().hosts();
    held.push(flood(&queue, &usual("another"), 100));
    assert!((1..=6).contains(&let_in(&queue, &hosts).len()));
}

#[test]
fn what_nobody_waits_for_lets_everybody_in() {
    let queue = queue(1000);
    let background = share("acme", USUAL_WEIGHT, Priority::Batch);
    let mut held = vec![flood(&queue, &background, 6)];
    let hosts = queue.take(SIX).unwrap().hosts();
    held.push(flood(&queue, &background, 6));
    assert_eq!(let_in(&queue, &hosts), NONE);
    held.push(flood(&queue, &usual("other"), 2));
    assert_eq!(let_in(&queue, &hosts), [1, 1]);
}

/// A network to which a small tenant's text comes while it computes: one that it panics at.
struct Interrupted<'a> {
    queue: &'a Queue,
    answer: &'a Mutex<Option<oneshot::Receiver<Answer>>>,
    served: &'a Mutex<Vec<i64>>,
}

impl Forward for Interrupted<'_> {
    fn logits(
        &self,
        batch: &[&Encoded],
        between: &dyn Fn(),
    ) -> Result<Vec<Vec<f32>>, ForwardError> {
        between();
        if self.served.lock().is_empty() && self.answer.lock().is_none() {
            *self.answer.lock() = Some(of(self.queue, &usual("small"), -2));
        }
        between();
        self.served.lock().extend(batch.iter().map(|text| text.ids[0]));
        assert!(batch[0].ids[0] != -2, "a network that panics");
        Ok(batch.iter().map(|text| vec![number(text.ids[0])]).collect())
    }
}

#[test]
fn a_text_that_is_let_in_comes_first_and_its_panic_is_its_own() {
    let (queue, cores) = (queue(1000), Cores::new(1));
    let (served, answer) = (Mutex::new(Vec::new()), Mutex::new(None));
    let (metrics, clock) = (Metrics::new().unwrap().model("m"), SystemClock::default());
    let loads = AtomicUsize::new(0);
    let load = || {
        loads.fetch_add(1, Ordering::SeqCst);
        Ok::<_, NeverFails>(Interrupted { queue: &queue, answer: &answer, served: &served })
    };
    let first = flood(&queue, &usual("flood"), 12);
    thread::scope(|scope| {
        scope.spawn(|| {
            let (queue, cores, metrics, clock) = (&queue, &cores, &metrics, &clock);
            let bench = Bench { queue, cores, shape: SIX, workers: 1, metrics, clock };
            work(&bench, load().unwrap(), load).unwrap();
        });
        assert_eq!(rows(first), Ok(vec![vec![1.0]; 12]));
        queue.close();
    });
    assert_eq!(rows(answer.lock().take().unwrap()), Err(Failed));
    let order: Vec<i64> = [-2].into_iter().chain([1; 12]).collect();
    assert_eq!(*served.lock(), order);
    assert_eq!(loads.load(Ordering::SeqCst), 2, "who panicked is not trusted any more");
}
