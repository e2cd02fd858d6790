//! What policy would say whatever the arguments: never more definite than what it says to each call.

use bailiwick_core::decision::Outcome;
use bailiwick_policy::{Bundle, Reach};
use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};

use crate::world::{Given, compile};

const READ: &str = "@id(\"read\") @reason(\"r\")\npermit (principal, action in Bailiwick::Action::\"read\", resource);\n";

fn reach(bundle: &Bundle, given: &Given) -> Reach {
    bundle.reach(&given.recorded())
}

#[test]
fn what_reads_no_argument_is_settled() {
    let given = Given::call("s/r", "{}");
    let says = |policies: &str| reach(&compile(policies).unwrap(), &given);
    assert_eq!(says(READ), Reach::Allow);
    assert_eq!(says(""), Reach::Deny);
    let ask = "@id(\"ask\") @reason(\"r\") @step_up(\"approval:ops\")\n";
    assert_eq!(
        says(&format!("{READ}{ask}forbid (principal, action, resource);")),
        Reach::StepUp
    );
    let forbid = "@id(\"no\") @reason(\"r\")\nforbid (principal, action, resource)";
    assert_eq!(says(&format!("{READ}{forbid};")), Reach::Deny);
    assert_eq!(
        says(&format!(
            "{READ}{forbid} when {{ context.bw.task.stage == \"elsewhere\" }};"
        )),
        Reach::Allow
    );
}

#[test]
fn what_reads_arguments_depends_unless_something_else_settles_it() {
    let given = Given::call("s/r", "{}");
    let says = |policies: &str| reach(&compile(policies).unwrap(), &given);
    let secrets = "context.input has path && context.input.path like \"secrets/*\"";
    let forbid = "@id(\"no\") @reason(\"r\")\nforbid (principal, action, resource == Bailiwick::Server::\"s\")";
    assert_eq!(
        says(&format!("{READ}{forbid} when {{ {secrets} }};")),
        Reach::Depends
    );
    // Beside it a condition that fails for every call of this task.
    assert_eq!(
        says(&format!(
            "{READ}{forbid} when {{ {secrets} && context.bw.task.stage == \"elsewhere\" }};"
        )),
        Reach::Allow
    );
    // Denied whatever it says.
    assert_eq!(
        says(&format!(
            "{READ}{forbid} when {{ {secrets} }};\n@id(\"all\") @reason(\"r\")\nforbid (principal, action, resource);"
        )),
        Reach::Deny
    );
    let permit = "@id(\"some\") @reason(\"r\")\npermit (principal, action, resource == Bailiwick::Server::\"s\")";
    assert_eq!(
        says(&format!("{permit} when {{ {secrets} }};")),
        Reach::Depends
    );
    let ask = "@id(\"ask\") @reason(\"r\") @step_up(\"approval:ops\")\n";
    assert_eq!(
        says(&format!(
            "{READ}{ask}forbid (principal, action, resource == Bailiwick::Server::\"s\") when {{ {secrets} }};"
        )),
        Reach::Depends
    );
}

/// What arguments are about, and where they come from, differs from call to call as they do.
#[test]
fn what_is_known_of_arguments_depends_on_them() {
    let given = Given::call("s/r", "{}");
    for condition in [
        "context.bw has items && context.bw.items.kinds.contains(\"note\")",
        "context.bw has provenance && context.bw.provenance.weak.isEmpty()",
    ] {
        let permit = format!(
            "@id(\"some\") @reason(\"r\")\npermit (principal, action, resource) when {{ {condition} }};"
        );
        assert_eq!(
            reach(&compile(&permit).unwrap(), &given),
            Reach::Depends,
            "{condition}"
        );
    }
}

#[test]
fn an_argument_that_the_tool_does_not_have_is_absent_in_every_call() {
    let given = Given::call("s/r", "{}");
    let forbid = "@id(\"no\") @reason(\"r\")\nforbid (principal, action in Bailiwick::Action::\"s\", resource)";
    // `tags` is an argument of s/w alone.
    let has = format!("{READ}{forbid} when {{ context.input has tags }};");
    assert_eq!(reach(&compile(&has).unwrap(), &given), Reach::Allow);
    let has = format!("{READ}{forbid} when {{ context.input has path }};");
    assert_eq!(reach(&compile(&has).unwrap(), &given), Reach::Depends);
}

const PARTS: [&str; 6] = [
    READ,
    "@id(\"a\") @reason(\"r\")\nforbid (principal, action, resource == Bailiwick::Server::\"s\") when { context.input has path && context.input.path like \"x*\" };\n",
    "@id(\"b\") @reason(\"r\") @step_up(\"approval:ops\")\nforbid (principal, action, resource == Bailiwick::Server::\"s\") when { context.input has n && context.input.n > 3 };\n",
    "@id(\"c\") @reason(\"r\")\npermit (principal, action, resource == Bailiwick::Server::\"s\") unless { context.input has path };\n",
    "@id(\"d\") @reason(\"r\") @step_up(\"approval:ops\")\npermit (principal, action, resource);\n",
    "@id(\"e\") @reason(\"r\")\nforbid (principal, action, resource) when { context.bw.task.risk > 2 };\n",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is called definite holds for every call.
    #[test]
    fn a_definite_answer_holds_for_every_call(
        chosen in proptest::collection::vec(any::<bool>(), PARTS.len()),
        path in proptest::option::of("[xy]{1,3}"),
        n in proptest::option::of(0_i64..8),
    ) {
        let policies: String = PARTS.iter().zip(chosen).filter(|(_, on)| *on).map(|(part, _)| *part).collect();
        let bundle = compile(&policies).unwrap();
        let mut arguments = serde_json::Map::new();
        arguments.extend(path.map(|path| ("path".to_owned(), path.into())));
        arguments.extend(n.map(|n| ("n".to_owned(), n.into())));
        let given = Given::call("s/r", &serde_json::Value::Object(arguments).to_string());
        let decided = given.decide(&bundle).outcome;
        let wanted = match reach(&bundle, &given) {
            Reach::Allow => Outcome::Allow,
            Reach::StepUp => Outcome::StepUp,
            Reach::Deny => Outcome::Deny,
            Reach::Depends => decided,
        };
        prop_assert_eq!(decided, wanted);
    }
}
