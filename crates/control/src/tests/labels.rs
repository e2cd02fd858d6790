//! Labels on a real store: what they reach, what they outlive, who takes them off.

use bailiwick_core::account::Role;
use bailiwick_core::event::EventType;
use bailiwick_core::id::{EventId, InstanceId, TaskId};
use bailiwick_core::item::ItemKey;
use bailiwick_core::label::Labels;
use bailiwick_core::task::{Task, TaskState};
use bailiwick_core::{Code, Digest};

use super::bench_node::{Bench, admin, open, person};
use crate::labels::{Declassify, item_key};
use crate::tasks::OpenTask;

const CAUSE: EventId = EventId::from_bits(7);

fn labels(names: &[&str]) -> Labels {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn entity(name: &str) -> ItemKey {
    item_key("files".parse().unwrap(), "entity".parse().unwrap(), &[name])
}

async fn row(bench: &Bench, id: TaskId) -> Task {
    bench.control.task(&admin(), id).await.unwrap()
}

async fn opened(bench: &Bench, parent: Option<TaskId>) -> Task {
    let task = OpenTask {
        parent,
        ..open("coder")
    };
    bench.control.open_task(&admin(), task).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_takes_labels_once_and_on_record() {
    let bench = Bench::new().await;
    let task = opened(&bench, None).await;
    for _ in 0..2 {
        let labelled = bench
            .control
            .label_task(task.id, labels(&["untrusted", "pii"]), CAUSE)
            .await;
        labelled.unwrap();
    }
    let now = row(&bench, task.id).await;
    assert_eq!(
        (now.labels, now.version),
        (labels(&["pii", "untrusted"]), task.version + 1)
    );
    assert_eq!(bench.recorded(EventType::TaskChanged).await, 1);
    bench
        .control
        .end_task(&admin(), task.id, TaskState::Completed)
        .await
        .unwrap();
    let late = bench
        .control
        .label_task(task.id, labels(&["secret"]), CAUSE)
        .await;
    assert_eq!(
        late.unwrap_err().code,
        Code::TaskEnded,
        "nothing of an ended task is released"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn child_labels_join_parent() {
    let bench = Bench::new().await;
    let root = opened(&bench, None).await;
    let child = opened(&bench, Some(root.id)).await;
    let below = opened(&bench, Some(child.id)).await;
    bench
        .control
        .label_task(below.id, labels(&["untrusted"]), CAUSE)
        .await
        .unwrap();
    assert!(
        row(&bench, child.id).await.labels.is_empty(),
        "not before it ends"
    );
    // Both end at once: what the lower one read goes all the way up.
    bench
        .control
        .end_task(&admin(), child.id, TaskState::Completed)
        .await
        .unwrap();
    let now = row(&bench, root.id).await;
    assert_eq!(
        (now.labels, now.state),
        (labels(&["untrusted"]), TaskState::Open)
    );
    assert_eq!(row(&bench, child.id).await.labels, labels(&["untrusted"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_remembers_what_its_tasks_have_read() {
    let bench = Bench::new().await;
    let instance = InstanceId::from_bits(77);
    let task = opened(&bench, None).await;
    let mut bound = task.clone();
    bound.instance = Some(instance);
    bound.version += 1;
    bench
        .store
        .write(move |tx| tx.put_task(&bound))
        .await
        .unwrap();
    bench
        .control
        .label_task(task.id, labels(&["untrusted"]), CAUSE)
        .await
        .unwrap();
    let known = bench
        .store
        .read(move |rows| rows.instance_labels(instance))
        .await;
    let known: Labels = known.unwrap();
    assert_eq!(known, labels(&["untrusted"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn declassify_needs_person() {
    let bench = Bench::new().await;
    let task = opened(&bench, None).await;
    let keys = vec![entity("anna"), entity("bob")];
    bench
        .control
        .label_items(task.id, keys.clone(), labels(&["untrusted"]), CAUSE)
        .await
        .unwrap();
    bench
        .control
        .label_items(task.id, keys, labels(&["untrusted"]), CAUSE)
        .await
        .unwrap();
    assert_eq!(
        bench.recorded(EventType::ItemLabelled).await,
        2,
        "once for each item"
    );
    let wish = |name: &str, label: &str, reason: &str| Declassify {
        key: entity(name),
        label: label.parse().unwrap(),
        seen: Digest([3; 32]),
        reason: reason.to_owned(),
    };
    let (approver, operator) = (
        person("ann", &[Role::Approver]),
        person("op", &[Role::Operator, Role::Admin]),
    );
    for (who, wish, code) in [
        (
            &operator,
            wish("anna", "untrusted", "why"),
            Code::NotPermitted,
        ),
        (
            &approver,
            wish("anna", "untrusted", " "),
            Code::InvalidInput,
        ),
        (&approver, wish("anna", "pii", "why"), Code::NotFound),
        (&approver, wish("carol", "untrusted", "why"), Code::NotFound),
    ] {
        let refused = bench.control.declassify(who, wish).await.unwrap_err();
        assert_eq!(refused.code, code);
    }
    let item = bench
        .control
        .declassify(&approver, wish("Anna", "untrusted", "I wrote it"))
        .await
        .unwrap();
    assert!(item.labels.is_empty());
    let left = bench.control.items(&admin(), None).await.unwrap();
    let carried: Vec<bool> = left.iter().map(|item| item.labels.is_empty()).collect();
    assert_eq!(
        carried.iter().filter(|clean| **clean).count(),
        1,
        "the other keeps its own"
    );
    assert_eq!(bench.recorded(EventType::ItemDeclassified).await, 1);
}
