//! Manifests that say something of their own are found.

use super::{Repository, check};
use crate::tidy::workspace::Member;

const HEAD: &str = "[package]\nname = \"x\"\nversion.workspace = true\nedition.workspace = true\nrust-version.workspace = true\n\
                    license.workspace = true\npublish.workspace = true\n[lints]\nworkspace = true\n";

fn found(manifest: &str) -> Vec<String> {
    let member = Member::of("x", &[]);
    let mut repository = Repository::of(&[(&member.manifest, manifest)]);
    repository.workspace.members.push(member);
    check(&repository).iter().map(ToString::to_string).collect()
}

#[test]
fn what_inherits_is_clean() {
    let text = format!(
        "{HEAD}[dependencies]\nserde.workspace = true\nnix = {{ workspace = true, features = [\"fs\"] }}\n"
    );
    assert_eq!(found(&text), [""; 0]);
}

#[test]
fn a_version_of_its_own_is_found_in_every_table() {
    for table in [
        "dependencies",
        "dev-dependencies",
        "build-dependencies",
        "target.'cfg(unix)'.dependencies",
    ] {
        let text = format!("{HEAD}[{table}]\nserde = \"1\"\n");
        let found = found(&text);
        assert_eq!(found.len(), 1, "{table}");
        assert!(
            found[0].starts_with("crates/x/Cargo.toml:11: [manifests] `serde` is declared here"),
            "{}",
            found[0]
        );
    }
}

#[test]
fn a_path_dependency_is_declared_once_too() {
    assert_eq!(
        found(&format!(
            "{HEAD}[dependencies]\nbailiwick-core = {{ path = \"../core\" }}\n"
        ))
        .len(),
        1
    );
}

#[test]
fn lints_and_package_fields_are_inherited() {
    let own = HEAD
        .replace("workspace = true\n[lints]", "x = 1\n[lints]")
        .replace("[lints]\nworkspace = true\n", "");
    let found = found(&own);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("does not inherit `publish`"), "{found:?}");
    assert!(found[1].contains("lints"), "{found:?}");
}
