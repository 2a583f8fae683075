//! Answers kept under their `Idempotency-Key`, so that a call that is sent again infers once and is
//! charged once. Kept in this gateway's memory for a day, bounded in number and size.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{HeaderName, HeaderValue},
    },
    web::Bytes,
};
use parking_lot::Mutex;
use reeve_domain::{Digest, TenantId, Timestamp};

const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);
const MOST_ANSWERS: usize = 100_000;
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// The tenant and the key that it chose: two tenants may choose the same.
type Name = (TenantId, String);

/// An answer as it was given the first time.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
}

impl Kept {
    pub(crate) fn again(self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        for header in self.headers {
            response.insert_header(header);
        }
        response.insert_header(("Idempotent-Replayed", "true"));
        response.body(self.body)
    }
}

enum Slot {
    UnderWay { request: Digest },
    Answered { request: Digest, at: Timestamp, answer: Kept },
}

#[derive(Default)]
struct Table {
    slots: HashMap<Name, Slot>,
    /// Answered names, oldest first.
    order: VecDeque<Name>,
    bytes: usize,
}

/// All answers that are kept.
#[derive(Clone, Default)]
pub(crate) struct Answers(Arc<Mutex<Table>>);

/// What a key turns out to be.
pub(crate) enum Claimed {
    /// New: the call is made, and the claim kept until its answer is there.
    Mine(Claim),
    /// The same call was answered before.
    Answered(Kept),
    /// The same call is under way.
    UnderWay,
    /// The key was used for another request.
    Other,
}

/// A call under way with a key. Dropped without an answer, the key is free again: a call that
/// failed may be tried again.
pub(crate) struct Claim {
    answers: Answers,
    name: Name,
    request: Digest,
    done: bool,
}

impl Answers {
    pub(crate) fn claim(
        &self,
        tenant: TenantId,
        key: String,
        request: Digest,
        now: Timestamp,
    ) -> Claimed {
        let name = (tenant, key);
        let mut table = self.0.lock();
        table.forget(now);
        match table.slots.get(&name) {
            Some(Slot::UnderWay { request: of } | Slot::Answered { request: of, .. })
                if *of != request =>
            {
                Claimed::Other
            }
            Some(Slot::UnderWay { .. }) => Claimed::UnderWay,
            Some(Slot::Answered { answer, .. }) => Claimed::Answered(answer.clone()),
            None => {
                table.slots.insert(name.clone(), Slot::UnderWay { request });
                let answers = self.clone();
                Claimed::Mine(Claim { answers, name, request, done: false })
            }
        }
    }
}

impl Table {
    /// Drops what is too old, and the oldest while there is too much.
    fn forget(&mut self, now: Timestamp) {
        while let Some(name) = self.order.front() {
            let old = match self.slots.get(name) {
                Some(Slot::Answered { at, .. }) => now.since(*at) > KEPT_FOR,
                _ => true,
            };
            if !old && self.order.len() < MOST_ANSWERS && self.bytes <= MOST_BYTES {
                return;
            }
            if let Some(Slot::Answered { answer, .. }) = self.slots.remove(name) {
                self.bytes = self.bytes.saturating_sub(answer.body.len());
            }
            self.order.pop_front();
        }
    }
}

impl Claim {
    /// Keeps the answer for the next time.
    pub(crate) fn answer(mut self, answer: Kept, now: Timestamp) {
        self.done = true;
        let mut table = self.answers.0.lock();
        table.bytes = table.bytes.saturating_add(answer.body.len());
        table.order.push_back(self.name.clone());
        let slot = Slot::Answered { request: self.request, at: now, answer };
        table.slots.insert(self.name.clone(), slot);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.done {
            self.answers.0.lock().slots.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(answers: &Answers, request: &[u8], at: i64) -> Claimed {
        let tenant = TenantId::new("acme").unwrap();
        let at = Timestamp::from_micros(at);
        answers.claim(tenant, "k".to_owned(), Digest::of(request), at)
    }

    fn kept() -> Kept {
        Kept { status: StatusCode::OK, headers: Vec::new(), body: Bytes::from_static(b"answer") }
    }

    #[test]
    fn a_key_is_answered_once_and_again_the_same() {
        let answers = Answers::default();
        let Claimed::Mine(mine) = claim(&answers, b"a", 0) else { panic!("not new") };
        assert!(matches!(claim(&answers, b"a", 0), Claimed::UnderWay));
        assert!(matches!(claim(&answers, b"b", 0), Claimed::Other));
        mine.answer(kept(), Timestamp::from_micros(1));
        assert!(
            matches!(claim(&answers, b"a", 2), Claimed::Answered(kept) if &kept.body[..] == b"answer")
        );
        assert!(matches!(claim(&answers, b"b", 2), Claimed::Other));
        let next_day = i64::try_from(KEPT_FOR.as_micros()).unwrap() + 2;
        assert!(matches!(claim(&answers, b"b", next_day), Claimed::Mine(_)));
    }

    #[test]
    fn a_call_that_failed_frees_its_key() {
        let answers = Answers::default();
        drop(claim(&answers, b"a", 0));
        assert!(matches!(claim(&answers, b"b", 0), Claimed::Mine(_)));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let answers = Answers::default();
        let tenant = TenantId::new("acme").unwrap();
        for n in 0..3 {
            let at = Timestamp::from_micros(n);
            let claimed = answers.claim(tenant.clone(), n.to_string(), Digest::of(b"a"), at);
            let Claimed::Mine(mine) = claimed else { panic!("not new") };
            let body = Bytes::from(vec![0; MOST_BYTES / 2 + 1]);
            mine.answer(Kept { body, ..kept() }, at);
        }
        let last = answers.claim(
            tenant.clone(),
            "2".to_owned(),
            Digest::of(b"a"),
            Timestamp::from_micros(3),
        );
        assert!(matches!(last, Claimed::Answered(_)));
        let first =
            answers.claim(tenant, "0".to_owned(), Digest::of(b"a"), Timestamp::from_micros(3));
        assert!(matches!(first, Claimed::Mine(_)));
    }
}
