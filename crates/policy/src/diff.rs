//! What agents may do under one bundle and not under another: permissions gained and lost, by agent, tool and effect, on the
//! registry that both bundles were compiled for.
//!
//! Nothing is guessed about calls: a condition on the call (`context`) stays a condition, all others (who the agent is, what
//! the server is) are evaluated. Two bundles are the same for an agent and a tool if the same ways lead to the same answers;
//! where a way has fewer or more conditions, that says which is wider. What cannot be told apart so is [`Change::Other`], and
//! never called the same.

mod compare;
mod ways;

use std::collections::{BTreeSet, HashMap};

use bailiwick_core::Effect;
use bailiwick_core::name::{AgentName, ToolRef, WorkflowName};
use serde::{Deserialize, Serialize};

use crate::bundle::Bundle;
use crate::parties::{CompiledTool, Party};
use crate::workflow::Workflows;
use compare::change;
use ways::Fingerprints;
pub use ways::{Access, Way};

/// At most this many pairs of agent and tool are compared.
pub const MAX_PAIRS: usize = 2_000_000;
/// At most this many permissions are reported; the rest is counted.
pub const MAX_REPORTED: usize = 10_000;

/// How a permission changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// There was no way to it, and there is one.
    Gained,
    /// There was a way to it, and there is none.
    Lost,
    /// Whatever was let through still is, at least as easily, and more may be.
    Wider,
    /// Nothing is let through that was not, and less may be.
    Narrower,
    /// The conditions are others; more may be let through in one place and less in another.
    Other,
}

/// One permission that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permission {
    /// The agent.
    pub agent: AgentName,
    /// The tool.
    pub tool: ToolRef,
    /// What a call does: the tool's effect, or one that a call may be raised to, if that changes in another way.
    pub effect: Effect,
    /// In which direction.
    pub change: Change,
    /// What led to it, and what stood against it.
    pub before: Access,
    /// What leads to it now.
    pub after: Access,
}

/// The permissions that differ between two bundles.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Diff {
    /// In order of agent, tool and effect; at most [`MAX_REPORTED`].
    pub permissions: Vec<Permission>,
    /// How many there are, reported or not.
    pub changed: usize,
    /// Workflows that are new, gone or different: their stages cap what a task may do, whatever the policies say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workflows: Vec<WorkflowName>,
    /// Pairs of agent and tool that were compared.
    pub pairs: usize,
    /// False if there are more pairs than [`MAX_PAIRS`], or the bundles were compiled for different registries: then some
    /// permissions were not compared.
    pub complete: bool,
}

impl Diff {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.changed == 0 && self.workflows.is_empty() && self.complete
    }

    /// The permissions that change in this way.
    pub fn of(&self, change: Change) -> impl Iterator<Item = &Permission> {
        self.permissions
            .iter()
            .filter(move |permission| permission.change == change)
    }
}

/// Compares what agents may do under `old` with what they may do under `new`. Both are compiled for the same registry. Policies in
/// observe mode are not looked at: they let nothing through and hold nothing back.
pub fn diff(old: &Bundle, new: &Bundle) -> Diff {
    let mut prints = Fingerprints::default();
    let (old, new) = (prints.side(old), prints.side(new));
    let agents = shared(&old.bundle.parties.agents, &new.bundle.parties.agents);
    let tools = shared(&old.bundle.parties.tools, &new.bundle.parties.tools);
    let mut diff = Diff {
        complete: agents.whole && tools.whole,
        workflows: workflows(old.bundle.workflows(), new.bundle.workflows()),
        ..Diff::default()
    };
    for (agent, before, after) in &agents.pairs {
        for (tool, was, is) in &tools.pairs {
            if was.approved.is_none() && is.approved.is_none() {
                continue;
            }
            if diff.pairs == MAX_PAIRS {
                diff.complete = false;
                return diff;
            }
            diff.pairs += 1;
            let mut own = None;
            for effect in Effect::ALL
                .into_iter()
                .filter(|effect| *effect >= is.effect)
            {
                let Some((before, after)) =
                    old.differs(&new, (tool, effect), (before, was), (after, is))
                else {
                    continue;
                };
                let Some(change) = change(&before, &after) else {
                    continue;
                };
                // A raised call that changes as the plain one does would only repeat it.
                if own
                    .as_ref()
                    .is_some_and(|own| *own == (change, before.clone(), after.clone()))
                {
                    continue;
                }
                own.get_or_insert_with(|| (change, before.clone(), after.clone()));
                diff.changed += 1;
                if diff.permissions.len() < MAX_REPORTED {
                    diff.permissions.push(Permission {
                        agent: (*agent).clone(),
                        tool: (*tool).clone(),
                        effect,
                        change,
                        before,
                        after,
                    });
                }
            }
        }
    }
    diff
}

fn workflows(old: &Workflows, new: &Workflows) -> Vec<WorkflowName> {
    let names: BTreeSet<&WorkflowName> =
        old.iter().chain(new.iter()).map(|one| &one.name).collect();
    names
        .into_iter()
        .filter(|name| old.named(name) != new.named(name))
        .cloned()
        .collect()
}

/// What both registries have, in order of name.
struct Shared<'a, K, V> {
    pairs: Vec<(&'a K, &'a V, &'a V)>,
    whole: bool,
}

fn shared<'a, K: Ord + std::hash::Hash, V>(
    old: &'a HashMap<K, V>,
    new: &'a HashMap<K, V>,
) -> Shared<'a, K, V> {
    let names: BTreeSet<&K> = old.keys().chain(new.keys()).collect();
    let all = names.len();
    let pairs: Vec<_> = names
        .into_iter()
        .filter_map(|name| Some((name, old.get(name)?, new.get(name)?)))
        .collect();
    Shared {
        whole: pairs.len() == all,
        pairs,
    }
}

/// One agent and one tool as a bundle knows them.
type Pair<'a> = (&'a Party, &'a CompiledTool);
