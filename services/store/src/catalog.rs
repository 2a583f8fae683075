//! Models: whose they are, to whom they are offered, and which version answers under which alias.

use diesel::prelude::*;
use reeve_domain::{
    Alias, Canary, Digest, Mirror, Model, ModelName, Route, Share, TenantId, Timestamp,
};

use crate::{
    Connection, StoreError,
    column::Column,
    connection::on_backend,
    revision,
    schema::{model, model_assignment, model_route, model_share},
};

/// That a version answered under an alias from some moment on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Counts from 1.
    pub number: i64,
    /// The version.
    pub digest: Digest,
    /// Since when.
    pub at: Timestamp,
    /// Who wanted it.
    pub by: String,
    /// How it came: `register`, `assign`, `promote`, `roll-back`, `withdraw`.
    pub kind: String,
    /// The change that was approved for it.
    pub change: Option<String>,
}

#[derive(Queryable, Insertable)]
#[diesel(table_name = model_share, treat_none_as_default_value = false)]
struct ShareRow {
    model: String,
    tenant: String,
    until_at: Option<i64>,
    purposes: String,
    preview: bool,
    terms: String,
}

#[derive(Queryable, Insertable, AsChangeset)]
#[diesel(table_name = model_route, treat_none_as_default_value = false, treat_none_as_null = true)]
struct RouteRow {
    model: String,
    alias: String,
    digest: String,
    canary: Option<String>,
    canary_permille: Option<i64>,
    canary_by: Option<String>,
    mirror: Option<String>,
    mirror_permille: Option<i64>,
}

const fn share_column(name: &'static str) -> Column {
    Column("model_share", name)
}

const fn route_column(name: &'static str) -> Column {
    Column("model_route", name)
}

impl ShareRow {
    fn of(model: &ModelName, tenant: &TenantId, share: &Share) -> Result<Self, StoreError> {
        Ok(Self {
            model: model.to_string(),
            tenant: tenant.to_string(),
            until_at: share.until.map(Timestamp::as_micros),
            purposes: share_column("purposes").to_json(&share.purposes)?,
            preview: share.preview,
            terms: share.terms.clone(),
        })
    }

    fn read(self) -> Result<(TenantId, Share), StoreError> {
        let share = Share {
            until: self.until_at.map(Timestamp::from_micros),
            purposes: share_column("purposes").json(&self.purposes)?,
            preview: self.preview,
            terms: self.terms,
        };
        Ok((share_column("tenant").parse(&self.tenant)?, share))
    }
}

fn permille(column: Column, value: i64) -> Result<u16, StoreError> {
    u16::try_from(value).map_err(|why| column.corrupt(&value.to_string(), why))
}

impl RouteRow {
    fn of(model: &ModelName, alias: &Alias, route: &Route) -> Self {
        let (canary, mirror) = (route.canary.as_ref(), route.mirror.as_ref());
        Self {
            model: model.to_string(),
            alias: alias.to_string(),
            digest: route.digest.to_string(),
            canary: canary.map(|canary| canary.digest.to_string()),
            canary_permille: canary.map(|canary| i64::from(canary.permille)),
            canary_by: canary.map(|canary| canary.by.as_str().to_owned()),
            mirror: mirror.map(|mirror| mirror.digest.to_string()),
            mirror_permille: mirror.map(|mirror| i64::from(mirror.permille)),
        }
    }

    fn read(self) -> Result<(Alias, Route), StoreError> {
        let column = route_column;
        let canary = match (self.canary, self.canary_permille, self.canary_by) {
            (Some(digest), Some(share), Some(by)) => Some(Canary {
                digest: column("canary").parse(&digest)?,
                permille: permille(column("canary_permille"), share)?,
                by: column("canary_by").word(&by)?,
            }),
            _ => None,
        };
        let mirror = match (self.mirror, self.mirror_permille) {
            (Some(digest), Some(share)) => Some(Mirror {
                digest: column("mirror").parse(&digest)?,
                permille: permille(column("mirror_permille"), share)?,
            }),
            _ => None,
        };
        let digest = column("digest").parse(&self.digest)?;
        Ok((column("alias").parse(&self.alias)?, Route { digest, canary, mirror }))
    }
}

/// Makes a model known, offered to every tenant, unless it is known.
pub(crate) fn ensure(
    c: &mut Connection,
    name: &ModelName,
    at: Timestamp,
) -> Result<(), StoreError> {
    let row =
        (model::name.eq(name.as_str()), model::open.eq(true), model::created_at.eq(at.as_micros()));
    on_backend!(c, inner => diesel::insert_into(model::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(inner))?;
    Ok(())
}

/// All models in the order of their names.
pub fn list(c: &mut Connection) -> Result<Vec<Model>, StoreError> {
    let rows: Vec<(String, Option<String>, bool, i64)> =
        model::table.order(model::name.asc()).load(c)?;
    let mut models = Vec::with_capacity(rows.len());
    for (name, owner, open, _) in rows {
        models.push(read(c, &name, owner.as_deref(), open)?);
    }
    Ok(models)
}

/// One model.
pub fn get(c: &mut Connection, name: &ModelName) -> Result<Option<Model>, StoreError> {
    let row: Option<(String, Option<String>, bool, i64)> =
        model::table.find(name.as_str()).first(c).optional()?;
    row.map(|(name, owner, open, _)| read(c, &name, owner.as_deref(), open)).transpose()
}

fn read(
    c: &mut Connection,
    name: &str,
    owner: Option<&str>,
    open: bool,
) -> Result<Model, StoreError> {
    let shares: Vec<ShareRow> = model_share::table.filter(model_share::model.eq(name)).load(c)?;
    let routes: Vec<RouteRow> = model_route::table.filter(model_route::model.eq(name)).load(c)?;
    Ok(Model {
        name: Column("model", "name").parse(name)?,
        owner: Column("model", "owner").parse_some(owner)?,
        open,
        shares: shares.into_iter().map(ShareRow::read).collect::<Result<_, _>>()?,
        routes: routes.into_iter().map(RouteRow::read).collect::<Result<_, _>>()?,
    })
}

/// Changes whose a model is and to whom it is offered; its routes stay. `NotFound` if there is none.
pub fn set_offer(c: &mut Connection, offered: &Model) -> Result<(), StoreError> {
    let changed = diesel::update(model::table.find(offered.name.as_str()))
        .set((
            model::owner.eq(offered.owner.as_ref().map(TenantId::as_str)),
            model::open.eq(offered.open),
        ))
        .execute(c)?;
    if changed == 0 {
        return Err(StoreError::NotFound("model"));
    }
    diesel::delete(model_share::table.filter(model_share::model.eq(offered.name.as_str())))
        .execute(c)?;
    for (tenant, share) in &offered.shares {
        let row = ShareRow::of(&offered.name, tenant, share)?;
        on_backend!(c, inner => diesel::insert_into(model_share::table)
            .values(&row)
            .execute(inner))?;
    }
    revision::bump(c)
}

/// Lets a version answer under an alias, with canary and mirror as they are given. Another version
/// than before is written down as an assignment of this `kind`.
pub fn set_route(
    c: &mut Connection,
    name: &ModelName,
    alias: &Alias,
    route: &Route,
    how: &Assigned<'_>,
) -> Result<(), StoreError> {
    let before = get(c, name)?.ok_or(StoreError::NotFound("model"))?;
    let row = RouteRow::of(name, alias, route);
    on_backend!(c, inner => diesel::insert_into(model_route::table)
        .values(&row)
        .on_conflict((model_route::model, model_route::alias))
        .do_update()
        .set(&row)
        .execute(inner))?;
    if before.routes.get(alias).is_none_or(|it| it.digest != route.digest) {
        assign(c, name, alias, &route.digest, how)?;
    }
    revision::bump(c)
}

/// Who let a version answer, and how.
#[derive(Clone, Copy, Debug)]
pub struct Assigned<'a> {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: &'a str,
    /// `register`, `assign`, `promote`, `roll-back`, `withdraw`.
    pub kind: &'a str,
    /// The change that was approved for it.
    pub change: Option<&'a str>,
}

fn assign(
    c: &mut Connection,
    name: &ModelName,
    alias: &Alias,
    digest: &Digest,
    how: &Assigned<'_>,
) -> Result<(), StoreError> {
    let last: Option<i64> = model_assignment::table
        .filter(model_assignment::model.eq(name.as_str()))
        .filter(model_assignment::alias.eq(alias.as_str()))
        .select(diesel::dsl::max(model_assignment::number))
        .first(c)?;
    let row = (
        model_assignment::model.eq(name.as_str()),
        model_assignment::alias.eq(alias.as_str()),
        model_assignment::number.eq(last.unwrap_or(0).saturating_add(1)),
        model_assignment::digest.eq(digest.to_string()),
        model_assignment::at.eq(how.at.as_micros()),
        model_assignment::by_user.eq(how.by),
        model_assignment::kind.eq(how.kind),
        model_assignment::change.eq(how.change),
    );
    on_backend!(c, inner => diesel::insert_into(model_assignment::table)
        .values(row)
        .execute(inner))?;
    Ok(())
}

/// Lets a version answer in production if none does.
pub(crate) fn assign_first(
    c: &mut Connection,
    name: &ModelName,
    digest: &Digest,
    at: Timestamp,
) -> Result<(), StoreError> {
    let production: Alias = route_column("alias").parse(Alias::PRODUCTION)?;
    if get(c, name)?.is_some_and(|model| model.routes.contains_key(&production)) {
        return Ok(());
    }
    let route = Route { digest: *digest, canary: None, mirror: None };
    let how = Assigned { at, by: "operator", kind: "register", change: None };
    set_route(c, name, &production, &route, &how)
}

/// Takes an alias away; `NotFound` if there is none.
pub fn remove_route(c: &mut Connection, name: &ModelName, alias: &Alias) -> Result<(), StoreError> {
    let route = model_route::table.find((name.as_str(), alias.as_str()));
    match diesel::delete(route).execute(c)? {
        0 => Err(StoreError::NotFound("alias")),
        _ => revision::bump(c),
    }
}

/// What answered under an alias, the newest first.
pub fn history(
    c: &mut Connection,
    name: &ModelName,
    alias: &Alias,
) -> Result<Vec<Assignment>, StoreError> {
    type Row = (i64, String, i64, String, String, Option<String>);
    let rows: Vec<Row> = model_assignment::table
        .filter(model_assignment::model.eq(name.as_str()))
        .filter(model_assignment::alias.eq(alias.as_str()))
        .order(model_assignment::number.desc())
        .select((
            model_assignment::number,
            model_assignment::digest,
            model_assignment::at,
            model_assignment::by_user,
            model_assignment::kind,
            model_assignment::change,
        ))
        .load(c)?;
    rows.into_iter()
        .map(|(number, digest, at, by, kind, change)| {
            let digest = Column("model_assignment", "digest").parse(&digest)?;
            Ok(Assignment { number, digest, at: Timestamp::from_micros(at), by, kind, change })
        })
        .collect()
}
