//! What runs while something above it changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bailiwick_core::approval::ApprovalState;
use bailiwick_core::artefact::ArtefactEvidence;
use bailiwick_core::binding::Binding;
use bailiwick_core::change::{Change, ChangeBody};
use bailiwick_core::definition::ToolState;
use bailiwick_core::event::{Event, EventType, ParentRole, Status};
use bailiwick_core::fence::Subject;
use bailiwick_core::id::EventId;
use bailiwick_core::instance::Instance;
use bailiwick_core::json::{Limits, check};
use bailiwick_core::risk::Risk;
use bailiwick_core::selector::Selector;
use bailiwick_core::task::Task;
use bailiwick_core::trigger::Trigger;
use bailiwick_core::{Clock, Code, Digest, Effect, Timestamp};
use serde_json::{Value, json};

use super::{Backlog, LATE, MAX_WAITING, Side};
use crate::decider::{Call, Standing, StandingCall};
use crate::testing::{INSTANCE, NOTHING, Pipe, TASK, World};

const CAUSE: EventId = EventId::from_bits(77);

fn ask(id: u64, method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
}

fn call(id: u64, tool: &str) -> String {
    ask(id, "tools/call", &json!({ "name": tool, "arguments": {} }))
}

fn code(answer: &Value) -> &str {
    let decision = &answer["result"]["_meta"]["bailiwick/decision"]["code"];
    decision.as_str().unwrap_or_else(|| panic!("{answer}"))
}

/// The task after one more change.
fn changed(world: &World, change: impl FnOnce(&mut Task)) -> ChangeBody {
    let mut task = world.task();
    task.version += 1;
    change(&mut task);
    ChangeBody::Task(task)
}

/// A call of `slow` that has reached its server.
async fn running(world: &World) -> Pipe {
    let mut pipe = Pipe::open(world);
    pipe.send(&call(1, "slow")).await;
    world.tools.reached("tools/call").await;
    pipe
}

fn result(world: &World) -> Event {
    let events = world.recorder.events.lock().unwrap();
    let mut results = events.iter();
    let found = results.find(|event| event.kind == EventType::ToolResult);
    found.unwrap().clone()
}

#[tokio::test]
async fn a_change_cuts_the_call_that_it_forbids_and_is_its_cause() {
    for change in [
        |world: &World| {
            changed(world, |task| {
                task.labels = ["no-lease".parse().unwrap()].into_iter().collect();
            })
        },
        |_: &World| ChangeBody::Policy(NOTHING),
        |_: &World| ChangeBody::Tool(World::tool("slow", Effect::Write, ToolState::Approved)),
        |world: &World| changed(world, |task| task.stage = "gone".parse().unwrap()),
    ] {
        let world = World::new().await;
        let mut pipe = running(&world).await;
        assert_eq!(world.decided_again(change(&world), CAUSE).await, 1);
        assert_eq!(code(&pipe.next().await), "call_cut");
        let result = result(&world);
        assert_eq!(result.outcome.unwrap().status, Status::Cut);
        assert_eq!(result.cause, Some(CAUSE), "the change is the cause");
        assert_eq!(result.parents[0].role, ParentRole::Intent);
        assert!(world.gateway.backlog().is_empty());
    }
}

/// A stage that caps what its tasks do cuts what was begun before it, in mid-call.
#[tokio::test]
async fn a_stage_that_caps_less_cuts_what_goes_on_in_mid_call() {
    let world = World::new().await;
    world.commit(changed(&world, |task| {
        task.workflow = "staged".parse().unwrap();
        task.stage = "execute".parse().unwrap();
    }));
    world.gateway.decide_again().await;
    let mut pipe = running(&world).await;
    let plan = changed(&world, |task| task.stage = "plan".parse().unwrap());
    assert_eq!(world.decided_again(plan, CAUSE).await, 1);
    assert_eq!(code(&pipe.next().await), "call_cut");
    assert_eq!(result(&world).cause, Some(CAUSE));
}

/// A report about the code that a process runs ends what that process does, and no other's.
#[tokio::test]
async fn a_report_about_its_code_cuts_what_a_process_does() {
    let world = World::new().await;
    let own = Digest([9; 32]);
    let instance = world.instance();
    world.commit(ChangeBody::Instance(Instance {
        selectors: vec![Selector::Sha256(own)],
        ..instance
    }));
    world.label("scanned");
    world.gateway.decide_again().await;
    let mut pipe = running(&world).await;
    let found = |code: Digest, high: u64| {
        let mut evidence = ArtefactEvidence::nothing(code);
        evidence.scanned_at = Some(world.task().created_at);
        evidence.open.high = high;
        ChangeBody::Evidence(evidence)
    };
    assert_eq!(world.decided_again(found(own, 0), CAUSE).await, 0);
    let other = found(Digest([8; 32]), 3);
    assert_eq!(world.decided_again(other, CAUSE).await, 0);
    assert_eq!(world.decided_again(found(own, 1), CAUSE).await, 1);
    assert_eq!(code(&pipe.next().await), "call_cut");
    assert_eq!(result(&world).cause, Some(CAUSE));
    // Who was not attested by its code is not known to be clean.
    world.commit(ChangeBody::Instance(world.instance()));
    world.gateway.decide_again().await;
    pipe.send(&call(2, "get")).await;
    assert_eq!(code(&pipe.next().await), "forbidden");
}

#[tokio::test]
async fn what_is_still_allowed_goes_on() {
    let world = World::new().await;
    let mut pipe = running(&world).await;
    let riskier = changed(&world, |task| task.risk = Risk::Critical);
    assert_eq!(world.decided_again(riskier, CAUSE).await, 0);
    // Of another tool, whatever it is.
    let other = World::tool("put", Effect::Escalate, ToolState::Approved);
    assert_eq!(world.decided_again(ChangeBody::Tool(other), CAUSE).await, 0);
    world.tools.release.send_replace(true);
    assert_eq!(pipe.next().await["result"]["content"][0]["text"], "done");
    assert_eq!(result(&world).outcome.unwrap().status, Status::Ok);
}

/// The labels that a call's own answer brings are counted against what comes after it.
#[tokio::test]
async fn a_call_is_not_cut_by_the_labels_that_it_brings() {
    let world = World::new().await;
    let mut slow = World::tool("slow", Effect::Read, ToolState::Approved);
    slow.binding = serde_json::from_value::<Binding>(json!({ "labels": ["no-lease"] })).unwrap();
    world.commit(ChangeBody::Tool(slow));
    world.gateway.decide_again().await;
    let mut pipe = running(&world).await;
    assert!(world.task().labels.contains(&"no-lease".parse().unwrap()));
    let again = changed(&world, |_| ());
    assert_eq!(world.decided_again(again, CAUSE).await, 0);
    let more = changed(&world, |task| task.risk = Risk::Critical);
    assert_eq!(world.decided_again(more, CAUSE).await, 0);
    world.tools.release.send_replace(true);
    assert_eq!(pipe.next().await["result"]["content"][0]["text"], "done");
}

#[tokio::test]
async fn a_published_policy_cuts_the_streams_that_it_no_longer_permits() {
    let world = World::new().await;
    let mut pipe = Pipe::open(&world);
    let watched = json!({ "notifications": { "resourceSubscriptions": ["docs://a"] } });
    pipe.send(&ask(1, "subscriptions/listen", &watched)).await;
    world.tools.reached("subscriptions/listen").await;
    assert_eq!(
        world
            .decided_again(ChangeBody::Policy(NOTHING), CAUSE)
            .await,
        1
    );
    while world.recorder.outcomes().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.recorder.outcomes(), [Status::Cut]);
    assert_eq!(result(&world).cause, Some(CAUSE));
}

/// A change that is applied between the decision about a call and the note of it finds nothing to decide: the note does.
#[tokio::test]
async fn what_changed_before_it_was_noted_counts() {
    let world = World::new().await;
    let (caller, server, tool) = (World::caller(), World::server(), "slow".parse().unwrap());
    let arguments = check(b"{}", &Limits::ENVELOPE).unwrap();
    let shown = Some(World::tool("slow", Effect::Read, ToolState::Approved).approved);
    let asked = Call {
        caller: &caller,
        server: &server,
        tool: &tool,
        arguments: &arguments,
        shown,
        discharged: &[],
        count: true,
    };
    let decided = world.gateway.decider.decide(&asked).await;
    assert!(decided.allowed());
    let entered = world.replica.live().enter(vec![(Subject::Task(TASK), 0)]);
    assert_eq!(
        world
            .decided_again(ChangeBody::Policy(NOTHING), CAUSE)
            .await,
        0
    );
    assert!(entered.was_cut().is_none());
    let standing = StandingCall {
        caller,
        server,
        tool,
        arguments: "{}".into(),
        shown,
        discharged: Vec::new(),
        quorum: 0,
        duties: Vec::new(),
        known: Arc::clone(decided.known.as_ref().unwrap()),
        credential: None,
        labels: bailiwick_core::label::Labels::default(),
    };
    world
        .gateway
        .stands(&entered, &decided, Standing::Call(standing))
        .await;
    assert!(entered.was_cut().is_some());
}

#[tokio::test]
async fn a_question_stands_as_long_as_it_would_be_asked_the_same() {
    let world = World::new().await;
    let mut pipe = Pipe::open(&world);
    pipe.send(&call(1, "put")).await;
    let mut current = world.approver.current.subscribe();
    let asked = current
        .wait_for(Option::is_some)
        .await
        .unwrap()
        .clone()
        .unwrap();
    while world.gateway.decider.questions().of(asked.id).is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.gateway.still_asks(&asked).await, Ok(()));
    // A task at that risk only reads.
    world.commit(changed(&world, |task| task.risk = Risk::Critical));
    let falls = world.gateway.still_asks(&asked).await.unwrap_err();
    assert!(falls.contains("critical"), "{falls}");
    world.commit(changed(&world, |task| task.risk = Risk::Low));
    assert_eq!(world.gateway.still_asks(&asked).await, Ok(()));
    // Who would ask fewer people than answered asks another question.
    let more = bailiwick_core::approval::Approval {
        quorum: 0,
        ..asked.clone()
    };
    assert!(world.gateway.still_asks(&more).await.is_err());
    world.approver.answer(ApprovalState::Denied).await;
    assert_eq!(code(&pipe.next().await), "approval_denied");
}

/// Of a call that used up the last of its task's budget nothing is cut, but news that would go on are.
#[tokio::test]
async fn a_budget_that_is_used_up_ends_streams_and_not_the_call_that_was_paid() {
    let world = World::with(json!({ "calls": 1 })).await;
    let mut pipe = Pipe::open(&world);
    pipe.send(&ask(1, "subscriptions/listen", &json!({}))).await;
    world.tools.reached("subscriptions/listen").await;
    let mut other = running(&world).await;
    assert_eq!(code(&other.ask(&call(2, "get")).await), "budget_exhausted");
    while world.recorder.outcomes().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.recorder.outcomes(), [Status::Cut]);
    world.tools.release.send_replace(true);
    assert_eq!(other.next().await["result"]["content"][0]["text"], "done");
}

struct Still(AtomicU64);

impl Clock for Still {
    fn wall(&self) -> Timestamp {
        Timestamp::default()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst))
    }
}

fn change(seq: u64, body: ChangeBody) -> Change {
    Change {
        seq,
        body,
        event: None,
    }
}

#[tokio::test]
async fn a_change_that_waits_too_long_closes_what_it_concerns_until_both_sides_are_done() {
    let world = World::new().await;
    let clock = Arc::new(Still(AtomicU64::new(0)));
    let backlog = Backlog::new(Arc::clone(&clock) as Arc<dyn Clock>);
    let view = world.replica.view(|state| state.caller(TASK, INSTANCE));
    let view = view.unwrap().unwrap();
    let (server, tool) = (World::server(), "tools/slow".parse().unwrap());
    let late = |tool: &_| backlog.is_late(&view, &server, Some(tool));
    backlog.add(&[change(
        5,
        ChangeBody::ToolRemoved("tools/slow".parse().unwrap()),
    )]);
    assert!(!late(&tool), "it has just come");
    clock
        .0
        .store(u64::try_from(LATE.as_millis()).unwrap(), Ordering::SeqCst);
    assert!(late(&tool));
    assert!(!late(&"tools/get".parse().unwrap()), "another tool goes on");
    assert!(backlog.done(Side::Point, 5).is_empty());
    assert!(
        backlog.waiting_here().is_empty() && late(&tool),
        "control is not done"
    );
    assert_eq!(backlog.done(Side::Control, 5), [LATE]);
    assert!(!late(&tool) && backlog.is_empty());
    // Control may be faster than the note here.
    backlog.done(Side::Control, 6);
    backlog.add(&[change(6, ChangeBody::Policy(NOTHING))]);
    assert_eq!(backlog.waiting_here().len(), 1);
    assert_eq!(backlog.done(Side::Point, 6).len(), 1);
}

#[tokio::test]
async fn what_is_behind_is_refused_by_its_own_code() {
    let world = World::new().await;
    world
        .gateway
        .backlog()
        .add(&[change(99, ChangeBody::Policy(NOTHING))]);
    let mut pipe = Pipe::open(&world);
    let bound = tokio::time::timeout(Duration::from_secs(30), async {
        let mut id = 0;
        loop {
            id += 1;
            let answer = pipe.ask(&call(id, "get")).await;
            if answer["result"]["isError"] == true
                && code(&answer) == Code::ReevaluationBehind.as_str()
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    bound.await.unwrap();
    world.gateway.control_done(99);
    world.gateway.decide_again().await;
    let answer = pipe.ask(&call(9_999, "get")).await;
    assert_ne!(answer["result"]["isError"], true, "{answer}");
}

#[test]
fn more_changes_than_there_is_room_for_concern_everything() {
    let backlog = Backlog::new(Arc::new(Still(AtomicU64::new(0))));
    let tools = (1..=MAX_WAITING as u64 + 1)
        .map(|seq| change(seq, ChangeBody::ToolRemoved("tools/slow".parse().unwrap())));
    backlog.add(&tools.collect::<Vec<_>>());
    let newest = MAX_WAITING as u64 + 1;
    assert_eq!(
        backlog.waiting_here(),
        [(newest, Trigger::Everything, None)]
    );
}
