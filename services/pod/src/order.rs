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
    items: BTreeMap<Tag, (Item, TenantId)>,
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

    pub(crate) fn push(&mut self, item: Item, share: &Share) {
        let flow = self.flows.entry(share.tenant.clone()).or_default();
        let start = flow.next.max(self.reached);
        let tokens = u64::try_from(item.tokens()).unwrap_or(u64::MAX);
        let cost = tokens.saturating_mul(COST) / u64::from(share.weight.max(1));
        flow.next = start.saturating_add(cost.max(1));
        flow.waiting = flow.waiting.saturating_add(1);
        self.sequence = self.sequence.wrapping_add(1);
        self.tokens = self.tokens.saturating_add(item.tokens());
        self.items.insert((start, self.sequence), (item, share.tenant.clone()));
    }

    /// The first texts in order, with their places.
    pub(crate) fn first(&self, most: usize) -> impl Iterator<Item = (Tag, &Item)> {
        self.items.iter().take(most).map(|(tag, (item, _))| (*tag, item))
    }

    /// Takes a text out to be served; service has come as far as `head`.
    pub(crate) fn take(&mut self, tag: Tag, head: u64) -> Option<Item> {
        self.reached = self.reached.max(head);
        self.remove(tag)
    }

    fn remove(&mut self, tag: Tag) -> Option<Item> {
        let (item, tenant) = self.items.remove(&tag)?;
        self.tokens = self.tokens.saturating_sub(item.tokens());
        if let Some(flow) = self.flows.get_mut(&tenant) {
            flow.waiting = flow.waiting.saturating_sub(1);
            // What a tenant was ahead is forgotten only when the others have come as far.
            if flow.waiting == 0 && flow.next <= self.reached {
                self.flows.remove(&tenant);
            }
        }
        if self.items.is_empty() {
            // Nobody waits: nobody is ahead of anybody.
            self.flows.clear();
        }
        Some(item)
    }

    /// Drops what nobody waits for.
    pub(crate) fn drop_if(&mut self, given_up: impl Fn(&Item) -> bool) {
        let gone = self.items.iter().filter(|(_, (item, _))| given_up(item));
        for tag in gone.map(|(tag, _)| *tag).collect::<Vec<_>>() {
            self.remove(tag);
        }
    }

    /// All that waits.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Item> {
        self.flows.clear();
        self.tokens = 0;
        std::mem::take(&mut self.items).into_values().map(|(item, _)| item)
    }
}

/// Virtual time of a token at weight 1, so that whole numbers do for every weight.
const COST: u64 = 100_000;
