//! What a bundle's maker says of it: an in-toto Statement v1 over the SHA-256 of every file, in a DSSE v1 envelope signed with Ed25519.

use std::collections::BTreeMap;

use bailiwick_core::Digest;
use bailiwick_crypto::dsse::{Envelope, IN_TOTO, pae};
use bailiwick_crypto::note::{NoteError, NoteSigner, NoteVerifier};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::export::ExportError;

const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// What the predicate means: `docs/reference/exports.md`.
const PREDICATE_TYPE: &str = "urn:bailiwick:evidence:1";

/// The statement as the bytes that are signed.
pub(super) fn statement<'a>(
    hashes: impl Iterator<Item = (&'a str, Digest)>,
    predicate: &Value,
) -> Result<Vec<u8>, serde_json::Error> {
    let subject: Vec<Value> = hashes
        .map(|(name, hash)| json!({"name": name, "digest": {"sha256": hash.to_hex()}}))
        .collect();
    serde_json::to_vec(&json!({
        "_type": STATEMENT_TYPE,
        "subject": subject,
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate,
    }))
}

/// The envelope of a statement. Without a signer it holds no signature, and who reads it has only the log's.
pub(super) fn envelope(
    statement: &[u8],
    signer: Option<&NoteSigner>,
) -> Result<Vec<u8>, ExportError> {
    let mut signatures = Vec::new();
    if let Some(signer) = signer {
        let signature = signer.key().sign(&pae(IN_TOTO, statement));
        let signature = signature.map_err(NoteError::from)?;
        signatures.push((signer.name().to_owned(), signature.to_vec()));
    }
    let envelope = Envelope::of(statement, IN_TOTO, signatures);
    Ok(serde_json::to_vec(&envelope)?)
}

/// Why a statement is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Envelope or statement is not one.
    Form,
    /// None of the keys given signed it.
    Unsigned,
    /// A signature under the name of a key given does not fit.
    BadSignature,
}

/// What a good statement says.
pub(super) struct Said {
    /// Hash of each file.
    pub(super) hashes: BTreeMap<String, Digest>,
    /// The key that signed; none if no key was brought.
    pub(super) by: Option<String>,
}

/// Opens an envelope. With keys, one of them must have signed it.
pub(super) fn open(envelope: &[u8], keys: &[NoteVerifier]) -> Result<Said, Refusal> {
    let envelope: Envelope = serde_json::from_slice(envelope).map_err(|_| Refusal::Form)?;
    let opened = envelope.open(IN_TOTO).map_err(|_| Refusal::Form)?;
    let mut by = None;
    for key in keys {
        for (_, signature) in opened.signatures().filter(|(name, _)| *name == key.name()) {
            if !key.verify_bytes(opened.signed(), signature) {
                return Err(Refusal::BadSignature);
            }
            by = Some(key.name().to_owned());
        }
    }
    if by.is_none() && !keys.is_empty() {
        return Err(Refusal::Unsigned);
    }
    let statement: Statement =
        serde_json::from_slice(opened.payload()).map_err(|_| Refusal::Form)?;
    if statement.kind != STATEMENT_TYPE || statement.predicate_type != PREDICATE_TYPE {
        return Err(Refusal::Form);
    }
    let mut hashes = BTreeMap::new();
    for subject in statement.subject {
        let hash = subject.digest.sha256.parse().map_err(|_| Refusal::Form)?;
        if hashes.insert(subject.name, hash).is_some() {
            return Err(Refusal::Form);
        }
    }
    Ok(Said { hashes, by })
}

#[derive(Deserialize)]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    subject: Vec<Subject>,
}

#[derive(Deserialize)]
struct Subject {
    name: String,
    digest: Sha256,
}

#[derive(Deserialize)]
struct Sha256 {
    sha256: String,
}
