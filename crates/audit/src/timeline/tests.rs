//! A story holds the whole tree of a task and nothing of any other, says where it is not whole, and reads well (`golden`).

use bailiwick_core::Id;
use bailiwick_core::event::{ChainRef, ChangeRef, Event, EventType, Parent, ParentRole, TaskRef};
use bailiwick_core::id::EventId;

use super::*;
use crate::fixtures::{Bench, event};
use crate::record::{Class, Recorder};

mod golden;
mod scene;

fn task(id: u128, root: u128) -> TaskRef {
    TaskRef {
        id: Id::from_bits(id),
        root: Id::from_bits(root),
        parent: (id != root).then_some(Id::from_bits(root)),
        version: 1,
        stage: "execute".parse().unwrap(),
        risk: bailiwick_core::risk::Risk::Low,
        labels: serde_json::from_str("[]").unwrap(),
    }
}

fn in_task(kind: EventType, id: u128, root: u128) -> Event {
    Event {
        task: Some(task(id, root)),
        ..event(kind)
    }
}

fn on(kind: EventType, after: &str) -> Event {
    let change = ChangeRef {
        kind: "fence".into(),
        id: "fence_1".into(),
        before: None,
        after: Some(after.to_owned()),
    };
    Event {
        change: Some(change),
        ..event(kind)
    }
}

#[tokio::test]
async fn the_tree_of_a_task_is_found_from_any_of_its_tasks() {
    let bench = Bench::new();
    let log = bench.open();
    let opened = in_task(EventType::TaskOpened, 1, 1);
    let child = in_task(EventType::TaskOpened, 2, 1);
    let intent = in_task(EventType::ToolIntent, 2, 1);
    let mut result = in_task(EventType::ToolResult, 2, 1);
    result.parents = vec![Parent {
        role: ParentRole::Intent,
        id: intent.id,
    }];
    let lost = in_task(EventType::ToolIntent, 1, 1);
    let fence = on(
        EventType::FenceSet,
        &format!("task/{}", TaskId::from_bits(2)),
    );
    let mut reached = event(EventType::FenceReached);
    reached.cause = Some(fence.id);
    let elsewhere = on(EventType::FenceSet, "agent/another");
    let mut elsewhere_reached = event(EventType::FenceReached);
    elsewhere_reached.cause = Some(elsewhere.id);
    let mut token = event(EventType::TokenIssued);
    token.chain = vec![ChainRef {
        agent: "patcher".parse().unwrap(),
        instance: None,
        task: Id::from_bits(2),
        jti: None,
    }];
    let other = in_task(EventType::TaskOpened, 7, 7);
    let unrelated = event(EventType::AgentChanged);
    let mut ended = in_task(EventType::TaskEnded, 1, 1);
    ended.cause = Some(fence.id);
    let wanted: Vec<EventId> = [
        &opened, &child, &intent, &result, &lost, &fence, &reached, &token, &ended,
    ]
    .map(|event| event.id)
    .to_vec();
    let lost_id = lost.id;
    for event in [
        opened,
        other,
        child,
        intent,
        unrelated,
        result,
        lost,
        elsewhere,
        elsewhere_reached,
        fence,
        reached,
        token,
        ended,
    ] {
        log.record(event, Class::Narrow).await.unwrap();
    }
    for asked in [1, 2] {
        let found = find(&log.directory(), Id::from_bits(asked)).unwrap();
        assert_eq!(found.root, Id::from_bits(1));
        assert!(found.entries.is_sorted_by_key(|entry| entry.index));
        assert_eq!((found.looked, found.cut), (14, false));
        let timeline = scene::assembled(&log.directory(), found);
        let ids: Vec<EventId> = timeline.events.iter().map(Placed::id).collect();
        assert_eq!(ids, wanted);
        let whole = timeline.wholeness();
        assert_eq!(whole.unknown, [lost_id]);
        assert!(!whole.complete);
    }
    let nobody = find(&log.directory(), Id::from_bits(99)).unwrap();
    assert!(nobody.entries.is_empty());
}

#[tokio::test]
async fn a_leaf_that_was_altered_has_no_tick() {
    let scene = scene::Scene::play().await;
    let directory = scene.directory();
    let mut found = find(&directory, scene::root()).unwrap();
    let entry = found.entries.get_mut(3).unwrap();
    let text = String::from_utf8(entry.leaf.clone()).unwrap();
    entry.leaf = text.replacen("triage-bot", "triage-bob", 1).into_bytes();
    let index = entry.index;
    let timeline = scene::assembled(&directory, found);
    let failed: Vec<u64> = timeline
        .events
        .iter()
        .filter(|placed| matches!(placed.mark, Mark::Failed { .. }))
        .map(|placed| placed.index)
        .collect();
    assert_eq!(failed, [index]);
    let text = plain(&timeline, &Words::default(), scene::now());
    assert!(
        text.contains(&format!("✗ example.org/node-1 #{index}: ")),
        "{text}"
    );
    assert!(text.contains("INCOMPLETE: "), "{text}");
    assert!(text.contains("1 event NOT as signed"), "{text}");
    // Under another's key nothing is proven.
    let seed = bailiwick_core::Secret::new([8; 32]);
    let other = bailiwick_crypto::keys::Ed25519Key::from_seed(&seed).unwrap();
    let other = bailiwick_crypto::note::NoteSigner::new(crate::fixtures::ORIGIN, other).unwrap();
    let other = [other.verifier().unwrap()];
    let answer = scene::answer(&directory, find(&directory, scene::root()).unwrap());
    let timeline = answer.assemble(Some(&other)).unwrap();
    assert!(
        timeline
            .events
            .iter()
            .all(|placed| matches!(placed.mark, Mark::Failed { .. }))
    );
}

#[tokio::test]
async fn what_no_checkpoint_covers_is_neither_proven_nor_altered() {
    let scene = scene::Scene::play().await;
    let directory = scene.directory();
    let asked = || scene::answer(&directory, find(&directory, scene::root()).unwrap());
    let mut answer = asked();
    answer.logs[0].checkpoint = None;
    let timeline = answer.assemble(None).unwrap();
    assert!(
        timeline
            .events
            .iter()
            .all(|placed| placed.mark == Mark::Unpublished)
    );
    // A covered leaf whose path is withheld is not passed over.
    let mut answer = asked();
    for event in &mut answer.events {
        event.path = None;
    }
    let timeline = answer.assemble(None).unwrap();
    assert!(
        timeline
            .events
            .iter()
            .all(|placed| matches!(placed.mark, Mark::Failed { .. }))
    );
    // Nor is one of a log that nobody told of.
    let mut answer = asked();
    answer.logs.clear();
    let timeline = answer.assemble(None).unwrap();
    assert!(
        timeline
            .events
            .iter()
            .all(|placed| placed.mark != Mark::Proven)
    );
}

#[tokio::test]
async fn an_answer_is_the_same_after_a_way_through_json() {
    let scene = scene::Scene::play().await;
    let directory = scene.directory();
    let answer = scene::answer(&directory, find(&directory, scene::root()).unwrap());
    let text = serde_json::to_string(&answer).unwrap();
    let again: Answer = serde_json::from_str(&text).unwrap();
    let timeline = again.assemble(Some(&crate::fixtures::keys())).unwrap();
    assert!(
        timeline
            .events
            .iter()
            .all(|placed| placed.mark == Mark::Proven)
    );
}
