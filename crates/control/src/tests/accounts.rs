//! Accounts that are changed and disabled, and what that takes with it.

use std::time::Duration;

use bailiwick_core::Code;
use bailiwick_core::account::Role;
use bailiwick_core::approval::{ApprovalState, Question};
use bailiwick_core::decision::Needs;
use bailiwick_core::event::EventType;
use bailiwick_core::lease::LeaseState;
use bailiwick_core::name::AccountName;
use bailiwick_core::task::TaskState;

use super::approvals::answer;
use super::bench_node::{Bench, admin, open, person, question};
use super::standing::alike;
use crate::accounts::ChangeAccount;
use crate::tasks::OpenTask;

#[tokio::test(flavor = "multi_thread")]
async fn the_yes_of_who_may_answer_no_more_is_void() {
    let bench = Bench::new().await;
    let task = bench.task().await;
    for change in [
        ChangeAccount {
            enabled: Some(false),
            ..ChangeAccount::default()
        },
        ChangeAccount {
            roles: Some(vec![Role::Viewer]),
            ..ChangeAccount::default()
        },
    ] {
        let name = if change.roles.is_some() {
            "rita"
        } else {
            "sam"
        };
        let account: AccountName = name.parse().unwrap();
        let control = &bench.control;
        control
            .add_account(&admin(), account.clone(), vec![Role::Approver])
            .await
            .unwrap();
        let who = person(name, &[Role::Approver]);
        let (half, whole) = (alike(&task, 1, "{}", 0), alike(&task, 2, "{}", 0));
        let half = Question {
            needs: Needs {
                quorum: 2,
                ..half.needs.clone()
            },
            ..half
        };
        let (half, whole) = (
            control.ask(half).await.unwrap(),
            control.ask(whole).await.unwrap(),
        );
        answer(&bench, &who, half.id).await.unwrap();
        answer(&bench, &who, whole.id).await.unwrap();
        control
            .change_account(&admin(), account, change)
            .await
            .unwrap();
        for id in [half.id, whole.id] {
            let view = control.approval(&admin(), id).await.unwrap();
            assert_eq!(view.approval.state, ApprovalState::Void, "{name}");
        }
    }
}

impl Bench {
    async fn account(&self, name: &str) -> AccountName {
        let (account, admin): (AccountName, _) = (name.parse().unwrap(), admin());
        let roles = vec![Role::Viewer];
        let made = self.control.add_account(&admin, account.clone(), roles);
        made.await.unwrap();
        account
    }

    async fn enabled(&self, account: &AccountName, enabled: bool) {
        let change = ChangeAccount {
            enabled: Some(enabled),
            ..ChangeAccount::default()
        };
        let (account, admin) = (account.clone(), admin());
        let changed = self.control.change_account(&admin, account, change);
        changed.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_lets_in_somebody_whose_account_is_disabled() {
    let bench = Bench::new().await;
    let (control, admin) = (&bench.control, admin());
    let alice = bench.account("alice").await;
    let life = Duration::from_mins(5);
    let token = control.mint_token(&admin, alice.clone(), life).await;
    let (token, _) = token.unwrap();
    let code = control.mint_login_code(&admin, alice.clone()).await;
    let (code, _) = code.unwrap();
    bench.enabled(&alice, false).await;
    let mint = control.mint_login_code(&admin, alice.clone()).await;
    assert_eq!(mint.unwrap_err().code, Code::NotFound);
    let mint = control.mint_token(&admin, alice.clone(), life).await;
    assert_eq!(mint.map(drop).unwrap_err().code, Code::NotFound);
    bench.enabled(&alice, true).await;
    assert_eq!(control.authenticate(token.expose()).await.unwrap(), None);
    assert!(
        control.sign_in(code.expose()).await.is_err(),
        "its code came back"
    );
}

/// One commit takes all of it, and everything names the change of the account as its cause.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_on_for_somebody_whose_account_is_disabled() {
    let bench = Bench::new().await;
    let (control, admin) = (&bench.control, admin());
    let alice = bench.account("alice").await;
    let task = bench.task().await;
    let below = OpenTask {
        parent: Some(task.id),
        ..open("coder")
    };
    let child = control.open_task(&admin, below.clone()).await.unwrap();
    let others = OpenTask {
        user: "user:local:bob".parse().unwrap(),
        ..open("coder")
    };
    let others = control.open_task(&admin, others).await.unwrap();
    let lease = bench.leased(&child, 1).await;
    let asked = control.ask(question(&task, 1)).await.unwrap();

    bench.enabled(&alice, false).await;
    for task in [&task, &child] {
        assert_eq!(bench.task_state(task).await, TaskState::Revoked);
        let cut = format!("cut task/{}", task.id);
        assert!(bench.point.0.lock().unwrap().contains(&cut), "{cut}");
    }
    assert_eq!(bench.task_state(&others).await, TaskState::Open);
    let (state, cause) = bench.lease_state(lease).await;
    assert_eq!(state, LeaseState::Tombstone);
    assert_eq!(cause.as_deref(), Some("accounts.disabled"));
    let asked = control.approval(&admin, asked.id).await.unwrap();
    assert_eq!(asked.approval.state, ApprovalState::Void);
    let disabled = bench.newest(EventType::AdminChanged).await.id;
    let leaves = bench.leaves().await;
    for (kind, times) in [
        (EventType::TaskEnded, 2),
        (EventType::LeaseRevoking, 1),
        (EventType::ApprovalClosed, 1),
    ] {
        let causes = leaves.iter().filter(|leaf| leaf.event.kind == kind);
        let causes: Vec<_> = causes.map(|leaf| leaf.event.cause).collect();
        assert_eq!(causes, vec![Some(disabled); times], "{kind:?}");
    }

    // No way leads to a task for that person: not a new one, not a part of one, not for whoever starts agents.
    let refused = [
        control.open_task(&admin, open("coder")).await,
        control.open_task(&admin, below).await,
        control.launch(1000, open("coder")).await,
    ];
    for refused in refused {
        let refused = refused.unwrap_err();
        assert_eq!(refused.code, Code::Conflict);
        assert!(refused.help.contains("account enable alice"), "{refused:?}");
    }
    bench.enabled(&alice, true).await;
    assert_eq!(bench.task_state(&task).await, TaskState::Revoked);
    assert_eq!(bench.task_state(&child).await, TaskState::Revoked);
    bench.task().await;
}
