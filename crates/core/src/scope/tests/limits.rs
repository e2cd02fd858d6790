//! Limits and normal form.

use std::collections::BTreeSet;

use super::{draft, scope};
use crate::budget::Budget;
use crate::scope::{Allowed, Bounds, Grant, MAX_GRANTS, MAX_SET, Names, Scope, ScopeError, Value};
use crate::{Effect, Timestamp};

#[test]
fn beyond_a_limit_a_scope_is_refused_and_never_cut_short() {
    let names = |texts: &[String]| Names::parse(texts).unwrap();
    let many = |count: usize, prefix: &str| {
        (0..count)
            .map(|n| format!("{prefix}{n:03}"))
            .collect::<Vec<_>>()
    };
    let grant =
        |server: &[String]| Grant::open(names(server), names(&["t".to_owned()]), [Effect::Read]);
    let make =
        |grants: Vec<Grant>| Scope::new(grants, Budget::UNLIMITED, Timestamp::from_secs(0), 8);
    let too_large = |result: Result<Scope, ScopeError>| match result {
        Err(ScopeError::TooLarge { what, found, limit }) => (what, found, limit),
        other => panic!("{other:?}"),
    };
    assert!(make(vec![grant(&many(MAX_SET, "s"))]).is_ok());
    assert_eq!(
        too_large(make(vec![grant(&many(MAX_SET + 1, "s"))])),
        ("server patterns", 65, 64)
    );
    let single = |n: usize| grant(&[format!("s{n:03}")]);
    assert!(make((0..MAX_GRANTS).map(single).collect()).is_ok());
    assert_eq!(
        too_large(make((0..=MAX_GRANTS).map(single).collect())),
        ("grants", 129, 128)
    );
    assert_eq!(
        too_large(make((0..10_000).map(single).collect())),
        ("grants", 513, 512)
    );
    // What normal form takes away does not count.
    assert!(make(std::iter::repeat_with(|| single(1)).take(10_000).collect()).is_ok());
    assert_eq!(make(vec![grant(&[])]), Err(ScopeError::Empty));
    assert_eq!(make(vec![]), Err(ScopeError::Empty));
    let deep = Scope::new(
        vec![single(1)],
        Budget::UNLIMITED,
        Timestamp::from_secs(0),
        9,
    );
    assert_eq!(too_large(deep), ("delegations", 9, 8));
    let long = |n: usize| grant(&[format!("s{n:03}{}", "x".repeat(1_900))]);
    assert_eq!(
        too_large(make((0..40).map(long).collect())).0,
        "bytes of text"
    );
    // Both legal, their meet is not: 63 below p* on one side, 63 below q* on the other.
    let cross = |own: &str, other: &str| {
        let mut servers = many(MAX_SET - 1, other);
        servers.push(format!("{own}*"));
        make(vec![grant(&servers)]).unwrap()
    };
    assert_eq!(
        too_large(cross("p", "q").meet(&cross("q", "p"))),
        ("server patterns", 126, 64)
    );
}

#[test]
fn normal_form_lists_what_is_small_and_drops_what_is_nothing() {
    let strings = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| Value::String((*text).to_owned()))
            .collect::<BTreeSet<_>>()
    };
    for (constraint, expected) in [
        (
            "{ ints = { min = 1, max = 3 } }",
            Some(Allowed::In((1..=3).map(Value::Int).collect())),
        ),
        (
            "{ ints = { min = 0, max = 63 } }",
            Some(Allowed::In((0..=63).map(Value::Int).collect())),
        ),
        (
            "{ ints = { min = 0, max = 64 } }",
            Some(Allowed::Ints { min: 0, max: 64 }),
        ),
        (
            "{ ints = {} }",
            Some(Allowed::Ints {
                min: i64::MIN,
                max: i64::MAX,
            }),
        ),
        ("{ ints = { min = 3, max = 1 } }", None),
        ("{ in = [] }", None),
        (
            "{ strings = ['a', 'b'] }",
            Some(Allowed::In(strings(&["a", "b"]))),
        ),
        ("{ paths = ['a/b'] }", Some(Allowed::In(strings(&["a/b"])))),
        (
            "{ strings = ['a', 'ab*', 'a*', 'b'] }",
            Some(Allowed::Strings(Names::parse(["a*", "b"]).unwrap())),
        ),
    ] {
        let toml = format!(
            "[[grant]]\nserver = ['a']\ntool = ['b']\neffects = ['read']\nargs.'/x' = {constraint}\n"
        );
        let found = draft(&toml).fill(&Bounds::WIDEST);
        let found = found
            .as_ref()
            .map(|scope| &scope.grants()[0].args[&"/x".parse().unwrap()].allowed);
        assert_eq!(found.ok(), expected.as_ref(), "{constraint}");
    }
    let subsumed = scope(
        r#"grants = [
        { server = ["a"], tool = ["b", "c"], effects = ["read"] },
        { server = ["a*"], tool = ["*"], effects = ["read", "write"], args."/y" = { any = true, optional = true } },
        { server = ["b"], tool = ["c"], effects = [] } ]"#,
    );
    assert_eq!(subsumed.grants().len(), 1);
    assert!(subsumed.grants()[0].args.is_empty());
}
