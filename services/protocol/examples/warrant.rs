//! Prints a warrant that lasts an hour, for measuring a pod without its gateway:
//! `warrant KEY.pem REGION BUNDLE`.

use std::path::Path;

use reeve_domain::{Clock as _, Entropy as _, Region, SystemClock, SystemEntropy, TenantId};
use reeve_protocol::{
    keys::read_signing_key,
    model::BundleSummary,
    warrant::{Claims, Priority, USUAL_WEIGHT, WarrantSigner},
};

#[expect(clippy::print_stdout, reason = "the program's output")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("usage: warrant KEY.pem REGION BUNDLE");
    let (key, region, bundle) = (next()?, next()?, next()?);
    let now = SystemClock::default().now();
    let claims = Claims {
        iss: String::new(),
        dec: SystemEntropy.decision_id(now),
        tenant: TenantId::new("bench")?,
        model: BundleSummary::read(Path::new(&bundle))?.digest,
        region: Region::new(&region)?,
        iat: now.as_seconds(),
        exp: now.as_seconds() + 3600,
        weight: USUAL_WEIGHT,
        priority: Priority::default(),
    };
    let signer = WarrantSigner::new(read_signing_key(Path::new(&key))?, "reeve.local/bench");
    println!("{}", signer.sign(&claims));
    Ok(())
}
