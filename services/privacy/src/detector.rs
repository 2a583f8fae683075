//! The detector: a pass over the text, and further ones over what is left.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
};

use reeve_domain::{Kind, TenantId};

use crate::{
    catalog::{Bits, Catalog},
    confidence::Confidence,
    finding::Finding,
    fold::Folded,
    masked::Masked,
    reading::Reading,
    recogniser::{RecogniserRefused, RecogniserSpec, Recognisers},
    scan::Scan,
    swift,
    text::RawText,
};

/// A text could not be searched. What was not searched must not be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text could not be searched for personal data")]
pub struct DetectorFailed;

/// Finds values of chosen kinds.
#[derive(Clone, Debug)]
pub struct Detector {
    wanted: Bits,
    minimum: f32,
    /// The least confidence of a reading by its id, where it is another.
    minimum_of: BTreeMap<usize, f32>,
    recognisers: Arc<Recognisers>,
}

/// Readings with this id and higher ones are of recognisers that a policy brought along.
const OWN: usize = 128;

/// How often what is left is read again; no text that people write needs more than three rounds.
pub(crate) const ROUNDS: usize = 8;

impl Detector {
    /// A detector of these kinds, at the confidence that policy acts upon; kinds that are not
    /// known find nothing.
    pub fn new(kinds: &BTreeSet<Kind>) -> Self {
        let wanted = Catalog::get()
            .kinds()
            .filter(|(_, name)| kinds.contains(&Kind::of(name)))
            .fold(0, |bits, (id, _)| bits | 1 << id);
        Self {
            wanted,
            minimum: Confidence::ACTED_UPON.share(),
            minimum_of: BTreeMap::new(),
            recognisers: Arc::default(),
        }
    }

    /// The same with another least confidence, from 0 (whatever could be read as one) to 1.
    pub fn at_least(self, minimum: f32) -> Self {
        Self { minimum, ..self }
    }

    /// The same with what these recognisers find in a tenant's texts, or in everybody's.
    pub fn with(
        self,
        specs: &[RecogniserSpec],
        tenant: Option<&TenantId>,
    ) -> Result<Self, RecogniserRefused> {
        Ok(Self { recognisers: Arc::new(Recognisers::new(specs, tenant)?), ..self })
    }

    /// The same with another least confidence for some kinds; what is not known is passed over.
    pub fn with_thresholds(mut self, thresholds: &BTreeMap<Kind, Confidence>) -> Self {
        for (kind, least) in thresholds {
            let mut known = Catalog::get().kinds().filter(|(_, name)| *name == kind.as_str());
            if let Some((id, _)) = known.next() {
                self.minimum_of.insert(id, least.share());
            }
            for (at, _) in self.recognisers.kinds().filter(|(_, name)| *name == kind) {
                self.minimum_of.insert(OWN + at, least.share());
            }
        }
        self
    }

    /// All kinds that can be found.
    pub fn known_kinds() -> BTreeSet<Kind> {
        Catalog::get().kinds().map(|(_, name)| Kind::of(name)).collect()
    }

    /// Finds values, sorted by place. Where a value can be read as several kinds and nothing tells
    /// which it is, each reading is there, and they overlap.
    pub fn scan(&self, text: &RawText) -> Result<Vec<Finding>, DetectorFailed> {
        self.scan_str(text.reveal())
    }

    /// The same for a text that may be shown, such as an operator's own file.
    pub fn scan_str(&self, text: &str) -> Result<Vec<Finding>, DetectorFailed> {
        let folded = Folded::new(text);
        let bytes = folded.bytes.as_ref();
        let mut readings = self.read(bytes)?;
        // Values that touch hide each other's edges, so what is left is read again as it would be
        // without those found, until nothing more is found.
        for round in 0.. {
            if readings.is_empty() {
                return Ok(Vec::new());
            }
            if !self.may_find_more(bytes, &readings) {
                break;
            }
            if round == ROUNDS {
                return Err(DetectorFailed);
            }
            let masked = Masked::new(bytes, &readings, self);
            let more: Vec<Reading> = self
                .read(&masked.bytes)?
                .into_iter()
                .filter_map(|new| masked.original(new))
                .collect();
            if more.is_empty() {
                break;
            }
            readings.extend(more);
            readings.sort_by_key(|reading| reading.range.start);
        }
        readings
            .into_iter()
            .map(|reading| {
                let range = folded.original(&reading.range, text).ok_or(DetectorFailed)?;
                let whole = text.get(range.clone()).is_some_and(|value| !value.is_empty());
                let kind = self.kind(reading.id).filter(|_| whole).ok_or(DetectorFailed)?;
                Ok(Finding {
                    kind,
                    range,
                    confidence: reading.confidence,
                    in_context: reading.supported,
                })
            })
            .collect()
    }

    fn read(&self, bytes: &[u8]) -> Result<Vec<Reading>, DetectorFailed> {
        let mut scan = Scan::new(bytes, self.wanted);
        scan.run();
        let mut readings = scan.resolved();
        if !self.recognisers.is_empty() {
            readings.extend(self.recognisers.read(bytes, OWN)?);
            readings.sort_by_key(|reading| reading.range.start);
        }
        readings.retain(|reading| {
            let minimum = self.minimum_of.get(&reading.id).unwrap_or(&self.minimum);
            reading.confidence >= *minimum
        });
        Ok(readings)
    }

    /// Whether there is anything outside the values that could be one; most often there is not.
    fn may_find_more(&self, bytes: &[u8], readings: &[Reading]) -> bool {
        let mut edge = 0;
        let mut outside = readings.iter().map(|reading| {
            let before = edge..reading.range.start.max(edge);
            edge = edge.max(reading.range.end);
            before
        });
        let holds = |range: Range<usize>| {
            let rest = bytes.get(range).unwrap_or_default();
            rest.iter().enumerate().any(|(at, byte)| match byte {
                b'@' | b':' => true,
                b'.' => rest.get(at + 1).is_some_and(u8::is_ascii_alphanumeric),
                b'-' => rest.get(at + 1) == Some(&b'-'),
                byte => byte.is_ascii_digit(),
            })
        };
        !self.recognisers.is_empty()
            || outside.any(holds)
            || holds(edge..bytes.len())
            || swift::is_announced(bytes)
    }

    pub(crate) fn kind(&self, id: usize) -> Option<Kind> {
        match id.checked_sub(OWN) {
            None => Catalog::get().kind(id).map(Kind::of),
            Some(at) => self.recognisers.kind(at).cloned(),
        }
    }
}
