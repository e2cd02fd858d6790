//! The rows that one decision is made on, taken from the replica at one moment.

use std::sync::Arc;

use bailiwick_core::decision::Versions;
use bailiwick_core::definition::Tool;
use bailiwick_core::fence::Fence;
use bailiwick_core::name::{ServerName, ToolName};
use bailiwick_core::rollout::Rollout;
use bailiwick_core::server::Server;
use bailiwick_core::{Code, Effect, Fault as _, Problem};

use super::LocalDecider;
use crate::caller::Caller;
use crate::live::Entered;
use crate::replica::{Behind, State, View};

/// What the checks before policy look at, taken at one moment.
#[derive(Clone)]
pub(super) struct Rows {
    pub(super) view: View,
    pub(super) server: Arc<Server>,
    pub(super) tool: Option<Arc<Tool>>,
    /// What the call does.
    pub(super) effect: Effect,
    pub(super) fence: Option<Fence>,
    pub(super) versions: Versions,
    pub(super) registry: u64,
    pub(super) rollout: Arc<Rollout>,
    /// Whether no key protects what the caller showed.
    pub(super) unbound: bool,
}

impl LocalDecider {
    /// The rows of a call, or of a caller without one.
    pub(super) fn rows(
        &self,
        caller: &Caller,
        server: &ServerName,
        tool: Option<&ToolName>,
    ) -> Result<Rows, Problem> {
        self.replica
            .view(|state| rows(state, caller, server, tool))
            .map_err(|behind| behind.problem())?
    }

    /// The rows of what changes nothing, whatever a pinned prompt's effect was said to be.
    pub(super) fn reading(
        &self,
        caller: &Caller,
        server: &ServerName,
        pinned: Option<&ToolName>,
    ) -> Result<Rows, Problem> {
        let rows = self.rows(caller, server, pinned)?;
        Ok(Rows {
            effect: Effect::Read,
            ..rows
        })
    }

    /// The rows of a caller at a connector.
    pub(super) fn rows_at(
        &self,
        caller: &Caller,
        connector: &Arc<Server>,
    ) -> Result<Rows, Problem> {
        self.replica
            .view(|state| with(state, caller, Arc::clone(connector), None))
            .map_err(|behind| behind.problem())?
    }
}

impl LocalDecider {
    /// Enters a caller in the live index under its chain alone, whatever it calls; then looks at its fences and its task.
    pub fn stand(&self, caller: &Caller) -> Result<Entered, Problem> {
        let behind = |behind: Behind| behind.problem();
        let view = |state: &State| state.caller(caller.task, caller.instance);
        let chain = self.replica.view(view).map_err(behind)??.chain;
        let subjects = chain.subjects();
        let entered = self.replica.live().enter(subjects.clone());
        let dead = |state: &State| state.fences().any_dead(&subjects).cloned();
        if let Some(fence) = self.replica.view(dead).map_err(behind)? {
            let message = format!("{} is revoked: {}", fence.subject, fence.reason);
            return Err(Problem::new(
                Code::Revoked,
                message,
                "see `bailiwick fence list`",
            ));
        }
        let task = self.replica.view(view).map_err(behind)??.task;
        match task.refusal(self.clock.wall()) {
            None => Ok(entered),
            Some(code) => {
                let message = format!("task {} is {}", task.id, task.state.as_str());
                Err(Problem::new(code, message, "open a new task"))
            }
        }
    }
}

fn rows(
    state: &State,
    caller: &Caller,
    server: &ServerName,
    tool: Option<&ToolName>,
) -> Result<Rows, Problem> {
    let row = state.server(server).ok_or_else(|| {
        Problem::new(
            Code::ServerUnknown,
            format!("no tool server {server} is registered"),
            "bailiwick server list shows what there is",
        )
    })?;
    let (row, tool) = (
        Arc::clone(row),
        tool.and_then(|tool| state.tool(server, tool))
            .map(Arc::clone),
    );
    with(state, caller, row, tool)
}

/// The rows of a caller at a server, or at a connector by the row that stands for it.
pub(super) fn with(
    state: &State,
    caller: &Caller,
    server: Arc<Server>,
    tool: Option<Arc<Tool>>,
) -> Result<Rows, Problem> {
    let view = state.caller(caller.task, caller.instance)?;
    let named = tool.as_ref().map(|tool| &tool.tool);
    let subjects = caller.subjects(&view, &server.name, named, None, state.seq);
    let (bundle, registry) = state.policy();
    let versions = Versions {
        bundle,
        task: view.task.version,
        fence_seq: state.fences().seq(),
        replica_seq: state.seq,
    };
    let fence = state.fences().any_dead(&subjects).cloned();
    Ok(Rows {
        view,
        effect: tool.as_ref().map_or(Effect::Write, |tool| tool.effect),
        server,
        tool,
        fence,
        versions,
        registry,
        rollout: Arc::clone(state.rollout()),
        unbound: caller.is_unbound(),
    })
}
