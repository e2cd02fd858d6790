//! P1, P3, P4 and P5 of the design, over generated bundles and calls.

use bailiwick_core::decision::Outcome;
use proptest::prelude::*;

use crate::oracle::{Generated, given, policy, text};
use crate::world::{compile, rank};

fn forbid() -> impl Strategy<Value = Generated> {
    policy().prop_map(|policy| Generated {
        permit: false,
        ..policy
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// P3: without a satisfied permit nothing is allowed or asked for.
    #[test]
    fn no_way_to_allow_without_a_permit(policies in prop::collection::vec(policy(), 0..8), given in given()) {
        let decision = given.discharge(&["approval:one", "approval:two", "redact:pii", "label:x"]).decide(&compile(&text(&policies)).unwrap());
        let permits: Vec<String> = (0..).zip(&policies).filter(|(_, policy)| policy.permit).map(|(id, _)| format!("p{id}")).collect();
        if decision.outcome != Outcome::Deny {
            prop_assert!(decision.policies.iter().any(|id| permits.contains(id)));
        }
    }

    /// P4: one forbid more never lets more through.
    #[test]
    fn a_forbid_more_never_allows_more(policies in prop::collection::vec(policy(), 0..8), extra in forbid(), given in given(), approved: bool) {
        let given = if approved { given.discharge(&["approval:one", "label:x"]) } else { given };
        let before = given.decide(&compile(&text(&policies)).unwrap());
        let longer: Vec<Generated> = policies.into_iter().chain([extra]).collect();
        let after = given.decide(&compile(&text(&longer)).unwrap());
        prop_assert!(rank(&after) <= rank(&before));
    }

    /// P5: tokens only ever turn a step-up into an allow; they lift no deny but that of an unperformed duty.
    #[test]
    fn approvals_lift_nothing_but_step_ups(policies in prop::collection::vec(policy(), 0..8), given in given()) {
        let bundle = compile(&text(&policies)).unwrap();
        let before = given.decide(&bundle);
        let after = given.clone().discharge(&["approval:one", "approval:two"]).decide(&bundle);
        match before.outcome {
            Outcome::Deny => prop_assert_eq!(after.outcome, Outcome::Deny),
            Outcome::StepUp | Outcome::Allow => prop_assert_eq!(after.outcome, Outcome::Allow),
        }
    }

    /// P1: the order of policies means nothing.
    #[test]
    fn order_means_nothing(policies in prop::collection::vec(policy(), 0..8), given in given()) {
        let forward = text(&policies);
        let mut lines: Vec<String> = policies.iter().enumerate().map(|(id, policy)| policy.ours(id)).collect();
        lines.reverse();
        let backward = lines.concat();
        prop_assert_eq!(given.decide(&compile(&forward).unwrap()), given.decide(&compile(&backward).unwrap()));
    }
}
