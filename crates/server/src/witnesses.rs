//! The witnesses of this node's log (client of C2SP tlog-witness v1.0.0): each published checkpoint goes to all of them at once; what they
//! cosign is served with it, and kept once enough have.
//!
//! A witness that holds a checkpoint of this log which the log does not continue proves that the log was rolled back or split: the node
//! stops. Its word alone does not; the checkpoint has to carry this log's own signature.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bailiwick_audit::Log;
use bailiwick_audit::checkpoint::{Checkpoint, CheckpointError};
use bailiwick_audit::proof::TileReadError;
use bailiwick_audit::read::ReadError;
use bailiwick_audit::witnessed::{Continuation, Cosigned};
use bailiwick_core::{Clock, Digest, Timestamp};
use bailiwick_crypto::note::{Note, NoteError};
use futures_util::future::join_all;
use prometheus_client::registry::Registry;
use tokio::task::{JoinError, spawn_blocking};
use tokio_util::sync::CancellationToken;

use crate::config::WitnessAt;

pub use metrics::WitnessMetrics;
pub use standing::{MemberStanding, Standing, State};

mod member;
mod metrics;
mod standing;

use member::{Answer, Member};

/// Time for one witness to answer one checkpoint.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How often a checkpoint that did not change is cosigned anew, so that its cosignatures stay fresh.
pub const REFRESH: Duration = Duration::from_mins(1);
/// A checkpoint whose quorum of cosignatures is older than this is stale.
pub const STALE: Duration = Duration::from_mins(5);

/// How the client ends when a witness holds a larger log.
pub const ROLLED_BACK: &str = "log was rolled back";
/// How it ends when a witness holds another log.
pub const SPLIT: &str = "log has two histories";

/// The witnesses of one log.
pub struct Witnesses {
    members: Vec<Member>,
    quorum: usize,
    log: Arc<Log>,
    clock: Arc<dyn Clock>,
    metrics: WitnessMetrics,
    known: Mutex<Known>,
}

/// What is known of the cosignatures.
#[derive(Default)]
struct Known {
    /// The checkpoint of the last round, with what was cosigned.
    newest: Option<Note>,
    /// The newest that a quorum cosigned: its size, and since when.
    witnessed: Option<(u64, Timestamp)>,
    members: Vec<Option<MemberStanding>>,
}

/// Why a round ended early.
#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error("the log cannot be read")]
    Read(#[from] ReadError),
    #[error("a tile cannot be read")]
    Tile(#[from] TileReadError),
    #[error("the stored checkpoint is not good")]
    Checkpoint(#[from] CheckpointError),
    #[error("the stored checkpoint is no note")]
    Note(#[from] NoteError),
    #[error("reading stopped")]
    Stopped(#[from] JoinError),
}

/// That the log is not what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contradiction {
    /// A witness holds a larger tree.
    RolledBack,
    /// A witness holds another tree.
    Split,
}

/// What witnesses hold of a log, as far as they answer: what it is compared with before it is opened for writing.
pub async fn held(
    configured: &[WitnessAt],
    client: &reqwest::Client,
    origin: &str,
) -> Vec<Vec<u8>> {
    let members = configured
        .iter()
        .map(|witness| Member::new(witness.clone(), client.clone()));
    let members: Vec<Member> = members.collect();
    let asked = members.iter().map(|member| member.held(origin));
    join_all(asked).await.into_iter().flatten().collect()
}

impl Witnesses {
    /// Witnesses of `log`. With no witness configured there is nothing to do.
    pub fn new(
        configured: &[WitnessAt],
        quorum: usize,
        log: Arc<Log>,
        client: &reqwest::Client,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let members: Vec<Member> = configured
            .iter()
            .map(|witness| Member::new(witness.clone(), client.clone()))
            .collect();
        let known = Known {
            members: vec![None; members.len()],
            ..Known::default()
        };
        let witnesses = Self {
            members,
            quorum,
            log,
            clock,
            metrics: WitnessMetrics::default(),
            known: Mutex::new(known),
        };
        witnesses.recall();
        witnesses
    }

    /// Adds the metrics, if there are witnesses.
    pub fn register(&self, registry: &mut Registry) {
        if !self.members.is_empty() {
            self.metrics.register(registry);
        }
    }

    /// Submits every checkpoint that is published, until `stop`. Resolves before that only if the log turns out not to be what it was.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) -> &'static str {
        if self.members.is_empty() {
            stop.cancelled().await;
            return "witness client";
        }
        let mut published = self.log.published();
        loop {
            published.borrow_and_update();
            let contradiction = tokio::select! {
                () = stop.cancelled() => return "witness client",
                round = self.round() => match round {
                    Ok(found) => found,
                    Err(error) => {
                        tracing::warn!(%error, "the witnesses were not asked");
                        None
                    }
                },
            };
            match contradiction {
                None => {}
                Some(Contradiction::RolledBack) => {
                    tracing::error!(
                        code = "log_rolled_back",
                        "a witness holds a checkpoint of this log that is larger than the log: it was restored from an older copy, or cut"
                    );
                    return ROLLED_BACK;
                }
                Some(Contradiction::Split) => {
                    tracing::error!(
                        code = "log_equivocation",
                        "a witness holds a checkpoint of this log with other events: the log's key has signed two histories"
                    );
                    return SPLIT;
                }
            }
            tokio::select! {
                () = stop.cancelled() => return "witness client",
                grown = published.changed() => if grown.is_err() {
                    stop.cancelled().await;
                    return "witness client";
                },
                () = tokio::time::sleep(REFRESH) => {}
            }
        }
    }

    /// The checkpoint as it is served: with the cosignatures there are, if `note` is the newest that was submitted.
    pub fn dressed(&self, note: Vec<u8>) -> Vec<u8> {
        let known = self.lock();
        match (&known.newest, Note::parse(&note)) {
            (Some(cosigned), Ok(bare)) if cosigned.text() == bare.text() => {
                cosigned.to_string().into_bytes()
            }
            _ => note,
        }
    }

    /// How far the log is witnessed.
    pub fn standing(&self) -> Standing {
        let known = self.lock();
        let fresh = |at: Timestamp| self.clock.wall().since(at) <= STALE;
        let state = match known.witnessed {
            _ if self.members.is_empty() => State::None,
            None => State::Unwitnessed,
            Some((_, at)) if fresh(at) => State::Witnessed,
            Some(_) => State::Stale,
        };
        let members = self.members.iter().zip(&known.members);
        Standing {
            state,
            quorum: self.quorum,
            size: known.witnessed.map(|(size, _)| size),
            at: known.witnessed.map(|(_, at)| at),
            witnesses: members
                .map(|(member, standing)| member.standing(standing.clone()))
                .collect(),
        }
    }

    /// What an earlier run kept.
    fn recall(&self) {
        let Ok(Some(note)) = self.log.directory().witnessed() else {
            return;
        };
        let trusted: Vec<_> = self.members.iter().map(|one| one.vkey().clone()).collect();
        match Cosigned::verify(&note, &self.log.verifiers(), &trusted) {
            Ok(cosigned) => {
                let since = cosigned.since(self.quorum);
                self.lock().witnessed = since.map(|at| (cosigned.checkpoint.size, at));
            }
            Err(error) => {
                tracing::warn!(%error, "the witnessed checkpoint that was kept is not good");
            }
        }
    }

    /// Sends the newest checkpoint to all witnesses.
    async fn round(&self) -> Result<Option<Contradiction>, RoundError> {
        let directory = self.log.directory();
        let Some(bytes) = spawn_blocking(move || directory.checkpoint()).await?? else {
            return Ok(None);
        };
        let checkpoint = Checkpoint::verify(&bytes, &self.log.verifiers())?;
        let note = Note::parse(&bytes)?;
        let asked = self
            .members
            .iter()
            .map(|member| member.submit(&self.log, &note, &checkpoint));
        let answers = join_all(asked).await;
        let mut cosigned = self.last_of(&note);
        let mut contradiction = None;
        for (place, (member, answer)) in self.members.iter().zip(answers).enumerate() {
            self.metrics.answered(member.name(), answer.outcome());
            let standing = match answer {
                Answer::Cosigned { line, at } => {
                    cosigned.add(line)?;
                    MemberStanding::cosigned(checkpoint.size, at)
                }
                Answer::Holds(note) => {
                    contradiction = contradiction.or(self.contradicts(&checkpoint, &note).await?);
                    let before = self.lock().members.get(place).cloned().flatten();
                    let why = "it holds another checkpoint of this log".to_owned();
                    MemberStanding::failed(before, why)
                }
                Answer::Failed(why) => {
                    tracing::warn!(witness = member.name(), why, "a witness did not cosign");
                    let before = self.lock().members.get(place).cloned().flatten();
                    MemberStanding::failed(before, why)
                }
            };
            if let Some(slot) = self.lock().members.get_mut(place) {
                *slot = Some(standing);
            }
        }
        self.keep(cosigned).await?;
        Ok(contradiction)
    }

    /// The note with what an earlier round has collected for the same checkpoint.
    fn last_of(&self, note: &Note) -> Note {
        let known = self.lock();
        let last = known.newest.as_ref();
        last.filter(|last| last.text() == note.text())
            .unwrap_or(note)
            .clone()
    }

    /// Keeps a note: in memory for what is served, and in the log's directory if enough witnesses cosigned it.
    async fn keep(&self, note: Note) -> Result<(), RoundError> {
        let trusted: Vec<_> = self.members.iter().map(|one| one.vkey().clone()).collect();
        let cosigned =
            Cosigned::verify(note.to_string().as_bytes(), &self.log.verifiers(), &trusted)?;
        let since = cosigned.since(self.quorum);
        {
            let mut known = self.lock();
            known.newest = Some(note.clone());
            if let Some(at) = since {
                known.witnessed = Some((cosigned.checkpoint.size, at));
                self.metrics.witnessed(cosigned.checkpoint.size, at);
            }
        }
        if since.is_some() {
            let directory = self.log.directory();
            let kept = spawn_blocking(move || directory.keep_witnessed(&note)).await?;
            if let Err(error) = kept {
                tracing::warn!(%error, "the witnessed checkpoint cannot be kept");
            }
        }
        Ok(())
    }

    /// Whether a checkpoint that a witness holds, and that this log's key signed, does not fit the log.
    async fn contradicts(
        &self,
        now: &Checkpoint,
        note: &[u8],
    ) -> Result<Option<Contradiction>, RoundError> {
        let Ok(theirs) = Checkpoint::verify(note, &self.log.verifiers()) else {
            return Ok(None);
        };
        if theirs.size > self.log.size() {
            return Ok(Some(Contradiction::RolledBack));
        }
        // Between the two the log is there, but not published yet; the next round looks again.
        if theirs.size > now.size {
            return Ok(None);
        }
        let (directory, now) = (self.log.directory(), now.clone());
        let found = spawn_blocking(move || directory.continues(&now, &theirs)).await??;
        Ok((found == Continuation::Split).then_some(Contradiction::Split))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// SHA-256 of a log's origin: its name among a witness's checkpoints.
fn origin_hash(origin: &str) -> Digest {
    bailiwick_crypto::hash::sha256(&[origin.as_bytes()])
}

#[cfg(test)]
mod tests;
