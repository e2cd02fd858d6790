//! What people read when a bundle is wrong: place, message, help.

use bailiwick_core::{Code, Fault};
use bailiwick_policy::Bundle;
use expect_test::{Expect, expect};

use crate::world::{VERSION, WORLD, bundle, registry};

fn check(policies: &str, expected: &Expect) {
    let errors = Bundle::compile(&bundle(policies), VERSION, &registry(WORLD)).unwrap_err();
    assert_eq!(errors.code(), Code::PolicyInvalid);
    let lines = errors.flaws.iter().map(|flaw| {
        assert!(flaw.line > 0 && !flaw.help.is_empty(), "{flaw:?}");
        format!("{flaw}\n  help: {}\n", flaw.help)
    });
    expected.assert_eq(&lines.collect::<String>());
}

const HEAD: &str = "@id(\"x\") @reason(\"r\")\n";

fn body(condition: &str) -> String {
    format!("{HEAD}permit (principal, action, resource)\nwhen {{ {condition} }};")
}

#[test]
fn text_that_is_not_cedar() {
    check(
        "permit (principal, action, resource",
        &expect![[r#"
        p.cedar:1:36: unexpected end of input
          help: expected `!=`, `)`, `,`, `:`, `<`, `<=`, `==`, `>`, `>=`, `in`, or `is`
    "#]],
    );
    check(
        &body("principal.owner = 3"),
        &expect![[r#"
        p.cedar:3:8: '=' is not a valid operator in Cedar
          help: try using '==' instead
    "#]],
    );
}

#[test]
fn names_that_do_not_exist() {
    check(
        &format!("{HEAD}permit (principal, action in Bailiwick::Action::\"reed\", resource);"),
        &expect![[r#"
            p.cedar:2:30: policy `x`: unrecognized action `Bailiwick::Action::"reed"`
              help: did you mean `Bailiwick::Action::"read"`?
        "#]],
    );
    check(
        &format!("{HEAD}permit (principal is Bailiwick::Agnet, action, resource);"),
        &expect![[r#"
            p.cedar:2:22: policy `x`: unrecognized entity type `Bailiwick::Agnet`
              help: did you mean `Bailiwick::Agent`?
        "#]],
    );
    check(
        &body("context.bw.task.stge == \"run\""),
        &expect![[r#"
            p.cedar:3:8: policy `x`: attribute `bw.task.stge` in context for Bailiwick::Action::"s/r" not found (for calls of s/r)
              help: did you mean `stage`?
        "#]],
    );
}

#[test]
fn arguments_that_may_be_absent_or_of_another_type() {
    check(
        &body("context.input.path == \"x\""),
        &expect![[r#"
            p.cedar:3:8: policy `x`: the types String and Bailiwick::Opaque are not compatible (for calls of t/e)
              help: both operands to a `==` expression must have compatible types. Types must be exactly equal to be compatible
            p.cedar:3:8: policy `x`: unable to guarantee safety of access to optional attribute `input.path` in context for Bailiwick::Action::"s/r" (for calls of s/r)
              help: try testing for the attribute's presence with `context.input has path && ..`
        "#]],
    );
    check(
        &format!(
            "{HEAD}permit (principal, action == Bailiwick::Action::\"s/r\", resource) when {{ context.input.path == \"x\" }};"
        ),
        &expect![[r#"
            p.cedar:2:73: policy `x`: unable to guarantee safety of access to optional attribute `input.path` in context for Bailiwick::Action::"s/r" (for calls of s/r)
              help: try testing for the attribute's presence with `context.input has path && ..`
        "#]],
    );
    check(
        &body("context.input has path && context.input.path like \"x*\""),
        &expect![[r#"
            p.cedar:3:34: policy `x`: unexpected type: expected String but saw Bailiwick::Opaque (for calls of t/e)
              help: try using `is` to test for an entity type
        "#]],
    );
}

#[test]
fn values_of_other_types() {
    let read = |condition: &str| {
        body(condition).replace("action,", "action == Bailiwick::Action::\"s/r\",")
    };
    check(
        &read("context.bw.depth + \"1\" == 2"),
        &expect![[r#"
        p.cedar:3:27: policy `x`: unexpected type: expected Long but saw String (for calls of s/r)
          help: Cedar does not support string concatenation
    "#]],
    );
    check(
        &read("ip(\"999.1.1.1\").isIpv4()"),
        &expect![[r#"
        p.cedar:3:8: policy `x`: error during extension function argument validation: failed to parse as IP address: `"999.1.1.1"` (for calls of s/r)
          help: valid IP strings are IPv4/IPv6 addresses or CIDR ranges like `127.0.0.1`, `127.0.0.1/24`, or `ffee::/64`
    "#]],
    );
    check(
        &read("[] == [1]"),
        &expect![[r#"
        p.cedar:3:8: policy `x`: empty set literals are forbidden in policies (for calls of s/r)
          help: what Cedar takes here: https://docs.cedarpolicy.com/policies/syntax-grammar.html
    "#]],
    );
    check(
        &read("context.bw.task.labels == \"pii\""),
        &expect![[r#"
        p.cedar:3:8: policy `x`: the types String and Set<String> are not compatible (for calls of s/r)
          help: both operands to a `==` expression must have compatible types. Types must be exactly equal to be compatible
    "#]],
    );
}

#[test]
fn only_the_rewriting_looks_at_discharged_tokens() {
    check(
        &body("context.bw.discharged.contains(\"approval:x\")"),
        &expect![[r#"
            p.cedar:3:8: policy `x`: attribute `bw.discharged` in context for Bailiwick::Action::"s/r" not found (for calls of s/r)
              help: `context.bw` has arg_effects, attested, budget_left, chain, depth, effect, evidence, first_use, history, items, now, provenance, request, session, task, user
        "#]],
    );
}

#[test]
fn annotations_are_a_closed_list() {
    check(
        "permit (principal, action, resource);",
        &expect![[r#"
            p.cedar:1:1: this policy has no @id
              help: add @id("…") above it
            p.cedar:1:1: this policy has no @reason
              help: add @reason("…") above it
        "#]],
    );
    check(
        "@id(\"a b\") @reason(\"r\")\npermit (principal, action, resource);",
        &expect![[r#"
            p.cedar:1:1: @id("a b") cannot be used here
              help: an id is 1 to 128 of a-z A-Z 0-9 . _ - /
        "#]],
    );
    check(
        "@id(\"x\") @reason(\"r\") @stepup(\"approval:x\")\npermit (principal, action, resource);",
        &expect![[r#"
            p.cedar:1:23: there is no annotation @stepup
              help: did you mean @step_up?
        "#]],
    );
    check(
        "@id(\"x\") @reason(\"r\") @step_up(\"ops\")\nforbid (principal, action, resource);",
        &expect![[r#"
            p.cedar:1:23: @step_up("ops") cannot be used here
              help: a step-up is approval:<who>; a duty is redact:<label>, label:<label>, max_ttl:<time>, max_bytes:<n>, rate:<n>/<time>, deliver:inject or notify:<who>
        "#]],
    );
    check(
        "@id(\"x\") @reason(\"r\") @duty(\"redact:pii\")\npermit (principal, action, resource);",
        &expect![[r#"
            p.cedar:1:23: @duty("redact:pii") cannot be used here
              help: put the duty on a forbid: there no other permit can shed it
        "#]],
    );
    check(
        "@id(\"x\") @reason(\"r\") @quorum(\"2\")\nforbid (principal, action, resource);",
        &expect![[r#"
            p.cedar:1:23: @quorum, @valid and @standing say how a step-up is approved, and this policy has none
              help: add @step_up("approval:<who>") or remove it
        "#]],
    );
    check(
        "@id(\"x\") @reason(\"r\") @step_up(\"approval:x\") @duty(\"label:pii\")\nforbid (principal, action, resource);",
        &expect![[r#"
            p.cedar:1:23: a policy has @step_up or @duty, and not both
              help: write two policies
        "#]],
    );
    check(
        "@id(\"x\") @reason(\"r\") @expires(\"2026-12-01T00:00:00Z\")\nforbid (principal, action, resource);",
        &expect![[r#"
            p.cedar:1:23: @expires("2026-12-01T00:00:00Z") cannot be used here
              help: a forbid does not lapse by itself: remove it when it should end
        "#]],
    );
}

#[test]
fn ids_are_unique_and_slots_refused() {
    check(
        &format!(
            "{HEAD}permit (principal, action, resource);\n{HEAD}forbid (principal, action, resource);"
        ),
        &expect![[r#"
            p.cedar:3:1: the id `x` is taken by a policy of p.cedar
              help: give each policy of the bundle an id of its own
        "#]],
    );
    check(
        &format!("{HEAD}permit (principal == ?principal, action, resource);"),
        &expect![[r#"
            p.cedar:1:1: a policy cannot have slots
              help: name the agent, group or server instead of ?principal or ?resource
        "#]],
    );
}
