//! A filter takes what matches every condition, and refuses keys it does not know.

use bailiwick_core::event::{Action, AgentRef, Event, EventType, TaskRef};
use bailiwick_core::{Effect, Id, Timestamp};

use super::*;
use crate::hlc::Hlc;
use crate::leaf::Source;

fn leaf() -> Leaf {
    let mut event = Event::new(Id::from_bits(1), EventType::ToolIntent);
    event.agent = Some(AgentRef {
        id: "patcher".parse().unwrap(),
        instance: None,
        code_digest: None,
    });
    event.task = Some(TaskRef {
        id: Id::from_bits(11),
        root: Id::from_bits(10),
        parent: Some(Id::from_bits(10)),
        version: 1,
        stage: "execute".parse().unwrap(),
        risk: bailiwick_core::risk::Risk::Low,
        labels: serde_json::from_str("[\"untrusted\"]").unwrap(),
    });
    event.action = Some(Action {
        op: "tools/call".into(),
        effect: Some(Effect::Write),
        server: Some("github".parse().unwrap()),
        tool: Some("push_files".parse().unwrap()),
        definition: None,
        request_id: None,
    });
    let src = Source {
        svc: "serve".into(),
        version: "0".into(),
    };
    Leaf {
        v: 1,
        node: "n".into(),
        src,
        ts: Timestamp::from_secs(100),
        hlc: Hlc(100_000 << 16),
        event,
        sealed: Vec::new(),
    }
}

fn matches(conditions: &[(&str, &str)]) -> bool {
    let mut filter = Filter::default();
    for (key, value) in conditions {
        filter.set(key, value).unwrap();
    }
    filter.matches(&leaf())
}

#[test]
fn conditions_are_all_needed() {
    let root: bailiwick_core::id::TaskId = Id::from_bits(10);
    let root = root.to_string();
    let yes: &[&[(&str, &str)]] = &[
        &[],
        &[("type", "tool.intent")],
        &[("type", "tool")],
        &[
            ("agent", "patcher"),
            ("tool", "push_files"),
            ("server", "github"),
            ("effect", "write"),
        ],
        &[("task", &root)],
        &[("label", "untrusted")],
        &[
            ("since", "1970-01-01T00:01:40Z"),
            ("until", "1970-01-01T00:01:41Z"),
        ],
        &[("node", "n"), ("text", "push")],
    ];
    for conditions in yes {
        assert!(matches(conditions), "{conditions:?}");
    }
    let no: &[&[(&str, &str)]] = &[
        &[("type", "tool.result")],
        &[("type", "task")],
        &[("agent", "patcher"), ("tool", "other")],
        &[("effect", "read")],
        &[("decision", "allow")],
        &[("label", "pii")],
        &[("until", "1970-01-01T00:01:40Z")],
        &[("since", "1970-01-01T00:01:41Z")],
        // What is sealed is not looked at.
        &[("resource", "github")],
    ];
    for conditions in no {
        assert!(!matches(conditions), "{conditions:?}");
    }
}
