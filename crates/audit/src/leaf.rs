//! A leaf: the bytes of one event that are hashed into the tree. UTF-8 JSON; stored once and never serialised again.

use bailiwick_core::event::{Event, SealedClass};
use bailiwick_core::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

use crate::hlc::Hlc;
use crate::record::RecordError;

/// Most bytes of a leaf: what the 16-bit length of an entry bundle can say.
pub const MAX_LEAF: usize = 65_535;
/// Most leaves are no longer.
const USUAL_LEAF: usize = 2_048;

/// One event with what the recorder adds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Leaf {
    /// Format version, 1.
    pub v: u8,
    /// The node whose log this is.
    pub node: String,
    /// The program that recorded it.
    pub src: Source,
    /// Wall clock of the recorder; advisory.
    pub ts: Timestamp,
    /// Logical time; orders events across logs.
    pub hlc: Hlc,
    /// The event itself.
    #[serde(flatten)]
    pub event: Event,
    /// Commitments to values that are not in the clear.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sealed: Vec<Commitment>,
}

/// The program that recorded an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its role: `serve`, `launcher`.
    pub svc: String,
    /// Its version.
    pub version: String,
}

/// What a leaf says of a value that is not in the clear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commitment {
    /// Where the value belongs: `/args`, `/result`, …
    pub path: String,
    /// What kind of data.
    pub class: SealedClass,
    /// Its length.
    pub bytes: u64,
    /// HMAC over event id, path and value under a salt of its own (`seal`), as a digest.
    pub commit: Digest,
    /// Whether the value is kept, sealed, beside the log.
    pub kept: bool,
}

impl Leaf {
    /// The bytes to store.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, RecordError> {
        let mut bytes = Vec::with_capacity(USUAL_LEAF);
        serde_json::to_writer(&mut bytes, self)
            .map_err(|error| RecordError::Encoding(error.to_string()))?;
        if bytes.len() > MAX_LEAF {
            return Err(RecordError::TooLarge {
                field: self.largest_member(),
                bytes: bytes.len(),
            });
        }
        Ok(bytes)
    }

    /// Parses stored bytes, for showing and filtering. Proofs are about the bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    fn largest_member(&self) -> String {
        let Ok(serde_json::Value::Object(members)) = serde_json::to_value(self) else {
            return String::new();
        };
        members
            .into_iter()
            .max_by_key(|(_, value)| value.to_string().len())
            .map_or_else(String::new, |(name, _)| name)
    }
}
