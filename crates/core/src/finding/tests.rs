//! The life of a finding: it ages, it comes back, and it ends only in the ways it may.

use super::*;

fn at(hours: i64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + hours * 3_600)
}

fn finding() -> Finding {
    let owner = "security".parse().unwrap();
    let found = ("github-pat", "fp_0");
    Finding::first(FindingId::from_bits(1), found, Severity::High, owner, at(0))
}

#[test]
fn an_open_one_ages_past_its_due_date() {
    let finding = finding();
    assert!(!finding.is_overdue(at(7 * 24)));
    assert!(finding.is_overdue(at(7 * 24 + 1)));
    assert_eq!(finding.time_to_remediate(), None);
}

#[test]
fn somebodys_word_ends_it_only_together_with_a_scan_without_it() {
    let mut finding = finding();
    assert!(!finding.unseen(at(1), "system"));
    assert_eq!(finding.state, FindingState::Open);
    finding.claim(at(2), "anna", "replaced").unwrap();
    assert!(finding.is_open(at(3)));
    assert!(finding.unseen(at(4), "system"));
    assert_eq!(finding.state, FindingState::Fixed);
    assert_eq!(finding.time_to_remediate(), Some(Duration::from_hours(4)));
    // It is there again: the word was not true.
    finding.seen(at(5), "system");
    assert_eq!(
        (finding.state, finding.reopened, finding.claimed_at),
        (FindingState::Open, 1, None)
    );
    assert_eq!((finding.first_seen, finding.fixed_at), (at(0), None));
    assert!(!finding.unseen(at(6), "system"));
}

#[test]
fn what_is_accepted_waits_again_when_its_date_has_passed() {
    let mut finding = finding();
    finding
        .accept(at(24), at(1), "anna", "until the release")
        .unwrap();
    assert!(!finding.is_open(at(23)));
    assert!(finding.is_open(at(24)));
    finding.seen(at(23), "system");
    assert_eq!(finding.state, FindingState::Accepted);
    finding.seen(at(25), "system");
    assert_eq!(
        (finding.state, finding.accepted_until),
        (FindingState::Open, None)
    );
}

#[test]
fn what_has_ended_takes_no_further_step_and_what_was_dismissed_stays_so() {
    let mut finding = finding();
    finding.dismiss(at(1), "anna", "a test fixture").unwrap();
    finding.seen(at(2), "system");
    assert_eq!(finding.state, FindingState::Dismissed);
    let refused = NotOpen(FindingState::Dismissed);
    assert_eq!(finding.accept(at(9), at(3), "anna", "x"), Err(refused));
    assert_eq!(finding.claim(at(3), "anna", "x"), Err(refused));
    assert_eq!(finding.remediate(at(3), "anna", "x"), Err(refused));
}

#[test]
fn its_history_has_a_bound() {
    let mut finding = finding();
    for hour in 0..80 {
        finding.remediate(at(hour), "anna", "x").unwrap();
    }
    assert_eq!(finding.history.len(), MAX_STEPS);
    assert_eq!(finding.history[0].at, at(30));
}
