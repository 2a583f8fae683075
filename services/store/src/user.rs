//! People who sign in to the console.

use diesel::prelude::*;
use reeve_domain::{Timestamp, UserId};

use crate::{Connection, StoreError, column::Column, connection::on_backend, schema::console_user};

/// A person. The store does not know what the roles mean.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The name to sign in with.
    pub id: UserId,
    /// The name for people.
    pub display_name: String,
    /// The password's hash in PHC string format.
    pub password_hash: String,
    /// The roles' names.
    pub roles: Vec<String>,
    /// When the person was added.
    pub created_at: Timestamp,
    /// Whether the person may no longer sign in.
    pub disabled: bool,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the hash: what is logged may be read by more people than the store.
        f.debug_struct("User")
            .field("id", &self.id)
            .field("roles", &self.roles)
            .field("disabled", &self.disabled)
            .finish_non_exhaustive()
    }
}

#[derive(Queryable, Insertable)]
#[diesel(table_name = console_user, treat_none_as_default_value = false)]
struct Row {
    id: String,
    display_name: String,
    password_hash: String,
    roles: String,
    created_at: i64,
    disabled: bool,
}

impl Row {
    fn user(self) -> Result<User, StoreError> {
        Ok(User {
            id: Column("console_user", "id").parse(&self.id)?,
            display_name: self.display_name,
            password_hash: self.password_hash,
            roles: Column("console_user", "roles").json(&self.roles)?,
            created_at: Timestamp::from_micros(self.created_at),
            disabled: self.disabled,
        })
    }
}

/// Adds a person; `Conflict` if the id is taken.
pub fn insert(c: &mut Connection, user: &User) -> Result<(), StoreError> {
    let row = Row {
        id: user.id.to_string(),
        display_name: user.display_name.clone(),
        password_hash: user.password_hash.clone(),
        roles: Column("console_user", "roles").to_json(&user.roles)?,
        created_at: user.created_at.as_micros(),
        disabled: user.disabled,
    };
    on_backend!(c, inner => diesel::insert_into(console_user::table).values(&row).execute(inner))?;
    Ok(())
}

/// One person.
pub fn get(c: &mut Connection, id: &UserId) -> Result<Option<User>, StoreError> {
    let row: Option<Row> = console_user::table.find(id.as_str()).first(c).optional()?;
    row.map(Row::user).transpose()
}

/// All people in the order of their ids.
pub fn list(c: &mut Connection) -> Result<Vec<User>, StoreError> {
    let rows: Vec<Row> = console_user::table.order(console_user::id.asc()).load(c)?;
    rows.into_iter().map(Row::user).collect()
}
