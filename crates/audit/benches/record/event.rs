//! What is recorded: the intent of a tool call, as the gateway fills it in, with its arguments sealed. About 1 KiB as stored.

use std::sync::Arc;

use anyhow::{Context, Result};
use bailiwick_audit::{Class, Log, Recorder};
use bailiwick_core::decision::{Outcome, Versions};
use bailiwick_core::event::{
    Action, AgentRef, ChainRef, DecisionMode, DecisionRef, Event, EventType, Sealed, SealedClass,
    TaskRef,
};
use bailiwick_core::id::{InstanceId, TaskId, TokenId};
use bailiwick_core::label::Labels;
use bailiwick_core::risk::Risk;
use bailiwick_core::{Digest, Effect, Id};
use bailiwick_crypto::system::{SystemClock, SystemRng};
use tokio::runtime::Runtime;

const ARGUMENTS: &[u8] = br#"{"path":"notes/plan.md","content":"call the printer"}"#;
const SEALED_PATH: &str = "/args";
/// What `docs/reference/audit-log.md` says is stored of an event beside its leaf and its sealed values: frame, length of the
/// leaf, key slot; and in the box, per value two lengths and its path, and one tag.
const STORED_BESIDE: usize = 9 + 4 + 64 + (2 + SEALED_PATH.len() + 4) + 16;

/// Events that differ in their id only.
pub(crate) struct Template(Event);

impl Template {
    pub(crate) fn new() -> Result<Arc<Self>> {
        let (task, instance) = (TaskId::from_bits(1), InstanceId::from_bits(2));
        let agent = "demo-agent".parse::<bailiwick_core::name::AgentName>()?;
        let mut event = Event::new(Id::from_bits(0), EventType::ToolIntent);
        event.agent = Some(AgentRef {
            id: agent.clone(),
            instance: Some(instance),
            code_digest: Some(Digest([1; 32])),
        });
        event.owner = Some("team-demo".parse()?);
        event.user = Some("usr_01h455vb4pex5vsknk084sn02q".to_owned());
        event.task = Some(TaskRef {
            id: task,
            root: task,
            parent: None,
            version: 1,
            stage: "run".parse()?,
            risk: Risk::Low,
            labels: Labels::default(),
        });
        event.chain = vec![ChainRef {
            agent,
            instance: Some(instance),
            task,
            jti: Some(TokenId::from_bits(3)),
        }];
        event.action = Some(Action {
            effect: Some(Effect::Write),
            server: Some("workspace".parse()?),
            tool: Some("write_file".parse()?),
            definition: Some(Digest([2; 32])),
            request_id: Some("17".to_owned()),
            ..Action::named("tools/call")
        });
        event.decision = Some(DecisionRef {
            effect: Outcome::Allow,
            policies: vec!["demo/notes-and-files".to_owned()],
            reasons: Vec::new(),
            obligations: Vec::new(),
            versions: Versions {
                bundle: Some(Digest([3; 32])),
                task: 1,
                fence_seq: 0,
                replica_seq: 12,
            },
            us: 15,
            would_be: None,
            mode: DecisionMode::Enforce,
            shadow: None,
        });
        event.sealed = vec![Sealed {
            path: SEALED_PATH,
            class: SealedClass::Content,
            value: ARGUMENTS.to_vec(),
            keep: true,
        }];
        Ok(Arc::new(Self(event)))
    }

    pub(crate) fn event(&self) -> Event {
        Event {
            id: Id::new(&SystemClock, &SystemRng),
            ..self.0.clone()
        }
    }

    /// Records one, and says how many bytes of a batch it takes.
    pub(crate) fn stored_bytes(&self, runtime: &Runtime, log: &Log) -> Result<usize> {
        let receipt = runtime.block_on(log.record(self.event(), Class::Grant))?;
        let entry = log
            .read(receipt.index)
            .next()
            .context("it cannot be read back")??;
        Ok(STORED_BESIDE + entry.leaf.len() + ARGUMENTS.len())
    }
}
