//! A timeline holds the whole tree of a task and nothing of any other, and names intents that nobody answered.

use bailiwick_core::Id;
use bailiwick_core::event::{ChainRef, ChangeRef, Event, Parent, TaskRef};

use super::*;
use crate::fixtures::{Bench, event};
use crate::record::{Class, Recorder};

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
    let mut fence = event(EventType::FenceSet);
    fence.change = Some(ChangeRef {
        kind: "task".into(),
        id: TaskId::from_bits(2).to_string(),
        before: None,
        after: None,
    });
    let mut reached = event(EventType::FenceReached);
    reached.cause = Some(fence.id);
    let mut token = event(EventType::TokenIssued);
    token.chain = vec![ChainRef {
        agent: "patcher".parse().unwrap(),
        instance: None,
        task: Id::from_bits(2),
        jti: None,
    }];
    let other = in_task(EventType::TaskOpened, 7, 7);
    let unrelated = event(EventType::AgentChanged);
    let wanted: Vec<EventId> = [
        &opened, &child, &intent, &result, &lost, &fence, &reached, &token,
    ]
    .map(|event| event.id)
    .to_vec();
    let lost_id = lost.id;
    for event in [
        opened, other, child, intent, unrelated, result, lost, fence, reached, token,
    ] {
        log.record(event, Class::Narrow).await.unwrap();
    }
    for asked in [1, 2] {
        let found = timeline(&log.directory(), Id::from_bits(asked)).unwrap();
        assert_eq!(found.root, Id::from_bits(1));
        let ids: Vec<EventId> = found.events.iter().map(|(_, leaf)| leaf.event.id).collect();
        assert_eq!(ids, wanted);
        assert!(found.events.is_sorted_by_key(|(index, _)| *index));
        assert_eq!(found.unanswered, [lost_id]);
        assert_eq!(found.size, 11);
    }
    let nobody = timeline(&log.directory(), Id::from_bits(99)).unwrap();
    assert!(nobody.events.is_empty());
}
