//! Signed notes (C2SP signed-note): a text with signature lines, Ed25519 (type 0x01) only. Log checkpoints are such notes.

use std::fmt;

use aws_lc_rs::signature::{ED25519, ParsedPublicKey};
use bailiwick_core::{Code, Fault};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::hash::sha256;
use crate::keys::{Ed25519Key, KeyError, SIGNATURE_LEN};

/// Longest note read, 1 MiB.
pub const MAX_NOTE: usize = 1 << 20;
/// Most signature lines read; the specification asks for at least 16.
pub const MAX_SIGNATURES: usize = 100;

/// Who signs: a key under a name, `origin` of a log or name of a witness.
#[derive(Debug)]
pub struct NoteSigner {
    name: String,
    id: u32,
    key: Ed25519Key,
}

impl NoteSigner {
    /// Names the key. A name is not empty and holds no white space, control character or `+`.
    pub fn new(name: &str, key: Ed25519Key) -> Result<Self, NoteError> {
        check_name(name)?;
        let id = key_id(name, key.public());
        Ok(Self {
            name: name.to_owned(),
            id,
            key,
        })
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key.
    pub fn key(&self) -> &Ed25519Key {
        &self.key
    }

    /// What others need to verify this signer's notes.
    pub fn verifier(&self) -> Result<NoteVerifier, NoteError> {
        NoteVerifier::new(&self.name, *self.key.public())
    }
}

/// A trusted public key under its name. Text form (a *vkey*): `name+hex id+base64(0x01 ‖ key)`.
#[derive(Clone)]
pub struct NoteVerifier {
    name: String,
    id: u32,
    public: [u8; 32],
    parsed: ParsedPublicKey,
}

impl NoteVerifier {
    /// From a name and an Ed25519 public key.
    pub fn new(name: &str, public: [u8; 32]) -> Result<Self, NoteError> {
        check_name(name)?;
        let parsed = ParsedPublicKey::new(&ED25519, public)
            .map_err(|_| NoteError::Vkey("its key is not an Ed25519 key"))?;
        Ok(Self {
            name: name.to_owned(),
            id: key_id(name, &public),
            public,
            parsed,
        })
    }

    /// Reads the text form and checks that its id belongs to its name and key.
    pub fn from_vkey(vkey: &str) -> Result<Self, NoteError> {
        let (name, id, public) = typed_vkey(vkey, ED25519_TYPE)?
            .ok_or(NoteError::Vkey("its signature type is not 0x01, Ed25519"))?;
        let verifier = Self::new(name, public)?;
        if id == format!("{:08x}", verifier.id) {
            Ok(verifier)
        } else {
            Err(NoteError::Vkey("its id is not that of its name and key"))
        }
    }

    /// The text form.
    pub fn vkey(&self) -> String {
        let key = [&[ED25519_TYPE], self.public.as_slice()].concat();
        format!("{}+{:08x}+{}", self.name, self.id, STANDARD.encode(key))
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key id: the first four bytes of SHA-256 over name, newline, type and key.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Whether this key signed these bytes, where they are no note (a DSSE envelope).
    pub fn verify_bytes(&self, message: &[u8], signature: &[u8]) -> bool {
        signature.len() == SIGNATURE_LEN && self.parsed.verify_sig(message, signature).is_ok()
    }

    /// The public key.
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }
}

impl fmt::Debug for NoteVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.vkey())
    }
}

/// One signature line, of whatever type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// Name of the key.
    pub name: String,
    /// Id of the key.
    pub id: u32,
    /// What follows the id: for Ed25519 the 64 bytes of the signature.
    pub bytes: Vec<u8>,
}

/// A note as read. Its text means nothing until [`Note::verify`] has been asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl Note {
    /// Signs a text, which ends in a newline and has no other control character.
    pub fn sign(text: &str, signers: &[&NoteSigner]) -> Result<Self, NoteError> {
        check_text(text)?;
        if !text.ends_with('\n') {
            return Err(NoteError::Form("its text does not end in a newline"));
        }
        let mut signatures = Vec::with_capacity(signers.len());
        for signer in signers {
            let bytes = signer.key.sign(text.as_bytes())?.to_vec();
            signatures.push(NoteSignature {
                name: signer.name.clone(),
                id: signer.id,
                bytes,
            });
        }
        if signatures.is_empty() {
            return Err(NoteError::Form("nobody signs it"));
        }
        Ok(Self {
            text: text.to_owned(),
            signatures,
        })
    }

    /// Reads a note.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE {
            return Err(NoteError::Form("it is over 1 MiB"));
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::Form("it is not UTF-8"))?;
        check_text(note)?;
        let blank = note.rfind("\n\n").ok_or(NoteError::Form(
            "no blank line separates text and signatures",
        ))?;
        let (text, rest) = note
            .split_at_checked(blank + 1)
            .ok_or(NoteError::Form("it is cut"))?;
        let lines = rest
            .strip_prefix('\n')
            .and_then(|lines| lines.strip_suffix('\n'));
        let lines = lines.ok_or(NoteError::Form("its last line does not end in a newline"))?;
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            if signatures.len() == MAX_SIGNATURES {
                return Err(NoteError::Form("it has over 100 signatures"));
            }
            signatures.push(
                signature_line(line).ok_or(NoteError::Form("a signature line is malformed"))?,
            );
        }
        Ok(Self {
            text: text.to_owned(),
            signatures,
        })
    }

    /// The text with its final newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// All signature lines, of known and unknown keys.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds a signature line that another party made over the same text (a witness's cosignature). It takes the place of an older one
    /// of the same key.
    pub fn add(&mut self, signature: NoteSignature) -> Result<(), NoteError> {
        check_name(&signature.name)?;
        self.signatures
            .retain(|line| line.id != signature.id || line.name != signature.name);
        if self.signatures.len() >= MAX_SIGNATURES {
            return Err(NoteError::Form("it has over 100 signatures"));
        }
        self.signatures.push(signature);
        Ok(())
    }

    /// Keeps only the signature lines that `wanted` says.
    pub fn retain(&mut self, wanted: impl FnMut(&NoteSignature) -> bool) {
        self.signatures.retain(wanted);
    }

    /// Checks the signatures of known keys and gives those keys, each once, in the order of `known`. Signatures of unknown keys are
    /// ignored; a bad one of a known key refuses the whole note; so does the absence of any good one.
    pub fn verify<'k>(
        &self,
        known: &'k [NoteVerifier],
    ) -> Result<Vec<&'k NoteVerifier>, NoteError> {
        let mut good = Vec::new();
        for key in known {
            let mut signed = false;
            for signature in self
                .signatures
                .iter()
                .filter(|line| line.id == key.id && line.name == key.name)
            {
                // aws-lc checks the length too; said here so that no other form is ever tried.
                if signature.bytes.len() != SIGNATURE_LEN
                    || key
                        .parsed
                        .verify_sig(self.text.as_bytes(), &signature.bytes)
                        .is_err()
                {
                    return Err(NoteError::BadSignature {
                        name: key.name.clone(),
                    });
                }
                signed = true;
            }
            if signed {
                good.push(key);
            }
        }
        if good.is_empty() {
            Err(NoteError::Unsigned)
        } else {
            Ok(good)
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for signature in &self.signatures {
            writeln!(f, "{signature}")?;
        }
        Ok(())
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.id.to_be_bytes().as_slice(), &self.bytes].concat();
        write!(f, "— {} {}", self.name, STANDARD.encode(bytes))
    }
}

/// Why a note was not signed, read or believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It does not have the form of a signed note.
    #[error("this is not a signed note: {0}")]
    Form(&'static str),
    /// A key name that cannot stand in a signature line.
    #[error("a key name is not empty and holds no white space, control character or `+`")]
    Name,
    /// A verification key that cannot be read.
    #[error("this is not an Ed25519 verification key: {0}")]
    Vkey(&'static str),
    /// No trusted key signed it.
    #[error("no trusted key signed this note")]
    Unsigned,
    /// A trusted key's signature does not fit the text.
    #[error(
        "the signature of `{name}` does not fit the note: the text was altered or another key made it"
    )]
    BadSignature {
        /// Name of the key.
        name: String,
    },
    /// The key did not sign.
    #[error("the note was not signed")]
    Key(#[from] KeyError),
}

impl Fault for NoteError {
    fn code(&self) -> Code {
        match self {
            Self::Form(_) | Self::Name | Self::Vkey(_) => Code::InvalidInput,
            Self::Unsigned | Self::BadSignature { .. } => Code::LogAltered,
            Self::Key(error) => error.code(),
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Vkey(_) => {
                "Copy the whole key, for example example.com/log+1234abcd+AQ… .".into()
            }
            Self::Unsigned => "Compare the key names in the note with the keys you trust.".into(),
            Self::BadSignature { .. } => {
                "Keep the note: a signed text that was altered is evidence.".into()
            }
            _ => String::new(),
        }
    }
}

const ED25519_TYPE: u8 = 1;

fn key_id(name: &str, public: &[u8; 32]) -> u32 {
    typed_key_id(name, ED25519_TYPE, public)
}

pub(crate) fn typed_key_id(name: &str, kind: u8, public: &[u8; 32]) -> u32 {
    let digest = sha256(&[name.as_bytes(), b"\n", &[kind], public]);
    digest
        .0
        .first_chunk()
        .map_or(0, |id| u32::from_be_bytes(*id))
}

/// Name, id and key of a vkey.
type VkeyParts<'v> = (&'v str, &'v str, [u8; 32]);

/// The parts of a vkey of signature type `kind`; `None` if it is of another type.
pub(crate) fn typed_vkey(vkey: &str, kind: u8) -> Result<Option<VkeyParts<'_>>, NoteError> {
    let mut parts = vkey.splitn(3, '+');
    let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(NoteError::Vkey("it is not name+id+key"));
    };
    let key = STANDARD
        .decode(key)
        .map_err(|_| NoteError::Vkey("its last part is not base64"))?;
    match key.split_first() {
        Some((found, public)) if *found == kind => {
            let public = public
                .try_into()
                .map_err(|_| NoteError::Vkey("its key is not 32 bytes"))?;
            Ok(Some((name, id, public)))
        }
        _ => Ok(None),
    }
}

pub(crate) fn check_name(name: &str) -> Result<(), NoteError> {
    let bad =
        |character: char| character == '+' || character.is_whitespace() || character.is_control();
    if name.is_empty() || name.contains(bad) {
        Err(NoteError::Name)
    } else {
        Ok(())
    }
}

fn check_text(text: &str) -> Result<(), NoteError> {
    if text.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
        return Err(NoteError::Form("it holds a control character"));
    }
    Ok(())
}

fn signature_line(line: &str) -> Option<NoteSignature> {
    let (name, encoded) = line.strip_prefix("— ")?.split_once(' ')?;
    check_name(name).ok()?;
    let decoded = STANDARD.decode(encoded).ok()?;
    let (id, bytes) = decoded.split_first_chunk::<4>()?;
    if bytes.is_empty() {
        return None;
    }
    Some(NoteSignature {
        name: name.to_owned(),
        id: u32::from_be_bytes(*id),
        bytes: bytes.to_vec(),
    })
}

#[cfg(test)]
mod tests;
