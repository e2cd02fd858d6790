//! The keys of one log: the one that signs its checkpoints, those that sign beside it for a time after it took their place, and those that
//! did once. Who knows any of the signing ones can verify every checkpoint (C2SP signed-note: signatures of unknown keys are ignored).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bailiwick_core::{Code, Fault};
use bailiwick_crypto::note::{Note, NoteError, NoteSigner, NoteVerifier};

/// The keys of a log. They all have the log's name.
#[derive(Debug)]
pub struct Signers {
    origin: Arc<str>,
    keys: RwLock<Keys>,
    /// A key came or went since the last checkpoint.
    changed: AtomicBool,
}

#[derive(Debug)]
struct Keys {
    /// Newest first; never empty.
    signing: Vec<Arc<NoteSigner>>,
    /// In the same order, and then those that sign no more.
    verifiers: Vec<NoteVerifier>,
}

impl Signers {
    /// Keys that sign, newest first, and those that did.
    pub fn new(
        newest: Arc<NoteSigner>,
        older: Vec<Arc<NoteSigner>>,
        former: Vec<NoteVerifier>,
    ) -> Result<Self, SignersError> {
        let origin: Arc<str> = newest.name().into();
        let signing: Vec<_> = std::iter::once(newest).chain(older).collect();
        let mut verifiers = Vec::new();
        for signer in &signing {
            verifiers.push(signer.verifier()?);
        }
        verifiers.extend(former);
        if let Some(other) = verifiers.iter().find(|key| *key.name() != *origin) {
            return Err(SignersError::Name {
                name: other.name().to_owned(),
            });
        }
        Ok(Self {
            origin,
            keys: RwLock::new(Keys { signing, verifiers }),
            changed: AtomicBool::new(false),
        })
    }

    /// The log's name.
    pub fn origin(&self) -> &Arc<str> {
        &self.origin
    }

    /// Keys that verify what the log signed, newest first.
    pub fn verifiers(&self) -> Vec<NoteVerifier> {
        self.read().verifiers.clone()
    }

    /// Keys that sign now, newest first.
    pub fn signing(&self) -> Vec<NoteVerifier> {
        let keys = self.read();
        let count = keys.signing.len();
        keys.verifiers.iter().take(count).cloned().collect()
    }

    /// Signs with `newest` from now on, and goes on with the others.
    pub(crate) fn add(&self, newest: Arc<NoteSigner>) -> Result<(), SignersError> {
        if *newest.name() != *self.origin {
            return Err(SignersError::Name {
                name: newest.name().to_owned(),
            });
        }
        let verifier = newest.verifier()?;
        let mut keys = self.write();
        if !keys
            .signing
            .iter()
            .any(|key| key.key().public() == verifier.public())
        {
            keys.signing.insert(0, newest);
            keys.verifiers.insert(0, verifier);
        }
        drop(keys);
        self.changed.store(true, Ordering::Release);
        Ok(())
    }

    /// Signs with the newest only. What the others signed still verifies.
    pub(crate) fn drop_older(&self) {
        self.write().signing.truncate(1);
        self.changed.store(true, Ordering::Release);
    }

    /// Signs a text with every key that signs.
    pub(crate) fn sign(&self, text: &str) -> Result<String, NoteError> {
        let keys = self.read();
        let signing: Vec<&NoteSigner> = keys.signing.iter().map(|key| &**key).collect();
        Ok(Note::sign(text, &signing)?.to_string())
    }

    /// Whether a key came or went; says so once.
    pub(crate) fn have_changed(&self) -> bool {
        self.changed.swap(false, Ordering::AcqRel)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Keys> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Keys> {
        self.keys.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a key is not one of the log's.
#[derive(Debug, thiserror::Error)]
pub enum SignersError {
    /// It has another name.
    #[error("the key `{name}` is not named like the log")]
    Name {
        /// Its name.
        name: String,
    },
    /// It cannot be used.
    #[error("a key of the log cannot be used")]
    Key(#[from] NoteError),
}

impl Fault for SignersError {
    fn code(&self) -> Code {
        match self {
            Self::Name { .. } => Code::InvalidInput,
            Self::Key(error) => error.code(),
        }
    }
}
