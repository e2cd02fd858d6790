//! Rows as the gateway's calls give them: intent and result in turn, forty events to a task, fifty agents, a few hundred tools.

use std::sync::Arc;

use bailiwick_core::Id;
use bailiwick_core::event::EventType;
use bailiwick_core::id::{EventId, InstanceId, TaskId};
use bailiwick_core::index::{Key, Row, Token, words};

pub(crate) const ORIGIN: &str = "example.org/node-1";
/// Events of one task.
pub(crate) const PER_TASK: u64 = 40;
/// 2026-11-23T00:00:00Z, in milliseconds.
const MIDNIGHT: u64 = 1_795_392_000_000;
/// Tasks that go on side by side.
const AT_ONCE: u64 = 25;

/// The root of the task that an event belongs to.
pub(crate) fn task(event: u64) -> String {
    let group = event / (PER_TASK * AT_ONCE);
    let number = group * AT_ONCE + event % AT_ONCE;
    TaskId::from_bits(u128::from(MIDNIGHT) << 80 | 0x7 << 76 | u128::from(mixed(number)))
        .to_string()
}

/// Agents that act.
pub(crate) const AGENTS: u64 = AT_ONCE;

/// The name of one of them.
pub(crate) fn agent(number: u64) -> String {
    format!("agent-{}", number % AGENTS * 2)
}

/// The process of the agent of an event.
pub(crate) fn instance(at: u64) -> String {
    InstanceId::from_bits(u128::from(mixed(at % AT_ONCE * 2))).to_string()
}

/// The id of an event.
pub(crate) fn id(at: u64) -> EventId {
    Id::from_bits(u128::from(MIDNIGHT + at / 12) << 80 | 0x7 << 76 | u128::from(mixed(at)))
}

pub(crate) fn batch(from: u64, count: u64) -> Vec<Row> {
    let origin: Arc<str> = ORIGIN.into();
    (from..from + count).map(|at| row(&origin, at)).collect()
}

fn row(origin: &Arc<str>, at: u64) -> Row {
    let millis = MIDNIGHT + at / 12;
    let intent = at.is_multiple_of(2);
    let (number, tool) = (at % AT_ONCE * 2, mixed(at / 2) % 300);
    let mut values = vec![
        (Key::Task, task(at)),
        (Key::Agent, agent(at)),
        (Key::Instance, instance(at)),
        (Key::User, format!("usr_{:026}", number % 20)),
        (Key::Server, format!("server-{}", tool % 12)),
        (Key::Tool, format!("do_thing_{tool}")),
        (Key::Effect, "write".to_owned()),
    ];
    let mut text = format!("server-{} do_thing_{tool} tools/call", tool % 12);
    if intent {
        let decision = if at.is_multiple_of(64) {
            "deny"
        } else {
            "allow"
        };
        values.push((Key::Decision, decision.to_owned()));
        text.push_str(" base/notes-and-files");
    }
    if at.is_multiple_of(16) {
        values.push((Key::Label, "untrusted".to_owned()));
        values.push((Key::Agent, "parent".to_owned()));
    }
    Row {
        origin: Arc::clone(origin),
        index: at,
        hlc: (millis << 16) | (at % 12),
        id: id(at),
        kind: if intent {
            EventType::ToolIntent
        } else {
            EventType::ToolResult
        },
        cause: (!intent).then(|| id(at - 1)),
        values,
        tokens: if intent {
            vec![Token(mixed(at / 8).cast_signed())]
        } else {
            Vec::new()
        },
        words: words(&text),
    }
}

/// Numbers without order: the finaliser of SplitMix64.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
