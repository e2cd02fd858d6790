//! Cosignatures on checkpoints (C2SP tlog-cosignature v1.0, Ed25519, signature type 0x04): a witness's word that, at a time, this was the
//! largest tree it had seen of a log, and that every tree it had seen before is part of it.

use std::fmt;

use aws_lc_rs::signature::{ED25519, ParsedPublicKey};
use bailiwick_core::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::keys::{Ed25519Key, SIGNATURE_LEN};
use crate::note::{Note, NoteError, NoteSignature, check_name, typed_key_id, typed_vkey};

/// A witness's key under its name.
#[derive(Debug)]
pub struct CosignatureSigner {
    name: String,
    id: u32,
    key: Ed25519Key,
}

impl CosignatureSigner {
    /// Names the key. The signed message does not hold the name, so a key belongs to one witness only.
    pub fn new(name: &str, key: Ed25519Key) -> Result<Self, NoteError> {
        check_name(name)?;
        let id = typed_key_id(name, COSIGNATURE_TYPE, key.public());
        Ok(Self {
            name: name.to_owned(),
            id,
            key,
        })
    }

    /// The witness's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What others need to verify this signer's cosignatures.
    pub fn verifier(&self) -> Result<CosignatureVerifier, NoteError> {
        CosignatureVerifier::new(&self.name, *self.key.public())
    }

    /// Cosigns a checkpoint's text as of `time`, of which whole seconds count. A time before 1970 or at its very start is refused: zero
    /// means "no time", and a cosignature on a checkpoint has one.
    pub fn cosign(&self, text: &str, time: Timestamp) -> Result<NoteSignature, NoteError> {
        let time = u64::try_from(time.as_secs())
            .ok()
            .filter(|time| *time > 0)
            .ok_or(NoteError::Form("the time of a cosignature is after 1970"))?;
        let signature = self.key.sign(message(text, time).as_bytes())?;
        Ok(NoteSignature {
            name: self.name.clone(),
            id: self.id,
            bytes: [time.to_be_bytes().as_slice(), &signature].concat(),
        })
    }
}

/// A trusted witness. Text form (a *vkey*): `name+hex id+base64(0x04 ‖ key)`.
#[derive(Clone)]
pub struct CosignatureVerifier {
    name: String,
    id: u32,
    public: [u8; 32],
    parsed: ParsedPublicKey,
}

impl CosignatureVerifier {
    /// From a name and an Ed25519 public key.
    pub fn new(name: &str, public: [u8; 32]) -> Result<Self, NoteError> {
        check_name(name)?;
        let parsed = ParsedPublicKey::new(&ED25519, public)
            .map_err(|_| NoteError::Vkey("its key is not an Ed25519 key"))?;
        Ok(Self {
            name: name.to_owned(),
            id: typed_key_id(name, COSIGNATURE_TYPE, &public),
            public,
            parsed,
        })
    }

    /// Reads the text form and checks that its id belongs to its name and key.
    pub fn from_vkey(vkey: &str) -> Result<Self, NoteError> {
        let (name, id, public) = typed_vkey(vkey, COSIGNATURE_TYPE)?.ok_or(NoteError::Vkey(
            "its signature type is not 0x04, the Ed25519 cosignature of a witness",
        ))?;
        let verifier = Self::new(name, public)?;
        if id == format!("{:08x}", verifier.id) {
            Ok(verifier)
        } else {
            Err(NoteError::Vkey("its id is not that of its name and key"))
        }
    }

    /// The text form.
    pub fn vkey(&self) -> String {
        let key = [&[COSIGNATURE_TYPE], self.public.as_slice()].concat();
        format!("{}+{:08x}+{}", self.name, self.id, STANDARD.encode(key))
    }

    /// The witness's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public key.
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// This witness's newest cosignature on the note and its time, or `None` if there is none. One that does not fit the text refuses
    /// the whole note.
    pub fn cosignature<'n>(
        &self,
        note: &'n Note,
    ) -> Result<Option<(Timestamp, &'n NoteSignature)>, NoteError> {
        let mut newest: Option<(Timestamp, &NoteSignature)> = None;
        let ours = |line: &&NoteSignature| line.id == self.id && line.name == self.name;
        for line in note.signatures().iter().filter(ours) {
            let time =
                self.time(note.text(), &line.bytes)
                    .ok_or_else(|| NoteError::BadSignature {
                        name: self.name.clone(),
                    })?;
            if newest.is_none_or(|(known, _)| known < time) {
                newest = Some((time, line));
            }
        }
        Ok(newest)
    }

    /// The time of a good cosignature.
    fn time(&self, text: &str, bytes: &[u8]) -> Option<Timestamp> {
        let (time, signature) = bytes.split_first_chunk::<8>()?;
        let time = u64::from_be_bytes(*time);
        let seconds = i64::try_from(time).ok().filter(|seconds| *seconds > 0)?;
        if signature.len() != SIGNATURE_LEN {
            return None;
        }
        let message = message(text, time);
        self.parsed
            .verify_sig(message.as_bytes(), signature)
            .ok()
            .map(|()| Timestamp::from_secs(seconds))
    }
}

impl PartialEq for CosignatureVerifier {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.public == other.public
    }
}

impl Eq for CosignatureVerifier {}

impl fmt::Debug for CosignatureVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.vkey())
    }
}

/// Key id byte of timestamped Ed25519 cosignatures.
const COSIGNATURE_TYPE: u8 = 4;

/// What is signed (tlog-cosignature §Ed25519 signed message).
fn message(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

#[cfg(test)]
mod tests;
