//! Scopes: what is hashed is what is read again, and nothing is wider than itself.

use bailiwick_core::scope::{Bounds, Draft, Scope};

pub(crate) fn look(bytes: &[u8]) {
    let draft = Draft::from_json(bytes).ok();
    let Some(scope) = draft.and_then(|draft| draft.fill(&Bounds::WIDEST).ok()) else {
        return;
    };
    let again: Scope = serde_json::from_slice(&scope.canonical()).expect("canonical form is read");
    assert_eq!(again, scope);
    assert!(scope.within(&scope).is_ok());
    if let Ok(met) = scope.meet(&scope) {
        assert!(met.within(&scope).is_ok());
    }
}
