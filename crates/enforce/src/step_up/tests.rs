//! What a call costs that waits for a person.

use super::{Waiting, run};
use crate::decider::Decided;
use crate::gateway::Gateway;

fn size<'a, 'b, F>(_: impl Fn(&'a Gateway, &'a Waiting<'b>, &'a Decided) -> F) -> usize
where
    'b: 'a,
{
    size_of::<F>()
}

#[test]
fn a_call_that_waits_for_a_person_takes_less_than_8_kib() {
    let bytes = size(run);
    assert!((1..8 * 1024).contains(&bytes), "{bytes}");
}
