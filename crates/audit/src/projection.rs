//! What an index holds of a leaf, and of the values sealed beside it. A function of leaf, kept values and keys: made again, it is equal.

use std::collections::BTreeSet;
use std::sync::Arc;

use bailiwick_core::Secret;
use bailiwick_core::event::Event;
use bailiwick_core::id::TaskId;
use bailiwick_core::index::{Key, MAX_WORDS, Row, Token, words};
use bailiwick_core::name::{ServerName, ToolName};
use bailiwick_crypto::hash::hmac_sha256;
use serde_json::Value;

use crate::leaf::Leaf;
use crate::read::{Entry, Opener, ReadError};

/// Most resources of one event.
pub const MAX_RESOURCES: usize = 64;
/// Longest text that names a resource, in bytes; longer ones are content.
pub const MAX_NAME: usize = 256;
/// How deep in the arguments names are looked for.
const MAX_DEPTH: usize = 8;
/// The sealed value that names are taken from.
const ARGUMENTS: &str = "/args";

/// What resources are hashed under, so that an index tells nobody which they are.
#[derive(Debug, Clone)]
pub struct IndexKey(Secret<[u8; 32]>);

impl IndexKey {
    /// From 32 random bytes that are used for nothing else.
    pub fn new(key: Secret<[u8; 32]>) -> Self {
        Self(key)
    }

    /// What the files of an index are sealed with, so that nobody without the key makes others that fit.
    pub fn of_files(&self) -> Secret<[u8; 32]> {
        let key = hmac_sha256(self.0.expose(), &[b"bailiwick/index-files/v1"]);
        Secret::new(key)
    }

    /// What stands for a resource.
    pub fn token(&self, resource: &str) -> Token {
        let mac = hmac_sha256(
            self.0.expose(),
            &[b"bailiwick/resource/v1", &[0], resource.as_bytes()],
        );
        let head = mac.first_chunk::<8>().copied().unwrap_or_default();
        Token(i64::from_be_bytes(head))
    }

    /// The row of a leaf, with what its kept arguments name. Erased values leave no token.
    pub fn project(
        &self,
        origin: &Arc<str>,
        entry: &Entry,
        opener: &mut Opener,
    ) -> Result<Row, ReadError> {
        let leaf = entry.parse()?;
        let kept =
            |commitment: &crate::leaf::Commitment| commitment.kept && commitment.path == ARGUMENTS;
        let mut tokens = BTreeSet::new();
        if leaf.sealed.iter().any(kept)
            && let Some(values) = opener.open(entry.index, &leaf)?
        {
            let arguments = values.iter().filter(|value| value.path == ARGUMENTS);
            for value in arguments {
                let names = names(value.value.expose());
                tokens.extend(names.iter().map(|name| self.token(name)));
            }
        }
        let tokens = tokens.into_iter().collect();
        Ok(row(&leaf, Arc::clone(origin), entry.index, tokens))
    }
}

/// The row of a leaf.
pub fn row(leaf: &Leaf, origin: Arc<str>, index: u64, tokens: Vec<Token>) -> Row {
    let event = &leaf.event;
    Row {
        origin,
        index,
        hlc: leaf.hlc.0,
        id: event.id,
        kind: event.kind,
        cause: event.cause,
        values: values(event),
        tokens,
        words: words_of(event),
    }
}

/// Values in the order that a row promises: of each key the event's own first.
fn values(event: &Event) -> Vec<(Key, String)> {
    let mut found: Vec<(Key, String)> = Vec::new();
    let mut add = |key: Key, value: String| {
        if !found
            .iter()
            .any(|(known, text)| *known == key && *text == value)
        {
            found.push((key, value));
        }
    };
    if let Some(task) = &event.task {
        add(Key::Task, task.root.to_string());
        add(Key::Task, task.id.to_string());
        if let Some(parent) = task.parent {
            add(Key::Task, parent.to_string());
        }
        for label in task.labels.iter() {
            add(Key::Label, label.as_str().to_owned());
        }
    }
    if let Some(agent) = &event.agent {
        add(Key::Agent, agent.id.as_str().to_owned());
        if let Some(instance) = agent.instance {
            add(Key::Instance, instance.to_string());
        }
    }
    for link in &event.chain {
        add(Key::Task, link.task.to_string());
        add(Key::Agent, link.agent.as_str().to_owned());
        if let Some(instance) = link.instance {
            add(Key::Instance, instance.to_string());
        }
    }
    if let Some(change) = &event.change
        && change.id.parse::<TaskId>().is_ok()
    {
        add(Key::Task, change.id.clone());
    }
    let singles = [
        (Key::User, event.user.clone()),
        (Key::Actor, event.actor.clone()),
        (
            Key::Lease,
            event.lease.as_ref().map(|lease| lease.id.to_string()),
        ),
        (
            Key::Code,
            event
                .outcome
                .as_ref()
                .and_then(|outcome| outcome.code.clone()),
        ),
        (
            Key::Decision,
            event
                .decision
                .as_ref()
                .map(|decision| decision.effect.as_str().to_owned()),
        ),
    ];
    for (key, value) in singles {
        if let Some(value) = value {
            add(key, value);
        }
    }
    if let Some(action) = &event.action {
        if let Some(server) = &action.server {
            add(Key::Server, server.as_str().to_owned());
        }
        if let Some(tool) = &action.tool {
            add(Key::Tool, tool.as_str().to_owned());
        }
        if let Some(effect) = action.effect {
            add(Key::Effect, effect.as_str().to_owned());
        }
    }
    found
}

/// Words of what is public by its nature: names of tools and servers, operations, codes, policies and sources of reasons.
fn words_of(event: &Event) -> Vec<String> {
    let action = event.action.as_ref();
    let decision = event.decision.as_ref();
    let named = action.into_iter().flat_map(|action| {
        let tool = action.tool.as_ref().map(ToolName::as_str);
        let server = action.server.as_ref().map(ServerName::as_str);
        [tool, server, Some(action.op.as_str())]
    });
    let code = event
        .outcome
        .as_ref()
        .and_then(|outcome| outcome.code.as_deref());
    let judged = decision
        .into_iter()
        .flat_map(|decision| decision.policies.iter().chain(&decision.reasons));
    let texts = named
        .flatten()
        .chain(code)
        .chain(judged.map(String::as_str));
    let mut found: Vec<String> = Vec::new();
    for word in texts.flat_map(words) {
        if !found.contains(&word) {
            found.push(word);
        }
    }
    found.truncate(MAX_WORDS);
    found
}

/// What arguments name: their texts of one line that are no longer than a name, and their whole numbers. Outer members first, so that
/// what is deep inside cannot crowd them out.
fn names(arguments: &[u8]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    // What the gateway sealed is JSON; anything else names nothing.
    let Ok(outermost) = serde_json::from_slice::<Value>(arguments) else {
        return found;
    };
    let mut level = vec![&outermost];
    for _ in 0..MAX_DEPTH {
        let mut below = Vec::new();
        for value in level {
            let name = match value {
                Value::String(text) if is_name(text) => text.clone(),
                Value::Number(number) if !number.is_f64() => number.to_string(),
                Value::Array(items) => {
                    below.extend(items);
                    continue;
                }
                Value::Object(members) => {
                    below.extend(members.values());
                    continue;
                }
                _ => continue,
            };
            if found.len() < MAX_RESOURCES && !found.contains(&name) {
                found.push(name);
            }
        }
        level = below;
    }
    found
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_NAME && !text.contains(['\n', '\r'])
}

#[cfg(test)]
mod tests;
