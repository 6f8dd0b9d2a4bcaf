//! Signatures: ed25519 keys as OpenSSL reads them, and signed envelopes after DSSE (Dead Simple Signing Envelope).
//!
//! What is signed says so in its payload type; this room knows nothing of it.

mod envelope;
mod key;

pub use envelope::{Envelope, Signature, pre_authentication_encoding, verify};
pub use key::{Key, PublicKey};
