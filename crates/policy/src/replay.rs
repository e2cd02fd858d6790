//! Recorded decisions under another bundle: which calls would be decided in another way. Pure: who reads the record, and on how
//! many threads, is the caller's to know ([`Tally::merge`]).

use serde::{Deserialize, Serialize};

use crate::bundle::Bundle;
use crate::decide::{Unknown, judge};
use crate::recorded::Recorded;
use crate::tally::{Tally, Terms};

/// A decision on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// The event it is recorded in.
    pub event: String,
    /// What it was decided on.
    pub input: Recorded,
    /// What was decided.
    pub was: Terms,
}

/// Decides each call again under `bundle`, on the registry that the bundle was compiled for, and counts what differs. A call
/// whose agent, tool or definition that registry does not have cannot be compared, and is counted as such.
pub fn replay(bundle: &Bundle, decisions: impl IntoIterator<Item = Past>) -> Tally {
    let mut tally = Tally::default();
    for past in decisions {
        match past.input.ask(|call| judge(bundle, call)) {
            Ok(now) => {
                let input = &past.input;
                let whose = (&input.agent, &input.tool, input.effect);
                tally.add(&past.event, whose, &past.was, &now);
            }
            Err(Unknown(_)) => tally.unanswerable += 1,
        }
    }
    tally
}
