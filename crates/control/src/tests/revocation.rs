//! Revocation: at once here, durable in one transaction, everything below ends, lifting revives nothing.

use bailiwick_core::Code;
use bailiwick_core::event::EventType;
use bailiwick_core::fence::Subject;
use bailiwick_core::task::TaskState;

use super::bench_node::{Bench, admin, open, person};
use crate::tasks::OpenTask;

fn agent() -> Subject {
    Subject::parse("agent", "coder").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_agent_loses_everything_below_it() {
    let bench = Bench::new().await;
    let parent = bench.task().await;
    bench.agent("helper").await;
    let child = OpenTask {
        parent: Some(parent.id),
        ..open("helper")
    };
    let child = bench.control.open_task(&admin(), child).await.unwrap();
    let dry = bench
        .control
        .revoke(&admin(), vec![agent()], "INC-4".into(), true)
        .await
        .unwrap();
    assert_eq!((dry.id, dry.cut.tasks), (None, 2));
    assert_eq!(
        bench.control.task(&admin(), parent.id).await.unwrap().state,
        TaskState::Open,
        "a dry run ends nothing"
    );
    let report = bench
        .control
        .revoke(&admin(), vec![agent()], "INC-4".into(), false)
        .await
        .unwrap();
    assert_eq!(report.cut.tasks, 2);
    for task in [parent.id, child.id] {
        assert_eq!(
            bench.control.task(&admin(), task).await.unwrap().state,
            TaskState::Revoked
        );
    }
    let told = bench.point.0.lock().unwrap().clone();
    let fence = told
        .iter()
        .position(|line| line == "fence agent/coder")
        .unwrap();
    let cut = told
        .iter()
        .position(|line| line == "cut agent/coder")
        .unwrap();
    assert!(
        fence < cut,
        "the fence holds before anything is cut: {told:?}"
    );
    assert_eq!(
        bench
            .control
            .open_task(&admin(), open("coder"))
            .await
            .unwrap_err()
            .code,
        Code::Revoked
    );
    assert_eq!(bench.recorded(EventType::FenceSet).await, 1);
    assert_eq!(bench.recorded(EventType::FenceReached).await, 1);
    let kept = bench
        .control
        .revocation(&admin(), report.id.unwrap())
        .await
        .unwrap();
    assert_eq!(kept.cut.get("tasks"), Some(&2));
}

#[tokio::test(flavor = "multi_thread")]
async fn lift_revives_nothing() {
    let bench = Bench::new().await;
    let task = bench.task().await;
    let report = bench
        .control
        .revoke(&admin(), vec![agent()], "INC-4".into(), false)
        .await
        .unwrap();
    let fence = report.fences.first().unwrap().id;
    let empty = bench
        .control
        .lift(&admin(), fence, " ".into())
        .await
        .unwrap_err();
    assert_eq!(empty.code, Code::InvalidInput);
    bench
        .control
        .lift(&admin(), fence, "cleared".into())
        .await
        .unwrap();
    assert_eq!(
        bench.control.task(&admin(), task.id).await.unwrap().state,
        TaskState::Revoked
    );
    bench
        .control
        .open_task(&admin(), open("coder"))
        .await
        .unwrap();
    assert_eq!(
        bench
            .control
            .lift(&admin(), fence, "again".into())
            .await
            .unwrap_err()
            .code,
        Code::Conflict
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn final_fences_are_not_lifted_and_roles_hold() {
    let bench = Bench::new().await;
    let task = bench.task().await;
    let viewer = person("eve", &[bailiwick_core::account::Role::Viewer]);
    let refused = bench
        .control
        .revoke(&viewer, vec![Subject::Task(task.id)], "x".into(), false)
        .await
        .unwrap_err();
    assert_eq!(refused.code, Code::NotPermitted);
    assert!(
        bench.point.0.lock().unwrap().is_empty(),
        "a refused order fences nothing"
    );
    let report = bench
        .control
        .revoke(&admin(), vec![Subject::Task(task.id)], "x".into(), false)
        .await
        .unwrap();
    let fence = report.fences.first().unwrap().id;
    assert_eq!(
        bench
            .control
            .lift(&admin(), fence, "please".into())
            .await
            .unwrap_err()
            .code,
        Code::Conflict
    );
    let operator = person("otto", &[bailiwick_core::account::Role::Operator]);
    assert_eq!(
        bench
            .control
            .lift(&operator, fence, "please".into())
            .await
            .unwrap_err()
            .code,
        Code::NotPermitted
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn narrowing_never_waits() {
    let bench = Bench::new().await;
    let task = bench.task().await;
    // The log is gone: nothing can be recorded any more.
    bench.log.close();
    assert_eq!(
        bench
            .control
            .open_task(&admin(), open("coder"))
            .await
            .unwrap_err()
            .code,
        Code::AuditUnavailable
    );
    let report = bench
        .control
        .revoke(
            &admin(),
            vec![Subject::Task(task.id)],
            "INC-5".into(),
            false,
        )
        .await
        .unwrap();
    assert_eq!(report.cut.tasks, 1);
    assert_eq!(
        bench.control.task(&admin(), task.id).await.unwrap().state,
        TaskState::Revoked
    );
    let waiting = bench.store.read(|rows| rows.outbox_len()).await.unwrap();
    assert!(waiting >= 3, "the events wait in the outbox: {waiting}");
}
