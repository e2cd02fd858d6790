//! What the record keeps of a decision gives the same decision again (P1).

use bailiwick_core::decision::Versions;
use bailiwick_core::task::MAX_DEPTH;
use bailiwick_policy::{Input, Recorded, RecordedError};
use proptest::prelude::{ProptestConfig, prop, prop_assert_eq, prop_assume, proptest};

use crate::oracle::{given, policy, text};
use crate::world::{Given, compile};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Through its stored form, under random bundles that ask about every fact there is.
    #[test]
    fn p1_a_recorded_input_decides_as_it_did(
        policies in prop::collection::vec(policy(), 0..8),
        given in given(),
    ) {
        let compiled = compile(&text(&policies));
        prop_assume!(compiled.is_ok());
        let bundle = compiled.unwrap();
        let stored = given.with(|input| Recorded::of(input).write());
        let again = Recorded::read(&stored).unwrap();
        let replayed = again
            .with(&given.arguments, given.versions, |input| bundle.decide(input))
            .unwrap();
        prop_assert_eq!(replayed, given.decide(&bundle));
    }
}

#[test]
fn what_is_stored_is_small_and_written_again_the_same() {
    let given = Given::call("s/r", r#"{"path":"notes/plan.md"}"#).discharge(&["approval:one"]);
    let stored = given.with(|input| Recorded::of(input).write());
    assert!(stored.len() < 1_024, "{} bytes", stored.len());
    let again = Recorded::read(&stored).unwrap();
    let twice = again
        .with("{}", given.versions, |input: &Input<'_>| {
            Recorded::of(input).write()
        })
        .unwrap();
    assert_eq!(twice, stored);
    assert!(!String::from_utf8(stored).unwrap().contains("plan.md"));
}

#[test]
fn what_is_not_a_recorded_input_is_refused() {
    let given = Given::call("s/r", "{}");
    let versions: Versions = given.versions;
    let recorded = given.with(Recorded::of);
    let too_deep = Recorded {
        depth: usize::from(MAX_DEPTH) + 1,
        ..recorded.clone()
    };
    for stored in [
        too_deep.write(),
        b"{}".to_vec(),
        recorded.write().repeat(2),
        Vec::new(),
    ] {
        assert!(matches!(
            Recorded::read(&stored),
            Err(RecordedError::Form(_))
        ));
    }
    assert!(recorded.with("{}", versions, |_| ()).is_ok());
}
