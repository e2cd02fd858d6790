//! Opening, delegating and ending tasks.

use std::time::Duration;

use bailiwick_core::Code;
use bailiwick_core::account::Role;
use bailiwick_core::event::EventType;
use bailiwick_core::id::TaskId;
use bailiwick_core::risk::Risk;
use bailiwick_core::task::TaskState;
use bailiwick_store::TaskFilter;

use super::bench_node::{Bench, admin, open, person};
use crate::Actor;
use crate::tasks::OpenTask;

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_on_record_before_it_is_there() {
    let bench = Bench::new().await;
    let task = bench.task().await;
    let opened = bench.leaves().await;
    let event = opened
        .iter()
        .find(|leaf| leaf.event.kind == EventType::TaskOpened)
        .unwrap();
    assert_eq!(event.event.task.as_ref().unwrap().id, task.id);
    assert_eq!(
        event.event.user.as_deref(),
        Some(task.user_pseudonym.as_str())
    );
    let text = serde_json::to_string(&opened).unwrap();
    assert!(
        !text.contains("alice") && !text.contains("issue 12"),
        "names and words are sealed: {text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_runs_tasks_sees_what_they_are_for() {
    let bench = Bench::new().await;
    let task = bench.task().await;
    let words = task.request.text.clone();
    assert!(!words.is_empty());
    let everything = TaskFilter::default();
    for (role, sees) in [
        (Role::Viewer, false),
        (Role::Approver, false),
        (Role::Operator, true),
        (Role::Admin, false),
    ] {
        let reader = person("somebody", &[role]);
        let control = &bench.control;
        let one = control.task(&reader, task.id).await.unwrap();
        let listed = control.tasks(&reader, everything.clone(), None, 10).await;
        let tree = control.subtree(&reader, task.id).await.unwrap();
        for seen in listed.unwrap().iter().chain(&tree).chain([&one]) {
            let text = serde_json::to_string(seen).unwrap();
            assert_eq!(text.contains(&words), sees, "{role:?}: {text}");
            assert_eq!(seen.request.source, task.request.source);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_never_gets_more_than_its_parent() {
    let bench = Bench::new().await;
    bench.agent("helper").await;
    let read_only = OpenTask {
        scope: Some(
            serde_json::from_str(r#"{"grants":[{"server":["files"],"tool":["read_*"],"effects":["read"]}],"depth":1}"#)
                .unwrap(),
        ),
        ..open("coder")
    };
    let parent = bench.control.open_task(&admin(), read_only).await.unwrap();
    let child = |json: &str| OpenTask {
        parent: Some(parent.id),
        scope: Some(serde_json::from_str(json).unwrap()),
        ..open("helper")
    };
    let wider = r#"{"grants":[{"server":["files"],"tool":["*"],"effects":["read"]}]}"#;
    let refused = bench
        .control
        .open_task(&admin(), child(wider))
        .await
        .unwrap_err();
    assert_eq!(refused.code, Code::DelegationWidening, "{refused:?}");
    let same = r#"{"grants":[{"server":["files"],"tool":["read_file"],"effects":["read"]}]}"#;
    let opened = bench
        .control
        .open_task(&admin(), child(same))
        .await
        .unwrap();
    assert_eq!(opened.root(), parent.id);
    assert!(opened.expires_at <= parent.expires_at);
    let deeper = OpenTask {
        parent: Some(opened.id),
        ..open("coder")
    };
    assert_eq!(
        bench
            .control
            .open_task(&admin(), deeper)
            .await
            .unwrap_err()
            .code,
        Code::DelegationDepth
    );
    let other_user = OpenTask {
        user: "user:local:mallory".parse().unwrap(),
        ..child(same)
    };
    assert_eq!(
        bench
            .control
            .open_task(&admin(), other_user)
            .await
            .unwrap_err()
            .code,
        Code::DelegationWidening
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_task_ends_what_is_below_it() {
    let bench = Bench::new().await;
    let parent = bench.task().await;
    let child = OpenTask {
        parent: Some(parent.id),
        ..open("coder")
    };
    let child = bench.control.open_task(&admin(), child).await.unwrap();
    let ended = bench
        .control
        .end_task(&admin(), parent.id, TaskState::Completed)
        .await
        .unwrap();
    assert_eq!(ended.state, TaskState::Completed);
    assert_eq!(
        bench.control.task(&admin(), child.id).await.unwrap().state,
        TaskState::Cancelled
    );
    let cut = bench.point.0.lock().unwrap().clone();
    assert!(cut.contains(&format!("cut task/{}", child.id)), "{cut:?}");
    let again = bench
        .control
        .end_task(&admin(), parent.id, TaskState::Completed)
        .await
        .unwrap_err();
    assert_eq!(again.code, Code::TaskEnded);
    let orphan = OpenTask {
        parent: Some(parent.id),
        ..open("coder")
    };
    assert_eq!(
        bench
            .control
            .open_task(&admin(), orphan)
            .await
            .unwrap_err()
            .code,
        Code::TaskEnded
    );
    assert_eq!(bench.recorded(EventType::TaskEnded).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn time_ends_tasks() {
    let bench = Bench::new().await;
    let short = OpenTask {
        ttl: Some(Duration::from_mins(1)),
        ..open("coder")
    };
    let task = bench.control.open_task(&admin(), short).await.unwrap();
    bench.control.sweep_once().await.unwrap();
    assert_eq!(
        bench.control.task(&admin(), task.id).await.unwrap().state,
        TaskState::Open
    );
    bench.later(Duration::from_mins(1));
    bench.control.sweep_once().await.unwrap();
    assert_eq!(
        bench.control.task(&admin(), task.id).await.unwrap().state,
        TaskState::Expired
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_tasks_say_why() {
    let bench = Bench::new().await;
    let code = async |actor: Actor, task: OpenTask| {
        bench
            .control
            .open_task(&actor, task)
            .await
            .unwrap_err()
            .code
    };
    let viewer = person("eve", &[Role::Viewer]);
    assert_eq!(code(viewer, open("coder")).await, Code::NotPermitted);
    assert_eq!(code(admin(), open("nobody")).await, Code::NotFound);
    let mut empty = open("coder");
    empty.request.text = " ".into();
    assert_eq!(code(admin(), empty).await, Code::InvalidInput);
    let long = OpenTask {
        ttl: Some(Duration::from_hours(25)),
        ..open("coder")
    };
    assert_eq!(code(admin(), long).await, Code::InvalidInput);
    let workflow = OpenTask {
        workflow: Some("nope".parse().unwrap()),
        ..open("coder")
    };
    assert_eq!(code(admin(), workflow).await, Code::InvalidInput);
    let parent = OpenTask {
        parent: Some(TaskId::from_bits(1)),
        ..open("coder")
    };
    assert_eq!(code(admin(), parent).await, Code::NotFound);
    let outside = r#"{"grants":[{"server":["mail"],"tool":["*"],"effects":["write"]}]}"#;
    let outside = OpenTask {
        scope: Some(serde_json::from_str(outside).unwrap()),
        ..open("coder")
    };
    assert_eq!(code(admin(), outside).await, Code::ScopeEmpty);
    let unenforced =
        r#"{"grants":[{"server":["files"],"tool":["*"],"effects":["read"]}],"budget":{"spend":5}}"#;
    let unenforced = OpenTask {
        scope: Some(serde_json::from_str(unenforced).unwrap()),
        ..open("coder")
    };
    assert_eq!(code(admin(), unenforced).await, Code::InvalidInput);
    assert_eq!(
        bench.recorded(EventType::TaskOpened).await,
        0,
        "nothing was opened"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_listed_user_launches_an_agent() {
    let bench = Bench::new().await;
    assert_eq!(
        bench
            .control
            .launch(1001, open("coder"))
            .await
            .unwrap_err()
            .code,
        Code::NotPermitted
    );
    let task = bench.control.launch(1000, open("coder")).await.unwrap();
    let ended = bench
        .control
        .launch_ended(1000, task.id, TaskState::Completed);
    ended.await.unwrap();
    assert_eq!(
        bench.control.task(&admin(), task.id).await.unwrap().state,
        TaskState::Completed
    );
}

/// A bundle that narrows what people and agents do with tasks.
fn narrowing() -> bailiwick_policy::BundleSource {
    let cedar = r#"
@id("site/short") @reason("Tasks are short.") @duty("max_ttl:30m")
forbid (principal, action in [Bailiwick::Action::"open_task", Bailiwick::Action::"delegate"], resource);
@id("site/not-at-night") @reason("The night agent opens no tasks.") @fix("Ask the day shift.")
forbid (principal in Bailiwick::AgentGroup::"night", action == Bailiwick::Action::"open_task", resource);
@id("site/no-helper") @reason("Nothing is handed to the helper.")
forbid (principal, action == Bailiwick::Action::"delegate", resource)
when { context.input.agent == Bailiwick::Agent::"helper" };
@id("site/leads") @reason("Leads lower risk.")
forbid (principal, action == Bailiwick::Action::"lower_risk", resource)
unless { principal in Bailiwick::Group::"leads" };
"#;
    let manifest =
        "name = \"site\"\n[agent.owl]\ngroups = [\"night\"]\n[user.lena]\ngroups = [\"leads\"]\n";
    let files = [("bundle.toml", manifest), ("site.cedar", cedar)];
    let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
    bailiwick_policy::BundleSource::from_dir(files).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn policy_narrows_the_opening_of_tasks_and_what_people_do_with_them() {
    let bench = Bench::new().await;
    for agent in ["helper", "owl", "other"] {
        bench.agent(agent).await;
    }
    // While nothing is published, what ships decides: no tool may be called, but tasks are opened.
    let before = bench.task().await;
    assert!(before.expires_at.since(before.created_at) > Duration::from_mins(30));
    let admin = admin();
    let published = bench.control.publish_policy(&admin, narrowing(), None);
    published.await.unwrap();

    let task = bench.task().await;
    assert_eq!(
        task.expires_at.since(task.created_at),
        Duration::from_mins(30)
    );
    let refused = bench.control.open_task(&admin, open("owl")).await;
    let refused = refused.unwrap_err();
    assert_eq!(
        (
            refused.code,
            refused.message.as_str(),
            refused.help.as_str()
        ),
        (
            Code::Forbidden,
            "The night agent opens no tasks.",
            "Ask the day shift."
        )
    );
    let below = |agent: &str| OpenTask {
        parent: Some(task.id),
        ..open(agent)
    };
    let helped = bench.control.open_task(&admin, below("helper")).await;
    assert_eq!(
        helped.unwrap_err().message,
        "Nothing is handed to the helper."
    );
    let child = bench
        .control
        .open_task(&admin, below("other"))
        .await
        .unwrap();
    assert!(child.expires_at <= task.expires_at);
    // A launcher is no way around.
    let launched = bench.control.launch(1000, open("owl")).await;
    assert_eq!(launched.unwrap_err().code, Code::Forbidden);

    let (lena, otto) = (
        person("lena", &[Role::Operator]),
        person("otto", &[Role::Operator]),
    );
    let set = |who: &Actor, risk: Risk| {
        let (control, who) = (bench.control.clone(), who.clone());
        async move {
            control
                .set_risk(&who, task.id, risk, "because".to_owned())
                .await
        }
    };
    set(&otto, Risk::High).await.unwrap();
    let lowered = set(&otto, Risk::Low).await.unwrap_err();
    assert_eq!(
        (lowered.code, lowered.message.as_str()),
        (Code::Forbidden, "Leads lower risk.")
    );
    assert_eq!(set(&lena, Risk::Low).await.unwrap().risk, Risk::Low);
}
