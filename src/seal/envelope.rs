//! The envelope of DSSE v1: a payload, what it is, and who signed both. <https://github.com/secure-systems-lab/dsse>

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use serde::{Deserialize, Serialize};

use super::key::PublicKey;
use crate::fault::{Fault, Result};

/// A payload and its signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// What the payload is, such as `application/vnd.in-toto+json`.
    pub payload_type: String,
    /// The bytes that are signed together with their type.
    pub payload: Vec<u8>,
    /// Signatures over [`pre_authentication_encoding`]; empty where nobody signed.
    pub signatures: Vec<Signature>,
}

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// [`PublicKey::id`] of the signer, or whatever others write there: a hint, never a proof. Empty if it is not said.
    pub key_id: String,
    /// The signature, 64 bytes for ed25519.
    pub bytes: Vec<u8>,
}

/// What is signed: type and payload, each behind its length in bytes, so that no two pairs of them give the same bytes.
#[must_use]
pub fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    );
    [head.as_bytes(), payload].concat()
}

/// Checks that `key` signed the envelope's payload and type.
///
/// # Errors
/// No signature of the envelope is one of `key`.
pub fn verify(envelope: &Envelope, key: &PublicKey) -> Result<()> {
    let signed = pre_authentication_encoding(&envelope.payload_type, &envelope.payload);
    let holds = envelope.signatures.iter().any(|signature| {
        ed25519_dalek::Signature::from_slice(&signature.bytes)
            .is_ok_and(|signature| key.0.verify_strict(&signed, &signature).is_ok())
    });
    if holds {
        return Ok(());
    }
    let id = key.id();
    let found = match envelope.signatures.as_slice() {
        [] => "an envelope that nobody signed".to_owned(),
        all if all.iter().any(|one| one.key_id == id) => {
            "a signature that names this key and does not hold: type or payload were changed, or the signature"
                .to_owned()
        }
        all => {
            let ids: Vec<String> = all.iter().map(|one| format!("`{}`", shown(&one.key_id))).collect();
            format!("signatures of {} only", ids.join(", "))
        }
    };
    Err(
        Fault::failed("checking the signature of an envelope", found)
            .expected(format!("a signature of the key `{id}`")),
    )
}

impl Envelope {
    /// An envelope that nobody has signed.
    #[must_use]
    pub fn unsigned(payload_type: &str, payload: &[u8]) -> Self {
        Self {
            payload_type: payload_type.to_owned(),
            payload: payload.to_owned(),
            signatures: Vec::new(),
        }
    }

    /// The envelope's JSON form, with a line break at its end.
    ///
    /// # Errors
    /// Never for plain data; the type is that of the library underneath.
    pub fn to_json(&self) -> Result<String> {
        written(serde_json::to_string_pretty(&self.wire()))
    }

    /// The JSON form on one line, with a line break at its end: what a bundle has for each envelope.
    ///
    /// # Errors
    /// Never for plain data; the type is that of the library underneath.
    pub fn to_line(&self) -> Result<String> {
        written(serde_json::to_string(&self.wire()))
    }

    fn wire(&self) -> EnvelopeWire {
        EnvelopeWire {
            payload_type: self.payload_type.clone(),
            payload: STANDARD.encode(&self.payload),
            signatures: self
                .signatures
                .iter()
                .map(|signature| SignatureWire {
                    keyid: Some(signature.key_id.clone()),
                    sig: STANDARD.encode(&signature.bytes),
                })
                .collect(),
        }
    }

    /// Reads the JSON form. Unknown keys are ignored, and base64 is taken in both alphabets, as DSSE says.
    ///
    /// # Errors
    /// `text` is no such JSON, or its base64 is none.
    pub fn from_json(text: &str) -> Result<Self> {
        let wrong = |found: String| {
            Fault::usage("reading a signed envelope", found)
                .expected("a DSSE envelope: payloadType, payload and signatures")
        };
        let wire: EnvelopeWire =
            serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let bytes = |what: &str, text: &str| {
            decode(text).map_err(|error| wrong(format!("{what}, which is not base64: {error}")))
        };
        let signature = |(index, one): (usize, SignatureWire)| {
            Ok(Signature {
                bytes: bytes(&format!("the signature {index}"), &one.sig)?,
                key_id: one.keyid.unwrap_or_default(),
            })
        };
        Ok(Self {
            payload: bytes("the payload", &wire.payload)?,
            payload_type: wire.payload_type,
            signatures: wire
                .signatures
                .into_iter()
                .enumerate()
                .map(signature)
                .collect::<Result<_>>()?,
        })
    }
}

fn written(json: serde_json::Result<String>) -> Result<String> {
    json.map(|text| text + "\n")
        .map_err(|error| Fault::failed("writing an envelope", error.to_string()))
}

fn decode(text: &str) -> std::result::Result<Vec<u8>, base64::DecodeError> {
    const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent);
    const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG);
    if text.contains(['-', '_']) {
        return URL_SAFE.decode(text);
    }
    STANDARD.decode(text)
}

/// A key id comes from a stranger: no control characters, and not a page of them.
fn shown(key_id: &str) -> String {
    let plain = |c: char| {
        if c.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    key_id.chars().take(64).map(plain).collect()
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(expecting = "a DSSE envelope")]
struct EnvelopeWire {
    #[serde(rename = "payloadType")]
    payload_type: String,
    payload: String,
    signatures: Vec<SignatureWire>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(expecting = "a signature")]
struct SignatureWire {
    #[serde(default)]
    keyid: Option<String>,
    sig: String,
}
