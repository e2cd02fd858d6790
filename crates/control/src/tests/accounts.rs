//! Accounts that are changed and disabled, and what that takes with it.

use std::time::Duration;

use bailiwick_core::Code;
use bailiwick_core::account::Role;
use bailiwick_core::approval::{ApprovalState, Question};
use bailiwick_core::decision::Needs;
use bailiwick_core::name::AccountName;
use bailiwick_core::task::TaskState;
use bailiwick_store::StoreError;

use super::approvals::answer;
use super::bench_node::{Bench, admin, person};
use super::standing::alike;
use crate::accounts::ChangeAccount;

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

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_on_for_somebody_whose_account_is_disabled() {
    let bench = Bench::new().await;
    let account: AccountName = "alice".parse().unwrap();
    let control = &bench.control;
    let admin = admin();
    let made = control.add_account(&admin, account.clone(), vec![Role::Viewer]);
    let made = made.await.unwrap();
    let (token, _) = control
        .mint_token(&admin, account.clone(), Duration::from_mins(5))
        .await
        .unwrap();
    let (code, _) = control
        .mint_login_code(&admin, account.clone())
        .await
        .unwrap();
    let task = bench.task().await;
    let disabled = ChangeAccount {
        enabled: Some(false),
        ..ChangeAccount::default()
    };
    control
        .change_account(&admin, account.clone(), disabled)
        .await
        .unwrap();
    assert_eq!(
        control.task(&admin, task.id).await.unwrap().state,
        TaskState::Revoked
    );
    let mint = control.mint_login_code(&admin, account.clone()).await;
    assert_eq!(mint.unwrap_err().code, Code::NotFound);
    let mint = control
        .mint_token(&admin, account.clone(), Duration::from_mins(5))
        .await;
    assert_eq!(mint.map(drop).unwrap_err().code, Code::NotFound);
    let enabled = ChangeAccount {
        enabled: Some(true),
        ..ChangeAccount::default()
    };
    control
        .change_account(&admin, account, enabled)
        .await
        .unwrap();
    assert_eq!(control.authenticate(token.expose()).await.unwrap(), None);
    assert!(
        control.sign_in(code.expose()).await.is_err(),
        "its code came back"
    );

    // As a stop between disabling and revoking leaves it.
    let again = bench.store.write(move |tx| {
        let mut account = made.clone();
        account.enabled = false;
        tx.put_account(&account)
    });
    again.await.map_err(|error: StoreError| error).unwrap();
    let fence = control.fences(&admin).await.unwrap();
    let lifted = control.lift(&admin, fence[0].id, "back".into());
    lifted.await.unwrap();
    let task = bench.task().await;
    control.end_for_disabled().await.unwrap();
    assert_eq!(
        control.task(&admin, task.id).await.unwrap().state,
        TaskState::Revoked
    );
}
