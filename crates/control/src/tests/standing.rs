//! One answer for the next calls alike.

use std::time::Duration;

use bailiwick_core::account::Role;
use bailiwick_core::approval::{Approval, ApprovalState, Question};
use bailiwick_core::decision::Reason;
use bailiwick_core::event::EventType;
use bailiwick_core::id::{ApprovalId, EventId};
use bailiwick_core::risk::Risk;
use bailiwick_core::task::Task;
use bailiwick_core::{Code, Digest};
use bailiwick_crypto::hash::sha256;

use super::approvals::{answer_for, yes};
use super::bench_node::{Bench, admin, person, question};
use crate::accounts::ChangeAccount;
use crate::approvals::{Answer, More};

/// As of any call: the task is in it.
fn digest(task: &Task, call: u8) -> Digest {
    sha256(&[task.id.to_string().as_bytes(), &[call]])
}

/// A call for which policy lets `most` more be answered at once, with a digest of its own.
pub(super) fn alike(task: &Task, call: u8, arguments: &str, most: u32) -> Question {
    let mut question = question(task, 1);
    question.call_digest = digest(task, call);
    question.arguments = arguments.into();
    question.needs.standing = most;
    question
}

fn more(calls: u32, vary: &[&str]) -> More {
    More {
        calls,
        vary: vary.iter().map(|&name| name.to_owned()).collect(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_for_more_calls_is_for_those_alike_and_no_others() {
    let bench = Bench::new().await;
    let (task, other) = (bench.task().await, bench.task().await);
    let first = alike(&task, 1, r#"{"to":"ana","n":1,"text":"a"}"#, 3);
    let id = bench.control.ask(first).await.unwrap().id;
    let given = answer_for(&bench, &admin(), id, more(3, &["text"])).await;
    assert_eq!(given.unwrap().state, ApprovalState::Approved);
    let ask = |task: &Task, call: u8, arguments: &str, most: u32| {
        bench.control.ask(alike(task, call, arguments, most))
    };
    // Another receiver, a number that another parser would call equal, one more argument, one less, another order of keys with another value.
    let unlike = [
        r#"{"to":"eve","n":1,"text":"a"}"#,
        r#"{"to":"ana","n":1.0,"text":"a"}"#,
        r#"{"to":"ana","n":1,"text":"a","bcc":"eve"}"#,
        r#"{"to":"ana","text":"a"}"#,
        r#"{"n":2,"text":"a","to":"ana"}"#,
        "{\"to\":\"an\u{430}\",\"n\":1,\"text\":\"a\"}",
    ];
    for (call, arguments) in (10..).zip(unlike) {
        let asked = ask(&task, call, arguments, 3).await.unwrap();
        assert_eq!(asked.state, ApprovalState::Pending, "{arguments}");
    }
    let elsewhere = ask(&other, 20, r#"{"to":"ana","n":1,"text":"a"}"#, 3).await;
    assert_eq!(
        elsewhere.unwrap().state,
        ApprovalState::Pending,
        "another task"
    );
    let stricter = ask(&task, 21, r#"{"to":"ana","n":1,"text":"b"}"#, 0).await;
    assert_eq!(
        stricter.unwrap().state,
        ApprovalState::Pending,
        "policy lets no more"
    );

    // Keys in another order and blanks are the same arguments; `text` may be anything, or missing.
    for (call, arguments) in [
        (2, r#"{"n":1, "to":"ana", "text":["b"]}"#),
        (3, r#"{"to":"ana","n":1}"#),
    ] {
        let stands = ask(&task, call, arguments, 3).await.unwrap();
        assert_eq!(
            (stands.state, stands.under),
            (ApprovalState::Approved, Some(id)),
            "{arguments}"
        );
        let wrong = bench.control.consume(stands.id, Digest([77; 32])).await;
        assert_eq!(
            wrong.unwrap_err().code,
            Code::ApprovalChanged,
            "bound to its own call"
        );
        bench
            .control
            .consume(stands.id, digest(&task, call))
            .await
            .unwrap();
    }
    assert_eq!(bench.recorded(EventType::ApprovalAnswered).await, 3);
    // Two at once for the last one.
    let (text, again) = (
        r#"{"to":"ana","n":1,"text":"c"}"#,
        r#"{"to":"ana","n":1,"text":"d"}"#,
    );
    let (left, right) = tokio::join!(ask(&task, 4, text, 3), ask(&task, 5, again, 3));
    let states = [left.unwrap().state, right.unwrap().state];
    assert!(
        states.contains(&ApprovalState::Approved) && states.contains(&ApprovalState::Pending),
        "{states:?}"
    );
}

/// A task with a yes of `rita` for a call and so many more.
struct Given {
    task: Task,
    id: ApprovalId,
}

const ARGUMENTS: &str = r#"{"to":"ana"}"#;

impl Bench {
    async fn given(&self, calls: u32) -> Given {
        let rita = person("rita", &[Role::Approver]);
        let task = self.task().await;
        let asked = self.control.ask(alike(&task, 1, ARGUMENTS, 2)).await;
        let id = asked.unwrap().id;
        let given = answer_for(self, &rita, id, more(calls, &[])).await;
        assert_eq!(given.unwrap().state, ApprovalState::Approved);
        Given { task, id }
    }

    async fn people(&self) {
        let roles = vec![Role::Approver];
        let rita = "rita".parse().unwrap();
        self.control
            .add_account(&admin(), rita, roles)
            .await
            .unwrap();
    }

    /// Whether a person is asked about one more call alike.
    async fn is_asked(&self, wanted: Question) -> bool {
        self.control.ask(wanted).await.unwrap().state == ApprovalState::Pending
    }

    async fn refuse(&self, id: ApprovalId) -> Approval {
        let no = Answer {
            approve: false,
            ..yes(None)
        };
        self.control.answer(&admin(), id, no).await.unwrap()
    }
}

impl Given {
    fn again(&self, call: u8) -> Question {
        alike(&self.task, call, ARGUMENTS, 2)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_for_more_calls_ends_with_what_it_was_given_in() {
    let bench = Bench::new().await;
    bench.people().await;
    let given = bench.given(2).await;
    let mut riskier = given.again(2);
    riskier.risk = Risk::High;
    assert!(bench.is_asked(riskier).await, "risk");
    let mut legal = given.again(3);
    legal.needs.all_of = vec!["approval:legal".into()];
    assert!(bench.is_asked(legal).await, "another approval");
    let mut other = given.again(4);
    other.reasons = vec![Reason {
        source: "another policy".into(),
        reason: "why".into(),
        fix: String::new(),
    }];
    assert!(
        bench.is_asked(other).await,
        "a reason that nobody was shown"
    );
    assert!(!bench.is_asked(given.again(5)).await, "it stands");
    let mut stricter = given.again(6);
    stricter.needs.standing = 1;
    assert!(
        bench.is_asked(stricter).await,
        "policy lets one more by now"
    );
    let labels = ["secret".parse().unwrap()].into_iter().collect();
    let labelled = bench
        .control
        .label_task(given.task.id, labels, EventId::from_bits(1));
    labelled.await.unwrap();
    assert!(bench.is_asked(given.again(7)).await, "label");

    let unused = bench.given(1).await;
    bench.later(Duration::from_mins(10));
    assert!(bench.is_asked(unused.again(2)).await, "not used in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_for_more_calls_ends_with_who_gave_it_and_when_it_is_taken_back() {
    let bench = Bench::new().await;
    bench.people().await;
    let refused = bench.given(2).await;
    let unlike = alike(&refused.task, 2, r#"{"to":"eve"}"#, 2);
    let unlike = bench.control.ask(unlike).await.unwrap();
    bench.refuse(unlike.id).await;
    assert!(
        bench.is_asked(refused.again(2)).await,
        "somebody said no to this one"
    );
    assert!(
        !bench.is_asked(refused.again(3)).await,
        "it stands for others"
    );

    let unused = bench.given(1).await;
    assert_eq!(bench.refuse(unused.id).await.state, ApprovalState::Void);
    assert!(
        bench.is_asked(unused.again(2)).await,
        "taken back before it was used"
    );
    let used = bench.given(2).await;
    bench
        .control
        .consume(used.id, digest(&used.task, 1))
        .await
        .unwrap();
    assert!(!bench.is_asked(used.again(2)).await, "it stands");
    assert_eq!(bench.refuse(used.id).await.state, ApprovalState::Consumed);
    assert!(
        bench.is_asked(used.again(3)).await,
        "the rest was taken back"
    );

    let demoted = bench.given(1).await;
    bench
        .control
        .consume(demoted.id, digest(&demoted.task, 1))
        .await
        .unwrap();
    let roles = ChangeAccount {
        roles: Some(vec![Role::Viewer]),
        ..ChangeAccount::default()
    };
    let rita = || "rita".parse().unwrap();
    bench
        .control
        .change_account(&admin(), rita(), roles)
        .await
        .unwrap();
    assert!(
        bench.is_asked(demoted.again(2)).await,
        "rita answers no more"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_for_more_calls_has_bounds() {
    let bench = Bench::new().await;
    let task = bench.task().await;
    let id = bench
        .control
        .ask(alike(&task, 1, r#"{"to":"ana"}"#, 2))
        .await
        .unwrap()
        .id;
    let many: Vec<String> = (0..17).map(|number| format!("a{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for wrong in [
        more(0, &[]),
        more(3, &[]),
        more(1, &["form"]),
        more(1, &many),
    ] {
        let answered = answer_for(&bench, &admin(), id, wrong.clone()).await;
        assert_eq!(answered, Err(Code::InvalidInput), "{wrong:?}");
    }
    let alone = bench
        .control
        .ask(alike(&task, 2, "{}", 0))
        .await
        .unwrap()
        .id;
    assert_eq!(
        answer_for(&bench, &admin(), alone, more(1, &[])).await,
        Err(Code::InvalidInput)
    );
}
