//! The built-in policies are read, and fail closed.

use super::*;

#[test]
fn the_built_in_policies_are_read_and_each_has_id_and_reason() {
    let policies = Policies::read(ROLES).unwrap();
    assert_eq!(policies.set.all_templates().count(), 6);
    for template in policies.set.all_templates() {
        let keys: Vec<String> = template
            .annotations()
            .map(|(key, _)| key.to_string())
            .collect();
        assert!(keys.contains(&"id".to_owned()) && keys.contains(&"reason".to_owned()));
    }
}

#[test]
fn what_no_policy_names_is_refused_to_everybody() {
    for operation in ["", "everything", "api:read", "READ", "read\"", "*"] {
        assert!(!permits(&Role::ALL, operation), "{operation}");
    }
    assert!(!permits(&[], "read"), "without a role");
    assert!(permits(&[Role::Viewer], "read"));
    assert_eq!(roles_for("write_policy"), [Role::Admin]);
    assert!(roles_for("nothing").is_empty());
}

#[test]
fn a_policy_that_fails_opens_nothing() {
    let broken = r#"
        @id("a") permit (principal, action, resource);
        @id("b") forbid (principal, action, resource) when { context.missing };
    "#;
    assert!(
        !Policies::read(broken)
            .unwrap()
            .permits(&[Role::Admin], "read")
    );
    assert!(Policies::read("permit (").is_none());
}
