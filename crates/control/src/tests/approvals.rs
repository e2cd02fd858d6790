//! Approvals: bound to one call, answered by people, used once.

use std::time::Duration;

use bailiwick_core::account::Role;
use bailiwick_core::approval::{Approval, ApprovalState, Question};
use bailiwick_core::event::EventType;
use bailiwick_core::name::AccountName;
use bailiwick_core::risk::Risk;
use bailiwick_core::task::TaskState;
use bailiwick_core::{Code, Digest};
use bailiwick_store::ApprovalFilter;

use super::bench_node::{Bench, CALL, admin, person, question};
use crate::Actor;
use crate::approvals::{Answer, More};

pub(super) async fn answer(
    bench: &Bench,
    who: &Actor,
    id: bailiwick_core::id::ApprovalId,
) -> Result<Approval, Code> {
    answer_for(bench, who, id, None).await
}

pub(super) async fn answer_for(
    bench: &Bench,
    who: &Actor,
    id: bailiwick_core::id::ApprovalId,
    more: impl Into<Option<More>>,
) -> Result<Approval, Code> {
    let view = bench.control.approval(&admin(), id).await.unwrap();
    let answer = Answer {
        more: more.into(),
        ..yes(Some(view.shown_digest))
    };
    let answered = bench.control.answer(who, id, answer).await;
    answered.map_err(|problem| problem.code)
}

pub(super) fn yes(shown_digest: Option<Digest>) -> Answer {
    Answer {
        approve: true,
        reason: "as agreed".into(),
        shown_digest,
        more: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_twice_joins_and_an_answer_runs_once() {
    let bench = Bench::new().await;
    let task = bench.task().await;
    let first = bench.control.ask(question(&task, 1)).await.unwrap();
    let second = bench.control.ask(question(&task, 1)).await.unwrap();
    assert_eq!(first.id, second.id);
    assert_eq!(bench.recorded(EventType::ApprovalRequested).await, 1);
    let waiting = tokio::spawn({
        let control = bench.control.clone();
        async move { control.settled_approval(first.id).await.unwrap().state }
    });
    answer(&bench, &person("rita", &[Role::Approver]), first.id)
        .await
        .unwrap();
    assert_eq!(waiting.await.unwrap(), ApprovalState::Approved);
    let wrong = bench
        .control
        .consume(first.id, Digest([1; 32]))
        .await
        .unwrap_err();
    assert_eq!(wrong.code, Code::ApprovalChanged);
    bench.control.consume(first.id, CALL).await.unwrap();
    assert_eq!(
        bench
            .control
            .consume(first.id, CALL)
            .await
            .unwrap_err()
            .code,
        Code::ApprovalUsed
    );
    let third = bench.control.ask(question(&task, 1)).await.unwrap();
    assert_ne!(third.id, first.id, "the next call asks anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_consumers_race_and_one_wins() {
    let bench = Bench::new().await;
    let task = bench.task().await;
    let id = bench.control.ask(question(&task, 1)).await.unwrap().id;
    answer(&bench, &person("rita", &[Role::Approver]), id)
        .await
        .unwrap();
    let races = (0..16).map(|_| {
        let control = bench.control.clone();
        tokio::spawn(async move { control.consume(id, CALL).await.is_ok() })
    });
    let mut won = 0;
    for race in races.collect::<Vec<_>>() {
        won += usize::from(race.await.unwrap());
    }
    assert_eq!(won, 1);
}

/// Of answers that contradict each other the first one counts, and the others are refused and on record.
#[tokio::test(flavor = "multi_thread")]
async fn two_approvers_race_and_one_answer_counts() {
    let bench = Bench::new().await;
    let task = bench.task().await;
    let id = bench.control.ask(question(&task, 1)).await.unwrap().id;
    let view = bench.control.approval(&admin(), id).await.unwrap();
    let races = (0..16).map(|at| {
        let (control, who) = (
            bench.control.clone(),
            person(&format!("person-{at}"), &[Role::Approver]),
        );
        let answer = Answer {
            approve: at % 2 == 0,
            ..yes(Some(view.shown_digest))
        };
        tokio::spawn(async move { control.answer(&who, id, answer).await })
    });
    let mut counted = Vec::new();
    for race in races.collect::<Vec<_>>() {
        counted.extend(race.await.unwrap().ok());
    }
    let [one] = counted.as_slice() else {
        panic!("{counted:#?}")
    };
    let known = bench.control.approval(&admin(), id).await.unwrap().approval;
    assert_eq!((known.state, &known.votes), (one.state, &one.votes));
    assert_eq!(known.votes.len(), 1);
    assert_eq!(bench.recorded(EventType::ApprovalAnswered).await, 1);
    assert_eq!(bench.recorded(EventType::AdminRefused).await, 15);
}

/// An answer that does not count is on record with who gave it, to what, and why it did not count.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_does_not_count_is_on_record() {
    let bench = Bench::new().await;
    let task = bench.task().await;
    let id = bench.control.ask(question(&task, 2)).await.unwrap().id;
    let (alice, rita) = (
        person("alice", &[Role::Approver]),
        person("rita", &[Role::Approver]),
    );
    let refused = [
        (&alice, Code::SecondPerson),
        (&rita, Code::SecondPerson),
        (&rita, Code::ApprovalVoid),
    ];
    answer(&bench, &rita, id).await.unwrap();
    for (at, (who, code)) in refused.into_iter().enumerate() {
        if at == 2 {
            let task = task.id;
            let ended = bench
                .control
                .end_task(&admin(), task, TaskState::Completed)
                .await;
            ended.unwrap();
        }
        assert_eq!(answer(&bench, who, id).await, Err(code));
        let leaves = bench.leaves().await;
        let event = &leaves.last().unwrap().event;
        assert_eq!(event.kind, EventType::AdminRefused);
        assert_eq!(event.actor.as_deref(), Some(who.name.as_str()));
        assert_eq!(event.approval.as_ref().map(|known| known.id), Some(id));
        let outcome = event.outcome.as_ref().unwrap();
        assert_eq!(outcome.code.as_deref(), Some(code.as_str()));
    }
    let nothing = bailiwick_core::id::ApprovalId::from_bits(3);
    let unknown = bench.control.answer(&rita, nothing, yes(Some(CALL))).await;
    assert_eq!(unknown.unwrap_err().code, Code::NotFound);
    assert_eq!(bench.recorded(EventType::AdminRefused).await, 3);
}

/// One account is one person, by whatever way they come in.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_person_through_two_logins_is_no_quorum() {
    let bench = Bench::new().await;
    let (control, admin) = (&bench.control, admin());
    let rita: AccountName = "rita".parse().unwrap();
    let roles = vec![Role::Approver];
    let made = control.add_account(&admin, rita.clone(), roles);
    made.await.unwrap();
    let mut logins = Vec::new();
    for _ in 0..2 {
        let life = Duration::from_mins(5);
        let (token, _) = control
            .mint_token(&admin, rita.clone(), life)
            .await
            .unwrap();
        logins.extend(control.authenticate(token.expose()).await.unwrap());
        let (code, _) = control.mint_login_code(&admin, rita.clone()).await.unwrap();
        let session = control.sign_in(code.expose()).await.unwrap();
        let (cookie, page) = (session.cookie.expose(), session.page.expose());
        let known = control.session_actor(cookie, page, true).await.unwrap();
        logins.extend(known.map(|(actor, _)| actor));
    }
    let task = bench.task().await;
    let id = control.ask(question(&task, 2)).await.unwrap().id;
    let [first, others @ ..] = logins.as_slice() else {
        panic!("nobody is signed in")
    };
    answer(&bench, first, id).await.unwrap();
    assert_eq!(others.len(), 3);
    for again in others {
        assert_eq!(answer(&bench, again, id).await, Err(Code::SecondPerson));
    }
    let known = control.approval(&admin, id).await.unwrap().approval;
    assert_eq!(known.state, ApprovalState::Pending);
    assert_eq!(known.votes.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_quorum_and_separation_hold() {
    let bench = Bench::new().await;
    let task = bench.task().await;
    let id = bench.control.ask(question(&task, 2)).await.unwrap().id;
    assert_eq!(
        answer(&bench, &person("otto", &[Role::Operator]), id).await,
        Err(Code::NotPermitted)
    );
    let alice = person("alice", &[Role::Approver]);
    assert_eq!(
        answer(&bench, &alice, id).await,
        Err(Code::SecondPerson),
        "the task is for alice"
    );
    let rita = person("rita", &[Role::Approver]);
    assert_eq!(
        answer(&bench, &rita, id).await.unwrap().state,
        ApprovalState::Pending
    );
    assert_eq!(answer(&bench, &rita, id).await, Err(Code::SecondPerson));
    let sam = person("sam", &[Role::Approver]);
    assert_eq!(
        answer(&bench, &sam, id).await.unwrap().state,
        ApprovalState::Approved
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_counts_only_for_what_is_true_now() {
    let bench = Bench::new().await;
    let task = bench.task().await;
    let id = bench.control.ask(question(&task, 1)).await.unwrap().id;
    let seen = bench
        .control
        .approval(&admin(), id)
        .await
        .unwrap()
        .shown_digest;
    bench
        .control
        .set_risk(&admin(), task.id, Risk::High, "odd pattern".into())
        .await
        .unwrap();
    let rita = person("rita", &[Role::Approver]);
    let stale = bench
        .control
        .answer(&rita, id, yes(Some(seen)))
        .await
        .unwrap_err();
    assert_eq!(stale.code, Code::ApprovalChanged);
    let blind = bench
        .control
        .answer(&rita, id, yes(None))
        .await
        .unwrap_err();
    assert_eq!(blind.code, Code::InvalidInput);
    answer(&bench, &rita, id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_its_task_voids_an_approval() {
    let bench = Bench::new().await;
    let task = bench.task().await;
    let id = bench.control.ask(question(&task, 1)).await.unwrap().id;
    answer(&bench, &person("rita", &[Role::Approver]), id)
        .await
        .unwrap();
    bench
        .control
        .end_task(&admin(), task.id, TaskState::Completed)
        .await
        .unwrap();
    assert_eq!(
        bench.control.consume(id, CALL).await.unwrap_err().code,
        Code::ApprovalVoid
    );
    assert_eq!(
        bench
            .control
            .approval(&admin(), id)
            .await
            .unwrap()
            .approval
            .state,
        ApprovalState::Void
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_approved_by_silence() {
    let bench = Bench::new().await;
    let task = bench.task().await;
    let id = bench.control.ask(question(&task, 1)).await.unwrap().id;
    bench.later(Duration::from_mins(31));
    assert_eq!(
        bench.control.settled_approval(id).await.unwrap().state,
        ApprovalState::Expired
    );
    let rita = person("rita", &[Role::Approver]);
    assert_eq!(answer(&bench, &rita, id).await, Err(Code::ApprovalExpired));
    assert_eq!(bench.recorded(EventType::ApprovalClosed).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_one_person_is_not_used_where_two_are_needed_by_now() {
    let bench = Bench::new().await;
    let task = bench.task().await;
    let first = bench.control.ask(question(&task, 1)).await.unwrap();
    answer(&bench, &person("rita", &[Role::Approver]), first.id)
        .await
        .unwrap();
    let second = bench.control.ask(question(&task, 2)).await.unwrap();
    assert_ne!(second.id, first.id);
    assert_eq!(second.state, ApprovalState::Pending);
    let old = bench.control.approval(&admin(), first.id).await.unwrap();
    assert_eq!(old.approval.state, ApprovalState::Void);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_neither_answers_nor_runs_tasks_does_not_see_what_a_call_would_do() {
    let bench = Bench::new().await;
    let task = bench.task().await;
    let asked = bench.control.ask(question(&task, 1)).await.unwrap();
    let arguments = asked.arguments.replace('"', "\\\"");
    for (roles, sees) in [
        (&[Role::Viewer][..], false),
        (&[Role::Approver], true),
        (&[Role::Viewer, Role::Operator], true),
        (&[Role::Viewer, Role::Admin], false),
    ] {
        let reader = person("somebody", roles);
        let all = ApprovalFilter::default();
        let listed = bench.control.approvals(&reader, all, None, 10).await;
        let view = bench.control.approval(&reader, asked.id).await.unwrap();
        for text in [
            serde_json::to_string(&listed.unwrap()).unwrap(),
            serde_json::to_string(&view.approval).unwrap(),
            view.shown.to_string(),
        ] {
            assert_eq!(text.contains(&arguments), sees, "{roles:?}: {text}");
            assert!(text.contains("files/write_file"), "{text}");
        }
    }
}

/// A bundle keeps a person's yes from counting, never their no; what policy said to a yes is on record with it.
#[tokio::test(flavor = "multi_thread")]
async fn policy_decides_whose_yes_counts() {
    let bench = Bench::new().await;
    let cedar = r#"
@id("site/rita-reads-only") @reason("Rita answers for nothing that writes files.")
forbid (principal == Bailiwick::User::"rita", action == Bailiwick::Action::"approve", resource)
when { context.input.tool == "files/write_file" && context.input.effect == "write" };
"#;
    let files = [("bundle.toml", "name = \"site\"\n"), ("site.cedar", cedar)];
    let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
    let bundle = bailiwick_policy::BundleSource::from_dir(files).unwrap();
    bench
        .control
        .publish_policy(&admin(), bundle, None)
        .await
        .unwrap();
    let task = bench.task().await;
    let id = bench.control.ask(question(&task, 1)).await.unwrap().id;
    let (rita, rolf) = (
        person("rita", &[Role::Approver]),
        person("rolf", &[Role::Approver]),
    );
    assert_eq!(
        answer(&bench, &rita, id).await.unwrap_err(),
        Code::Forbidden
    );
    let approved = answer(&bench, &rolf, id).await.unwrap();
    assert_eq!(approved.state, ApprovalState::Approved);
    let leaves = bench.leaves().await;
    let answered = leaves
        .iter()
        .find(|leaf| leaf.event.kind == EventType::ApprovalAnswered)
        .unwrap();
    let decision = answered.event.decision.as_ref().unwrap();
    assert_eq!(decision.policies, ["bailiwick/approve"]);
    let other = Question {
        call_digest: Digest([8; 32]),
        ..question(&task, 1)
    };
    let id = bench.control.ask(other).await.unwrap().id;
    let no = Answer {
        approve: false,
        reason: "no".into(),
        ..yes(None)
    };
    let refused = bench.control.answer(&rita, id, no);
    assert_eq!(refused.await.unwrap().state, ApprovalState::Denied);
}
