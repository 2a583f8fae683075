//! Prints a warrant that lasts an hour, for measuring a pod without its gateway:
//! `warrant KEY.pem REGION BUNDLE [POD_KEY]`. Where the pod told a public key, the warrant is sealed, and
//! the line before it is what introduces the gateway.

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
    let mut next = || arguments.next().ok_or("usage: warrant KEY.pem REGION BUNDLE [POD_KEY]");
    let (key, region, bundle) = (next()?, next()?, next()?);
    let pod = next().ok();
    let region = Region::new(&region)?;
    let now = SystemClock::default().now();
    let claims = Claims {
        iss: String::new(),
        dec: SystemEntropy.decision_id(now),
        tenant: TenantId::new("bench")?,
        model: BundleSummary::read(Path::new(&bundle))?.digest,
        region: region.clone(),
        iat: now.as_seconds(),
        exp: now.as_seconds() + 3600,
        weight: USUAL_WEIGHT,
        priority: Priority::default(),
    };
    let signer =
        WarrantSigner::new(read_signing_key(Path::new(&key))?, "reeve.local/bench", &SystemEntropy);
    let Some(pod) = pod else {
        println!("{}", signer.sign(&claims));
        return Ok(());
    };
    let known = signer.introduce(&pod, &region, now).ok_or("POD_KEY is no public key")?;
    println!("{}\n{}", known.introduction(), signer.seal(&known, &claims));
    Ok(())
}
