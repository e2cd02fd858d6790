//! Revocation: at once here, durable in one transaction, everything below ends, lifting revives nothing.

use std::time::Duration;

use bailiwick_core::Code;
use bailiwick_core::event::EventType;
use bailiwick_core::fence::Subject;
use bailiwick_core::receipt::How;
use bailiwick_core::task::TaskState;
use bailiwick_crypto::token::{KeySet, receipt};

use super::bench_node::{Bench, admin, open, person};
use crate::revocation::Wait;
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
        .revocation_preview(&admin(), vec![agent()])
        .await
        .unwrap();
    assert_eq!(dry.cut.tasks, 2);
    let below: Vec<_> = dry
        .tasks
        .iter()
        .map(|branch| (branch.task, branch.depth, branch.agent.as_str()))
        .collect();
    assert_eq!(below, [(parent.id, 0, "coder"), (child.id, 1, "helper")]);
    assert_eq!(
        bench.control.task(&admin(), parent.id).await.unwrap().state,
        TaskState::Open,
        "a dry run ends nothing"
    );
    let report = bench
        .control
        .revoke(&admin(), vec![agent()], "INC-4".into(), Wait::All)
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
    let kept = bench.control.revocation(&admin(), report.id).await.unwrap();
    assert_eq!(kept.cut.get("tasks"), Some(&2));
}

/// The receipt says where the order's first event stands in the log, and is the same whenever it is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_gives_a_receipt_that_names_its_event() {
    let bench = Bench::new().await;
    bench.task().await;
    let subjects = vec![agent(), "owner/team-dev".parse().unwrap()];
    let report = bench
        .control
        .revoke(&admin(), subjects.clone(), "INC-4".into(), Wait::Dead)
        .await
        .unwrap();
    let keys = KeySet::new([bench.receipts.0.jwk().clone()]).unwrap();
    let text = report.receipt.unwrap();
    let receipt = receipt::verify(&text, &keys).unwrap();
    assert_eq!(
        (receipt.jti, receipt.seq, &receipt.subjects),
        (report.id, report.seq, &subjects)
    );
    let [point] = receipt.points.as_slice() else {
        panic!("{receipt:?}")
    };
    assert_eq!(
        (point.id.as_str(), point.how, point.applied_ms),
        ("example.org/node-1", How::Acked, 0)
    );
    let entry = bench.log.directory().entry(receipt.audit.index);
    let event = entry.unwrap().unwrap().parse().unwrap().event;
    assert_eq!(event.kind, EventType::FenceSet);
    assert_eq!(
        event.change.unwrap().id,
        report.fences.first().unwrap().id.to_string()
    );
    for _ in 0..2 {
        assert_eq!(
            bench.control.receipt(&admin(), report.id).await.unwrap(),
            text
        );
    }
}

/// What is not waited for happens all the same.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_waits_for_nothing_is_carried_out() {
    let bench = Bench::new().await;
    bench.task().await;
    let report = bench
        .control
        .revoke(&admin(), vec![agent()], "INC-4".into(), Wait::None)
        .await
        .unwrap();
    assert_eq!((report.receipt, report.cut.tasks), (None, 1));
    let receipt = async {
        loop {
            match bench.control.receipt(&admin(), report.id).await {
                Ok(receipt) => break receipt,
                Err(problem) => assert_eq!(problem.code, Code::Conflict, "{problem}"),
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), receipt)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn lift_revives_nothing() {
    let bench = Bench::new().await;
    let task = bench.task().await;
    let report = bench
        .control
        .revoke(&admin(), vec![agent()], "INC-4".into(), Wait::All)
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
        .revoke(&viewer, vec![Subject::Task(task.id)], "x".into(), Wait::All)
        .await
        .unwrap_err();
    assert_eq!(refused.code, Code::NotPermitted);
    assert!(
        bench.point.0.lock().unwrap().is_empty(),
        "a refused order fences nothing"
    );
    let report = bench
        .control
        .revoke(
            &admin(),
            vec![Subject::Task(task.id)],
            "x".into(),
            Wait::All,
        )
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
            Wait::All,
        )
        .await
        .unwrap();
    assert_eq!((report.cut.tasks, &report.receipt), (1, &None));
    let unsigned = bench.control.receipt(&admin(), report.id).await;
    assert_eq!(unsigned.unwrap_err().code, Code::Conflict);
    assert_eq!(
        bench.control.task(&admin(), task.id).await.unwrap().state,
        TaskState::Revoked
    );
    let waiting = bench.store.read(|rows| rows.outbox_len()).await.unwrap();
    assert!(waiting >= 3, "the events wait in the outbox: {waiting}");
}
