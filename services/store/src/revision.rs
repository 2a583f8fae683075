//! A number that grows with every change that a gateway must see.

use diesel::prelude::*;

use crate::{Connection, StoreError, schema::revision};

/// The revision of what is stored now.
pub fn current(c: &mut Connection) -> Result<i64, StoreError> {
    Ok(revision::table.find(1).select(revision::value).first(c)?)
}

/// Makes the change that is under way in this transaction visible to gateways.
pub(crate) fn bump(c: &mut Connection) -> Result<(), StoreError> {
    diesel::update(revision::table.find(1))
        .set(revision::value.eq(revision::value + 1))
        .execute(c)?;
    Ok(())
}
