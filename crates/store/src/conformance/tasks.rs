//! Tasks: trees, lists, and the rules that `put_task` holds.

use bailiwick_core::task::{Task, TaskState};

use super::fixture::{at, child, id, read, task, write};
use crate::{Store, StoreError, TaskFilter};

pub(crate) async fn task_trees(store: &Store) {
    let root = task(1);
    let (left, right) = (child(2, &root), child(3, &root));
    let leaf = child(4, &left);
    let other = Task {
        user: "user:local:bob".parse().unwrap(),
        expires_at: at(50),
        ..task(5)
    };
    let all = [
        root.clone(),
        left.clone(),
        right.clone(),
        leaf.clone(),
        other.clone(),
    ];
    write(store, move |tx| {
        all.iter().try_for_each(|task| tx.put_task(task))
    })
    .await
    .unwrap();

    assert_eq!(read(store, |db| db.task(id(4))).await, Some(leaf.clone()));
    assert_eq!(read(store, |db| db.task(id(6))).await, None);
    let deepest_first = [leaf.clone(), right.clone(), left.clone(), root.clone()];
    assert_eq!(read(store, |db| db.subtree(id(1))).await, deepest_first);
    assert_eq!(
        read(store, |db| db.subtree(id(2))).await,
        [leaf.clone(), left.clone()]
    );
    assert_eq!(read(store, |db| db.subtree(id(6))).await, []);
    let below = read(store, |db| db.open_children(id(1))).await;
    assert_eq!(below, [left.clone(), right.clone()]);
    assert_eq!(read(store, |db| db.open_children(id(4))).await, []);

    let everything = TaskFilter::default();
    let page = read(store, move |db| db.tasks(&everything, None, 2)).await;
    assert_eq!(page, [other.clone(), leaf.clone()]);
    let everything = TaskFilter::default();
    let page = read(store, move |db| db.tasks(&everything, Some(id(4)), 2)).await;
    assert_eq!(page, [right.clone(), left.clone()]);
    let filter = TaskFilter {
        agent: Some("helper".parse().unwrap()),
        user: Some("user:local:alice".parse().unwrap()),
        state: Some(TaskState::Open),
        root: Some(id(1)),
    };
    assert_eq!(
        read(store, move |db| db.tasks(&filter, None, usize::MAX)).await,
        [leaf.clone(), right, left.clone()]
    );
    let revoked = TaskFilter {
        state: Some(TaskState::Revoked),
        ..TaskFilter::default()
    };
    assert_eq!(read(store, move |db| db.tasks(&revoked, None, 9)).await, []);

    assert_eq!(read(store, |db| db.tasks_due(at(49))).await, []);
    assert_eq!(
        read(store, |db| db.tasks_due(at(50))).await,
        std::slice::from_ref(&other)
    );
    let mut ended = other;
    ended.end(TaskState::Expired).unwrap();
    write(store, move |tx| tx.put_task(&ended)).await.unwrap();
    assert_eq!(read(store, |db| db.tasks_due(at(50))).await, []);
    let bob = "user:local:bob".parse().unwrap();
    assert_eq!(read(store, move |db| db.open_tasks_of_user(&bob)).await, []);
    let coder = "coder".parse().unwrap();
    assert_eq!(
        read(store, move |db| db.open_tasks_of_agent(&coder)).await,
        [root]
    );
    assert_eq!(read(store, |db| db.open_tasks()).await.len(), 4);
    let mut done = leaf;
    done.end(TaskState::Completed).unwrap();
    write(store, move |tx| tx.put_task(&done)).await.unwrap();
    assert_eq!(read(store, |db| db.open_children(id(2))).await, []);
}

pub(crate) async fn task_rules(store: &Store) {
    let root = task(1);
    let kept = root.clone();
    write(store, move |tx| tx.put_task(&kept)).await.unwrap();

    let grown = Task {
        version: 2,
        ..root.clone()
    };
    let refused: Vec<(&str, Task)> = vec![
        ("unknown parent", child(2, &task(77))),
        (
            "ancestors that are not the parent's",
            Task {
                ancestors: vec![id(1), id(1)],
                ..child(2, &root)
            },
        ),
        (
            "no ancestors",
            Task {
                ancestors: Vec::new(),
                ..child(2, &root)
            },
        ),
        (
            "ancestors without a parent",
            Task {
                parent: None,
                ..child(2, &root)
            },
        ),
        (
            "born after the next change",
            Task {
                born_seq: 9,
                ..task(2)
            },
        ),
        (
            "another agent",
            Task {
                agent: "zoe".parse().unwrap(),
                ..grown.clone()
            },
        ),
        (
            "another user",
            Task {
                user: "user:x:y".parse().unwrap(),
                ..grown.clone()
            },
        ),
        (
            "another birth",
            Task {
                born_seq: 1,
                ..grown.clone()
            },
        ),
    ];
    for (why, task) in refused {
        let error = write(store, move |tx| tx.put_task(&task))
            .await
            .unwrap_err();
        assert!(
            matches!(error, StoreError::Refused { .. }),
            "{why}: {error}"
        );
    }
    let repeated = root.clone();
    let stale = write(store, move |tx| tx.put_task(&repeated))
        .await
        .unwrap_err();
    assert!(
        matches!(
            stale,
            StoreError::VersionConflict {
                stored: 1,
                offered: 1,
                ..
            }
        ),
        "{stale}"
    );
}

pub(crate) async fn task_ends(store: &Store) {
    let root = task(1);
    let kept = root.clone();
    write(store, move |tx| tx.put_task(&kept)).await.unwrap();
    let mut ended = root.clone();
    ended.end(TaskState::Completed).unwrap();
    let row = ended.clone();
    write(store, move |tx| tx.put_task(&row)).await.unwrap();
    let late = child(2, &root);
    let late = write(store, move |tx| tx.put_task(&late))
        .await
        .unwrap_err();
    assert!(
        matches!(late, StoreError::Refused { .. }),
        "a child below an ended task: {late}"
    );
    let revived = Task {
        state: TaskState::Open,
        version: 3,
        ..ended
    };
    let revived = write(store, move |tx| tx.put_task(&revived))
        .await
        .unwrap_err();
    assert!(
        matches!(revived, StoreError::Refused { .. }),
        "an ended task was opened again: {revived}"
    );
}
