//! Labels of tasks and items: what answers bring, what writing hands on, and what a person takes off (04 §8 of the design).

use std::sync::Arc;

use bailiwick_core::binding::WHOLE;
use bailiwick_core::event::{ChangeRef, DecisionRef, EventType};
use bailiwick_core::id::{EventId, TaskId};
use bailiwick_core::item::{Item, ItemKey, MAX_ITEMS};
use bailiwick_core::label::{Label, Labels};
use bailiwick_core::name::{ItemKind, ServerName};
use bailiwick_core::task::TaskState;
use bailiwick_core::{Code, Digest, Fault, Problem};
use bailiwick_crypto::hash::item_id;
use bailiwick_policy::Facts;
use bailiwick_policy::act::{self, Act, Told};
use bailiwick_store::{StoreError, Tx, facts};

use crate::tasks::{About, about};
use crate::tools::Refusal;
use crate::{Actor, Control, Operation};

/// A reason has at most this many bytes.
const MAX_REASON: usize = 1_024;

/// A label that a person takes off an item.
#[derive(Debug, Clone)]
pub struct Declassify {
    /// The item.
    pub key: ItemKey,
    /// The label.
    pub label: Label,
    /// SHA-256 of what they looked at.
    pub seen: Digest,
    /// Why.
    pub reason: String,
}

/// The key of an item by its name: one part, or several that name it together.
pub fn item_key(server: ServerName, kind: ItemKind, parts: &[impl AsRef<str>]) -> ItemKey {
    let id = item_id(parts);
    ItemKey { server, kind, id }
}

impl Control {
    /// A task takes labels, and with it the process that acts in it. Resolves when that is durable and on record, and the enforcement
    /// points of this node know it. A task that has ended takes none: nothing of it may be released.
    pub async fn label_task(
        &self,
        id: TaskId,
        labels: Labels,
        cause: EventId,
    ) -> Result<(), Problem> {
        let mut event = self.event(EventType::TaskChanged, &Actor::system(), "tasks.label");
        event.cause = Some(cause);
        let journal = Arc::clone(&self.parts.journal);
        self.parts
            .store
            .write(move |tx| {
                let mut task = tx.task(id)?.ok_or_else(|| crate::tasks::unknown(id))?;
                if task.state != TaskState::Open {
                    let message = format!("task {id} is {}", task.state.as_str());
                    return Err(Problem::new(Code::TaskEnded, message, "open a new task").into());
                }
                if let Some(instance) = task.instance {
                    let mut known = tx.instance_labels(instance)?;
                    if known.join(&labels) {
                        tx.put_instance_labels(instance, &known)?;
                    }
                }
                if !task.labels.join(&labels) {
                    return Ok(());
                }
                task.version += 1;
                tx.put_task(&task)?;
                let event = about(event.clone(), tx, &task);
                journal.push(tx, &event)?;
                Ok::<_, Refusal>(())
            })
            .await
            .map_err(Refusal::problem)?;
        self.settled().await
    }

    /// Items take labels of the task that writes into them. Resolves as [`Self::label_task`] does.
    pub async fn label_items(
        &self,
        task: TaskId,
        keys: Vec<ItemKey>,
        labels: Labels,
        cause: EventId,
    ) -> Result<(), Problem> {
        let template = self.event(EventType::ItemLabelled, &Actor::system(), "items.label");
        let events: Vec<EventId> = keys.iter().map(|_| self.id()).collect();
        let (journal, now) = (Arc::clone(&self.parts.journal), self.now());
        self.parts
            .store
            .write(move |tx| {
                let writer = tx.task(task)?.ok_or_else(|| crate::tasks::unknown(task))?;
                for (key, id) in keys.iter().zip(&events) {
                    let key = room_for(tx, key)?;
                    let stored = tx.item(&key)?;
                    let before = stored.as_ref().map(|item| item.labels.clone());
                    let mut item = stored.unwrap_or_else(|| Item {
                        key,
                        labels: Labels::default(),
                        task,
                        event: cause,
                        changed_at: now,
                        version: 0,
                    });
                    if !item.labels.join(&labels) {
                        continue;
                    }
                    item.task = task;
                    item.event = cause;
                    item.changed_at = now;
                    item.version += 1;
                    tx.put_item(&item)?;
                    let mut event = about(template.clone(), tx, &writer);
                    event.id = *id;
                    event.cause = Some(cause);
                    event.change = Some(change(&item, before.as_ref(), ""));
                    journal.push(tx, &event)?;
                }
                Ok::<_, Refusal>(())
            })
            .await
            .map_err(Refusal::problem)?;
        self.settled().await
    }

    /// The items of a server, or of all, that have taken labels.
    pub async fn items(
        &self,
        actor: &Actor,
        server: Option<ServerName>,
    ) -> Result<Vec<Item>, Problem> {
        actor.may(Operation::Read)?;
        let items = self
            .parts
            .store
            .read(move |rows| rows.items(server.as_ref()))
            .await;
        items.map_err(|error: StoreError| error.problem())
    }

    /// One item.
    pub async fn item(&self, actor: &Actor, key: ItemKey) -> Result<Item, Problem> {
        actor.may(Operation::Read)?;
        let item = self
            .parts
            .store
            .read(move |rows| rows.item(&key)?.ok_or_else(|| unknown(&key)))
            .await;
        item.map_err(|error: StoreError| error.problem())
    }

    /// Takes a label off an item. Policy is asked as for what the task does that wrote it; whoever does it says what they looked at. What
    /// has read the item keeps the label.
    pub async fn declassify(&self, actor: &Actor, wish: Declassify) -> Result<Item, Problem> {
        actor.may(Operation::Declassify)?;
        if wish.reason.trim().is_empty() || wish.reason.len() > MAX_REASON {
            return Err(Problem::new(
                Code::InvalidInput,
                "taking a label off needs a reason of at most 1,024 bytes",
                "--reason TEXT",
            ));
        }
        let event = self.event(EventType::ItemDeclassified, actor, "items.declassify");
        let (journal, now) = (Arc::clone(&self.parts.journal), self.now());
        let (policy, who) = (self.parts.policy.current().await?, actor.name.clone());
        let decided = self
            .parts
            .store
            .write(move |tx| {
                let mut item = tx.item(&wish.key)?.ok_or_else(|| unknown(&wish.key))?;
                let before = item.labels.clone();
                if !item.declassify(&wish.label) {
                    let message = format!("{} does not carry the label {}", item.key, wish.label);
                    return Err(Problem::new(Code::NotFound, message, "bailiwick item list").into());
                }
                let task = tx
                    .task(item.task)?
                    .ok_or_else(|| crate::tasks::unknown(item.task))?;
                let chain =
                    facts::chain(tx, &task).ok_or_else(|| crate::tasks::unknown(task.id))?;
                let asked = About {
                    policy: &policy,
                    task: &task,
                    chain: &chain,
                    now,
                    seq: tx.head(),
                    facts: Facts::default(),
                };
                let input = [("label", Told::Text(wish.label.as_str()))];
                let decision = asked.decide(Act::Declassify, &who, &item.key.to_string(), &input);
                let mut event = about(event.clone(), tx, &task);
                event.decision = Some(DecisionRef::of(&decision, 0));
                if let Some(problem) = act::refusal(&decision) {
                    event.kind = EventType::AdminRefused;
                    event.change = Some(change(&item, Some(&before), ""));
                    journal.push(tx, &event)?;
                    return Ok(Err(problem));
                }
                item.event = event.id;
                item.changed_at = now;
                item.version += 1;
                tx.put_item(&item)?;
                let why = format!(" seen {} because {}", wish.seen, wish.reason.trim());
                event.change = Some(change(&item, Some(&before), &why));
                journal.push(tx, &event)?;
                Ok::<_, Refusal>(Ok(item))
            })
            .await
            .map_err(Refusal::problem)?;
        self.settled().await?;
        decided
    }
}

/// The key under which an item takes labels: its own, or that of all of its server when that has too many items already.
fn room_for(tx: &dyn Tx, key: &ItemKey) -> Result<ItemKey, Refusal> {
    if tx.item(key)?.is_some() || tx.count_items(&key.server)? < MAX_ITEMS {
        return Ok(key.clone());
    }
    let whole = WHOLE.parse::<ItemKind>();
    let kind = whole.map_err(|error| Problem::new(Code::Internal, error.to_string(), ""))?;
    Ok(item_key(key.server.clone(), kind, &[] as &[&str]))
}

fn change(item: &Item, before: Option<&Labels>, why: &str) -> ChangeRef {
    ChangeRef {
        kind: "item".to_owned(),
        id: item.key.to_string(),
        before: before.map(Labels::to_string),
        after: Some(format!("{}{why}", item.labels)),
    }
}

fn unknown(key: &ItemKey) -> StoreError {
    StoreError::NotFound {
        kind: "item",
        key: key.to_string(),
    }
}
