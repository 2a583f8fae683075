//! Ways to read a part of a text, and which of them stay where they overlap.

use std::{collections::BTreeMap, ops::Range};

use crate::catalog::SpecialKind;

/// One way to read a part of the text.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) id: usize,
    pub(crate) range: Range<usize>,
    pub(crate) confidence: f32,
    pub(crate) supported: bool,
}

/// More readings than this overlap only in texts that were made to be hard.
const MOST_READINGS: usize = 64;

/// Drops from readings that overlap those that another one beats.
pub(crate) fn settle(cluster: &mut Vec<Reading>, bare: bool, kept: &mut Vec<Reading>) {
    if cluster.len() < 2 {
        kept.append(cluster);
        return;
    }
    let overlap =
        |a: &Reading, b: &Reading| a.range.start < b.range.end && b.range.start < a.range.end;
    if cluster.len() > MOST_READINGS {
        // Too many to compare with each other: the most certain, then the longest.
        cluster.sort_by(|a, b| {
            b.confidence.total_cmp(&a.confidence).then(b.range.len().cmp(&a.range.len()))
        });
        let mut taken: BTreeMap<usize, usize> = BTreeMap::new();
        for reading in cluster.drain(..) {
            let free = taken
                .range(..reading.range.end)
                .next_back()
                .is_none_or(|(_, end)| *end <= reading.range.start);
            if free {
                taken.insert(reading.range.start, reading.range.end);
                kept.push(reading);
            }
        }
        kept.sort_by_key(|reading| reading.range.start);
        return;
    }
    // A country's own kind of telephone number stands beside the general one.
    let phone = |reading: &Reading| {
        [SpecialKind::PHONE_NUMBER, SpecialKind::PH_MOBILE_NUMBER, SpecialKind::TR_PHONE_NUMBER]
            .iter()
            .any(|kind| kind.id() == reading.id)
    };
    let beats = |b: &Reading, a: &Reading| {
        if a.range == b.range && phone(a) && phone(b) {
            return false;
        }
        let contains = b.range.start <= a.range.start && b.range.end >= a.range.end;
        let longer = b.range.len() > a.range.len();
        if contains && longer {
            b.confidence >= a.confidence || b.confidence >= 0.6 && !a.supported
        } else if b.supported != a.supported {
            b.supported && b.confidence >= a.confidence - 0.2
        } else if !bare || b.confidence >= 0.9 {
            b.confidence > a.confidence
                || b.confidence == a.confidence && longer
                || !bare && b.confidence == a.confidence && b.range == a.range && b.id < a.id
        } else {
            false
        }
    };
    // The strongest first: nothing is dropped but for what stays.
    cluster.sort_by(|a, b| {
        let rank =
            |reading: &Reading| reading.confidence + f32::from(u8::from(reading.supported)) * 0.2;
        rank(b).total_cmp(&rank(a)).then(b.range.len().cmp(&a.range.len())).then(a.id.cmp(&b.id))
    });
    let first = kept.len();
    for a in cluster.drain(..) {
        let stays = kept.iter().skip(first);
        if !stays.clone().any(|b| overlap(&a, b) && beats(b, &a)) {
            kept.push(a);
        }
    }
    if let Some(new) = kept.get_mut(first..) {
        new.sort_by_key(|reading| reading.range.start);
    }
}
