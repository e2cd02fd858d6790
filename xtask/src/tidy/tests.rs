//! The repository itself is tidy.

use super::{errors, findings};

#[test]
fn this_repository_is_tidy() {
    let findings = findings(&crate::repository()).expect("the repository can be read");
    let errors: Vec<String> = errors(&findings).map(ToString::to_string).collect();
    assert!(
        errors.is_empty(),
        "`cargo xtask tidy` has errors:\n{}",
        errors.join("\n")
    );
}
