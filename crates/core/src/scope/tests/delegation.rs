//! What delegation refuses, and how it says so.

use expect_test::expect;

use super::{EXAMPLE, draft, scope};
use crate::budget::Budget;
use crate::scope::{
    Allowed, ArgPath, Bounds, Constraint, DelegateError, Draft, Grant, Names, Narrowing, Patterns,
    ScopeError, Wish, delegate, from_oauth,
};
use crate::{Code, Effect, Fault};

#[test]
fn a_delegation_that_widens_names_the_element() {
    let parent = scope(EXAMPLE);
    let widened = |change: &dyn Fn(&mut Draft)| {
        let mut request = Draft {
            depth: Some(1),
            ..draft(EXAMPLE)
        };
        change(&mut request);
        let request = request.fill(&Bounds::below(&parent)).unwrap();
        let problem = delegate(&parent, &request, None, None)
            .unwrap_err()
            .problem();
        format!(
            "{} | {} | {}\n",
            problem.code, problem.message, problem.help
        )
    };
    let path = |text: &str| text.parse::<ArgPath>().unwrap();
    let mut seen = String::new();
    seen += &widened(&|request| request.grants[0].server = Names::parse(["git*"]).unwrap());
    seen +=
        &widened(&|request| request.grants[0].tool = Names::parse(["get_file", "put"]).unwrap());
    seen += &widened(&|request| {
        request.grants[0].effects.insert(Effect::Escalate);
    });
    seen += &widened(&|request| request.grants[0].closed = false);
    seen += &widened(&|request| {
        let wide = Allowed::Paths(Patterns::parse(["src/a*", "lib/*"]).unwrap());
        request.grants[0]
            .args
            .get_mut(&path("/path"))
            .unwrap()
            .allowed = wide;
    });
    seen += &widened(&|request| {
        request.grants[0]
            .args
            .get_mut(&path("/count"))
            .unwrap()
            .allowed = Allowed::Ints { min: 0, max: 100 };
    });
    seen += &widened(&|request| {
        request.grants[0]
            .args
            .insert(path("/ref"), Constraint::FREE);
    });
    seen += &widened(&|request| {
        request.grants[1]
            .args
            .get_mut(&path("/to/*"))
            .unwrap()
            .optional = true;
    });
    seen += &widened(&|request| request.budget.calls = Some(101));
    seen += &widened(&|request| request.deadline = Some("2026-11-23T12:00:01Z".parse().unwrap()));
    seen += &widened(&|request| request.depth = Some(2));
    expect![[r#"
        delegation_widening | the delegated scope goes beyond its parent's: wider in `server` of the grant (server [git*], tool [get_*], effects [read]) | the widest allowed there: github
        delegation_widening | the delegated scope goes beyond its parent's: wider in `tool` of the grant (server [github], tool [get_file, put], effects [read]) | the widest allowed there: get_*
        delegation_widening | the delegated scope goes beyond its parent's: wider in `effects` of the grant (server [github], tool [get_*], effects [read, escalate]) | the widest allowed there: read
        delegation_widening | the delegated scope goes beyond its parent's: wider in `closed` of the grant (server [github], tool [get_*], effects [read]) | the widest allowed there: closed = true
        delegation_widening | the delegated scope goes beyond its parent's: wider in `args."/path"` of the grant (server [github], tool [get_*], effects [read]) | the widest allowed there: a plain path like src/*, may be left out
        delegation_widening | the delegated scope goes beyond its parent's: wider in `args."/count"` of the grant (server [github], tool [get_*], effects [read]) | the widest allowed there: an integer from 1 to 200, may be left out
        delegation_widening | the delegated scope goes beyond its parent's: wider in `args."/ref"` of the grant (server [github], tool [get_*], effects [read]) | the widest allowed there: nothing, may be left out
        delegation_widening | the delegated scope goes beyond its parent's: wider in `args."/to/*"` of the grant (server [mail], tool [send], effects [write]) | the widest allowed there: one of `a@example.com`, required
        delegation_widening | the delegated scope goes beyond its parent's: wider in `budget.calls` | the widest allowed there: 100
        delegation_widening | the delegated scope goes beyond its parent's: wider in `deadline` | the widest allowed there: 2026-11-23T12:00:00.000000Z
        delegation_depth | the child asks for 2 further delegations, its parent has 2 | ask for a depth of at most 1
    "#]].assert_eq(&seen);
}

#[test]
fn a_delegation_is_narrowed_by_ceiling_and_policy_and_says_so() {
    let parent = scope(EXAMPLE);
    let request = draft(EXAMPLE);
    let request = Draft {
        depth: None,
        ..request
    }
    .fill(&Bounds::below(&parent))
    .unwrap();
    let ceiling =
        scope("[[grant]]\nserver = [\"*\"]\ntool = [\"*\"]\neffects = [\"read\", \"write\"]");
    let cap =
        scope("depth = 0\n[[grant]]\nserver = [\"github\"]\ntool = [\"*\"]\neffects = [\"read\"]");
    let plain = delegate(&parent, &request, Some(&ceiling), None).unwrap();
    assert_eq!((plain.scope, plain.narrowed_by), (request.clone(), vec![]));
    let capped = delegate(&parent, &request, Some(&ceiling), Some(&cap)).unwrap();
    assert_eq!(capped.narrowed_by, [Narrowing::Policy]);
    assert_eq!((capped.scope.grants().len(), capped.scope.depth()), (1, 0));
    capped.scope.within(&parent).unwrap();
    let other = scope("[[grant]]\nserver = [\"jira\"]\ntool = [\"*\"]\neffects = [\"read\"]");
    let nothing = delegate(&parent, &request, Some(&other), None).unwrap_err();
    assert_eq!(nothing.code(), Code::ScopeEmpty);
    // At the end of the chain nothing can be delegated, whatever is asked for.
    let leaf = delegate(&capped.scope, &capped.scope, None, None).unwrap_err();
    assert_eq!(
        leaf,
        DelegateError::Depth {
            asked: 0,
            parent: 0
        }
    );
    assert_eq!(leaf.code(), Code::DelegationDepth);
}

#[test]
fn a_token_of_the_same_task_has_narrower_grants_alone() {
    let whole = scope(EXAMPLE);
    assert_eq!(Wish::Whole.part_of(&whole), Ok(None));
    let words = Wish::Words(from_oauth("github:read").unwrap());
    let part = words.part_of(&whole).unwrap().unwrap();
    assert_eq!(part.grants().len(), 1);
    assert!(
        words.is_narrowed_to(&part),
        "tools and arguments are bounded"
    );
    part.within(&whole).unwrap();
    let same = Draft {
        deadline: None,
        depth: None,
        budget: Budget::UNLIMITED,
        ..draft(EXAMPLE)
    };
    assert_eq!(Wish::Exact(same.clone()).part_of(&whole), Ok(None));
    let shorter = Draft {
        depth: Some(1),
        ..same
    };
    let refused = Wish::Exact(shorter).part_of(&whole).unwrap_err();
    assert_eq!(refused, DelegateError::OwnTask);
    let nothing = Wish::Words(from_oauth("jira:read").unwrap());
    let refused = nothing.part_of(&whole).unwrap_err();
    assert_eq!(refused.code(), Code::ScopeEmpty);
}

#[test]
fn an_effect_can_be_taken_out_of_a_scope() {
    let whole = scope(EXAMPLE);
    assert_eq!(whole.without(Effect::Escalate), Ok(None));
    let mut grants = whole.grants().to_vec();
    let own = grants[0].clone();
    grants[0].effects.insert(Effect::Escalate);
    let wider = whole.with_grants(grants).unwrap();
    let rest = wider.without(Effect::Escalate).unwrap().unwrap();
    assert_eq!(rest, whole);
    rest.within(&wider).unwrap();
    // What does nothing else is not there any more.
    let alone = Grant {
        effects: [Effect::Escalate].into(),
        ..own
    };
    let alone = whole.with_grants(vec![alone]).unwrap();
    assert_eq!(alone.without(Effect::Escalate), Err(ScopeError::Empty));
}
