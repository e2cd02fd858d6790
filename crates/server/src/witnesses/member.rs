//! One witness: submitting a checkpoint to it, and reading what it answers. Its answers are bounded and believed only as far as they are
//! signed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bailiwick_audit::Log;
use bailiwick_audit::checkpoint::Checkpoint;
use bailiwick_audit::witness::Request;
use bailiwick_audit::witnessed::cosignature_in;
use bailiwick_core::Timestamp;
use bailiwick_crypto::cosignature::CosignatureVerifier;
use bailiwick_crypto::note::{Note, NoteSignature};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response, StatusCode};
use tokio::task::spawn_blocking;

use super::standing::MemberStanding;
use super::{ANSWER_WITHIN, origin_hash};
use crate::config::WitnessAt;

/// Longest answer read.
const MAX_ANSWER: usize = 64 << 10;

/// One witness.
pub(super) struct Member {
    at: WitnessAt,
    client: Client,
    /// Size that it cosigned last, as far as is known. Wrong guesses are answered with the right one.
    held: AtomicU64,
}

/// What came of one submission.
pub(super) enum Answer {
    /// Its cosignature.
    Cosigned { line: NoteSignature, at: Timestamp },
    /// It holds another checkpoint of this log, which it shows. Whether that means anything is to be seen.
    Holds(Vec<u8>),
    /// Nothing, and why.
    Failed(String),
}

impl Answer {
    /// Its label among the metrics.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Cosigned { .. } => "cosigned",
            Self::Holds(_) => "conflict",
            Self::Failed(_) => "failed",
        }
    }
}

impl Member {
    pub(super) fn new(at: WitnessAt, client: Client) -> Self {
        Self {
            at,
            client,
            held: AtomicU64::new(0),
        }
    }

    pub(super) fn name(&self) -> &str {
        self.at.vkey.name()
    }

    pub(super) fn vkey(&self) -> &CosignatureVerifier {
        &self.at.vkey
    }

    /// What is known of it, with its name.
    pub(super) fn standing(&self, known: Option<MemberStanding>) -> MemberStanding {
        MemberStanding {
            name: self.name().to_owned(),
            ..known.unwrap_or_default()
        }
    }

    /// The checkpoint of a log that it holds, if it says so within [`ANSWER_WITHIN`].
    pub(super) async fn held(&self, origin: &str) -> Option<Vec<u8>> {
        match tokio::time::timeout(ANSWER_WITHIN, self.shown(origin)).await {
            Ok(Ok(Answer::Holds(note))) => Some(note),
            Ok(Ok(_)) => None,
            Ok(Err(why)) => {
                tracing::info!(
                    witness = self.name(),
                    why,
                    "a witness shows no checkpoint of this log"
                );
                None
            }
            Err(_) => {
                tracing::warn!(
                    witness = self.name(),
                    "a witness does not say what it holds"
                );
                None
            }
        }
    }

    /// Asks for a cosignature, within [`ANSWER_WITHIN`].
    pub(super) async fn submit(
        &self,
        log: &Arc<Log>,
        note: &Note,
        checkpoint: &Checkpoint,
    ) -> Answer {
        let asked = self.ask(log, note, checkpoint);
        match tokio::time::timeout(ANSWER_WITHIN, asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(why)) => Answer::Failed(why),
            Err(_) => Answer::Failed(format!("no answer within {ANSWER_WITHIN:?}")),
        }
    }

    async fn ask(
        &self,
        log: &Arc<Log>,
        note: &Note,
        checkpoint: &Checkpoint,
    ) -> Result<Answer, String> {
        // Once with what is known, and once more with what the witness says it holds.
        for _ in 0..2 {
            let old = self.held.load(Ordering::Relaxed);
            let response = self.send(log, old, note, checkpoint).await?;
            match response.status() {
                StatusCode::OK => {
                    let body = read(response).await?;
                    let line = cosignature_in(&body, note, &self.at.vkey)
                        .map_err(|error| format!("its cosignature is not good: {error}"))?;
                    self.held.store(checkpoint.size, Ordering::Relaxed);
                    let at = time_of(&line);
                    return Ok(Answer::Cosigned { line, at });
                }
                StatusCode::CONFLICT => {
                    let size = size_of(response).await?;
                    if size > checkpoint.size {
                        return self.shown(&checkpoint.origin).await;
                    }
                    if size == old {
                        return Err(format!("it refuses size {old} and says that it holds it"));
                    }
                    self.held.store(size, Ordering::Relaxed);
                }
                StatusCode::UNPROCESSABLE_ENTITY => return self.shown(&checkpoint.origin).await,
                status => return Err(format!("it answered with HTTP status {}", status.as_u16())),
            }
        }
        Err("its size changes from answer to answer".into())
    }

    async fn send(
        &self,
        log: &Arc<Log>,
        old: u64,
        note: &Note,
        checkpoint: &Checkpoint,
    ) -> Result<Response, String> {
        let (directory, size) = (log.directory(), checkpoint.size);
        // A guess beyond the checkpoint is answered with what the witness holds.
        let old = old.min(size);
        let proof = spawn_blocking(move || directory.consistency(old, size))
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| format!("the proof cannot be made: {error}"))?;
        let request = Request {
            old,
            proof,
            note: note.clone(),
        };
        self.client
            .post(format!("{}/add-checkpoint", self.at.url))
            .body(request.to_string())
            .send()
            .await
            .map_err(|error| format!("it cannot be reached: {}", without_url(error)))
    }

    /// The checkpoint that it holds.
    async fn shown(&self, origin: &str) -> Result<Answer, String> {
        let hash = origin_hash(origin).to_hex();
        let response = self
            .client
            .get(format!("{}/{hash}/checkpoint", self.at.url))
            .send()
            .await
            .map_err(|error| format!("it cannot be reached: {}", without_url(error)))?;
        if response.status() != StatusCode::OK {
            return Err("it does not show the checkpoint that it holds".into());
        }
        Ok(Answer::Holds(read(response).await?))
    }
}

/// The time in a cosignature that was checked.
fn time_of(line: &NoteSignature) -> Timestamp {
    let seconds = line
        .bytes
        .first_chunk::<8>()
        .map(|time| i64::from_be_bytes(*time));
    Timestamp::from_secs(seconds.unwrap_or_default())
}

async fn size_of(response: Response) -> Result<u64, String> {
    let kind = response.headers().get(CONTENT_TYPE);
    if kind.is_none_or(|kind| kind.as_bytes() != b"text/x.tlog.size") {
        return Err("its conflict does not say the size it holds".into());
    }
    let body = read(response).await?;
    let size = std::str::from_utf8(&body).ok();
    size.and_then(|size| size.strip_suffix('\n'))
        .and_then(|size| size.parse().ok())
        .ok_or_else(|| "its conflict does not say a size".into())
}

async fn read(mut response: Response) -> Result<Vec<u8>, String> {
    let mut whole = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| format!("its answer broke off: {}", without_url(error)))?
    {
        if whole.len() + chunk.len() > MAX_ANSWER {
            return Err("its answer is over 64 KiB".into());
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole)
}

fn without_url(error: reqwest::Error) -> String {
    error.without_url().to_string()
}
