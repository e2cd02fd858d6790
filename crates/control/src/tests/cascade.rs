//! What tasks and approvals cost: commits, threads, memory. Times are a matter of `cargo xtask bench reevaluate`.

use std::sync::{Arc, Mutex};

use bailiwick_core::approval::ApprovalState;
use bailiwick_core::change::{Change, ChangeBody};
use bailiwick_core::event::EventType;
use bailiwick_core::id::TaskId;
use bailiwick_core::lease::{Lease, LeaseState};
use bailiwick_core::task::{Task, TaskState};
use bailiwick_store::{LeaseFilter, Observer, StoreError};

use super::bench_node::{Bench, admin, open, question};
use crate::tasks::OpenTask;

/// Of each commit that ended tasks, how many those were.
#[derive(Default)]
struct Ends(Mutex<Vec<usize>>);

impl Observer for Ends {
    fn committed(&self, changes: &[Change]) {
        let ended = changes.iter().filter(|change| match &change.body {
            ChangeBody::Task(task) => task.state != TaskState::Open,
            _ => false,
        });
        let ended = ended.count();
        if ended > 0 {
            self.0.lock().unwrap().push(ended);
        }
    }
}

impl Bench {
    async fn end(&self, task: TaskId) {
        let ended = self
            .control
            .end_task(&admin(), task, TaskState::Completed)
            .await;
        ended.unwrap();
    }

    async fn leases(&self, task: &Task) -> Vec<Lease> {
        let filter = LeaseFilter {
            task: Some(task.id),
            ..LeaseFilter::default()
        };
        let read = self
            .store
            .read(move |rows| rows.leases(&filter, None, 1_000));
        let leases: Result<Vec<Lease>, StoreError> = read.await;
        leases.unwrap()
    }
}

/// 1 parent, 50 children, 4 leases each: whatever hangs on them, one commit ends their authority.
#[tokio::test(flavor = "multi_thread")]
async fn parent_ends_while_fifty_children_work() {
    let bench = Bench::new().await;
    let parent = bench.task().await;
    let mut children = Vec::new();
    for at in 0..50 {
        let below = OpenTask {
            parent: Some(parent.id),
            ..open("coder")
        };
        let child = bench.control.open_task(&admin(), below).await.unwrap();
        for lease in 0..4 {
            bench.leased(&child, 1 + at * 4 + lease).await;
        }
        children.push(child);
    }
    bench.control.settled().await.unwrap();
    let ends = Arc::new(Ends::default());
    bench.store.observe(Arc::clone(&ends) as Arc<dyn Observer>);
    let before = bench.store.commits();
    bench.end(parent.id).await;
    bench.control.settled().await.unwrap();
    assert_eq!(*ends.0.lock().unwrap(), [51], "they ended in one commit");
    // That one, the one that notes credentials as gone, and those that take what was put on record out of the outbox, 256 at once.
    let commits = bench.store.commits() - before;
    assert!((2..=5).contains(&commits), "{commits}");
    let cut = bench.point.0.lock().unwrap().clone();
    for child in &children {
        assert_eq!(bench.task_state(child).await, TaskState::Cancelled);
        assert!(cut.contains(&format!("cut task/{}", child.id)));
        let leases = bench.leases(child).await;
        assert_eq!(leases.len(), 4);
        for lease in leases {
            assert_eq!(lease.state, LeaseState::Tombstone);
            assert_eq!(lease.cause.as_deref(), Some("tasks.end"));
        }
    }
    assert!(
        bench
            .control
            .end_leftovers(&admin())
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(bench.recorded(EventType::TaskEnded).await, 51);
    assert_eq!(bench.recorded(EventType::LeaseRevoking).await, 200);
    assert_eq!(bench.recorded(EventType::LeaseDead).await, 200);
}

/// One commit opens a task, one ends it. Each event is taken out of the outbox by one more, for which no authority waits.
#[tokio::test(flavor = "multi_thread")]
async fn opening_and_completing_a_task_takes_one_commit_each() {
    let bench = Bench::new().await;
    bench.control.settled().await.unwrap();
    let before = bench.store.commits();
    let seq = bench.store.head();
    let task = bench.task().await;
    bench.end(task.id).await;
    bench.control.settled().await.unwrap();
    assert_eq!(bench.store.head(), seq + 2, "a change each");
    let commits = bench.store.commits() - before;
    assert!((3..=4).contains(&commits), "{commits}");
}

/// Threads of this process.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// Who waits for a person is a future of less than 8 KiB, not a thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_that_wait_for_people_hold_no_thread() {
    let bench = Bench::new().await;
    let task = bench.task().await;
    let asked = bench.control.ask(question(&task, 1)).await.unwrap();
    let wait = bench.control.settled_approval(asked.id);
    assert!(size_of_val(&wait) < 8 * 1024, "{}", size_of_val(&wait));
    drop(wait);
    let waiting: Vec<_> = (0..1_000)
        .map(|_| {
            let control = bench.control.clone();
            tokio::spawn(async move { control.settled_approval(asked.id).await.unwrap().state })
        })
        .collect();
    while bench.control.approval_news.receiver_count() < waiting.len() {
        tokio::task::yield_now().await;
    }
    // What reads the store is of a fixed number.
    assert!(threads() < 64, "{} threads", threads());
    bench.end(task.id).await;
    for one in waiting {
        assert_eq!(one.await.unwrap(), ApprovalState::Void);
    }
}
