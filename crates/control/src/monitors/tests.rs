//! Each detector on stories that fire it, and on stories just below that must not.

use bailiwick_core::event::{
    Action, AgentRef, ApprovalRef, ChangeRef, Evidence, Outcome, Status, TaskRef,
};
use bailiwick_core::id::ApprovalId;
use bailiwick_core::label::Labels;

use super::*;

/// Events of one story, a clock in seconds, and the signals so far.
struct Story {
    detectors: Detectors,
    events: u128,
    signals: Vec<(&'static str, Effect)>,
}

impl Default for Story {
    fn default() -> Self {
        Self::under(&Restraint::default())
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + second)
}

fn task(number: u128) -> TaskId {
    TaskId::from_bits(number)
}

fn instance() -> InstanceId {
    InstanceId::from_bits(7)
}

impl Story {
    fn under(restraint: &Restraint) -> Self {
        Self {
            detectors: Detectors::new(restraint),
            events: 0,
            signals: Vec::new(),
        }
    }

    fn tell(&mut self, second: i64, kind: EventType, fill: impl FnOnce(&mut Event)) -> &mut Self {
        self.events += 1;
        let mut event = Event::new(EventId::from_bits(self.events), kind);
        fill(&mut event);
        let fired = self.detectors.step(at(second), &event);
        self.signals
            .extend(fired.iter().map(|signal| (signal.detector, signal.effect)));
        self
    }

    fn refused(&mut self, second: i64, tool: &str, code: &str) -> &mut Self {
        self.tell(second, EventType::ToolRefused, |event| {
            acting(event, 1);
            calls(event, tool);
            event.outcome = Some(Outcome {
                status: Status::Refused,
                code: Some(code.to_owned()),
                us: 0,
                bytes: 0,
                evidence: Evidence::Observed,
            });
        })
    }

    fn opened(&mut self, second: i64, below: u128, number: u128) -> &mut Self {
        self.tell(second, EventType::TaskOpened, |event| {
            event.task = Some(TaskRef {
                root: task(below),
                ..reference(number)
            });
        })
    }

    fn asked(&mut self, second: i64, number: u128) -> &mut Self {
        self.tell(second, EventType::ApprovalRequested, |event| {
            approval(event, number);
        })
    }

    fn answered(&mut self, second: i64, number: u128, who: &str) -> &mut Self {
        self.tell(second, EventType::ApprovalAnswered, |event| {
            approval(event, number);
            event.actor = Some(who.to_owned());
        })
    }
}

fn reference(number: u128) -> TaskRef {
    TaskRef {
        id: task(number),
        root: task(number),
        parent: None,
        version: 1,
        stage: "run".parse().unwrap(),
        risk: Risk::default(),
        labels: Labels::default(),
    }
}

fn acting(event: &mut Event, number: u128) {
    event.task = Some(reference(number));
    event.agent = Some(AgentRef {
        id: "coder".parse().unwrap(),
        instance: Some(instance()),
        code_digest: None,
    });
}

fn calls(event: &mut Event, tool: &str) {
    event.action = Some(Action {
        server: Some("files".parse().unwrap()),
        tool: Some(tool.parse().unwrap()),
        ..Action::named("tools/call")
    });
}

fn approval(event: &mut Event, number: u128) {
    event.approval = Some(ApprovalRef {
        id: ApprovalId::from_bits(number),
        approvers: Vec::new(),
    });
}

const KINDS: [(&str, &str); 3] = [
    ("read", "forbidden"),
    ("write", "forbidden"),
    ("read", "scope_denied"),
];

#[test]
fn denied_streak_fires_on_the_fifth_refusal_of_the_third_kind() {
    let mut story = Story::default();
    for second in 0..4 {
        let (tool, code) = KINDS[usize::try_from(second % 3).unwrap()];
        story.refused(second, tool, code);
    }
    assert_eq!(story.signals, []);
    story.refused(599, "read", "forbidden");
    assert_eq!(
        story.signals,
        [("denied_streak", Effect::Raise(task(1), Risk::High))]
    );
}

#[test]
fn denied_streak_is_quiet_about_one_mistake_made_again_and_about_old_ones() {
    let mut story = Story::default();
    // The same door, again and again: a mistake, not a search. Only a flood is too much.
    for second in 0..19 {
        story.refused(second, "read", "forbidden");
    }
    assert_eq!(story.signals, []);
    story.refused(19, "read", "forbidden");
    assert_eq!(
        story.signals,
        [("denied_streak", Effect::Suspend(Some(task(1)), instance()))]
    );
    // Spread over hours they never come together.
    let mut slow = Story::default();
    for hour in 0..40 {
        let (tool, code) = KINDS[usize::try_from(hour % 3).unwrap()];
        slow.refused(hour * 3_600, tool, code);
    }
    assert_eq!(slow.signals, []);
}

#[test]
fn what_a_person_has_looked_at_counts_no_more() {
    let mut story = Story::default();
    for second in 0..4 {
        let (tool, code) = KINDS[usize::try_from(second % 3).unwrap()];
        story.refused(second, tool, code);
    }
    story.tell(5, EventType::TaskChanged, |event| {
        event.task = Some(reference(1));
        event.actor = Some("acct_1".to_owned());
        event.action = Some(Action::named("tasks.risk"));
    });
    story.refused(6, "write", "forbidden");
    assert_eq!(story.signals, []);
    // What the node itself changed is nobody's look.
    let mut own = Story::default();
    for second in 0..4 {
        let (tool, code) = KINDS[usize::try_from(second % 3).unwrap()];
        own.refused(second, tool, code);
    }
    own.tell(5, EventType::TaskChanged, |event| {
        event.task = Some(reference(1));
        event.actor = Some("system".to_owned());
        event.action = Some(Action::named("tasks.risk"));
    });
    own.refused(6, "write", "forbidden");
    assert_eq!(own.signals.len(), 1);
}

#[test]
fn secret_reflected_fires_once_for_each_answer_and_for_nothing_else() {
    let mut story = Story::default();
    story.tell(0, EventType::EgressResult, |event| acting(event, 1));
    assert_eq!(story.signals, []);
    story.tell(1, EventType::EgressReflected, |event| acting(event, 1));
    assert_eq!(
        story.signals,
        [("secret_reflected", Effect::Raise(task(1), Risk::High))]
    );
}

#[test]
fn chain_depth_fires_on_the_twenty_first_task_below_a_root_within_five_minutes() {
    let mut story = Story::default();
    for number in 0..20 {
        // Each is on record twice, which is once.
        story.opened(i64::try_from(number).unwrap(), 100, number);
        story.opened(i64::try_from(number).unwrap(), 100, number);
    }
    // Roots, and tasks below another one.
    story.opened(21, 50, 50).opened(22, 101, 60);
    assert_eq!(story.signals, []);
    story.opened(299, 100, 20);
    assert_eq!(
        story.signals,
        [("chain_depth", Effect::Raise(task(100), Risk::Medium))]
    );
    let mut slow = Story::default();
    for number in 0..60 {
        slow.opened(i64::try_from(number).unwrap() * 20, 100, number);
    }
    assert_eq!(slow.signals, []);
}

#[test]
fn impossible_instance_fires_on_a_second_digest_and_not_on_the_first_again() {
    let mut story = Story::default();
    let mut acts = |second, byte| {
        story.tell(second, EventType::ToolIntent, |event| {
            acting(event, 1);
            event.agent.as_mut().unwrap().code_digest = Some(bailiwick_core::Digest([byte; 32]));
        });
        story.signals.len()
    };
    assert_eq!((acts(0, 1), acts(5, 1), acts(86_000, 1)), (0, 0, 0));
    assert_eq!(acts(86_001, 2), 1);
    assert_eq!(
        story.signals,
        [(
            "impossible_instance",
            Effect::Suspend(Some(task(1)), instance())
        )]
    );
}

#[test]
fn tool_drifted_fires_for_a_task_that_has_just_called_the_tool() {
    let drifts = |story: &mut Story, second, tool: &str| {
        story.tell(second, EventType::ToolDrifted, |event| {
            event.change = Some(ChangeRef {
                kind: "tool".to_owned(),
                id: format!("files/{tool}"),
                before: None,
                after: None,
            });
        });
    };
    let mut story = Story::default();
    story.tell(0, EventType::ToolIntent, |event| {
        acting(event, 1);
        calls(event, "read");
    });
    drifts(&mut story, 10, "write");
    drifts(&mut story, 3_601, "read");
    assert_eq!(story.signals, []);
    drifts(&mut story, 3_600, "read");
    assert_eq!(
        story.signals,
        [("tool_drifted", Effect::Raise(task(1), Risk::High))]
    );
}

#[test]
fn rubber_stamp_fires_on_ten_answers_that_nobody_can_have_read() {
    let mut story = Story::default();
    for number in 0..9 {
        let second = i64::try_from(number).unwrap() * 60;
        story
            .asked(second, number)
            .answered(second + 2, number, "acct_1");
    }
    assert_eq!(story.signals, []);
    story.asked(600, 9).answered(602, 9, "acct_1");
    assert_eq!(story.signals, [("rubber_stamp", Effect::Tell)]);
    // Ten that took their time, and ten quick ones of two people.
    let mut reading = Story::default();
    for number in 0..10 {
        let second = i64::try_from(number).unwrap() * 60;
        reading
            .asked(second, number)
            .answered(second + 3, number, "acct_1");
    }
    for number in 20..38 {
        let second = i64::try_from(number).unwrap() * 60;
        let who = if number % 2 == 0 { "acct_2" } else { "acct_3" };
        reading.asked(second, number).answered(second, number, who);
    }
    assert_eq!(reading.signals, []);
}

#[test]
fn the_same_events_give_the_same_signals() {
    let tell = || {
        let mut story = Story::default();
        for second in 0..60 {
            let (tool, code) = KINDS[usize::try_from(second % 3).unwrap()];
            story.refused(second * 7, tool, code);
        }
        story.signals
    };
    assert!(!tell().is_empty());
    assert_eq!(tell(), tell());
}

/// Ten times as many keys as are remembered: those that were quiet for longest go, the newest are known.
#[test]
fn what_is_remembered_has_a_bound() {
    let mut window = window::Window::new(Duration::from_hours(1));
    for key in 0..10_100_u32 {
        window.add(&key, at(i64::from(key) / 100), ());
    }
    assert_eq!(window.of(&10_099, at(101)).count(), 1);
    assert_eq!(window.of(&0, at(101)).count(), 0);
    for _ in 0..1_000 {
        window.add(&10_099, at(102), ());
    }
    assert_eq!(window.of(&10_099, at(102)).count(), 256);
}

#[test]
fn a_detector_may_only_observe_or_not_look() {
    let of = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let mut story = Story::under(&Restraint {
        observe: of(&["denied_streak"]),
        off: of(&["tool_drifted"]),
    });
    for second in 0..30 {
        story.refused(second, &format!("t{}", second % 4), "no_permit");
    }
    // Once that its risk would have been raised, once that it would have been fenced.
    let told = ("denied_streak", Effect::Tell);
    assert_eq!(story.signals, [told, told]);
}
