//! The delegation chain: who acts, for whom, under which tasks. What fences and policy look at.

use serde::{Deserialize, Serialize};

use crate::fence::Subject;
use crate::id::{InstanceId, TaskId};
use crate::name::{AgentName, OwnerName, UserId};
use crate::task::Task;

/// Where a chain is read from: the store's rows on the control plane, the replica at an enforcement point.
pub trait ChainFacts {
    /// A task by id.
    fn task(&self, id: TaskId) -> Option<Task>;
    /// Who answers for an agent.
    fn owner_of(&self, agent: &AgentName) -> Option<OwnerName>;
    /// Feed sequence at which an instance was born.
    fn instance_born(&self, instance: InstanceId) -> Option<u64>;
}

/// One actor in a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The agent.
    pub agent: AgentName,
    /// Who answers for it.
    pub owner: OwnerName,
    /// The instance, once one is bound to the task.
    pub instance: Option<InstanceId>,
    /// Feed sequence at which the instance was born; while there is none, at which its task was opened.
    pub instance_born: u64,
    /// The task it acts in.
    pub task: TaskId,
    /// Tokens and key that the task was delegated with ([`Task::lineage`]).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lineage: Vec<Subject>,
}

/// A chain: the presenter first, the root task's agent last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// On whose behalf.
    pub user: UserId,
    /// Feed sequence at which the root task was opened.
    pub root_born: u64,
    /// At least one link, presenter first.
    pub links: Vec<Link>,
}

impl Chain {
    /// The chain of `task`, itself first, its root last. None if any fact is missing: an unknown ancestor is no authority.
    pub fn of(task: &Task, facts: &dyn ChainFacts) -> Option<Self> {
        let mut links = vec![Self::link(task, facts)?];
        let mut root_born = task.born_seq;
        for ancestor in task.ancestors.iter().rev() {
            let ancestor = facts.task(*ancestor)?;
            links.push(Self::link(&ancestor, facts)?);
            root_born = ancestor.born_seq;
        }
        Some(Self {
            user: task.user.clone(),
            root_born,
            links,
        })
    }

    /// The chain of a root task whose agent runs nowhere yet.
    pub fn root(task: &Task, owner: OwnerName) -> Self {
        Self {
            user: task.user.clone(),
            root_born: task.born_seq,
            links: vec![Link {
                agent: task.agent.clone(),
                owner,
                instance: None,
                instance_born: task.born_seq,
                task: task.id,
                lineage: Vec::new(),
            }],
        }
    }

    fn link(task: &Task, facts: &dyn ChainFacts) -> Option<Link> {
        let instance_born = match task.instance {
            Some(instance) => facts.instance_born(instance)?,
            None => task.born_seq,
        };
        Some(Link {
            agent: task.agent.clone(),
            owner: facts.owner_of(&task.agent)?,
            instance: task.instance,
            instance_born,
            task: task.id,
            lineage: task.lineage.clone(),
        })
    }

    /// Every subject whose fence kills this chain, with the birth that a lift is compared with (02, table of fences).
    pub fn subjects(&self) -> Vec<(Subject, u64)> {
        let mut subjects = vec![(Subject::User(self.user.clone()), self.root_born)];
        for link in &self.links {
            subjects.push((Subject::TrustDomain, link.instance_born));
            subjects.push((Subject::Owner(link.owner.clone()), link.instance_born));
            subjects.push((Subject::Agent(link.agent.clone()), link.instance_born));
            subjects.push((Subject::Task(link.task), 0));
            if let Some(instance) = link.instance {
                subjects.push((Subject::Instance(instance), 0));
            }
            subjects.extend(link.lineage.iter().cloned().map(|subject| (subject, 0)));
        }
        subjects
    }

    /// An instance that occurs twice: a chain with a loop, which is no chain.
    pub fn repeats(&self) -> Option<InstanceId> {
        let instances: Vec<InstanceId> =
            self.links.iter().filter_map(|link| link.instance).collect();
        let mut rest = instances.as_slice();
        while let Some((first, others)) = rest.split_first() {
            if others.contains(first) {
                return Some(*first);
            }
            rest = others;
        }
        None
    }

    /// The acting agent's link.
    pub fn presenter(&self) -> Option<&Link> {
        self.links.first()
    }
}
