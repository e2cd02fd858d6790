//! Agents, servers, tools, policy, accounts, secrets.

use std::time::Duration;

use bailiwick_core::account::Role;
use bailiwick_core::definition::ToolState;
use bailiwick_core::{Code, Digest, Effect, Secret};

use super::bench_node::{Bench, admin, person, seen};

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_definition_stops_until_somebody_looks() {
    let bench = Bench::new().await;
    let read_file = || "files/read_file".parse().unwrap();
    bench
        .control
        .seen("files".parse().unwrap(), vec![seen("read_file", 7)])
        .await
        .unwrap();
    let tool = bench.control.tool(&admin(), read_file()).await.unwrap();
    assert_eq!(
        (tool.state, tool.approved),
        (ToolState::Changed, Some(Digest([1; 32])))
    );
    assert!(
        bench
            .point
            .0
            .lock()
            .unwrap()
            .contains(&"cut tool/files/read_file".to_owned())
    );
    bench
        .control
        .seen("files".parse().unwrap(), vec![seen("read_file", 1)])
        .await
        .unwrap();
    let back = bench.control.tool(&admin(), read_file()).await.unwrap();
    assert_eq!(
        back.state,
        ToolState::Changed,
        "going back does not undo that it changed"
    );
    let stale = bench
        .control
        .accept_tool(&admin(), read_file(), None, Some(Digest([7; 32])))
        .await
        .unwrap_err();
    assert_eq!(
        stale.code,
        Code::VersionConflict,
        "accept only what was looked at"
    );
    let accepted = bench
        .control
        .accept_tool(&admin(), read_file(), None, Some(Digest([1; 32])))
        .await
        .unwrap();
    assert_eq!(
        (accepted.state, accepted.effect),
        (ToolState::Approved, Effect::Read)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_stand_for_accounts_until_they_expire() {
    let bench = Bench::new().await;
    bench
        .control
        .add_account(&admin(), "rita".parse().unwrap(), vec![Role::Approver])
        .await
        .unwrap();
    let again = bench
        .control
        .add_account(&admin(), "rita".parse().unwrap(), vec![Role::Admin])
        .await
        .unwrap_err();
    assert_eq!(again.code, Code::AlreadyExists);
    let life = Duration::from_hours(1);
    let (token, _) = bench
        .control
        .mint_token(&admin(), "rita".parse().unwrap(), life)
        .await
        .unwrap();
    let actor = bench
        .control
        .authenticate(token.expose())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (actor.name.as_str(), actor.roles.as_slice()),
        ("rita", [Role::Approver].as_slice())
    );
    assert!(
        bench
            .control
            .authenticate("bwa_0000")
            .await
            .unwrap()
            .is_none()
    );
    bench.later(life);
    assert!(
        bench
            .control
            .authenticate(token.expose())
            .await
            .unwrap()
            .is_none()
    );
    let long = bench
        .control
        .mint_token(&admin(), "rita".parse().unwrap(), Duration::from_hours(13))
        .await
        .unwrap_err();
    assert_eq!(long.code, Code::InvalidInput);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_go_in_and_never_come_out() {
    let bench = Bench::new().await;
    let name = || "orders".parse().unwrap();
    let set = |value: &str| {
        bench.control.set_secret(
            admin_static(),
            name(),
            Secret::new(value.as_bytes().to_vec()),
        )
    };
    assert_eq!(set("first-canary").await.unwrap().version, 1);
    assert_eq!(set("second-canary").await.unwrap().version, 2);
    let row = bench
        .store
        .read(move |rows| rows.secret(&"orders".parse().unwrap()))
        .await
        .unwrap()
        .unwrap();
    assert!(!String::from_utf8_lossy(&row.sealed).contains("canary"));
    bench.control.remove_secret(&admin(), name()).await.unwrap();
    assert!(bench.control.secrets(&admin()).await.unwrap().is_empty());
    let operator = person("otto", &[Role::Operator]);
    let refused = bench
        .control
        .remove_secret(&operator, name())
        .await
        .unwrap_err();
    assert_eq!(refused.code, Code::NotPermitted);
}

fn admin_static() -> &'static crate::Actor {
    static ADMIN: std::sync::OnceLock<crate::Actor> = std::sync::OnceLock::new();
    ADMIN.get_or_init(admin)
}
