//! The approval state machine: single use, quorum of different people, nothing by silence.

use super::{Approval, ApprovalError, ApprovalState, Vote};
use crate::effect::Effect;
use crate::id::{ApprovalId, TaskId};
use crate::risk::Risk;
use crate::{Digest, Timestamp};

const CALL: Digest = Digest([7; 32]);

fn pending(quorum: u32) -> Approval {
    Approval {
        id: ApprovalId::from_bits(1),
        call_digest: CALL,
        task: TaskId::from_bits(2),
        agent: "coder".parse().unwrap(),
        user: "user:local:alice".parse().unwrap(),
        opened_by: Some("alice".into()),
        tool: "shop/update_order".parse().unwrap(),
        effect: Effect::Write,
        definition: Digest([1; 32]),
        arguments: r#"{"id":7}"#.into(),
        reasons: Vec::new(),
        discharges: vec!["approval:approver".into()],
        risk: Risk::Low,
        quorum,
        votes: Vec::new(),
        state: ApprovalState::Pending,
        requested_at: Timestamp::from_secs(100),
        expires_at: Timestamp::from_secs(200),
        valid_s: 50,
        standing_at_most: 0,
        standing: None,
        under: None,
        version: 1,
    }
}

fn vote(account: &str, approve: bool, at: i64) -> Vote {
    Vote {
        account: account.into(),
        approve,
        reason: String::new(),
        shown_digest: Digest([0; 32]),
        at: Timestamp::from_secs(at),
    }
}

#[test]
fn runs_once() {
    let mut approval = pending(1);
    assert_eq!(
        approval.consume(CALL, Timestamp::from_secs(101)),
        Err(ApprovalError::State(ApprovalState::Pending))
    );
    approval.vote(vote("bob", true, 150)).unwrap();
    assert_eq!(
        approval.consume(Digest([8; 32]), Timestamp::from_secs(151)),
        Err(ApprovalError::Changed)
    );
    approval.consume(CALL, Timestamp::from_secs(151)).unwrap();
    assert_eq!(
        approval.consume(CALL, Timestamp::from_secs(152)),
        Err(ApprovalError::State(ApprovalState::Consumed))
    );
}

#[test]
fn silence_never_approves() {
    let mut approval = pending(1);
    assert_eq!(
        approval.vote(vote("bob", true, 200)),
        Err(ApprovalError::State(ApprovalState::Expired))
    );
    let mut approval = pending(1);
    approval.vote(vote("bob", true, 150)).unwrap();
    assert_eq!(
        approval.consume(CALL, Timestamp::from_secs(200)),
        Err(ApprovalError::State(ApprovalState::Expired))
    );
}

#[test]
fn quorum_needs_different_people_and_not_the_opener() {
    let mut approval = pending(2);
    assert!(matches!(
        approval.vote(vote("alice", true, 110)),
        Err(ApprovalError::NotThisPerson(..))
    ));
    approval.vote(vote("bob", true, 110)).unwrap();
    assert!(matches!(
        approval.vote(vote("bob", true, 111)),
        Err(ApprovalError::NotThisPerson(..))
    ));
    assert_eq!(approval.state, ApprovalState::Pending);
    approval.vote(vote("carol", true, 112)).unwrap();
    assert_eq!(approval.state, ApprovalState::Approved);
}

#[test]
fn one_no_is_final() {
    let mut approval = pending(2);
    approval.vote(vote("bob", true, 110)).unwrap();
    approval.vote(vote("alice", false, 111)).unwrap();
    assert_eq!(approval.state, ApprovalState::Denied);
    assert_eq!(
        approval.vote(vote("carol", true, 112)),
        Err(ApprovalError::State(ApprovalState::Denied))
    );
    assert!(!approval.void());
}
