//! Each fact of the record: what counts for it, what against it, and that order matters.

use bailiwick_audit::hlc::Hlc;
use bailiwick_audit::leaf::Source;
use bailiwick_core::decision::Versions;
use bailiwick_core::event::{Action, AgentRef, ApprovalRef, ChangeRef, DecisionRef, Parent};

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + second)
}

const PERIOD: Period = Period {
    since: Timestamp::from_secs(1_800_000_000),
    until: Timestamp::from_secs(1_800_086_400),
};

fn id(number: u64) -> EventId {
    format!("evt_{number:026}").parse().unwrap()
}

/// What the events of one small record say, in its order.
struct Story(Fold, u64);

impl Story {
    fn new() -> Self {
        Self(Fold::new(PERIOD, false, &Rows::default()), 0)
    }

    fn tell(&mut self, second: i64, event: Event) -> &mut Self {
        let leaf = Leaf {
            v: 1,
            node: "n1".to_owned(),
            src: Source {
                svc: "serve".to_owned(),
                version: "0".to_owned(),
            },
            ts: at(second),
            hlc: Hlc(0),
            event,
            sealed: Vec::new(),
        };
        let entry = Entry {
            index: self.1,
            leaf: serde_json::to_vec(&leaf).unwrap(),
        };
        assert!(Fold::wants(&entry.leaf));
        self.0.take(&entry, &leaf);
        self.1 += 1;
        self
    }

    /// Of facts that count anything: good of all.
    fn end(self) -> BTreeMap<String, (u64, u64)> {
        let measured = self.0.finish().into_iter();
        measured
            .filter(|(_, measured)| measured.of > 0)
            .map(|(id, measured)| (id, (measured.good, measured.of)))
            .collect()
    }
}

fn changed(number: u64, kind: EventType, thing: &str, after: &str) -> Event {
    let mut event = Event::new(id(number), kind);
    event.change = Some(ChangeRef {
        kind: "x".to_owned(),
        id: thing.to_owned(),
        before: None,
        after: Some(after.to_owned()),
    });
    event
}

fn digest(letter: &str) -> String {
    format!("sha256:{}", letter.repeat(64))
}

fn attested(number: u64) -> Event {
    let mut event = Event::new(id(number), EventType::InstanceAttested);
    event.agent = Some(acting());
    event
}

fn acting() -> AgentRef {
    AgentRef {
        id: "coder".parse().unwrap(),
        instance: Some("inst_00000000000000000000000001".parse().unwrap()),
        code_digest: None,
    }
}

fn intent(number: u64, effect: Effect, mode: DecisionMode) -> Event {
    let mut event = Event::new(id(number), EventType::ToolIntent);
    event.agent = Some(acting());
    event.action = Some(Action {
        effect: Some(effect),
        server: Some("files".parse().unwrap()),
        tool: Some("read".parse().unwrap()),
        definition: Some(digest("a").parse().unwrap()),
        ..Action::named("tools/call")
    });
    event.decision = Some(DecisionRef {
        effect: Outcome::Allow,
        policies: Vec::new(),
        reasons: Vec::new(),
        obligations: Vec::new(),
        versions: Versions {
            bundle: None,
            task: 1,
            fence_seq: 0,
            replica_seq: 0,
        },
        us: 1,
        would_be: None,
        mode,
        shadow: None,
    });
    event
}

fn result(number: u64, of: u64) -> Event {
    let mut event = Event::new(id(number), EventType::ToolResult);
    event.parents.push(Parent {
        role: ParentRole::Intent,
        id: id(of),
    });
    event
}

fn ready() -> Story {
    let mut story = Story::new();
    story
        .tell(-900, changed(1, EventType::AgentRegistered, "coder", "x"))
        .tell(
            -800,
            changed(
                2,
                EventType::ToolPinned,
                "files/read",
                &format!("Approved read {}", digest("a")),
            ),
        )
        .tell(-700, attested(3));
    story
}

fn said(pairs: &[(&str, (u64, u64))]) -> BTreeMap<String, (u64, u64)> {
    pairs
        .iter()
        .map(|(id, value)| ((*id).to_owned(), *value))
        .collect()
}

#[test]
fn a_call_as_it_should_be_counts_for_every_fact() {
    let mut story = ready();
    story
        .tell(1, intent(4, Effect::Read, DecisionMode::Enforce))
        .tell(2, result(5, 4));
    assert_eq!(
        story.end(),
        said(&[
            ("F02", (1, 1)),
            ("F03", (1, 1)),
            ("F07", (1, 1)),
            ("F10", (1, 1)),
            ("F19", (1, 1))
        ])
    );
}

#[test]
fn what_comes_on_record_after_the_call_does_not_count() {
    let mut story = Story::new();
    story
        .tell(1, intent(4, Effect::Read, DecisionMode::Enforce))
        .tell(2, result(5, 4))
        .tell(3, changed(1, EventType::AgentRegistered, "coder", "x"))
        .tell(
            4,
            changed(
                2,
                EventType::ToolPinned,
                "files/read",
                &format!("Approved read {}", digest("a")),
            ),
        )
        .tell(5, attested(3));
    let story = story.end();
    for fact in ["F02", "F07", "F19"] {
        assert_eq!(story[fact], (0, 1), "{fact}");
    }
}

#[test]
fn each_way_to_fall_short_is_counted_against_its_own_fact() {
    let mut story = ready();
    story
        .tell(1, intent(4, Effect::Escalate, DecisionMode::Observe))
        .tell(2, result(5, 4))
        // Without a result, long before the end.
        .tell(3, intent(6, Effect::Read, DecisionMode::Enforce))
        // Without one, but it may still run.
        .tell(86_399, intent(7, Effect::Read, DecisionMode::Enforce));
    let mut approved = intent(8, Effect::Escalate, DecisionMode::Enforce);
    approved.approval = Some(ApprovalRef {
        id: "appr_00000000000000000000000001".parse().unwrap(),
        approvers: vec!["acct".to_owned()],
    });
    story.tell(10, approved).tell(11, result(9, 8));
    story.tell(12, Event::new(id(10), EventType::LogGap));
    let story = story.end();
    assert_eq!(story["F03"], (3, 4));
    assert_eq!(story["F09"], (1, 2));
    assert_eq!(story["F10"], (2, 4));
}

#[test]
fn another_definition_than_an_approved_one_and_another_time_than_the_period() {
    let mut story = ready();
    let mut changed_tool = intent(4, Effect::Read, DecisionMode::Enforce);
    changed_tool.action.as_mut().unwrap().definition = Some(digest("b").parse().unwrap());
    story
        .tell(1, changed_tool)
        .tell(2, result(5, 4))
        .tell(-1, intent(6, Effect::Read, DecisionMode::Observe))
        .tell(86_400, intent(7, Effect::Read, DecisionMode::Observe));
    let story = story.end();
    assert_eq!((story["F07"], story["F03"]), ((0, 1), (1, 1)));
}

#[test]
fn a_right_sizing_counts_for_its_agent_and_for_ninety_days() {
    let mut story = Story::new();
    let sizing = |number, agent: &str| {
        let why = format!("right-sizing of agent {agent}");
        changed(number, EventType::LogRevealed, "0..9", &why)
    };
    story
        .tell(1, sizing(1, "coder"))
        .tell(-100 * 86_400, sizing(2, "older"))
        .tell(90_000, sizing(3, "later"));
    assert!(story.0.was_sized("coder"));
    for agent in ["older", "later", "nobody"] {
        assert!(!story.0.was_sized(agent), "{agent}");
    }
}

/// Of a record whose beginning is gone, what the node's state holds counts as having been on it.
#[test]
fn a_pruned_beginning_is_made_up_for_by_the_state() {
    let rows = Rows {
        registered: vec!["coder".parse().unwrap()],
        approved: vec![("files/read".parse().unwrap(), digest("a").parse().unwrap())],
        attested: vec!["inst_00000000000000000000000001".parse().unwrap()],
        ..Rows::default()
    };
    for (pruned, wanted) in [(true, (1, 1)), (false, (0, 1))] {
        let mut story = Story(Fold::new(PERIOD, pruned, &rows), 0);
        story.tell(1, intent(4, Effect::Read, DecisionMode::Enforce));
        let story = story.end();
        for fact in ["F02", "F07", "F19"] {
            assert_eq!(story[fact], wanted, "{fact}");
        }
    }
}
