//! Operation by operation, which roles may.

use expect_test::expect;

use super::*;

#[test]
fn every_operation_has_a_rule_and_this_is_what_the_rules_say() {
    let table: Vec<String> = Operation::ALL
        .iter()
        .map(|operation| {
            let roles: Vec<&str> = operation.roles().into_iter().map(Role::as_str).collect();
            assert!(
                !roles.is_empty(),
                "no policy permits {operation:?} to anybody"
            );
            format!("{}: {}", operation.as_str(), roles.join(", "))
        })
        .collect();
    expect![[r"
        read: viewer, approver, operator, admin
        write_agents: operator
        write_servers: operator
        write_tasks: operator
        read_approvals: viewer, approver
        answer_approvals: approver
        declassify: approver
        revoke: operator
        write_findings: operator
        lift_fences: admin
        write_policy: admin
        write_accounts: admin
        write_points: admin
        write_secrets: admin
        reindex: operator
        reveal: operator
        erase: admin
        rotate_log_key: admin
        rotate_keys: admin"]]
    .assert_eq(&table.join("\n"));
}

#[test]
fn a_refusal_names_the_roles_that_would_do_and_the_node_itself_has_none() {
    let refused = Actor::system().may(Operation::ReadApprovals).unwrap_err();
    assert_eq!(refused.code, Code::NotPermitted);
    assert!(
        refused.help.contains("viewer or approver"),
        "{}",
        refused.help
    );
    for operation in Operation::ALL {
        assert!(Actor::unix(0).may(operation).is_ok());
        assert!(Actor::system().may(operation).is_err());
    }
}
