//! The order in which waiting texts are served: start-time fair queueing (Goyal, Vin and Cheng,
//! 1996) over tokens. Each tenant's texts are tagged with where they would begin if every tenant
//! were served at the rate of its weight; the smallest tag goes first. A tenant that sends a
//! hundred times as much waits behind itself, not the others.

use std::collections::{BTreeMap, HashMap};

use reeve_domain::TenantId;
use reeve_protocol::warrant::{Claims, Priority};

use crate::call::Item;

/// Whose call it is and what that is worth here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) tenant: TenantId,
    pub(crate) weight: u16,
    pub(crate) priority: Priority,
}

impl From<&Claims> for Share {
    fn from(claims: &Claims) -> Self {
        let weight = claims.weight.max(1);
        Self { tenant: claims.tenant.clone(), weight, priority: claims.priority }
    }
}

/// Where a text stands in the order, and which it is among equals.
pub(crate) type Tag = (u64, u64);

/// Texts of one priority in the order in which they are served.
#[derive(Default)]
pub(crate) struct Order {
    items: BTreeMap<Tag, Item>,
    flows: HashMap<TenantId, Flow>,
    /// How far service has come: the tag of the last text that went first.
    reached: u64,
    sequence: u64,
    tokens: usize,
}

#[derive(Default)]
struct Flow {
    /// Where its next text begins at the earliest.
    next: u64,
    waiting: usize,
    weight: u16,
}

/// What a text of so many tokens adds to its tenant's tag.
fn cost(tokens: usize, weight: u16) -> u64 {
    let tokens = u64::try_from(tokens).unwrap_or(u64::MAX);
    (tokens.saturating_mul(COST) / u64::from(weight.max(1))).max(1)
}

impl Order {
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// How many tokens wait.
    pub(crate) const fn tokens(&self) -> usize {
        self.tokens
    }

    /// How many texts of a tenant wait.
    pub(crate) fn waiting(&self, tenant: &TenantId) -> usize {
        self.flows.get(tenant).map_or(0, |flow| flow.waiting)
    }

    pub(crate) fn push(&mut self, item: Item) {
        let Share { tenant, weight, .. } = &item.call.share;
        let flow = self.flows.entry(tenant.clone()).or_default();
        let start = flow.next.max(self.reached);
        flow.next = start.saturating_add(cost(item.tokens(), *weight));
        flow.waiting = flow.waiting.saturating_add(1);
        flow.weight = *weight;
        self.sequence = self.sequence.wrapping_add(1);
        self.tokens = self.tokens.saturating_add(item.tokens());
        self.items.insert((start, self.sequence), item);
    }

    /// The first texts in order, with their places.
    pub(crate) fn first(&self, most: usize) -> impl Iterator<Item = (Tag, &Item)> {
        self.items.iter().take(most).map(|(tag, item)| (*tag, item))
    }

    /// Takes a text out to be served; service has come as far as `head`.
    pub(crate) fn take(&mut self, tag: Tag, head: u64) -> Option<Item> {
        self.reached = self.reached.max(head);
        self.remove(tag)
    }

    fn remove(&mut self, tag: Tag) -> Option<Item> {
        let item = self.items.remove(&tag)?;
        self.tokens = self.tokens.saturating_sub(item.tokens());
        if let Some(flow) = self.flows.get_mut(&item.call.share.tenant) {
            flow.waiting = flow.waiting.saturating_sub(1);
        }
        // What a tenant was ahead is forgotten only when the others have come as far.
        if self.flows.len() > self.items.len().saturating_mul(2).saturating_add(FLOWS) {
            self.flows.retain(|_, flow| flow.waiting > 0 || flow.next > self.reached);
        }
        Some(item)
    }

    /// Nobody waits and nothing is computed: nobody is ahead of anybody.
    pub(crate) fn rest(&mut self) {
        if self.items.is_empty() {
            self.flows.clear();
        }
    }

    /// A tenant's text was let in before its turn would have come; it took as long as `tokens` more
    /// would have taken in theirs.
    pub(crate) fn charge(&mut self, tenant: &TenantId, tokens: usize) {
        if let Some(flow) = self.flows.get_mut(tenant) {
            flow.next = flow.next.saturating_add(cost(tokens, flow.weight));
        }
    }

    /// How far ahead a tenant is: where its next text would begin.
    pub(crate) fn next(&self, tenant: &TenantId) -> u64 {
        self.flows.get(tenant).map_or(self.reached, |flow| flow.next.max(self.reached))
    }

    /// The tenant that is furthest ahead, of those that have texts here.
    pub(crate) fn furthest(&self) -> Option<&TenantId> {
        let waiting = self.flows.iter().filter(|(_, flow)| flow.waiting > 0);
        waiting.max_by_key(|(tenant, flow)| (flow.next, *tenant)).map(|(tenant, _)| tenant)
    }

    /// The texts that would have come before `last`, in order, and for each where it begins and where
    /// its tenant's next one would.
    pub(crate) fn before(&self, last: u64) -> impl Iterator<Item = (Tag, &Item, u64)> {
        let items = self.items.range(..=(last, u64::MAX));
        items.map(|(tag, item)| {
            let Share { weight, .. } = item.call.share;
            (*tag, item, tag.0.saturating_add(cost(item.tokens(), weight)))
        })
    }

    /// Drops what nobody waits for.
    pub(crate) fn drop_if(&mut self, given_up: impl Fn(&Item) -> bool) {
        let gone = self.items.iter().filter(|(_, item)| given_up(item));
        for tag in gone.map(|(tag, _)| *tag).collect::<Vec<_>>() {
            self.remove(tag);
        }
    }

    /// All that waits.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Item> {
        self.flows.clear();
        self.tokens = 0;
        std::mem::take(&mut self.items).into_values()
    }
}

/// Virtual time of a token at weight 1, so that whole numbers do for every weight.
const COST: u64 = 100_000;
/// Tenants of whom nothing waits that are remembered at least.
const FLOWS: usize = 64;
