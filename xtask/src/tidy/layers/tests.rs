//! The layer rule sees what points the wrong way.

use super::{LAYERS, Member, Repository, check};
use crate::tidy::workspace::Kind;

fn with(member: Member, manifest: &str) -> Repository {
    let mut repository = Repository::of(&[(&member.manifest, manifest)]);
    repository.workspace.members.push(member);
    repository
}

#[test]
fn the_table_has_no_cycle() {
    for (index, (name, allowed)) in LAYERS.iter().enumerate() {
        let below: Vec<&str> = LAYERS[..index].iter().map(|(name, _)| *name).collect();
        for other in *allowed {
            assert!(
                below.contains(other),
                "{name} may use {other}, which does not stand above it in the table"
            );
        }
    }
}

#[test]
fn nothing_uses_cli_and_few_use_server() {
    for (name, allowed) in LAYERS {
        assert!(!allowed.contains(&"cli"), "{name}");
        assert!(
            !allowed.contains(&"server") || ["cli", "xtask"].contains(name),
            "{name}"
        );
    }
}

#[test]
fn a_dependency_against_the_direction_is_found_where_it_stands() {
    let manifest =
        "[dependencies]\nbailiwick-core.workspace = true\nbailiwick-store.workspace = true\n";
    let member = Member::of(
        "enforce",
        &[
            ("core", Kind::Product, true),
            ("store", Kind::Product, true),
        ],
    );
    let found = check(&with(member, manifest));
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].to_string(),
        "crates/enforce/Cargo.toml:3: [layers] `enforce` must not depend on `store`; it may use core, crypto, policy, \
         proto, audit: move the noun down, or take a trait that the layer above implements"
    );
}

#[test]
fn tests_follow_the_direction_too() {
    assert_eq!(
        check(&with(
            Member::of("core", &[("server", Kind::Test, true)]),
            ""
        ))
        .len(),
        1
    );
}

#[test]
fn a_crate_without_a_place_is_an_error() {
    assert!(
        check(&with(Member::of("misc", &[]), ""))[0]
            .what
            .contains("no place")
    );
}

#[test]
fn crates_of_others_are_not_its_business() {
    assert!(
        check(&with(
            Member::of("core", &[("server", Kind::Product, false)]),
            ""
        ))
        .is_empty()
    );
}
