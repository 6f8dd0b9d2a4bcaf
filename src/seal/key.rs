//! ed25519 keys in the files that OpenSSL writes and reads: PKCS#8 for the private key, SPKI for the public one, both as PEM.

use std::fmt;
use std::path::Path;

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _,
    KeypairBytes,
};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use rand::TryRngCore as _;
use rand::rngs::OsRng;

use super::envelope::{Envelope, Signature, pre_authentication_encoding};
use crate::digest::sha256_of;
use crate::fault::{Fault, Result};
use crate::files::Staged;

/// A key file is a few lines; whatever is larger is none.
const MOST_BYTES: u64 = 1 << 16;

/// A private key, which signs.
pub struct Key(SigningKey);

/// A public key, which verifies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(pub(super) VerifyingKey);

impl Key {
    /// A new key from the random numbers of the operating system.
    ///
    /// # Errors
    /// The operating system gives none.
    pub fn generate() -> Result<Self> {
        let mut secret = [0_u8; 32];
        OsRng.try_fill_bytes(&mut secret).map_err(|error| {
            Fault::failed("making a key", error.to_string())
                .expected("random numbers from the operating system")
        })?;
        Ok(Self(SigningKey::from_bytes(&secret)))
    }

    /// Reads a private key in PKCS#8 PEM, as `candor keygen` and `openssl genpkey -algorithm ed25519` write it.
    ///
    /// # Errors
    /// The file cannot be read, or holds no such key.
    pub fn open(path: &Path) -> Result<Self> {
        let doing = format!("reading the signing key `{}`", path.display());
        let text = text(&doing, path)?;
        let wrong = |found: String| {
            Fault::usage(&doing, found)
                .expected("an unencrypted ed25519 private key in PKCS#8 PEM (BEGIN PRIVATE KEY)")
                .hint("`candor keygen --out DIR` makes one")
        };
        if text.contains("BEGIN PUBLIC KEY") {
            return Err(wrong("a public key".to_owned()));
        }
        if text.contains("BEGIN ENCRYPTED PRIVATE KEY") {
            return Err(wrong("an encrypted private key".to_owned()));
        }
        SigningKey::from_pkcs8_pem(&text)
            .map(Self)
            .map_err(|error| wrong(format!("no ed25519 private key: {error}")))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// An envelope around `payload` with this key's signature.
    #[must_use]
    pub fn sign(&self, payload_type: &str, payload: &[u8]) -> Envelope {
        let signed = pre_authentication_encoding(payload_type, payload);
        Envelope {
            payload_type: payload_type.to_owned(),
            payload: payload.to_owned(),
            signatures: vec![Signature {
                key_id: self.public().id(),
                bytes: self.0.sign(&signed).to_bytes().to_vec(),
            }],
        }
    }

    /// Writes the private key, which only its owner may read, and the public one. Files that are there are replaced only
    /// if `replace` says so.
    ///
    /// # Errors
    /// One of the files is there already, or cannot be written.
    pub fn write(&self, private: &Path, public: &Path, replace: bool) -> Result<()> {
        let doing = format!("writing the key `{}`", private.display());
        let not_encoded = |error: &dyn fmt::Display| Fault::failed(&doing, error.to_string());
        // Version 1 of PKCS#8: OpenSSL 3.0 does not read version 2, which holds the public key too.
        let pair = KeypairBytes {
            secret_key: self.0.to_bytes(),
            public_key: None,
        };
        let secret = pair
            .to_pkcs8_pem(LineEnding::LF)
            .map_err(|error| not_encoded(&error))?;
        if !replace {
            for path in [private, public] {
                if path.symlink_metadata().is_ok() {
                    return Err(Fault::usage(
                        &doing,
                        format!("`{}`, which is there already", path.display()),
                    )
                    .expected("a free place")
                    .hint("name another place, or replace it with --force"));
                }
            }
        }
        let staged = [
            Staged::secret(private, secret.as_bytes())?,
            Staged::bytes(public, self.public().pem()?.as_bytes())?,
        ];
        staged.into_iter().try_for_each(if replace {
            Staged::put_in_place
        } else {
            Staged::put_in_free_place
        })
    }
}

/// Never shows the secret.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.public().id())
    }
}

impl PublicKey {
    /// Reads a public key in SPKI PEM, as `candor keygen` and `openssl pkey -pubout` write it.
    ///
    /// # Errors
    /// The file cannot be read, or holds no such key.
    pub fn open(path: &Path) -> Result<Self> {
        let doing = format!("reading the public key `{}`", path.display());
        let text = text(&doing, path)?;
        let wrong = |found: String| {
            Fault::usage(&doing, found)
                .expected("an ed25519 public key in SPKI PEM (BEGIN PUBLIC KEY)")
                .hint("`candor keygen` writes it as candor.pub beside the private key")
        };
        if text.contains("PRIVATE KEY") {
            return Err(wrong("a private key".to_owned()));
        }
        let key = VerifyingKey::from_public_key_pem(&text)
            .map_err(|error| wrong(format!("no ed25519 public key: {error}")))?;
        if key.is_weak() {
            return Err(wrong("a key under which anything verifies".to_owned()));
        }
        Ok(Self(key))
    }

    /// SHA-256 of the key's SPKI in DER, 64 lower-case hexadecimal digits: what names it in envelopes.
    #[must_use]
    pub fn id(&self) -> String {
        sha256_of(&self.spki())
    }

    /// The key in SPKI PEM.
    ///
    /// # Errors
    /// Never for a key; the type is that of the library underneath.
    pub fn pem(&self) -> Result<String> {
        self.0
            .to_public_key_pem(LineEnding::LF)
            .map_err(|error| Fault::failed("writing a public key", error.to_string()))
    }

    /// The encoding of RFC 8410: a fixed head and the 32 bytes of the key.
    fn spki(&self) -> Vec<u8> {
        const HEAD: [u8; 12] = [
            0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
        ];
        [&HEAD[..], self.0.as_bytes()].concat()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id())
    }
}

fn text(doing: &str, path: &Path) -> Result<String> {
    let unread = |error: String| Fault::usage(doing, error).expected("a key file");
    let size = std::fs::metadata(path)
        .map_err(|error| unread(error.to_string()))?
        .len();
    if size > MOST_BYTES {
        return Err(unread(format!("{size} bytes")));
    }
    std::fs::read_to_string(path).map_err(|error| unread(error.to_string()))
}
