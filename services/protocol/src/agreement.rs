//! How a gateway and a pod come to a key that nobody else has, so that not every warrant needs a
//! signature: checking one costs as much as reading many short texts.
//!
//! Each has an X25519 key for as long as its process lives. The pod tells its public half with every
//! answer to a probe. The gateway introduces itself with the next probe: in a statement that its
//! warrant key signs, it names its own public half, the pod's, and the pod's region. Both derive the
//! same key from the two (RFC 7748, RFC 5869), and the gateway seals warrants with it: a JWS with
//! HS256 (RFC 7518, section 3.2). Who forwards to a pod that it has not met yet signs, as before.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use ed25519_dalek::{SigningKey, VerifyingKey};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use reeve_domain::{Entropy, Region, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::jws::{Jws, LONGEST};

/// The header of a pod's answers to probes that tells its public key.
pub const POD_KEY_HEADER: &str = "Reeve-Pod-Key";
/// The header of a probe that introduces the gateway.
pub const INTRODUCTION_HEADER: &str = "Reeve-Introduction";

const TYPE: &str = "reeve-introduction+jwt";
/// What the key is for (RFC 5869, section 3.2).
const INFO: &[u8] = b"reeve warrant 1";
/// Bytes of a key's name; it only has to tell keys apart.
const NAME: usize = 12;

/// An X25519 key that lives as long as its process.
pub(crate) struct OwnKey {
    secret: StaticSecret,
    public: PublicKey,
}

impl OwnKey {
    pub(crate) fn new(entropy: &dyn Entropy) -> Self {
        let mut seed = Zeroizing::new([0_u8; 32]);
        entropy.fill(seed.as_mut_slice());
        let secret = StaticSecret::from(*seed);
        Self { public: PublicKey::from(&secret), secret }
    }

    /// The public half, in base64url.
    pub(crate) fn public(&self) -> String {
        BASE64.encode(self.public.as_bytes())
    }

    /// The key that is shared with who has the other one; none if that is none to share with.
    /// `typ` is of the tokens that it seals.
    fn agree(&self, gateway: &PublicKey, pod: &PublicKey, typ: &str) -> Option<SharedKey> {
        let other = if self.public == *gateway { pod } else { gateway };
        let shared = self.secret.diffie_hellman(other);
        // Some points give the same secret with every key (RFC 7748, section 6.1).
        if !shared.was_contributory() {
            return None;
        }
        let both = [gateway.as_bytes().as_slice(), pod.as_bytes()].concat();
        let mut key = Zeroizing::new([0_u8; 32]);
        let info = [INFO, &both].concat();
        Hkdf::<Sha256>::new(None, shared.as_bytes()).expand(&info, key.as_mut_slice()).ok()?;
        let name = Sha256::digest(&both);
        let name = BASE64.encode(name.get(..NAME)?);
        let header = format!(r#"{{"alg":"HS256","kid":"{name}","typ":"{typ}"}}"#);
        let mac = Hmac::new_from_slice(key.as_slice()).ok()?;
        Some(SharedKey { header: BASE64.encode(header), mac })
    }
}

fn public(text: &str) -> Option<PublicKey> {
    let bytes: [u8; 32] = BASE64.decode(text).ok()?.try_into().ok()?;
    Some(PublicKey::from(bytes))
}

/// What a gateway and a pod share. It seals claims, and opens what the other sealed.
#[derive(Clone)]
pub(crate) struct SharedKey {
    /// Names the algorithm and the key, in base64url, as every token that it sealed begins.
    pub(crate) header: String,
    mac: Hmac<Sha256>,
}

impl SharedKey {
    pub(crate) fn seal<T: Serialize>(&self, claims: &T) -> String {
        // Names, digests and numbers always have a JSON form.
        let payload = serde_json::to_vec(claims).unwrap_or_default();
        let mut token = format!("{}.{}", self.header, BASE64.encode(payload));
        let tag = self.mac.clone().chain_update(token.as_bytes()).finalize().into_bytes();
        token.push('.');
        token.push_str(&BASE64.encode(tag));
        token
    }

    /// The claims, if this key sealed them.
    pub(crate) fn open<T: DeserializeOwned>(&self, token: &str) -> Option<T> {
        if token.len() > LONGEST {
            return None;
        }
        let (sealed, tag) = token.rsplit_once('.')?;
        let (header, payload) = sealed.split_once('.')?;
        if header != self.header {
            return None;
        }
        let tag = BASE64.decode(tag).ok()?;
        self.mac.clone().chain_update(sealed.as_bytes()).verify_slice(&tag).ok()?;
        serde_json::from_slice(&BASE64.decode(payload).ok()?).ok()
    }
}

/// How a gateway introduces itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Introduction {
    /// Which gateway signed.
    iss: String,
    /// Its public key.
    key: String,
    /// The pod's, whom it is for.
    pod: String,
    /// The region where the pod stands.
    region: Region,
    /// Until when it holds, in seconds since the Unix epoch.
    exp: i64,
}

/// A pod that a gateway can seal for, once it has seen the introduction.
#[derive(Clone)]
pub struct Acquaintance {
    /// The pod's public key.
    pod: String,
    /// What introduces the gateway to it.
    introduction: String,
    exp: i64,
    pub(crate) shared: SharedKey,
}

impl std::fmt::Debug for Acquaintance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acquaintance").field("pod", &self.pod).finish_non_exhaustive()
    }
}

/// An introduction holds for so many seconds.
const LASTS_S: i64 = 3600;

impl Acquaintance {
    /// The token for [`INTRODUCTION_HEADER`].
    pub fn introduction(&self) -> &str {
        &self.introduction
    }

    /// Whether it is with the pod that tells this public key.
    pub fn is_with(&self, pod: &str) -> bool {
        self.pod == pod
    }

    /// Whether it lasts a good while yet.
    pub const fn lasts(&self, now: Timestamp) -> bool {
        now.as_seconds() < self.exp.saturating_sub(LASTS_S / 2)
    }
}

/// What a gateway says to a pod that told its public key; none if that is no key.
pub(crate) fn introduce(
    own: &OwnKey,
    (signer, issuer): (&SigningKey, &str),
    (pod, region): (&str, &Region),
    now_s: i64,
    typ: &str,
) -> Option<Acquaintance> {
    let shared = own.agree(&own.public, &public(pod)?, typ)?;
    let exp = now_s.saturating_add(LASTS_S);
    let introduction = Jws::new(TYPE).sign(
        signer,
        &Introduction {
            iss: issuer.to_owned(),
            key: own.public(),
            pod: pod.to_owned(),
            region: region.clone(),
            exp,
        },
    );
    Some(Acquaintance { pod: pod.to_owned(), introduction, exp, shared })
}

/// The key that a pod shares from now on with who introduces itself, and until when; none if the
/// introduction is not signed by `key`, is for somebody else or is over.
pub(crate) fn accept(
    own: &OwnKey,
    key: &VerifyingKey,
    (token, region): (&str, &Region),
    now_s: i64,
    typ: &str,
) -> Option<(SharedKey, i64)> {
    let said: Introduction = Jws::new(TYPE).open(key, token)?;
    let is_for_here = said.pod == own.public() && said.region == *region;
    if !is_for_here || said.exp < now_s || said.exp > now_s.saturating_add(2 * LASTS_S) {
        return None;
    }
    Some((own.agree(&public(&said.key)?, &own.public, typ)?, said.exp))
}
