//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with a random nonce in front of the ciphertext.

use chacha20poly1305::{
    Key, KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use reeve_domain::Entropy;
use zeroize::Zeroizing;

const NONCE: usize = 24;

/// `None` only for messages of more than 256 GiB.
pub(crate) fn encrypt(
    key: &[u8; 32],
    entropy: &dyn Entropy,
    context: &[u8],
    message: &[u8],
) -> Option<Vec<u8>> {
    let mut nonce = [0_u8; NONCE];
    entropy.fill(&mut nonce);
    let payload = Payload { msg: message, aad: context };
    let sealed = cipher(key).encrypt(&XNonce::from(nonce), payload).ok()?;
    Some([nonce.as_slice(), &sealed].concat())
}

/// `None` if this is not what [`encrypt`] made with the same key and context.
pub(crate) fn decrypt(key: &[u8; 32], context: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
    let payload = Payload { msg: sealed, aad: context };
    cipher(key).decrypt(&XNonce::from(*nonce), payload).ok().map(Zeroizing::new)
}

fn cipher(key: &[u8; 32]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(<&Key>::from(key))
}
