//! The walls hold, and the exceptions are those of the table.

use super::{Kind, Member, Repository, check};

fn found(member: Member) -> Vec<String> {
    let mut repository = Repository::of(&[]);
    repository.workspace.members.push(member);
    check(&repository).iter().map(ToString::to_string).collect()
}

fn uses(name: &str, package: &str, kind: Kind) -> usize {
    found(Member::of(name, &[(package, kind, false)])).len()
}

#[test]
fn a_confined_package_is_found_outside_its_crate() {
    for (name, package) in [
        ("control", "cedar-policy-core"),
        ("identity", "rcgen"),
        ("enforce", "rustls-webpki"),
        ("control", "rusqlite"),
        ("enforce", "rmcp"),
        ("enforce", "axum"),
        ("control", "hyper"),
        ("broker", "tonic"),
        ("server", "clap"),
        ("server", "miette"),
        ("xtask", "clap_mangen"),
        ("store", "anyhow"),
    ] {
        assert_eq!(
            uses(name, package, Kind::Product),
            1,
            "{name} uses {package}"
        );
    }
}

#[test]
fn the_crates_that_own_a_package_may_use_it() {
    for (name, package) in [
        ("policy", "cedar-policy"),
        ("crypto", "aws-lc-rs"),
        ("store", "rusqlite"),
        ("demo", "rusqlite"),
        ("demo", "rmcp"),
        ("demo", "axum"),
        ("enforce", "hyper"),
        ("identity", "tonic"),
        ("cli", "miette"),
        ("xtask", "clap"),
        ("audit", "tokio"),
    ] {
        assert_eq!(
            uses(name, package, Kind::Product),
            0,
            "{name} uses {package}"
        );
    }
}

#[test]
fn oracles_are_for_tests() {
    for package in [
        "tlog_tiles",
        "signed_note",
        "spiffe",
        "jsonwebtoken",
        "proptest",
    ] {
        assert_eq!(uses("audit", package, Kind::Product), 1, "{package}");
        assert_eq!(uses("audit", package, Kind::Test), 0, "{package}");
    }
    assert_eq!(uses("cli", "rmcp", Kind::Test), 0);
    assert_eq!(uses("cli", "rmcp", Kind::Product), 1);
    assert_eq!(uses("enforce", "rusqlite", Kind::Test), 1);
}

#[test]
fn the_pure_crates_know_no_runtime() {
    for name in ["core", "policy", "crypto"] {
        assert_eq!(uses(name, "tokio", Kind::Product), 1, "{name}");
        assert_eq!(uses(name, "tokio", Kind::Test), 1, "{name}");
    }
    assert_eq!(uses("core", "getrandom", Kind::Product), 1);
}

#[test]
fn a_package_that_others_bring_along_is_found_with_its_path() {
    let mut member = Member::of("cli", &[]);
    member.reach.insert(
        "ring".to_owned(),
        vec!["reqwest".to_owned(), "rustls".to_owned(), "ring".to_owned()],
    );
    let found = found(member);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].contains("`cli` compiles in `ring`, by reqwest → rustls → ring"),
        "{}",
        found[0]
    );
}
