//! The corpora of the parsers in this crate: files that must be read or refused, and what thousands of mutations of them must not do.

#[path = "../../../conformance/replay.rs"]
mod replay;

use crate::scope::{Bounds, Draft, Scope};
use crate::spiffe_id::SpiffeId;
use replay::replay;

#[test]
fn corpus_spiffe_id() {
    replay("spiffe_id", |name, bytes| {
        let read = std::str::from_utf8(bytes)
            .ok()
            .and_then(|text| text.parse::<SpiffeId>().ok());
        if let Some(name) = name {
            assert_eq!(read.is_some(), name.starts_with("good-"), "{name}");
        }
        let Some(id) = read else { return };
        // Compared as bytes, never folded.
        assert_eq!(id.as_str().as_bytes(), bytes);
        assert_eq!(
            format!("spiffe://{}{}", id.trust_domain(), id.path()).as_bytes(),
            bytes
        );
        assert!(bytes.len() <= 2_048);
        for odd in ["//", "/./", "/../", "%", "?", "#", "@", "\\"] {
            let rest = id.as_str().trim_start_matches("spiffe://");
            assert!(!rest.contains(odd), "{id:?}");
        }
        if let Ok((agent, instance)) = id.as_instance() {
            assert_eq!(id.trust_domain().instance(&agent, instance), id);
        }
    });
}

#[test]
fn corpus_scope_json() {
    replay("scope_json", |name, bytes| {
        let read = Draft::from_json(bytes)
            .ok()
            .and_then(|draft| draft.fill(&Bounds::WIDEST).ok());
        if let Some(name) = name {
            assert_eq!(read.is_some(), name.starts_with("good-"), "{name}");
        }
        let Some(scope) = read else { return };
        // What is hashed is what is read again, and nothing is wider than itself.
        let again: Scope = serde_json::from_slice(&scope.canonical()).unwrap();
        assert_eq!(again, scope);
        assert!(scope.within(&scope).is_ok());
        if let Ok(met) = scope.meet(&scope) {
            assert!(met.within(&scope).is_ok());
        }
    });
}
