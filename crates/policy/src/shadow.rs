//! A candidate bundle beside the active one on live calls: its decisions are looked at and never enforced. They are
//! counted in a [`crate::Tally`].

use bailiwick_core::decision::Decision;

use crate::bundle::Bundle;
use crate::decide::judge;
use crate::input::Input;
use crate::tally::{Shift, Terms};

/// What the candidate says to a call that the active bundle has `decided`. A decision that came from before policy (fence,
/// task, scope, budget) is not the bundle's and must not be handed in. None if the candidate was compiled for a registry
/// that does not know the call.
pub fn shadow(
    candidate: &Bundle,
    input: &Input<'_>,
    decided: &Decision,
) -> Option<(Decision, Option<Shift>)> {
    let now = input.ask(|call| judge(candidate, call)).ok()?;
    let shift = Terms::of(decided).shift(&now);
    Some((now, shift))
}
