use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use reeve_classifier::Bundle;
use reeve_domain::{Clock as _, Digest, SystemClock, SystemEntropy};
use reeve_protocol::{
    keys::{read_signing_key, read_verifying_key, write_key_pair},
    signature::{ModelSignature, SIGNATURE_FILE},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Sign {
    /// Directory of the bundle.
    #[arg(long)]
    bundle: PathBuf,
    /// File of the private Ed25519 key (PKCS#8 as PEM). Where there is none it is made, with its
    /// public half beside it (`.pub`).
    #[arg(long)]
    key: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    /// Directory of the bundle.
    #[arg(long)]
    bundle: PathBuf,
    /// File of the public key, as PEM.
    #[arg(long)]
    key: PathBuf,
}

pub(crate) fn sign(arguments: &Sign) -> Result<String> {
    let bundle = Bundle::open(&arguments.bundle)?;
    let key = if arguments.key.exists() {
        read_signing_key(&arguments.key)?
    } else {
        let public = arguments.key.with_extension("pub");
        write_key_pair(&arguments.key, &public, &SystemEntropy)?
    };
    let digest: Digest = bundle.digest().parse().context("the bundle's digest")?;
    let now = SystemClock::default().now();
    let statement = ModelSignature::sign(&key, bundle.name(), bundle.version(), digest, now);
    let path = arguments.bundle.join(SIGNATURE_FILE);
    fs::write(&path, statement + "\n").with_context(|| format!("`{}`", path.display()))?;
    Ok(format!("{digest}\nsigned in {}", path.display()))
}

pub(crate) fn verify(arguments: &Verify) -> Result<String> {
    let bundle = Bundle::open(&arguments.bundle)?;
    let key = read_verifying_key(&arguments.key)?;
    let path = arguments.bundle.join(SIGNATURE_FILE);
    let statement = fs::read_to_string(&path).with_context(|| format!("`{}`", path.display()))?;
    let digest: Digest = bundle.digest().parse().context("the bundle's digest")?;
    let said = ModelSignature::verify(&key, &statement, &digest)
        .context("the signature is not this key's, or not of this bundle")?;
    ensure!(
        said.name == bundle.name() && said.version == bundle.version(),
        "the signature is of `{} {}`",
        said.name,
        said.version
    );
    Ok(format!("{} {} {digest}: signed by this key", said.name, said.version))
}
