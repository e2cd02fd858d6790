//! The delegation chain: who acts, for whom, under which tasks. What fences and policy look at.

use serde::{Deserialize, Serialize};

use crate::fence::Subject;
use crate::id::{InstanceId, TaskId};
use crate::name::{AgentName, OwnerName, UserId};

/// One actor in a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The agent.
    pub agent: AgentName,
    /// Who answers for it.
    pub owner: OwnerName,
    /// The instance, once one is bound to the task.
    pub instance: Option<InstanceId>,
    /// Feed sequence at which the instance was born; 0 while there is none.
    pub instance_born: u64,
    /// The task it acts in.
    pub task: TaskId,
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
    /// Every subject whose fence kills this chain, with the birth that a lift is compared with (02, table of fences).
    pub fn subjects(&self) -> Vec<(Subject, u64)> {
        let newest = self.links.iter().map(|link| link.instance_born).max().unwrap_or(0);
        let mut subjects = vec![(Subject::TrustDomain, newest), (Subject::User(self.user.clone()), self.root_born)];
        for link in &self.links {
            subjects.push((Subject::Owner(link.owner.clone()), link.instance_born));
            subjects.push((Subject::Agent(link.agent.clone()), link.instance_born));
            subjects.push((Subject::Task(link.task), 0));
            if let Some(instance) = link.instance {
                subjects.push((Subject::Instance(instance), 0));
            }
        }
        subjects
    }

    /// The acting agent's link.
    pub fn presenter(&self) -> Option<&Link> {
        self.links.first()
    }
}
