//! Who acted in a task's tree: the chain of delegations, and for each link the identity that was behind it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use bailiwick_core::Digest;
use bailiwick_core::event::EventType;
use bailiwick_core::id::{EventId, InstanceId, TaskId, TokenId};
use bailiwick_core::name::{AgentName, OwnerName};
use bailiwick_core::visible::Visible;
use serde::Serialize;

use super::names::Names;
use super::{Timeline, Words};

/// One task of the tree and who acted in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// The task.
    pub task: TaskId,
    /// The task it was delegated from.
    pub parent: Option<TaskId>,
    /// Delegations above it.
    pub depth: usize,
    /// Who acts in it, as the story calls them.
    pub called: String,
    /// The agent.
    pub agent: Option<AgentName>,
    /// Who answers for the agent.
    pub owner: Option<OwnerName>,
    /// Pseudonym of the user on whose behalf.
    pub user: Option<String>,
    /// Who opened it.
    pub opened_by: Option<String>,
    /// The event that says so.
    pub opened: Option<EventId>,
    /// The processes that acted.
    pub instances: BTreeSet<InstanceId>,
    /// SHA-256 of their executables, as attested.
    pub code: BTreeSet<Digest>,
    /// The tokens issued for it.
    pub tokens: BTreeSet<TokenId>,
    /// Digests of its scope.
    pub scopes: BTreeSet<String>,
}

/// The identities behind a tree, in the order its tasks were opened.
pub fn identities(timeline: &Timeline, words: &Words) -> Vec<Identity> {
    let names = Names::of(timeline, &words.people);
    let mut found: Vec<Identity> = Vec::new();
    for id in timeline.tasks() {
        let mut identity = Identity {
            task: id,
            parent: None,
            depth: 0,
            called: names.acting(id).unwrap_or_default().to_owned(),
            agent: None,
            owner: None,
            user: None,
            opened_by: None,
            opened: None,
            instances: BTreeSet::new(),
            code: BTreeSet::new(),
            tokens: BTreeSet::new(),
            scopes: BTreeSet::new(),
        };
        for placed in &timeline.events {
            let event = &placed.leaf.event;
            let Some(task) = event.task.as_ref().filter(|task| task.id == id) else {
                continue;
            };
            identity.parent = identity.parent.or(task.parent);
            identity.owner = identity.owner.or_else(|| event.owner.clone());
            identity.user = identity.user.or_else(|| event.user.clone());
            if let Some(agent) = &event.agent {
                identity.agent.get_or_insert_with(|| agent.id.clone());
                identity.instances.extend(agent.instance);
                identity.code.extend(agent.code_digest);
            }
            let own = event.chain.iter().filter(|link| link.task == id);
            identity.tokens.extend(own.filter_map(|link| link.jti));
            let after = event.change.as_ref().and_then(|it| it.after.as_deref());
            match event.kind {
                EventType::TaskOpened => {
                    identity.opened = Some(event.id);
                    identity.opened_by = event.actor.as_deref().map(|it| names.person(it));
                    identity.scopes.extend(after.and_then(scope_of));
                }
                EventType::TokenIssued => identity.scopes.extend(after.and_then(scope_of)),
                _ => {}
            }
        }
        // Attestation comes before any task and names none.
        for placed in &timeline.events {
            let event = &placed.leaf.event;
            if let Some(agent) = event.agent.as_ref().filter(|_| event.task.is_none())
                && agent
                    .instance
                    .is_some_and(|it| identity.instances.contains(&it))
            {
                identity.code.extend(agent.code_digest);
            }
        }
        let above = found.iter().find(|it| Some(it.task) == identity.parent);
        identity.depth = above.map_or(0, |parent| parent.depth + 1);
        found.push(identity);
    }
    found
}

/// The digest at the beginning of what an event says of a scope.
fn scope_of(text: &str) -> Option<String> {
    let digest = text.split(' ').next()?;
    digest.starts_with("sha256:").then(|| digest.to_owned())
}

/// The chain in words, user first, a block for each task.
pub fn render_chain(timeline: &Timeline, words: &Words) -> String {
    let identities = identities(timeline, words);
    let mut text = String::new();
    // Writing to a String cannot fail.
    let user = identities.iter().find_map(|it| it.user.as_deref());
    let named = user.and_then(|user| words.people.get(user));
    let _ = match (user, named) {
        (Some(user), Some(name)) => writeln!(text, "{} ({})", Visible(name), Visible(user)),
        (Some(user), None) => writeln!(text, "{}", Visible(user)),
        (None, _) => writeln!(text, "no user is on record"),
    };
    for identity in &identities {
        let margin = "   ".repeat(identity.depth);
        let _ = writeln!(text, "{margin}└─ {}", Visible(&identity.called));
        let mut line = |of: &str, value: &str| {
            let _ = writeln!(text, "{margin}     {of:<9} {}", Visible(value));
        };
        line("task", &identity.task.to_string());
        if let (Some(by), Some(event)) = (&identity.opened_by, identity.opened) {
            let how = if identity.parent.is_some() {
                "delegated"
            } else {
                "opened"
            };
            line(how, &format!("by {by}, {event}"));
        }
        if let Some(owner) = &identity.owner {
            line("owner", owner.as_str());
        }
        for instance in &identity.instances {
            line("instance", &instance.to_string());
        }
        for code in &identity.code {
            line("code", &code.to_string());
        }
        for token in &identity.tokens {
            line("token", &token.to_string());
        }
        for scope in &identity.scopes {
            line("scope", scope);
        }
        if identity.instances.is_empty() {
            line("instance", "none: nobody has acted in it");
        }
    }
    text.trim_end().to_owned()
}
