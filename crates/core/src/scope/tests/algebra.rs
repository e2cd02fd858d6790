//! The laws of the algebra, against brute force over every call of a small world.

use std::cell::Cell;

use proptest::prelude::{ProptestConfig, Strategy, prop, prop_assert, prop_assert_eq, proptest};
use proptest::test_runner::TestRunner;

use super::oracle::{Asked, CALLS, constraint, grants, permitted};
use crate::budget::Budget;
use crate::json::{Limits, Numbers, check};
use crate::scope::{Constraint, Draft, Grant, Names, Scope, ScopeError, Wish, delegate};
use crate::{Effect, Timestamp};

fn scope(grants: Vec<Grant>, bounds: (Option<u64>, i64, u8)) -> Option<Scope> {
    let (calls, deadline, depth) = bounds;
    let budget = Budget {
        calls,
        ..Budget::UNLIMITED
    };
    kept(Scope::new(
        grants,
        budget,
        Timestamp::from_secs(deadline),
        depth,
    ))
}

/// An empty scope permits nothing; the small world is too small for any limit.
fn kept(result: Result<Scope, ScopeError>) -> Option<Scope> {
    match result {
        Ok(scope) => Some(scope),
        Err(ScopeError::Empty) => None,
        Err(error) => panic!("{error}"),
    }
}

fn allows(scope: Option<&Scope>, asked: &Asked) -> bool {
    scope.is_some_and(|scope| scope.permits(&asked.call()).is_ok())
}

fn bounds() -> impl Strategy<Value = (Option<u64>, i64, u8)> {
    (prop::option::of(0..4_u64), 0..4_i64, 0..4_u8)
}

fn any_scope() -> impl Strategy<Value = Scope> {
    (grants(), bounds()).prop_filter_map("empty", |(grants, bounds)| scope(grants, bounds))
}

proptest! {
    #[test]
    fn permitted_is_what_the_definition_says_and_normal_form_preserves_it(grants in grants()) {
        let normal = scope(grants.clone(), (None, 0, 0));
        for asked in CALLS.iter() {
            prop_assert_eq!(allows(normal.as_ref(), asked), permitted(&grants, asked), "{:?}", asked);
        }
        if let Some(normal) = normal {
            prop_assert_eq!(scope(normal.grants().to_vec(), (None, 0, 0)), Some(normal));
        }
    }

    #[test]
    fn the_meet_permits_exactly_what_both_permit(a in any_scope(), b in any_scope()) {
        let both = kept(a.meet(&b));
        for asked in CALLS.iter() {
            let expected = permitted(a.grants(), asked) && permitted(b.grants(), asked);
            prop_assert_eq!(allows(both.as_ref(), asked), expected, "{:?}", asked);
        }
        prop_assert_eq!(&both, &kept(b.meet(&a)));
        if let Some(both) = both {
            prop_assert_eq!(both.within(&a), Ok(()));
            prop_assert_eq!(both.within(&b), Ok(()));
        }
    }

    #[test]
    fn a_scope_within_another_permits_no_more(a in any_scope(), b in any_scope()) {
        prop_assert_eq!(a.within(&a), Ok(()));
        prop_assert_eq!(a.meet(&a), Ok(a.clone()));
        if a.within(&b).is_ok() {
            for asked in CALLS.iter() {
                prop_assert!(!permitted(a.grants(), asked) || permitted(b.grants(), asked), "{:?}", asked);
            }
            prop_assert!(a.deadline() <= b.deadline() && a.depth() <= b.depth());
        }
    }

    /// Random pairs are seldom within each other, so one field of a grant is varied and the rest kept.
    #[test]
    fn nearly_equal_grants_are_ordered_soundly(a in grants(), b in grants(), field in 0..6_u8) {
        let (a, b) = (a[0].clone(), b[0].clone());
        let mixed = match field {
            0 => Grant { server: b.server, ..a.clone() },
            1 => Grant { tool: b.tool, ..a.clone() },
            2 => Grant { effects: b.effects, ..a.clone() },
            3 => Grant { args: b.args, ..a.clone() },
            4 => Grant { closed: !a.closed, ..a.clone() },
            _ => Grant { resources: b.resources, ..a.clone() },
        };
        if let (Some(mixed), Some(whole)) = (scope(vec![mixed], (None, 0, 0)), scope(vec![a], (None, 0, 0)))
            && mixed.within(&whole).is_ok()
        {
            for asked in CALLS.iter() {
                prop_assert!(!permitted(mixed.grants(), asked) || permitted(whole.grants(), asked), "{:?}", asked);
            }
        }
    }

    /// Two grants that differ in one constraint only: every pair of kinds comes up often.
    #[test]
    fn constraints_are_ordered_and_meet_soundly(a in constraint(), b in constraint()) {
        let one = |constraint: &Constraint| {
            let grant = Grant {
                args: [("/p".parse().unwrap(), constraint.clone())].into(),
                ..Grant::open(Names::parse(["a"]).unwrap(), Names::parse(["t"]).unwrap(), [Effect::Read])
            };
            scope(vec![grant], (None, 0, 0))
        };
        if let (Some(a), Some(b)) = (one(&a), one(&b)) {
            let both = kept(a.meet(&b));
            let within = a.within(&b).is_ok();
            for asked in CALLS.iter() {
                let (in_a, in_b) = (permitted(a.grants(), asked), permitted(b.grants(), asked));
                prop_assert_eq!(allows(both.as_ref(), asked), in_a && in_b, "{:?}", asked);
                prop_assert!(!within || !in_a || in_b, "{:?}", asked);
            }
        }
    }

    #[test]
    fn being_within_is_transitive_along_delegations(a in any_scope(), b in any_scope(), c in any_scope()) {
        if let Some(ab) = kept(a.meet(&b)) && let Some(abc) = kept(ab.meet(&c)) {
            prop_assert_eq!(abc.within(&ab), Ok(()));
            prop_assert_eq!(abc.within(&a), Ok(()));
        }
    }

    #[test]
    fn a_child_is_within_parent_ceiling_and_cap(
        parent in any_scope(), request in any_scope(), ceiling in any_scope(), cap in any_scope(),
    ) {
        // Asking for the meet makes many requests that fit; asking as generated makes many that do not.
        for request in [Some(request.clone()), kept(request.meet(&parent))].into_iter().flatten() {
            let result = delegate(&parent, &request, Some(&ceiling), Some(&cap));
            if let Ok(child) = result {
                prop_assert_eq!(request.within(&parent), Ok(()));
                prop_assert!(child.scope.depth() < parent.depth());
                for bound in [&parent, &request, &ceiling, &cap] {
                    prop_assert_eq!(child.scope.within(bound), Ok(()));
                }
            }
        }
    }

    #[test]
    fn canonical_json_is_stable_and_reads_back(a in any_scope()) {
        let canonical = a.canonical();
        let text = check(&canonical, &Limits::JOSE).unwrap();
        prop_assert_eq!(&text.canonical(Numbers::AsWritten).unwrap(), &canonical);
        let back: Scope = serde_json::from_slice(&canonical).unwrap();
        prop_assert_eq!(&back, &a);
        prop_assert_eq!(back.canonical(), canonical);
        let mut reversed = a.grants().to_vec();
        reversed.reverse();
        prop_assert_eq!(Scope::new(reversed, *a.budget(), a.deadline(), a.depth()), Ok(a));
    }
}

/// As many pairs of parent and request as a run takes: a million where it is optimised.
const PAIRS: u32 = if cfg!(debug_assertions) {
    2_000
} else {
    1_000_000
};
/// Calls that each child is tried with, another stretch for each pair.
const TRIED: usize = 24;

/// However it is asked for, a child has no field that goes beyond its parent's, and permits no call that its parent does not.
#[test]
fn a_delegated_child_never_exceeds_its_parent() {
    let config = ProptestConfig {
        cases: PAIRS,
        // Of what is generated, more than half of the scopes are empty, and are drawn again.
        max_local_rejects: PAIRS.saturating_mul(8),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let pair = (
        any_scope(),
        any_scope(),
        prop::option::of(any_scope()),
        0..4_u8,
        0..CALLS.len(),
    );
    let children = Cell::new(0_u32);
    let outcome = TestRunner::new(config).run(&pair, |(parent, request, ceiling, way, from)| {
        let Ok(asked) = wish(way, &parent, &request).below(&parent) else {
            return Ok(());
        };
        let Ok(child) = delegate(&parent, &asked, ceiling.as_ref(), None) else {
            return Ok(());
        };
        children.set(children.get() + 1);
        let child = child.scope;
        prop_assert_eq!(child.within(&parent), Ok(()));
        prop_assert!(child.depth() < parent.depth());
        prop_assert!(child.deadline() <= parent.deadline());
        let calls = |scope: &Scope| scope.budget().calls.unwrap_or(u64::MAX);
        prop_assert!(calls(&child) <= calls(&parent));
        for asked in CALLS.iter().cycle().skip(from).take(TRIED) {
            prop_assert!(
                !permitted(child.grants(), asked) || permitted(parent.grants(), asked),
                "{:?}",
                asked
            );
        }
        Ok(())
    });
    outcome.unwrap();
    let children = children.get();
    assert!(
        children > PAIRS / 10,
        "{children} of {PAIRS} were delegated"
    );
}

/// What is asked for, in each of the ways there are.
fn wish(way: u8, parent: &Scope, request: &Scope) -> Wish {
    let below = parent.depth().saturating_sub(1);
    let draft = |scope: &Scope, depth: u8| Draft {
        grants: scope.grants().to_vec(),
        budget: *scope.budget(),
        deadline: Some(scope.deadline()),
        depth: Some(depth),
    };
    match way {
        0 => Wish::Whole,
        1 => Wish::Words(request.grants().to_vec()),
        // Asking for the meet makes many requests that fit; asking as generated makes many that do not.
        2 => {
            kept(request.meet(parent)).map_or(Wish::Whole, |both| Wish::Exact(draft(&both, below)))
        }
        _ => Wish::Exact(draft(request, request.depth())),
    }
}
