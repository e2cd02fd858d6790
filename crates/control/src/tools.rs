//! Tools and the review of their definitions: only an approved digest is listed or called (04 §6).

use std::sync::Arc;

use bailiwick_core::binding::Binding;
use bailiwick_core::definition::{Tool, ToolState};
use bailiwick_core::event::EventType;
use bailiwick_core::fence::Subject;
use bailiwick_core::name::{ServerName, ToolName, ToolRef};
use bailiwick_core::{Code, Digest, Effect, Fault, Problem};
use bailiwick_store::StoreError;

use crate::{Actor, Control, Operation};

/// A definition has at most this many bytes.
const MAX_DEFINITION: usize = 64 * 1024;
/// A server shows at most this many tools.
const MAX_TOOLS: usize = 1_000;

/// A tool as its server showed it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its name.
    pub name: ToolName,
    /// Digest of its definition.
    pub digest: Digest,
    /// The definition's JSON text.
    pub definition: String,
}

impl Control {
    /// Takes note of what a server showed: unknown tools become `new`, known ones with another digest `changed`, and calls to
    /// those that run are cut.
    pub async fn seen(&self, server: ServerName, tools: Vec<Seen>) -> Result<(), Problem> {
        if tools.len() > MAX_TOOLS {
            let message = format!(
                "server {server} shows {} tools, over {MAX_TOOLS}",
                tools.len()
            );
            return Err(Problem::new(
                Code::UpstreamProtocol,
                message,
                "split it into several servers",
            ));
        }
        if let Some(large) = tools
            .iter()
            .find(|tool| tool.definition.len() > MAX_DEFINITION)
        {
            let message = format!("the definition of {server}/{} is over 64 KiB", large.name);
            return Err(Problem::new(
                Code::UpstreamProtocol,
                message,
                "shorten its description or schema",
            ));
        }
        let of = server.clone();
        let known = self
            .parts
            .store
            .read(move |rows| rows.tools(Some(&of)))
            .await;
        let known = known.map_err(|error: StoreError| error.problem())?;
        let news: Vec<Seen> = tools
            .into_iter()
            .filter(|tool| {
                known
                    .iter()
                    .all(|row| row.tool.tool != tool.name || row.seen != tool.digest)
            })
            .collect();
        if news.is_empty() {
            return Ok(());
        }
        let events: Vec<_> = news
            .iter()
            .map(|tool| {
                let reference = ToolRef {
                    server: server.clone(),
                    tool: tool.name.clone(),
                };
                let mut event = self.change_event(
                    EventType::ToolDrifted,
                    &Actor::system(),
                    "tools.seen",
                    "tool",
                    &reference,
                );
                if let Some(change) = &mut event.change {
                    change.after = Some(tool.digest.to_string());
                }
                event
            })
            .collect();
        let (journal, now) = (Arc::clone(&self.parts.journal), self.now());
        let drifted = self
            .parts
            .store
            .write(move |tx| {
                let mut drifted = Vec::new();
                if tx.server(&server)?.is_none() {
                    return Ok::<_, StoreError>(drifted);
                }
                for (seen, event) in news.iter().zip(&events) {
                    let reference = ToolRef {
                        server: server.clone(),
                        tool: seen.name.clone(),
                    };
                    let row = tx.tool(&reference)?;
                    let next = observed(row, reference.clone(), seen, now);
                    if next.state == ToolState::Changed {
                        drifted.push(Subject::Tool(reference));
                    }
                    tx.put_tool(&next)?;
                    journal.push(tx, event)?;
                }
                Ok(drifted)
            })
            .await
            .map_err(|error| error.problem())?;
        self.parts.cutter.cut(&drifted);
        Ok(())
    }

    /// Tools of one server, or all, by name.
    pub async fn tools(
        &self,
        actor: &Actor,
        server: Option<ServerName>,
    ) -> Result<Vec<Tool>, Problem> {
        actor.may(Operation::Read)?;
        let tools = self
            .parts
            .store
            .read(move |rows| rows.tools(server.as_ref()))
            .await;
        tools.map_err(|error: StoreError| error.problem())
    }

    /// One tool.
    pub async fn tool(&self, actor: &Actor, reference: ToolRef) -> Result<Tool, Problem> {
        actor.may(Operation::Read)?;
        let tool = self
            .parts
            .store
            .read(move |rows| rows.tool(&reference)?.ok_or_else(|| unknown(&reference)))
            .await;
        tool.map_err(|error: StoreError| error.problem())
    }

    /// Approves the definition last seen. `expected` is the digest that the reviewer looked at.
    pub async fn accept_tool(
        &self,
        actor: &Actor,
        reference: ToolRef,
        effect: Option<Effect>,
        expected: Option<Digest>,
    ) -> Result<Tool, Problem> {
        self.review(actor, "tools.accept", reference, move |tool| {
            if let Some(shown) = expected.filter(|shown| *shown != tool.seen) {
                return Err(Problem::new(
                    Code::VersionConflict,
                    format!(
                        "{} has the definition {} by now, not {shown}",
                        tool.tool, tool.seen
                    ),
                    "look at it again: `bailiwick tool show`",
                ));
            }
            tool.state = ToolState::Approved;
            tool.approved = Some(tool.seen);
            if let Some(text) = tool.candidate.take() {
                tool.definition = text;
            }
            tool.effect = effect.unwrap_or(tool.effect);
            Ok(())
        })
        .await
    }

    /// Refuses the definition last seen: the tool is neither listed nor callable.
    pub async fn reject_tool(&self, actor: &Actor, reference: ToolRef) -> Result<Tool, Problem> {
        let subject = Subject::Tool(reference.clone());
        let tool = self
            .review(actor, "tools.reject", reference, |tool| {
                tool.state = ToolState::Rejected;
                Ok(())
            })
            .await?;
        self.parts.cutter.cut(&[subject]);
        Ok(tool)
    }

    /// Says what calls of a tool do.
    pub async fn set_effect(
        &self,
        actor: &Actor,
        reference: ToolRef,
        effect: Effect,
    ) -> Result<Tool, Problem> {
        self.review(actor, "tools.effect", reference, move |tool| {
            tool.effect = effect;
            Ok(())
        })
        .await
    }

    /// Says what is known of a tool's arguments and answers; an empty binding says nothing.
    pub async fn bind_tool(
        &self,
        actor: &Actor,
        reference: ToolRef,
        binding: Binding,
    ) -> Result<Tool, Problem> {
        binding.check().map_err(|error| error.problem())?;
        self.review(actor, "tools.bind", reference, move |tool| {
            tool.binding.clone_from(&binding);
            Ok(())
        })
        .await
    }

    async fn review(
        &self,
        actor: &Actor,
        op: &'static str,
        reference: ToolRef,
        change: impl Fn(&mut Tool) -> Result<(), Problem> + Send + 'static,
    ) -> Result<Tool, Problem> {
        actor.may(Operation::WriteServers)?;
        let event = self.change_event(EventType::ToolPinned, actor, op, "tool", &reference);
        let (journal, by) = (Arc::clone(&self.parts.journal), actor.name.clone());
        let blobs = self.parts.blobs.clone();
        let tool = self
            .parts
            .store
            .write(move |tx| {
                let mut tool = tx.tool(&reference)?.ok_or_else(|| unknown(&reference))?;
                change(&mut tool).map_err(Refusal::Problem)?;
                tool.decided_by = Some(by.clone());
                tool.version += 1;
                tx.put_tool(&tool)?;
                let mut event = event.clone();
                // The text of what is approved outlives its row, and is there before the event that names it.
                let text = blobs.keep(tool.definition.as_bytes());
                let text = text.map_err(|error| Refusal::Problem(error.problem()))?;
                if let Some(record) = &mut event.change {
                    let mut after =
                        format!("{:?} {} {} text {text}", tool.state, tool.effect, tool.seen);
                    if !tool.binding.is_empty() {
                        let body = serde_json::to_vec(&tool.binding).unwrap_or_default();
                        let kept = blobs.keep(&body);
                        let kept = kept.map_err(|error| Refusal::Problem(error.problem()))?;
                        after = format!("{after} binding {kept}");
                    }
                    record.after = Some(after);
                }
                journal.push(tx, &event)?;
                Ok::<_, Refusal>(tool)
            })
            .await
            .map_err(Refusal::problem)?;
        self.settled().await?;
        Ok(tool)
    }
}

/// The row after its server showed `seen`.
fn observed(
    row: Option<Tool>,
    reference: ToolRef,
    seen: &Seen,
    now: bailiwick_core::Timestamp,
) -> Tool {
    let Some(mut tool) = row else {
        return Tool {
            tool: reference,
            state: ToolState::New,
            seen: seen.digest,
            approved: None,
            definition: seen.definition.clone(),
            candidate: None,
            effect: Effect::Write,
            decided_by: None,
            binding: Binding::default(),
            seen_at: now,
            version: 1,
        };
    };
    tool.seen = seen.digest;
    tool.version += 1;
    match tool.approved {
        // Going back to the approved text does not undo that it changed: somebody looks.
        Some(_) if matches!(tool.state, ToolState::Approved | ToolState::Changed) => {
            tool.state = ToolState::Changed;
            tool.candidate = Some(seen.definition.clone());
        }
        _ => {
            tool.state = ToolState::New;
            tool.definition.clone_from(&seen.definition);
            tool.candidate = None;
        }
    }
    tool
}

fn unknown(reference: &ToolRef) -> StoreError {
    StoreError::NotFound {
        kind: "tool",
        key: reference.to_string(),
    }
}

/// Why a transaction was given up: the store's fault, or a rule's.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The store.
    Store(StoreError),
    /// A rule.
    Problem(Problem),
}

impl Refusal {
    pub(crate) fn problem(self) -> Problem {
        match self {
            Self::Store(error) => error.problem(),
            Self::Problem(problem) => problem,
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}
