//! What is counted: nodes, and the bytes of arguments that comparisons look at.

use cedar_policy_core::ast::Value;
use cedar_policy_core::parser::parse_policyset;

use super::Work;

fn arguments() -> Value {
    let short = Value::from("x".repeat(10).as_str());
    let long = Value::from("x".repeat(1_000).as_str());
    let set = Value::set([Value::from("a"), Value::from("b")], None);
    let deep = Value::record([("long", long.clone())], None);
    Value::record(
        [
            ("short", short),
            ("long", long),
            ("set", set),
            ("deep", deep),
        ],
        None,
    )
}

fn work(condition: &str) -> Work {
    let text = format!("permit (principal, action, resource) when {{ {condition} }};");
    let set = parse_policyset(&text).unwrap();
    let template = set.all_templates().next().unwrap();
    Work::of(template.non_scope_constraints())
}

/// Steps beyond those of its nodes, for arguments whose text has 2,000 bytes.
fn beyond(condition: &str) -> u64 {
    let work = work(condition);
    work.with(&arguments(), 2_000) - work.with(&Value::empty_record(None), 2_000)
}

#[test]
fn comparisons_cost_what_they_look_at() {
    assert_eq!(beyond("context.input.short like \"a*\""), 2 * 10);
    assert_eq!(beyond("context.input.long like \"*aaaaaaaa*\""), 10 * 1_000);
    assert_eq!(
        beyond("context.input has deep && context.input.deep.long like \"a\""),
        2 * 1_000
    );
    assert_eq!(beyond("context.input.long == \"a\""), 0);
    assert_eq!(beyond("context.input.set.contains(\"a\")"), 0);
    assert_eq!(
        beyond("context.input.long == context.input.short"),
        4 * 1_010
    );
    assert_eq!(
        beyond("context.input.set.containsAll([\"a\", \"c\"])"),
        4 * 2_000
    );
    assert_eq!(beyond("context.input.absent like \"*\""), 0);
    assert_eq!(beyond("context.bw.task.stage like \"r*\""), 0);
    // Two likes over two arguments: each is counted for both, which is on the safe side.
    assert_eq!(
        beyond("context.input.short like \"a\" || context.input.long like \"a\""),
        4 * 1_010
    );
}

#[test]
fn nodes_cost_without_arguments_too() {
    let steps = work("1 + 1 == 2").with(&arguments(), 2_000);
    assert_eq!(steps, 600);
    assert_eq!(Work::of(None).with(&arguments(), 2_000), 100);
}
