//! The order of the checks, and the outcomes of each.

use std::time::Duration;

use bailiwick_core::change::ChangeBody;
use bailiwick_core::decision::Outcome;
use bailiwick_core::definition::ToolState;
use bailiwick_core::fence::Subject;
use bailiwick_core::json::{Limits, check};
use bailiwick_core::rollout::{Observe, Rollout};
use bailiwick_core::task::TaskState;
use bailiwick_core::{Clock as _, Code, Effect};
use bailiwick_crypto::system::SystemClock;
use serde_json::json;

use super::{Call, Decided};
use crate::testing::{TASK, World};

async fn decide(
    world: &World,
    tool: &str,
    arguments: &str,
    discharged: &[String],
    count: bool,
) -> Decided {
    let (caller, server, name) = (World::caller(), World::server(), tool.parse().unwrap());
    let shown = Some(World::tool(tool, Effect::Read, ToolState::Approved).approved);
    let arguments = check(arguments.as_bytes(), &Limits::ENVELOPE).unwrap();
    let call = Call {
        caller: &caller,
        server: &server,
        tool: &name,
        arguments: &arguments,
        shown,
        discharged,
        count,
    };
    world.gateway.decider.decide(&call).await
}

async fn code(world: &World, tool: &str, arguments: &str) -> (Outcome, Option<Code>) {
    let decided = decide(world, tool, arguments, &[], true).await;
    (decided.decision.outcome, decided.decision.code)
}

#[tokio::test]
async fn the_table_of_outcomes() {
    let world = World::new().await;
    for (tool, arguments, expected) in [
        ("get", "{}", (Outcome::Allow, None)),
        ("get", r#"{"path":"docs/a"}"#, (Outcome::Allow, None)),
        (
            "get",
            r#"{"path":"docs/../secrets"}"#,
            (Outcome::Deny, Some(Code::ScopeExceeded)),
        ),
        (
            "get",
            r#"{"path":"src/a"}"#,
            (Outcome::Deny, Some(Code::ScopeExceeded)),
        ),
        ("put", "{}", (Outcome::StepUp, Some(Code::StepUpRequired))),
        ("new", "{}", (Outcome::Deny, Some(Code::ToolNew))),
        ("none", "{}", (Outcome::Deny, Some(Code::ToolUnknown))),
    ] {
        assert_eq!(
            code(&world, tool, arguments).await,
            expected,
            "{tool} {arguments}"
        );
    }
}

/// Everything is wrong at once; each refusal, once repaired, shows the next. Policy comes last, and nothing overrides what is before it.
#[tokio::test]
async fn fences_then_task_then_definition_then_scope_then_budget_then_policy() {
    let world = World::with(json!({ "calls": 0 })).await;
    let outside = r#"{"path":"src/a"}"#;
    let mut tool = World::tool("get", Effect::Read, ToolState::Rejected);
    world.commit(ChangeBody::Tool(tool.clone()));
    let mut task = world.task();
    task.end(TaskState::Cancelled).unwrap();
    world.commit(ChangeBody::Task(task.clone()));
    let mut fence = world.fence(Subject::User(task.user.clone()));
    world.commit(ChangeBody::Fence(fence.clone()));
    assert_eq!(code(&world, "get", outside).await.1, Some(Code::Revoked));
    // Lifted before the root task was opened: what is older than the lift stays dead, what is younger lives.
    fence.lifted_seq = Some(task.born_seq - 1);
    world.commit(ChangeBody::Fence(fence));
    assert_eq!(code(&world, "get", outside).await.1, Some(Code::TaskEnded));
    task.state = TaskState::Open;
    world.commit(ChangeBody::Task(task.clone()));
    assert_eq!(
        code(&world, "get", outside).await.1,
        Some(Code::ToolRejected)
    );
    tool = World::tool("get", Effect::Read, ToolState::Approved);
    world.commit(ChangeBody::Tool(tool));
    assert_eq!(
        code(&world, "get", outside).await.1,
        Some(Code::ScopeExceeded)
    );
    assert_eq!(
        code(&world, "get", "{}").await.1,
        Some(Code::BudgetExhausted)
    );
    // An approval at hand opens none of these.
    let decided = decide(&world, "get", "{}", &["approval:approver".to_owned()], true).await;
    assert_eq!(decided.decision.code, Some(Code::BudgetExhausted));
}

#[tokio::test]
async fn every_fence_of_the_chain_and_of_the_target_stops_the_call() {
    for subject in [
        Subject::TrustDomain,
        Subject::Owner("team".parse().unwrap()),
        Subject::Agent("coder".parse().unwrap()),
        Subject::User("user:local:alice".parse().unwrap()),
        Subject::Server(World::server()),
        Subject::Tool("tools/get".parse().unwrap()),
        Subject::Instance(crate::testing::INSTANCE),
        Subject::Task(TASK),
    ] {
        let world = World::new().await;
        world.commit(ChangeBody::Fence(world.fence(subject.clone())));
        assert_eq!(
            code(&world, "get", "{}").await.1,
            Some(Code::Revoked),
            "{subject}"
        );
    }
}

#[tokio::test]
async fn only_allowed_calls_are_counted() {
    let world = World::with(json!({ "calls": 2, "writes": 1 })).await;
    let approved = ["approval:approver".to_owned()];
    for _ in 0..3 {
        assert_eq!(code(&world, "put", "{}").await.0, Outcome::StepUp);
    }
    assert!(
        decide(&world, "put", "{}", &approved, false)
            .await
            .allowed()
    );
    assert_eq!(world.gateway.decider.usage(TASK).calls, 0);
    assert!(decide(&world, "put", "{}", &approved, true).await.allowed());
    assert_eq!(
        decide(&world, "put", "{}", &approved, true)
            .await
            .decision
            .code,
        Some(Code::BudgetExhausted)
    );
    assert_eq!(code(&world, "get", "{}").await.0, Outcome::Allow);
    assert_eq!(
        code(&world, "get", "{}").await.1,
        Some(Code::BudgetExhausted)
    );
}

#[tokio::test]
async fn a_definition_that_differs_from_the_approved_one_is_not_called() {
    let world = World::new().await;
    let (caller, server, name) = (World::caller(), World::server(), "get".parse().unwrap());
    let arguments = check(b"{}", &Limits::ENVELOPE).unwrap();
    let other = World::tool("put", Effect::Read, ToolState::Approved).approved;
    for (shown, expected) in [
        (Some(other), Code::ToolChanged),
        (Some(None), Code::ToolChanged),
        (None, Code::ToolRetired),
    ] {
        let call = Call {
            caller: &caller,
            server: &server,
            tool: &name,
            arguments: &arguments,
            shown,
            discharged: &[],
            count: true,
        };
        assert_eq!(
            world.gateway.decider.decide(&call).await.decision.code,
            Some(expected)
        );
    }
}

#[tokio::test]
async fn a_closed_replica_denies() {
    let world = World::new().await;
    world.replica.apply(&[bailiwick_core::change::Change {
        seq: 99,
        body: ChangeBody::Policy(bailiwick_core::Digest([1; 32])),
        event: None,
    }]);
    assert_eq!(code(&world, "get", "{}").await.1, Some(Code::ReplicaBehind));
}

#[tokio::test]
async fn a_stage_caps_what_the_scope_would_let_through() {
    let world = World::new().await;
    let stage = |name: &str, version| {
        let mut task = world.task();
        task.workflow = "staged".parse().unwrap();
        task.stage = name.parse().unwrap();
        task.version = version;
        ChangeBody::Task(task)
    };
    world.commit(stage("plan", 2));
    assert_eq!(code(&world, "get", "{}").await.0, Outcome::Allow);
    let refused = decide(&world, "put", "{}", &[], true).await.decision;
    assert_eq!(refused.code, Some(Code::ScopeExceeded));
    assert_eq!(refused.reasons.first().unwrap().source, "stage");
    world.commit(stage("execute", 3));
    assert_eq!(code(&world, "put", "{}").await.0, Outcome::StepUp);
    world.commit(stage("gone", 4));
    let lost = code(&world, "get", "{}").await;
    assert_eq!(
        lost,
        (Outcome::Deny, Some(Code::StageDenied)),
        "a stage that the bundle does not have"
    );
}

/// What policy refuses goes through while it is observed, and says what it would be; all that comes before policy, and the budget,
/// refuses as ever. When the time is over it is enforced without anybody saying so.
#[tokio::test]
async fn observing_lifts_what_policy_refuses_and_nothing_else() {
    let world = World::with(json!({ "calls": 2 })).await;
    let now = SystemClock.wall();
    let observe = |until| {
        ChangeBody::Rollout(Rollout {
            observe: Some(Observe {
                until,
                since: now,
                by: "uid:0".to_owned(),
                reason: "trial".to_owned(),
            }),
            ..Rollout::default()
        })
    };
    world.commit(observe(now.plus(Duration::from_hours(1))));
    let lifted = decide(&world, "put", "{}", &[], true).await;
    let would_be = lifted.decision.would_be.as_ref().unwrap();
    assert_eq!(
        (lifted.decision.outcome, would_be.outcome, would_be.code),
        (Outcome::Allow, Outcome::StepUp, Some(Code::StepUpRequired))
    );
    assert!(lifted.observed && lifted.decision.obligations.is_empty());
    for (tool, arguments, refused) in [
        ("get", r#"{"path":"src/a"}"#, Code::ScopeExceeded),
        ("new", "{}", Code::ToolNew),
        ("none", "{}", Code::ToolUnknown),
    ] {
        assert_eq!(
            code(&world, tool, arguments).await,
            (Outcome::Deny, Some(refused)),
            "{tool}"
        );
    }
    assert_eq!(code(&world, "put", "{}").await, (Outcome::Allow, None));
    assert_eq!(
        code(&world, "put", "{}").await,
        (Outcome::Deny, Some(Code::BudgetExhausted)),
        "an observed call counts"
    );
    let world = World::new().await;
    world.commit(observe(now));
    assert_eq!(
        code(&world, "put", "{}").await,
        (Outcome::StepUp, Some(Code::StepUpRequired))
    );
}
