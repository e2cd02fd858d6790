//! A store that is an older copy of itself: noticed at the start, because the log beside it was signed further than the store remembers, and
//! taken into use only on an operator's word (02 §10, restore). Then the epoch rises, and nothing that was issued before is worth anything.

use bailiwick_audit::checkpoint::{Checkpoint, FILE};
use bailiwick_audit::standing::Standing;
use bailiwick_control::Control;
use bailiwick_core::Timestamp;
use bailiwick_crypto::note::Note;
use bailiwick_identity::authority::Authority;
use bailiwick_store::{Store, StoreError, Tx, facts};
use serde::{Deserialize, Serialize};

use super::checkpoints::{held, key};
use super::repair::{RepairError, Stopped, reason_of};
use super::{StartError, log};
use crate::config::Config;

/// Under this the store keeps that it was adopted, until everything that this ends has ended.
const ADOPTED: &str = "adopted";
/// Whatever has an end has one before this.
const NEVER: Timestamp = Timestamp::from_secs(253_402_207_200);

/// An operator's word.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Word {
    actor: String,
    reason: String,
}

/// The epoch of the store; refuses one that is an older copy of itself.
pub(super) async fn epoch(config: &Config, store: &Store) -> Result<u64, StartError> {
    let (key, on_disk) = (key(&log::origin(config)), on_disk(config));
    let known = store.write(move |tx| Ok::<_, StoreError>((held(tx, &key)?, facts::epoch(tx)?)));
    let (standing, epoch) = known.await?;
    let remembered = size_of(&standing);
    match on_disk {
        Some((_, signed)) if signed > remembered => {
            Err(StartError::Restored { remembered, signed })
        }
        _ => Ok(epoch),
    }
}

/// Takes the store of a node that does not run into use, whatever it has forgotten: raises the epoch, which is the answer, and takes what
/// could be used once more. Everything else ends at the next start.
pub async fn adopt(config: &Config, reason: &str, actor: &str) -> Result<u64, RepairError> {
    let word = Word {
        actor: actor.to_owned(),
        reason: reason_of(reason)?,
    };
    let word = serde_json::to_string(&word).map_err(|error| defect(&error))?;
    let node = Stopped::open(config).await?;
    let (key, on_disk) = (key(&log::origin(config)), on_disk(config));
    let raised = node.store.write(move |tx| {
        let epoch = facts::epoch(tx)? + 1;
        tx.put_meta("epoch", &epoch.to_string())?;
        tx.put_meta(ADOPTED, &word)?;
        remember(tx, &key, on_disk.clone())?;
        tx.prune_join_tokens(NEVER)?;
        tx.prune_vouchers(NEVER)?;
        tx.prune_api_tokens(NEVER)?;
        Ok::<_, StoreError>(epoch)
    });
    raised
        .await
        .map_err(|error| RepairError::Start(StartError::Store(error)))
}

/// The log is ahead, and that is meant.
fn remember(tx: &mut dyn Tx, key: &str, on_disk: Option<(String, u64)>) -> Result<(), StoreError> {
    let standing = held(tx, key)?;
    let Some((note, _)) = on_disk.filter(|(_, signed)| *signed > size_of(&standing)) else {
        return Ok(());
    };
    let standing = Standing {
        note: Some(note),
        ..standing
    };
    let text = serde_json::to_string(&standing)
        .map_err(|error| StoreError::Defect(format!("a standing does not serialise: {error}")))?;
    tx.put_meta(key, &text)
}

/// Ends what a store that was adopted has brought back: before anybody is served.
pub(super) async fn end_the_past(
    store: &Store,
    control: &Control,
    authority: &Authority,
) -> Result<(), StartError> {
    let kept =
        store.read(|rows| Ok::<_, StoreError>((rows.meta(ADOPTED)?, rows.live_instances()?)));
    let (Some(word), instances) = kept.await? else {
        return Ok(());
    };
    let Ok(word) = serde_json::from_str::<Word>(&word) else {
        return Ok(());
    };
    let ended = control.begin_anew(&word.actor, &word.reason).await;
    ended.map_err(|problem| StartError::Defect(problem.message))?;
    for instance in instances {
        authority.instance_exited(instance.id).await?;
    }
    let done = store.write(|tx| tx.put_meta(ADOPTED, ""));
    done.await.map_err(|error: StoreError| error)?;
    tracing::warn!(
        by = word.actor,
        reason = word.reason,
        "an older store is in use: what it brought back has ended"
    );
    Ok(())
}

/// The checkpoint in the log's directory, if it is one of this log, and how many events it covers.
fn on_disk(config: &Config) -> Option<(String, u64)> {
    let path = config.node.data_dir.join("audit").join(FILE);
    let text = std::fs::read_to_string(path).ok()?;
    let checkpoint = read(&text)?;
    (checkpoint.origin == log::origin(config)).then_some((text, checkpoint.size))
}

fn size_of(standing: &Standing) -> u64 {
    let note = standing.note.as_deref();
    note.and_then(read).map_or(0, |checkpoint| checkpoint.size)
}

/// Only how far it reaches counts here; whoever could forge one in this directory could as well take the store away.
fn read(note: &str) -> Option<Checkpoint> {
    let note = Note::parse(note.as_bytes()).ok()?;
    Checkpoint::parse(note.text()).ok()
}

fn defect(error: &dyn std::fmt::Display) -> RepairError {
    RepairError::Start(StartError::Defect(error.to_string()))
}
