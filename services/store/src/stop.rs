//! What is stopped at once for everybody.

use diesel::prelude::*;
use reeve_domain::{Stop, StopTarget, Timestamp};

use crate::{
    Connection, StoreError, column::Column, connection::on_backend, revision, schema::stop,
};

fn words(target: &StopTarget) -> (&'static str, &str) {
    match target {
        StopTarget::Model(name) => ("model", name.as_str()),
        StopTarget::Region(name) => ("region", name.as_str()),
    }
}

/// Stops something; what is stopped already stays so, with its first reason.
pub fn insert(c: &mut Connection, new: &Stop) -> Result<(), StoreError> {
    let (kind, name) = words(&new.target);
    let row = (
        stop::kind.eq(kind),
        stop::name.eq(name),
        stop::reason.eq(&new.reason),
        stop::by_user.eq(new.by.as_str()),
        stop::at.eq(new.at.as_micros()),
    );
    on_backend!(c, inner => diesel::insert_into(stop::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(inner))?;
    revision::bump(c)
}

/// Lets something go on; `NotFound` if it was not stopped.
pub fn delete(c: &mut Connection, target: &StopTarget) -> Result<(), StoreError> {
    match diesel::delete(stop::table.find(words(target))).execute(c)? {
        0 => Err(StoreError::NotFound("stop")),
        _ => revision::bump(c),
    }
}

/// Everything that is stopped, in the order of kind and name.
pub fn list(c: &mut Connection) -> Result<Vec<Stop>, StoreError> {
    let rows: Vec<(String, String, String, String, i64)> =
        stop::table.order((stop::kind.asc(), stop::name.asc())).load(c)?;
    rows.into_iter()
        .map(|(kind, name, reason, by, at)| {
            let target = match kind.as_str() {
                "model" => StopTarget::Model(Column("stop", "name").parse(&name)?),
                "region" => StopTarget::Region(Column("stop", "name").parse(&name)?),
                other => return Err(Column("stop", "kind").corrupt(other, "not a kind")),
            };
            let (by, at) = (Column("stop", "by_user").parse(&by)?, Timestamp::from_micros(at));
            Ok(Stop { target, reason, by, at })
        })
        .collect()
}
