//! Codes are good once and for ten minutes; sessions need both halves, and end by idleness, by age and with their account.

use std::time::Duration;

use bailiwick_core::account::Role;
use bailiwick_core::event::EventType;
use bailiwick_core::{Code, Problem, Secret};

use super::bench_node::{Bench, admin, person};
use crate::Actor;
use crate::sessions::SignedIn;

async fn mint(bench: &Bench, actor: &Actor, name: &str) -> Result<Secret<String>, Problem> {
    let name = name.parse().unwrap();
    let minted = bench.control.mint_login_code(actor, name).await;
    minted.map(|(code, _)| code)
}

async fn code(bench: &Bench) -> Secret<String> {
    mint(bench, &admin(), "anna").await.unwrap()
}

async fn anna(bench: &Bench) {
    let (admin, roles) = (admin(), vec![Role::Approver]);
    let name = "anna".parse().unwrap();
    let added = bench.control.add_account(&admin, name, roles);
    added.await.unwrap();
}

async fn signed_in(bench: &Bench) -> SignedIn {
    anna(bench).await;
    let code = code(bench).await;
    bench.control.sign_in(code.expose()).await.unwrap()
}

async fn who(bench: &Bench, cookie: &str, page: &str, active: bool) -> Option<String> {
    let actor = bench.control.session_actor(cookie, page, active).await;
    actor.unwrap().map(|(actor, _)| actor.name)
}

fn refused(result: Result<SignedIn, Problem>) -> Code {
    result.err().expect("it let somebody in").code
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_good_once_and_for_ten_minutes() {
    let bench = Bench::new().await;
    anna(&bench).await;
    let vera = person("vera", &[Role::Viewer, Role::Approver, Role::Operator]);
    let none = mint(&bench, &vera, "anna").await;
    assert_eq!(none.err().unwrap().code, Code::NotPermitted);
    let unknown = mint(&bench, &admin(), "bob").await;
    assert_eq!(unknown.err().unwrap().code, Code::NotFound);

    let first = code(&bench).await;
    let begun = bench.control.sign_in(first.expose()).await.unwrap();
    assert_eq!(begun.account.name.as_str(), "anna");
    assert_eq!(begun.session.minted_by, "uid:0");
    let again = bench.control.sign_in(first.expose()).await;
    assert_eq!(refused(again), Code::NotSignedIn);

    let late = code(&bench).await;
    bench.later(Duration::from_mins(10));
    let late = bench.control.sign_in(late.expose()).await;
    assert_eq!(refused(late), Code::NotSignedIn);
    for nonsense in ["", "bwl_", "bwa_1", &"bwl_0".repeat(100)] {
        let refusal = refused(bench.control.sign_in(nonsense).await);
        assert_eq!(refusal, Code::NotSignedIn, "{nonsense}");
    }
    assert_eq!(bench.recorded(EventType::LoginAccepted).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_needs_both_of_its_own_halves() {
    let bench = Bench::new().await;
    let one = signed_in(&bench).await;
    let code = code(&bench).await;
    let other = bench.control.sign_in(code.expose()).await.unwrap();
    let (cookie, page) = (one.cookie.expose(), one.page.expose());
    assert_eq!(
        who(&bench, cookie, page, true).await.as_deref(),
        Some("anna")
    );
    for (cookie, page) in [
        (cookie.as_str(), ""),
        ("", page.as_str()),
        (page, cookie),
        (cookie, cookie),
        (cookie, other.page.expose()),
        (other.cookie.expose(), page),
    ] {
        assert_eq!(who(&bench, cookie, page, true).await, None);
    }
    // What is kept of it lets nobody in.
    let (cookie_kept, page_kept) = (one.session.cookie.to_hex(), one.session.page.to_hex());
    assert_eq!(who(&bench, &cookie_kept, &page_kept, true).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_end_by_idleness_by_age_and_with_their_account() {
    let bench = Bench::new().await;
    let begun = signed_in(&bench).await;
    let (cookie, page) = (begun.cookie.expose(), begun.page.expose());
    let minutes = |count| bench.later(Duration::from_mins(count));
    minutes(29);
    assert!(who(&bench, cookie, page, true).await.is_some());
    minutes(29);
    // What the page asks by itself does not keep a session that nobody uses.
    assert!(who(&bench, cookie, page, false).await.is_some());
    minutes(1);
    assert!(who(&bench, cookie, page, true).await.is_none());
    assert!(!bench.control.session_lives(begun.session.id).await.unwrap());

    let second = code(&bench).await;
    let second = bench.control.sign_in(second.expose()).await.unwrap();
    let (cookie, page) = (second.cookie.expose(), second.page.expose());
    for _ in 0..28 {
        minutes(25);
        assert!(who(&bench, cookie, page, true).await.is_some());
    }
    minutes(20);
    assert!(
        who(&bench, cookie, page, true).await.is_none(),
        "twelve hours"
    );

    let (third, link) = (code(&bench).await, code(&bench).await);
    let third = bench.control.sign_in(third.expose()).await.unwrap();
    let (cookie, page) = (third.cookie.expose(), third.page.expose());
    let mut account = third.account.clone();
    account.enabled = false;
    let disabled = bench.store.write(move |tx| tx.put_account(&account));
    disabled.await.unwrap();
    assert!(who(&bench, cookie, page, true).await.is_none());
    assert!(!bench.control.session_lives(third.session.id).await.unwrap());
    assert_eq!(
        refused(bench.control.sign_in(link.expose()).await),
        Code::NotSignedIn
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_out_ends_one_session_for_good() {
    let bench = Bench::new().await;
    let one = signed_in(&bench).await;
    let code = code(&bench).await;
    let other = bench.control.sign_in(code.expose()).await.unwrap();
    let (cookie, page) = (one.cookie.expose(), one.page.expose());
    let (actor, session) = bench
        .control
        .session_actor(cookie, page, true)
        .await
        .unwrap()
        .unwrap();
    for _ in 0..2 {
        bench.control.sign_out(&actor, session.id).await.unwrap();
        assert!(who(&bench, cookie, page, true).await.is_none());
    }
    let still = who(&bench, other.cookie.expose(), other.page.expose(), true);
    assert!(still.await.is_some());
}
