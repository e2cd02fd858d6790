//! Publications are signed, and what is loaded is what was signed (03): a row or a text that was altered in the store decides nothing.
//!
//! The signed note (C2SP signed-note) over a publication names its number, digest, time and author, so that neither another text nor an
//! older publication can be put in its place. Texts are found by their digest, which is computed again.

use std::sync::Arc;

use bailiwick_core::{Code, Digest, Fault, Problem};
use bailiwick_crypto::hash::sha256;
use bailiwick_crypto::note::{Note, NoteError, NoteSigner, NoteVerifier};
use bailiwick_policy::BundleSource;
use bailiwick_store::{PolicyVersion, Store, StoreError};

/// Signs and checks what is published. Cheap to clone.
#[derive(Clone)]
pub struct Publications {
    store: Store,
    signer: Arc<NoteSigner>,
    verifier: NoteVerifier,
}

impl Publications {
    /// With the node's key for policy.
    pub fn new(store: Store, signer: NoteSigner) -> Result<Self, NoteError> {
        Ok(Self {
            store,
            verifier: signer.verifier()?,
            signer: Arc::new(signer),
        })
    }

    /// The publication with its signature.
    pub(super) fn signed(&self, mut version: PolicyVersion) -> Result<PolicyVersion, Problem> {
        let note = Note::sign(&statement(&version), &[&*self.signer]);
        let note = note.map_err(|error| {
            Problem::new(
                Code::Internal,
                format!("the publication cannot be signed: {error}"),
                "",
            )
        })?;
        version.signature = Some(note.to_string());
        Ok(version)
    }

    /// Refuses a publication that is not as it was signed.
    pub fn verify(&self, version: &PolicyVersion) -> Result<(), Problem> {
        let number = version.number;
        let Some(signature) = &version.signature else {
            return Err(tampered(&format!("publication {number} has no signature")));
        };
        let note = Note::parse(signature.as_bytes());
        let note = note.map_err(|error| tampered(&format!("publication {number}: {error}")))?;
        let known = [self.verifier.clone()];
        note.verify(&known)
            .map_err(|error| tampered(&format!("publication {number}: {error}")))?;
        if note.text() == statement(version) {
            Ok(())
        } else {
            Err(tampered(&format!(
                "publication {number} is not what was signed under this number"
            )))
        }
    }

    /// The bundle that decides: the text of the newest publication, which must be `digest`'s and as it was signed.
    pub async fn active(&self, digest: Digest) -> Result<BundleSource, Problem> {
        let newest = self.store.read(|rows| rows.active_policy()).await;
        let newest = newest.map_err(|error: StoreError| error.problem())?;
        let newest = newest.ok_or_else(|| tampered("the publication that is active is gone"))?;
        self.verify(&newest)?;
        if newest.digest != digest {
            return Err(Problem::new(
                Code::ReplicaBehind,
                "another bundle was published meanwhile",
                "try again",
            ));
        }
        self.text(digest).await
    }

    /// A bundle's text by its digest, as it was kept.
    pub async fn text(&self, digest: Digest) -> Result<BundleSource, Problem> {
        let text = self
            .store
            .read(move |rows| rows.policy_source(digest))
            .await;
        let text = text
            .map_err(|error: StoreError| error.problem())?
            .ok_or_else(|| {
                Problem::new(
                    Code::NotFound,
                    format!("no bundle {digest} was published"),
                    "`bailiwick policy history`",
                )
            })?;
        let altered = || tampered(&format!("the text that is kept as {digest} is another one"));
        let source: BundleSource = serde_json::from_str(&text).map_err(|_| altered())?;
        if sha256(&[&source.canonical()]) == digest {
            Ok(source)
        } else {
            Err(altered())
        }
    }
}

/// What is signed of a publication: a line each, so that no two publications have the same.
fn statement(version: &PolicyVersion) -> String {
    let restores = version
        .restores
        .map_or_else(|| "-".to_owned(), |number| number.to_string());
    format!(
        "bailiwick.policy/v1\n{}\n{}\n{}\n{}\n{restores}\n",
        version.number, version.digest, version.published_at, version.published_by
    )
}

fn tampered(what: &str) -> Problem {
    Problem::new(
        Code::PolicyTampered,
        format!("the stored policy was altered outside of Bailiwick: {what}"),
        "find out who wrote to the store; then publish the bundle again from its own directory",
    )
}
