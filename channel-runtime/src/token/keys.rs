//! Secrets, and the keys derived from them.

use std::sync::Arc;

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305,
    aead::{Aead, Payload},
};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::SealError;
use super::{ENCRYPTED, MIN_SECRET_BYTES, SIGNED};
use crate::error::ConfigError;

const KEY_BYTES: usize = 32;
pub(super) const MAC_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// The secrets of an endpoint, newest first. Has no `Debug`, so that they cannot be logged.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<Vec<u8>>);

impl Secrets {
    /// Adds a secret that only verifies tokens, unless it is the first.
    pub(crate) fn add(&mut self, secret: &[u8]) {
        self.0.push(secret.to_vec());
    }

    #[cfg(feature = "long-poll")]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns these secrets, or a random one for this process if the list is empty.
    pub(crate) fn or_random(mut self) -> Result<Self, ConfigError> {
        if self.0.is_empty() {
            let secret = random::<KEY_BYTES>().map_err(|_| ConfigError::NoRandomness)?;
            self.add(&secret);
        }
        self.check()
    }

    /// Returns these secrets if each of them is long enough.
    pub(super) fn check(self) -> Result<Self, ConfigError> {
        let long_enough = |secret: &Vec<u8>| secret.len() >= MIN_SECRET_BYTES;
        if self.0.is_empty() || !self.0.iter().all(long_enough) {
            return Err(ConfigError::Secret);
        }
        Ok(self)
    }

    pub(super) fn derive(&self, salt: &str) -> Arc<[Keys]> {
        let keys = self.0.iter().map(|secret| Keys::derive(secret, salt));
        keys.collect()
    }
}

/// Returns random bytes from the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], SealError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| SealError::NoRandomness)?;
    Ok(bytes)
}

/// The keys of one secret for one salt, one for each use.
pub(super) struct Keys {
    mac: Hmac<Sha256>,
    cipher: XChaCha20Poly1305,
}

impl Keys {
    fn derive(secret: &[u8], salt: &str) -> Self {
        let hkdf = Hkdf::<Sha256>::new(None, secret);
        let key = |kind| {
            let mut key = [0; KEY_BYTES];
            hkdf.expand_multi_info(&[b"channel token ", &[kind], salt.as_bytes()], &mut key)
                .expect("32 bytes are within what HKDF can give");
            key
        };
        Keys {
            mac: Hmac::new_from_slice(&key(SIGNED)).expect("HMAC takes keys of any length"),
            cipher: XChaCha20Poly1305::new(&key(ENCRYPTED).into()),
        }
    }

    pub(super) fn mac(&self, bytes: &[u8]) -> [u8; MAC_BYTES] {
        self.mac
            .clone()
            .chain_update(bytes)
            .finalize()
            .into_bytes()
            .into()
    }

    /// Returns true if the MAC matches these bytes; compares in constant time.
    pub(super) fn made(&self, bytes: &[u8], mac: &[u8; MAC_BYTES]) -> bool {
        let expected = self.mac.clone().chain_update(bytes);
        expected.verify(mac.into()).is_ok()
    }

    /// Encrypts `bytes`; returns a nonce followed by the ciphertext.
    pub(super) fn seal(&self, bytes: &[u8], aad: &[u8]) -> Result<Vec<u8>, SealError> {
        let nonce = random::<NONCE_BYTES>()?;
        let payload = Payload { msg: bytes, aad };
        let sealed = self
            .cipher
            .encrypt(&nonce.into(), payload)
            .expect("a value in memory is under the cipher's limit of 256 GB");
        Ok([&nonce[..], &sealed].concat())
    }

    /// Opens bytes sealed by [`Keys::seal`].
    pub(super) fn open(&self, sealed: &[u8], aad: &[u8]) -> Option<Vec<u8>> {
        let (nonce, msg) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        self.cipher
            .decrypt(&(*nonce).into(), Payload { msg, aad })
            .ok()
    }
}
