//! Which of two ways, and of two sets of ways, lets more through.

use super::Change;
use super::ways::{Access, Way};

/// How access changes; none if it does not.
pub(super) fn change(before: &Access, after: &Access) -> Option<Change> {
    match (before.permits.is_empty(), after.permits.is_empty()) {
        (true, true) => return None,
        (true, false) => return Some(Change::Gained),
        (false, true) => return Some(Change::Lost),
        (false, false) => {}
    }
    match (lets_through(after, before), lets_through(before, after)) {
        (true, true) => None,
        (true, false) => Some(Change::Wider),
        (false, true) => Some(Change::Narrower),
        (false, false) => Some(Change::Other),
    }
}

/// Whether `wide` lets through whatever `narrow` does, as easily.
fn lets_through(wide: &Access, narrow: &Access) -> bool {
    let permitted = narrow
        .permits
        .iter()
        .all(|narrow| wide.permits.iter().any(|wide| permits_more(wide, narrow)));
    let held_back = wide.forbids.iter().all(|wide| {
        narrow
            .forbids
            .iter()
            .any(|narrow| forbids_more(narrow, wide))
    });
    permitted && held_back
}

/// Whether the first permit applies wherever the second does, and asks for no more.
fn permits_more(wide: &Way, narrow: &Way) -> bool {
    let asks_no_more = wide.needs.is_none() || is_as_easy(wide, narrow);
    let lasts = match (wide.expires, narrow.expires) {
        (None, _) => true,
        (Some(wide), Some(narrow)) => wide >= narrow,
        (Some(_), None) => false,
    };
    asks_no_more && lasts && applies_wherever(wide, narrow)
}

/// Whether the first forbid applies wherever the second does, and is no easier to get past.
fn forbids_more(strict: &Way, lax: &Way) -> bool {
    let no_easier = strict.needs.is_none() || is_as_easy(lax, strict);
    // A forbid that fails denies: which of two fails first is not looked into.
    let same = strict.conditions == lax.conditions && strict.can_fail == lax.can_fail;
    no_easier && (same || !lax.can_fail && applies_wherever(strict, lax))
}

/// Whether they ask for the same, and the first of no more people, for no shorter and for no fewer calls.
fn is_as_easy(easy: &Way, hard: &Way) -> bool {
    easy.needs == hard.needs
        && easy.quorum <= hard.quorum
        && easy.valid_s >= hard.valid_s
        && easy.standing >= hard.standing
}

fn applies_wherever(wide: &Way, narrow: &Way) -> bool {
    wide.conditions
        .iter()
        .all(|condition| narrow.conditions.contains(condition))
}
