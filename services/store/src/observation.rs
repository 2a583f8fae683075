//! What versions of models answered, counted by the hour: sums that [`crate::audit::index`] keeps
//! from the observations and comparisons in the ledger.

use std::collections::{BTreeMap, BTreeSet};

use diesel::{prelude::*, upsert::excluded};
use reeve_domain::{Comparison, Digest, Observation, Observed, Record, TenantId, Timestamp};

use crate::{
    Connection, StoreError,
    audit::storable,
    column::{Column, signed},
    connection::{MultiBackend, on_backend},
    retention,
    schema::model_observation,
};

const HOUR: i64 = 3_600 * 1_000_000;
/// Rows in one statement: 6 columns each, and SQLite takes 32,766 parameters at most.
const ROWS_IN_A_STATEMENT: usize = 1000;

/// What one version answered to one tenant in one hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hour {
    /// The hour's beginning.
    pub at: Timestamp,
    /// The version.
    pub digest: Digest,
    /// Whose calls.
    pub tenant: TenantId,
    /// What was seen.
    pub observed: Observed,
    /// Texts that it was asked beside another version, and how many of them it labelled otherwise.
    pub mirrored: (u64, u64),
}

#[derive(Queryable, Insertable)]
#[diesel(table_name = model_observation, treat_none_as_default_value = false)]
struct Row {
    hour: i64,
    digest: String,
    tenant: String,
    measure: String,
    bucket: String,
    count: i64,
}

/// Hour, version, tenant, measure, bucket.
type Key = (i64, String, String, &'static str, String);

/// Sums by their key. A `BTreeMap` also makes all writers take the rows' locks in one order.
#[derive(Default)]
struct Sums(BTreeMap<Key, i64>);

const fn hour_of(at: Timestamp) -> i64 {
    let micros = at.as_micros();
    micros.saturating_sub(micros.rem_euclid(HOUR))
}

impl Sums {
    fn count(&mut self, record: &Record) -> Result<(), StoreError> {
        match record {
            Record::Observation(seen) => self.observation(seen),
            Record::Comparison(compared) => self.comparison(compared),
            _ => Ok(()),
        }
    }

    fn observation(&mut self, seen: &Observation) -> Result<(), StoreError> {
        let Observed { texts, tokens, unknown, told, labels, confidence, lengths } = &seen.observed;
        let alone = [("texts", texts), ("tokens", tokens), ("unknown", unknown), ("told", told)];
        let mut counts: Vec<(&'static str, String, u64)> =
            alone.map(|(measure, count)| (measure, String::new(), *count)).into();
        counts.extend(labels.iter().map(|(label, n)| ("label", storable(label), *n)));
        counts.extend(confidence.iter().map(|(tenth, n)| ("confidence", tenth.to_string(), *n)));
        counts.extend(lengths.iter().map(|(length, n)| ("length", length.to_string(), *n)));
        self.add(seen.until, &seen.model, &seen.tenant, counts)
    }

    fn comparison(&mut self, compared: &Comparison) -> Result<(), StoreError> {
        if compared.code.is_some() {
            return Ok(());
        }
        let counts = [("mirrored", compared.items), ("differing", compared.differing)];
        let counts = counts.map(|(measure, count)| (measure, String::new(), count)).into();
        self.add(compared.at, &compared.mirror, &compared.tenant, counts)
    }

    fn add(
        &mut self,
        at: Timestamp,
        digest: &Digest,
        tenant: &TenantId,
        counts: Vec<(&'static str, String, u64)>,
    ) -> Result<(), StoreError> {
        for (measure, bucket, count) in counts {
            if count > 0 {
                let key = (hour_of(at), digest.to_string(), tenant.to_string(), measure, bucket);
                let sum = self.0.entry(key).or_default();
                *sum = sum.saturating_add(signed(count)?);
            }
        }
        Ok(())
    }
}

/// Adds what these records count to the sums.
pub(crate) fn roll_up<'a>(
    c: &mut Connection,
    records: impl IntoIterator<Item = &'a Record>,
) -> Result<(), StoreError> {
    let mut sums = Sums::default();
    for record in records {
        sums.count(record)?;
    }
    // What belongs to days that are closed was counted before.
    let closed = retention::horizon(c)?.calls;
    let is_open =
        |hour: i64| closed.as_ref().is_none_or(|day| Timestamp::from_micros(hour).day() > *day);
    let rows: Vec<Row> = sums
        .0
        .into_iter()
        .filter(|((hour, ..), _)| is_open(*hour))
        .map(|((hour, digest, tenant, measure, bucket), count)| {
            let measure = measure.to_owned();
            Row { hour, digest, tenant, measure, bucket, count }
        })
        .collect();
    for rows in rows.chunks(ROWS_IN_A_STATEMENT) {
        use model_observation::dsl::{bucket, count, digest, hour, measure, tenant};
        on_backend!(c, inner => diesel::insert_into(model_observation::table)
            .values(rows)
            .on_conflict((hour, digest, tenant, measure, bucket))
            .do_update()
            .set(count.eq(count + excluded(count)))
            .execute(inner))?;
    }
    Ok(())
}

/// Takes the sums out that can be made anew: those of days of which no record is deleted.
pub(crate) fn clear(c: &mut Connection) -> Result<(), StoreError> {
    let after =
        match retention::horizon(c)?.calls.map(|day| Timestamp::parse(&format!("{day}T23:00:00Z")))
        {
            Some(Ok(last)) => last.as_micros(),
            Some(Err(_)) | None => i64::MIN,
        };
    diesel::delete(model_observation::table.filter(model_observation::hour.gt(after)))
        .execute(c)?;
    Ok(())
}

/// What to read; what is empty does not matter.
#[derive(Clone, Debug)]
pub struct Window {
    /// Not before the hour of this moment.
    pub from: Timestamp,
    /// Before this moment.
    pub until: Timestamp,
    /// These versions.
    pub digests: BTreeSet<Digest>,
    /// This tenant's calls.
    pub tenant: Option<TenantId>,
}

/// What was seen, hour by hour, in the order of hour, version and tenant.
pub fn hours(c: &mut Connection, window: &Window) -> Result<Vec<Hour>, StoreError> {
    let mut query = model_observation::table
        .filter(model_observation::hour.ge(hour_of(window.from)))
        .filter(model_observation::hour.lt(window.until.as_micros()))
        .into_boxed::<MultiBackend>();
    if let Some(tenant) = &window.tenant {
        query = query.filter(model_observation::tenant.eq(tenant.as_str()));
    }
    let rows: Vec<Row> = query
        .order((
            model_observation::hour.asc(),
            model_observation::digest.asc(),
            model_observation::tenant.asc(),
        ))
        .load(c)?;
    let wanted: BTreeSet<String> = window.digests.iter().map(Digest::to_string).collect();
    let mut hours: Vec<Hour> = Vec::new();
    for row in rows {
        if !wanted.is_empty() && !wanted.contains(&row.digest) {
            continue;
        }
        put(&mut hours, row)?;
    }
    Ok(hours)
}

/// Puts a row into its hour: the last one, or a new one, since rows come in order.
fn put(hours: &mut Vec<Hour>, row: Row) -> Result<(), StoreError> {
    let column = |name| Column("model_observation", name);
    let at = Timestamp::from_micros(row.hour);
    let digest: Digest = column("digest").parse(&row.digest)?;
    let tenant: TenantId = column("tenant").parse(&row.tenant)?;
    let is_same = |last: &Hour| last.at == at && last.digest == digest && last.tenant == tenant;
    if !hours.last().is_some_and(is_same) {
        hours.push(Hour { at, digest, tenant, observed: Observed::default(), mirrored: (0, 0) });
    }
    let Some(hour) = hours.last_mut() else { return Ok(()) };
    let (seen, count) = (&mut hour.observed, column("count").count(row.count)?);
    match row.measure.as_str() {
        "texts" => seen.texts = count,
        "tokens" => seen.tokens = count,
        "unknown" => seen.unknown = count,
        "told" => seen.told = count,
        "label" => *seen.labels.entry(row.bucket).or_default() = count,
        "confidence" => {
            *seen.confidence.entry(column("bucket").parse(&row.bucket)?).or_default() = count;
        }
        "length" => *seen.lengths.entry(column("bucket").parse(&row.bucket)?).or_default() = count,
        "mirrored" => hour.mirrored.0 = count,
        "differing" => hour.mirrored.1 = count,
        other => return Err(column("measure").corrupt(other, "not a measure")),
    }
    Ok(())
}

/// All hours together: what was seen, and what was asked besides.
pub fn total<'a>(hours: impl IntoIterator<Item = &'a Hour>) -> (Observed, (u64, u64)) {
    hours.into_iter().fold((Observed::default(), (0, 0)), |(mut all, mirrored), hour| {
        all.add(&hour.observed);
        let (texts, differing) = hour.mirrored;
        (all, (mirrored.0.saturating_add(texts), mirrored.1.saturating_add(differing)))
    })
}

/// What a version answered to held-out data of its training, as its card has it: the fingerprint, or
/// at least how often each label was right there.
pub fn fingerprint(card: &str) -> Option<Observed> {
    let card: serde_json::Value = serde_json::from_str(card).ok()?;
    if let Some(Ok(seen)) = card.get("fingerprint").cloned().map(serde_json::from_value) {
        return Some(seen);
    }
    let labels = card.get("metrics")?.get("labels")?.as_object()?;
    let support = |(label, metrics): (&String, &serde_json::Value)| {
        Some((label.clone(), metrics.get("support")?.as_u64()?))
    };
    let labels: BTreeMap<String, u64> = labels.iter().filter_map(support).collect();
    (!labels.is_empty()).then(|| Observed {
        texts: labels.values().sum(),
        labels,
        ..Observed::default()
    })
}
