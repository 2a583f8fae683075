//! Which of the texts that wait share a forward pass.

use std::time::Duration;

use reeve_domain::TenantId;
use reeve_protocol::warrant::Priority;

use crate::{
    call::Item,
    order::{Order, Share, Tag},
};

/// What a batch may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Most texts.
    pub(crate) texts: usize,
    /// Most tokens: texts times the longest where rows are padded, else the sum. One text may have
    /// more.
    pub(crate) tokens: usize,
    /// How many texts are looked at, in the order of service, for such as fit together.
    pub(crate) window: usize,
    /// Whether rows are padded to the longest.
    pub(crate) pads: bool,
}

/// Why a batch got no more texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// As many as it may have.
    Texts,
    /// One more would have been too many tokens.
    Tokens,
    /// The others would mostly be padding, or be padded.
    Padding,
    /// Other workers have nothing to do: they get some.
    Shared,
    /// Nothing more waits.
    Drained,
    /// It was let in while another was computed.
    LetIn,
}

impl Closed {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Texts => "texts",
            Self::Tokens => "tokens",
            Self::Padding => "padding",
            Self::Shared => "shared",
            Self::Drained => "drained",
            Self::LetIn => "let-in",
        }
    }
}

/// Texts that share a forward pass.
pub(crate) struct Batch {
    pub(crate) items: Vec<Item>,
    /// The sum of their tokens.
    pub(crate) tokens: usize,
    pub(crate) longest: usize,
    pub(crate) closed: Closed,
    /// The last of its texts' places in the order.
    last: u64,
}

/// Whose texts are computed, and how far behind them others are.
pub(crate) struct Hosts {
    tenants: Vec<TenantId>,
    priority: Priority,
    last: u64,
}

/// At least so many of a padded batch's steps must be of texts, in per cent: below it two batches
/// are cheaper than one.
const LEAST_REAL: usize = 60;

impl Batch {
    /// Whether a text of so many tokens fits in, and if not, why.
    const fn fits(&self, length: usize, shape: Shape) -> Result<(), Closed> {
        let count = self.items.len().saturating_add(1);
        let longest = if length > self.longest { length } else { self.longest };
        let tokens = self.tokens.saturating_add(length);
        let padded = count.saturating_mul(longest);
        if count > shape.texts {
            Err(Closed::Texts)
        } else if (if shape.pads { padded } else { tokens }) > shape.tokens {
            Err(Closed::Tokens)
        } else if shape.pads && tokens.saturating_mul(100) < padded.saturating_mul(LEAST_REAL) {
            Err(Closed::Padding)
        } else {
            Ok(())
        }
    }

    const fn new(closed: Closed) -> Self {
        Self { items: Vec::new(), tokens: 0, longest: 0, closed, last: 0 }
    }

    /// Whose texts it has.
    pub(crate) fn hosts(&self) -> Hosts {
        let shares = || self.items.iter().map(|item| &item.call.share);
        let mut tenants: Vec<TenantId> = Vec::new();
        for Share { tenant, .. } in shares() {
            if !tenants.contains(tenant) {
                tenants.push(tenant.clone());
            }
        }
        let priority = shares().map(|share| share.priority).min().unwrap_or_default();
        Hosts { tenants, priority, last: self.last }
    }

    fn push(&mut self, item: Item) {
        self.tokens = self.tokens.saturating_add(item.tokens());
        self.longest = self.longest.max(item.tokens());
        self.items.push(item);
    }

    /// Takes what fits of another order into the room that is left.
    pub(crate) fn fill(&mut self, order: &mut Order, shape: Shape) {
        if self.closed != Closed::Drained {
            return;
        }
        let window: Vec<(Tag, usize)> =
            order.first(shape.window).map(|(tag, item)| (tag, item.tokens())).collect();
        for (tag, length) in window {
            match self.fits(length, shape) {
                Ok(()) => self.extend(order.take(tag, tag.0), tag),
                Err(closed) => {
                    self.closed = closed;
                    break;
                }
            }
        }
    }

    fn extend(&mut self, item: Option<Item>, tag: Tag) {
        if let Some(item) = item {
            self.push(item);
            self.last = self.last.max(tag.0);
        }
    }
}

/// The texts that go by themselves where more waits than a batch may have, so that they do not take as
/// long as a full one: those that come before all of the tenant's that is furthest ahead, of tenants as
/// far behind it as lets texts in between two steps ([`let_in`]).
pub(crate) fn ahead(order: &mut Order, shape: Shape, now: Duration) -> Option<Batch> {
    if order.len() <= shape.texts && order.tokens() <= shape.tokens {
        return None;
    }
    let furthest = order.furthest()?.clone();
    let is_its = |(_, item): &(Tag, &Item)| item.call.share.tenant == furthest;
    let (start, _) = order.first(shape.window).find(is_its)?.0;
    let last = start.checked_sub(1)?;
    let hosts = Hosts { tenants: vec![furthest], priority: Priority::Interactive, last };
    let_in(order, &hosts, shape, now)
}

/// A batch with the text that comes first in the order, so that nothing is passed over for ever,
/// and those of the window that go best with it; at most `fair` texts.
pub(crate) fn choose(order: &mut Order, shape: Shape, fair: usize) -> Option<Batch> {
    let mut window: Vec<(Tag, usize)> =
        order.first(shape.window).map(|(tag, item)| (tag, item.tokens())).collect();
    let more = order.len() > window.len();
    let &(head, length) = window.first()?;
    if shape.pads {
        // Stable: among equals the order of service stays.
        window.sort_by_key(|(_, other)| other.abs_diff(length));
    }
    let closed = if more { Closed::Texts } else { Closed::Drained };
    let mut batch = Batch::new(closed);
    batch.extend(order.take(head, head.0), head);
    for (tag, length) in window.into_iter().filter(|(tag, _)| *tag != head) {
        if batch.items.len() >= fair {
            batch.closed = if fair < shape.texts { Closed::Shared } else { Closed::Texts };
            break;
        }
        if let Err(closed) = batch.fits(length, shape) {
            batch.closed = closed;
            break;
        }
        batch.extend(order.take(tag, head.0), tag);
    }
    Some(batch)
}

/// The texts that may be let in between two steps of a batch, whose `hosts` have had more than their
/// due by then: those that the order has before the last of the hosts', if their tenants are more than
/// twice such a text behind them. Who asks as much as the others waits like them.
pub(crate) fn let_in(
    order: &mut Order,
    hosts: &Hosts,
    shape: Shape,
    now: Duration,
) -> Option<Batch> {
    let yields = hosts.priority == Priority::Batch;
    let last = if yields { u64::MAX } else { hosts.last };
    let reached = hosts.tenants.iter().map(|tenant| order.next(tenant)).min().unwrap_or(0);
    let mut batch = Batch::new(Closed::LetIn);
    let mut tokens = 0_usize;
    let mut tags: Vec<Tag> = Vec::new();
    for (tag, item, end) in order.before(last).take(shape.window) {
        let behind = end.saturating_add(end.saturating_sub(tag.0)) <= reached;
        let is_host = hosts.tenants.contains(&item.call.share.tenant);
        if is_host || !(behind || yields) || item.call.is_given_up(now) {
            continue;
        }
        tokens = tokens.saturating_add(item.tokens());
        if !tags.is_empty() && (tags.len() >= shape.texts || tokens > shape.tokens) {
            break;
        }
        tags.push(tag);
    }
    for tag in tags {
        batch.extend(order.take(tag, tag.0), tag);
    }
    (!batch.items.is_empty()).then_some(batch)
}
