//! Tasks that agents open for people of outside issuers: within the agent's ceiling, no longer than what says so, for a live process alone.

use std::time::Duration;

use bailiwick_core::event::EventType;
use bailiwick_core::fence::Subject;
use bailiwick_core::id::InstanceId;
use bailiwick_core::instance::InstanceState;
use bailiwick_core::scope::{Narrowing, Wish, from_oauth};
use bailiwick_core::{Clock, Code, Timestamp};
use bailiwick_store::StoreError;

use super::bench_node::{Bench, admin};
use super::delegation::{READ, draft};
use crate::delegation::{ForUser, MAX_OPEN_ROOTS};
use crate::revocation::Wait;

/// A process of the agent asks for somebody whose token lives ten minutes more.
async fn ask(bench: &Bench, number: u128) -> ForUser {
    let instance = bench.process("coder", number).await;
    ForUser {
        by: format!("spiffe://example.org/agent/coder/{instance}")
            .parse()
            .unwrap(),
        agent: "coder".parse().unwrap(),
        instance,
        user: "user:corp:alice".parse().unwrap(),
        until: in_ten_minutes(bench),
        request: "read the tests".into(),
        wish: Wish::Whole,
        workflow: None,
        server: "files".parse().unwrap(),
    }
}

fn in_ten_minutes(bench: &Bench) -> Timestamp {
    bench.clock.wall().plus(Duration::from_mins(10))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_for_a_person_lives_as_long_as_what_says_who_they_are() {
    let bench = Bench::new().await;
    let ask = ask(&bench, 1).await;
    let opened = bench.control.open_for_user(ask.clone()).await.unwrap();
    let task = &opened.task;
    assert_eq!((task.parent, task.instance), (None, Some(ask.instance)));
    assert_eq!((&task.user, task.expires_at), (&ask.user, ask.until));
    assert_eq!(opened.narrowed_by, []);
    let leaves = bench.leaves().await;
    let told = leaves
        .iter()
        .find(|leaf| leaf.event.kind == EventType::TaskOpened)
        .unwrap();
    assert_eq!(told.event.actor.as_deref(), Some(ask.by.as_str()));
    let text = serde_json::to_string(&leaves).unwrap();
    assert!(!text.contains("read the tests") && !text.contains("corp:alice"));

    let again = bench.control.open_for_user(ask.clone()).await.unwrap();
    assert_eq!(again.task.id, task.id, "the same words, the same task");
    let words = ForUser {
        wish: Wish::Words(from_oauth("files:read files:escalate").unwrap()),
        ..ask.clone()
    };
    let opened = bench.control.open_for_user(words).await.unwrap();
    assert_ne!(opened.task.id, task.id);
    assert_eq!(opened.narrowed_by, [Narrowing::Ceiling]);
    let exact = ForUser {
        wish: Wish::Exact(draft(READ)),
        ..ask
    };
    let opened = bench.control.open_for_user(exact).await.unwrap();
    assert_eq!(opened.narrowed_by, []);
    assert_eq!(opened.task.scope.grants(), draft(READ).grants);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_opens_a_task_for_a_person_without_being_there() {
    let bench = Bench::new().await;
    bench.agent("helper").await;
    let good = ask(&bench, 1).await;
    let ended = bench.process("coder", 2).await;
    let client = bench.process("coder", 3).await;
    let change = bench.store.write(move |tx| {
        for (id, state) in [(ended, InstanceState::Ended), (client, InstanceState::Live)] {
            let mut row = tx.instance(id)?.unwrap();
            row.state = state;
            row.client = (id == client).then(|| "ide".parse().unwrap());
            tx.put_instance(&row)?;
        }
        Ok::<_, StoreError>(())
    });
    change.await.unwrap();
    let with = |change: &dyn Fn(&mut ForUser)| {
        let mut ask = good.clone();
        change(&mut ask);
        ask
    };
    let escalate = || Wish::Words(from_oauth("files:escalate").unwrap());
    for (what, ask, code) in [
        (
            "another agent's",
            with(&|ask| ask.agent = "helper".parse().unwrap()),
            Code::NoIdentity,
        ),
        (
            "an ended one",
            with(&|ask| ask.instance = ended),
            Code::NoIdentity,
        ),
        (
            "an OAuth client",
            with(&|ask| ask.instance = client),
            Code::NoIdentity,
        ),
        (
            "nobody",
            with(&|ask| ask.instance = InstanceId::from_bits(9)),
            Code::NoIdentity,
        ),
        (
            "no words",
            with(&|ask| ask.request.clear()),
            Code::InvalidInput,
        ),
        (
            "beyond the ceiling",
            with(&|ask| ask.wish = escalate()),
            Code::ScopeEmpty,
        ),
        (
            "another server",
            with(&|ask| ask.server = "mail".parse().unwrap()),
            Code::ResourceUnknown,
        ),
    ] {
        let refused = bench.control.open_for_user(ask).await;
        assert_eq!(
            refused.map(|opened| opened.task.id).unwrap_err().code,
            code,
            "{what}"
        );
    }
    let user = vec![Subject::User(good.user.clone())];
    let who = admin();
    let revoked = bench.control.revoke(&who, user, "INC-4".into(), Wait::All);
    revoked.await.unwrap();
    let refused = bench.control.open_for_user(good).await.unwrap_err();
    assert_eq!(refused.code, Code::Revoked);
    assert_eq!(bench.recorded(EventType::TaskOpened).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_has_so_many_open_tasks_for_a_person() {
    let bench = Bench::new().await;
    let ask = ask(&bench, 1).await;
    let numbered = |number: usize| ForUser {
        request: format!("request {number}"),
        ..ask.clone()
    };
    for number in 0..MAX_OPEN_ROOTS {
        bench.control.open_for_user(numbered(number)).await.unwrap();
    }
    let over = bench.control.open_for_user(numbered(MAX_OPEN_ROOTS)).await;
    assert_eq!(
        over.map(|opened| opened.task.id).unwrap_err().code,
        Code::Overloaded
    );
    let other = ForUser {
        user: "user:corp:bob".parse().unwrap(),
        ..numbered(0)
    };
    bench.control.open_for_user(other).await.unwrap();
}
