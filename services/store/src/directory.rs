//! Everything that a gateway serves from, in one reading.

use reeve_domain::{BundleDocument, Directory};

use crate::{
    Connection, StoreError, api_key, catalog, jwt_issuer, model, pod, policy, revision, stop,
    tenant,
};

/// Reads the directory. Call it inside one [`crate::Store::read`], so that all of it is of one
/// revision. `NotFound` as long as no policy bundle was activated.
pub fn load(c: &mut Connection) -> Result<Directory, StoreError> {
    let active = policy::active(c)?.ok_or(StoreError::NotFound("active policy bundle"))?;
    let shadow = match policy::shadow(c)? {
        Some(shadow) => policy::bundle(c, &shadow.digest)?,
        None => None,
    };
    Ok(Directory {
        shadow,
        stops: stop::list(c)?,
        revision: revision::current(c)?,
        tenants: tenant::list(c, None, usize::MAX)?,
        keys: api_key::list_valid(c)?,
        issuers: jwt_issuer::list(c)?,
        models: model::list(c)?,
        catalog: catalog::list(c)?,
        pods: pod::list(c)?,
        bundle: BundleDocument { digest: active.digest, document: active.document },
        activation: active.statement,
    })
}
