//! Policy bundles, which never change, and which of them was active when.

use diesel::prelude::*;
use reeve_domain::{BundleDocument, Digest, Timestamp};

use crate::{
    Connection, StoreError,
    column::Column,
    connection::{MultiBackend, on_backend},
    revision,
    schema::{policy_activation, policy_bundle, policy_shadow},
};

/// The bundle that decides now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveBundle {
    /// SHA-256 of `document`.
    pub digest: Digest,
    /// Counts activations from 1.
    pub version: i64,
    /// The bundle as canonical JSON.
    pub document: String,
    /// When it became active.
    pub activated_at: Timestamp,
    /// Who activated it.
    pub activated_by: String,
    /// The statement that was signed when it was.
    pub statement: String,
}

/// One activation in the past or now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activation {
    /// Counts activations from 1.
    pub version: i64,
    /// The bundle.
    pub digest: Digest,
    /// When it became active.
    pub activated_at: Timestamp,
    /// Who activated it.
    pub activated_by: String,
    /// Who wrote the bundle.
    pub author: String,
    /// The change that brought it, if one did.
    pub change: Option<String>,
    /// The statement that was signed when it was.
    pub statement: String,
}

const COLUMNS: (
    policy_activation::version,
    policy_activation::digest,
    policy_activation::activated_at,
    policy_activation::activated_by,
    policy_activation::statement,
) = (
    policy_activation::version,
    policy_activation::digest,
    policy_activation::activated_at,
    policy_activation::activated_by,
    policy_activation::statement,
);

/// Keeps a bundle. The same bytes again change nothing, whoever brings them. `Conflict` if the
/// digest is not the document's.
pub fn insert_bundle(
    c: &mut Connection,
    bundle: &BundleDocument,
    author: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    if Digest::of(bundle.document.as_bytes()) != bundle.digest {
        return Err(StoreError::Conflict(format!(
            "the document does not have the digest `{}`",
            bundle.digest
        )));
    }
    let row = (
        policy_bundle::digest.eq(bundle.digest.to_string()),
        policy_bundle::document.eq(&bundle.document),
        policy_bundle::author.eq(author),
        policy_bundle::created_at.eq(at.as_micros()),
    );
    on_backend!(c, inner => diesel::insert_into(policy_bundle::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(inner))?;
    Ok(())
}

/// Makes a stored bundle the one that decides; gateways follow with the revision. `sign` makes the
/// statement that they ask for, for the new version. Gives that version. `NotFound` if the bundle is not stored.
pub fn activate(
    c: &mut Connection,
    digest: &Digest,
    by: &str,
    change: Option<&str>,
    at: Timestamp,
    sign: &dyn Fn(i64) -> String,
) -> Result<i64, StoreError> {
    // First, so that two activations at once wait for each other here.
    revision::bump(c)?;
    let known: Option<String> = policy_bundle::table
        .find(digest.to_string())
        .select(policy_bundle::digest)
        .first(c)
        .optional()?;
    if known.is_none() {
        return Err(StoreError::NotFound("policy bundle"));
    }
    let last: Option<i64> =
        policy_activation::table.select(diesel::dsl::max(policy_activation::version)).first(c)?;
    let version = last.unwrap_or(0).saturating_add(1);
    let row = (
        policy_activation::version.eq(version),
        policy_activation::digest.eq(digest.to_string()),
        policy_activation::activated_at.eq(at.as_micros()),
        policy_activation::activated_by.eq(by),
        policy_activation::change.eq(change),
        policy_activation::statement.eq(sign(version)),
    );
    on_backend!(c, inner => diesel::insert_into(policy_activation::table)
        .values(row)
        .execute(inner))?;
    Ok(version)
}

/// The bundle that decides now, if one was ever activated.
pub fn active(c: &mut Connection) -> Result<Option<ActiveBundle>, StoreError> {
    let row: Option<(i64, String, i64, String, String)> = policy_activation::table
        .select(COLUMNS)
        .into_boxed::<MultiBackend>()
        .order(policy_activation::version.desc())
        .limit(1)
        .first(c)
        .optional()?;
    let Some((version, digest, activated_at, activated_by, statement)) = row else {
        return Ok(None);
    };
    let document = policy_bundle::table.find(&digest).select(policy_bundle::document).first(c)?;
    Ok(Some(ActiveBundle {
        digest: Column("policy_activation", "digest").parse(&digest)?,
        version,
        document,
        activated_at: Timestamp::from_micros(activated_at),
        activated_by,
        statement,
    }))
}

/// All activations, the newest first.
pub fn history(c: &mut Connection) -> Result<Vec<Activation>, StoreError> {
    let authors: Vec<(String, String)> =
        policy_bundle::table.select((policy_bundle::digest, policy_bundle::author)).load(c)?;
    let authors: std::collections::BTreeMap<_, _> = authors.into_iter().collect();
    let rows: Vec<(i64, String, i64, String, Option<String>, String)> =
        policy_activation::table.order(policy_activation::version.desc()).load(c)?;
    rows.into_iter()
        .map(|(version, digest, activated_at, activated_by, change, statement)| {
            Ok(Activation {
                change,
                statement,
                version,
                digest: Column("policy_activation", "digest").parse(&digest)?,
                activated_at: Timestamp::from_micros(activated_at),
                activated_by,
                author: authors.get(&digest).cloned().unwrap_or_default(),
            })
        })
        .collect()
}

/// A stored bundle, active or not.
pub fn bundle(c: &mut Connection, digest: &Digest) -> Result<Option<BundleDocument>, StoreError> {
    let document: Option<String> = policy_bundle::table
        .find(digest.to_string())
        .select(policy_bundle::document)
        .first(c)
        .optional()?;
    Ok(document.map(|document| BundleDocument { digest: *digest, document }))
}

/// The bundle that decides beside the active one, without effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadow {
    /// The bundle.
    pub digest: Digest,
    /// Since when.
    pub started_at: Timestamp,
    /// Who wanted it.
    pub started_by: String,
}

/// The bundle in shadow, if there is one.
pub fn shadow(c: &mut Connection) -> Result<Option<Shadow>, StoreError> {
    let row: Option<(i64, String, i64, String)> =
        policy_shadow::table.find(1).first(c).optional()?;
    row.map(|(_, digest, started_at, started_by)| {
        Ok(Shadow {
            digest: Column("policy_shadow", "digest").parse(&digest)?,
            started_at: Timestamp::from_micros(started_at),
            started_by,
        })
    })
    .transpose()
}

/// Puts a stored bundle into shadow in place of another, or ends the shadow.
pub fn set_shadow(c: &mut Connection, shadow: Option<&Shadow>) -> Result<(), StoreError> {
    diesel::delete(policy_shadow::table).execute(c)?;
    if let Some(shadow) = shadow {
        let row = (
            policy_shadow::id.eq(1),
            policy_shadow::digest.eq(shadow.digest.to_string()),
            policy_shadow::started_at.eq(shadow.started_at.as_micros()),
            policy_shadow::started_by.eq(&shadow.started_by),
        );
        on_backend!(c, inner => diesel::insert_into(policy_shadow::table)
            .values(row)
            .execute(inner))?;
    }
    revision::bump(c)
}
