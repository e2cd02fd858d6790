//! A store in which tasks ended and what was theirs did not, as no use case leaves it.

use bailiwick_core::approval::ApprovalState;
use bailiwick_core::event::EventType;
use bailiwick_core::lease::LeaseState;
use bailiwick_core::task::{Task, TaskState};

use super::bench_node::{Bench, admin, open, question};
use crate::leftovers::{Left, Leftover};
use crate::tasks::OpenTask;

impl Bench {
    /// Ends a task behind everybody's back: nothing else ends with it.
    async fn end_alone(&self, task: &Task) {
        let id = task.id;
        let write = self.store.write(move |tx| {
            let mut task = tx.task(id)?.unwrap();
            task.state = TaskState::Completed;
            task.version += 1;
            tx.put_task(&task)
        });
        write.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_finds_nothing_where_tasks_end_as_they_should() {
    let bench = Bench::new().await;
    let task = bench.task().await;
    bench.leased(&task, 1).await;
    bench.control.ask(question(&task, 1)).await.unwrap();
    let child = OpenTask {
        parent: Some(task.id),
        ..open("coder")
    };
    bench.control.open_task(&admin(), child).await.unwrap();
    let control = &bench.control;
    control
        .end_task(&admin(), task.id, TaskState::Completed)
        .await
        .unwrap();
    assert_eq!(bench.control.end_leftovers(&admin()).await, Ok(Vec::new()));
    assert_eq!(bench.recorded(EventType::TaskOutlived).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_reports_each_thing_that_outlived_its_task_and_ends_it() {
    let bench = Bench::new().await;
    let (task, other) = (bench.task().await, bench.task().await);
    let (lease, kept) = (bench.leased(&task, 1).await, bench.leased(&other, 2).await);
    let approval = bench.control.ask(question(&task, 1)).await.unwrap();
    let child = OpenTask {
        parent: Some(task.id),
        ..open("coder")
    };
    let child = bench.control.open_task(&admin(), child).await.unwrap();
    let childs = bench.leased(&child, 3).await;
    bench.end_alone(&task).await;
    *bench.point.1.lock().unwrap() = vec![(7, task.id)];
    let left = |what| Leftover {
        what,
        task: task.id,
    };
    let mut expected = [
        left(Left::Lease(lease)),
        left(Left::Approval(approval.id)),
        left(Left::Child(child.id)),
        left(Left::Stream(7)),
    ];
    expected.sort();
    let found = bench.control.end_leftovers(&admin()).await.unwrap();
    assert_eq!(found, expected);
    for lease in [lease, childs] {
        assert_ne!(bench.lease_state(lease).await.0, LeaseState::Active);
    }
    assert_eq!(bench.lease_state(kept).await.0, LeaseState::Active);
    assert_eq!(bench.task_state(&child).await, TaskState::Revoked);
    let view = bench.control.approval(&admin(), approval.id).await.unwrap();
    assert_eq!(view.approval.state, ApprovalState::Void);
    assert_eq!(bench.recorded(EventType::TaskOutlived).await, 4);
    let told = bench.point.0.lock().unwrap().clone();
    assert!(told.contains(&format!("cut task/{}", task.id)), "{told:?}");
    bench.point.1.lock().unwrap().clear();
    assert_eq!(bench.control.end_leftovers(&admin()).await, Ok(Vec::new()));
}
