//! The three outcomes, step by step, and what they say.

use bailiwick_core::Code;
use bailiwick_core::Effect;
use bailiwick_core::decision::{Decision, Outcome};
use bailiwick_policy::Bundle;
use expect_test::{Expect, expect};

use crate::world::{Given, VERSION, WORLD, bundle, compile, registry};

fn check(policies: &str, given: &Given, expected: &Expect) {
    let bundle = compile(policies).unwrap();
    let explained = given.with(|input| bundle.explain(input)).decision;
    expected.assert_eq(&text(&explained));
    // A live decision is the same and looks for no remedies: an agent could have that done for every refusal it provokes.
    let decided = given.decide(&bundle);
    assert!(decided.would_allow.is_empty());
    let would_allow = Vec::new();
    assert_eq!(
        decided,
        Decision {
            would_allow,
            ..explained
        }
    );
}

fn text(decision: &Decision) -> String {
    let code = decision
        .code
        .map_or_else(String::new, |code| format!(" {code}"));
    let mut lines = vec![format!(
        "{}{code} {:?}",
        decision.outcome.as_str(),
        decision.policies
    )];
    lines.extend(
        decision
            .reasons
            .iter()
            .map(|reason| format!("  {}: {} ({})", reason.source, reason.reason, reason.fix)),
    );
    lines.extend(decision.needs.iter().map(|needs| {
        format!(
            "  needs all {:?} any {:?} from {} for {} s",
            needs.all_of, needs.any_of, needs.quorum, needs.valid_s
        )
    }));
    lines.extend(
        decision
            .obligations
            .iter()
            .map(|duty| format!("  must {}:{}", duty.kind, duty.argument)),
    );
    lines.extend(
        decision
            .would_allow
            .iter()
            .map(|change| format!("  > {change}")),
    );
    lines.join("\n")
}

const READ: &str = "@id(\"read\") @reason(\"Reads are fine.\")\npermit (principal, action in Bailiwick::Action::\"read\", resource);\n";
const SECRETS: &str = "@id(\"secrets\") @reason(\"Secrets are for people.\") @fix(\"Ask the owner.\")\nforbid (principal, action, resource == Bailiwick::Server::\"s\")\nwhen { context.input has path && context.input.path like \"secrets/*\" };\n";

#[test]
fn no_permit_says_which_permit_was_near() {
    check(
        "",
        &Given::call("s/r", "{}"),
        &expect![[r#"
            deny no_permit []
              policy: no policy permits s/r (read) to agent a in stage run (ask for a policy that permits it, or do without)
              > a policy that permits s/r (read) to agent a"#]],
    );
    let narrow = "@id(\"staged\") @reason(\"r\")\npermit (principal, action, resource)\nwhen { context.bw.task.stage == \"plan\" && context.bw.task.risk == 0 }\nunless { context.bw.task.labels.contains(\"pii\") };\n@id(\"asked\") @reason(\"r\") @step_up(\"approval:ops\")\npermit (principal, action, resource) when { principal.base_risk > 1 && resource.trust == \"first_party\" };";
    check(
        narrow,
        &Given::call("s/r", "{}"),
        &expect![[r#"
            deny no_permit []
              policy: no policy permits s/r (read) to agent a in stage run (ask for a policy that permits it, or do without)
              > a task in stage plan"#]],
    );
}

#[test]
fn a_hard_forbid_wins_and_no_approval_lifts_it() {
    let policies = format!("{READ}{SECRETS}");
    check(
        &policies,
        &Given::call("s/r", r#"{"path":"a"}"#),
        &expect![[r#"allow ["read"]"#]],
    );
    let secret = Given::call("s/r", r#"{"path":"secrets/key"}"#);
    check(
        &policies,
        &secret,
        &expect![[r#"
            deny forbidden ["read", "secrets"]
              secrets: Secrets are for people. (Ask the owner.)
              > the call without `path`
              > another `path`, such as "x", so that `context.input.path like "secrets/*"` does not hold"#]],
    );
    check(
        &policies,
        &secret.discharge(&["approval:approver", "secrets"]),
        &expect![[r#"
            deny forbidden ["read", "secrets"]
              secrets: Secrets are for people. (Ask the owner.)
              > the call without `path`
              > another `path`, such as "x", so that `context.input.path like "secrets/*"` does not hold"#]],
    );
}

#[test]
fn a_soft_permit_asks_and_a_hard_permit_beside_it_does_not() {
    let soft = "@id(\"ask\") @reason(\"A person looks.\") @step_up(\"approval:ops\") @valid(\"1m\")\npermit (principal, action, resource);\n@id(\"ask2\") @reason(\"Or two.\") @step_up(\"approval:lead\") @quorum(\"2\")\npermit (principal, action, resource);\n";
    let given = Given::call("s/r", "{}");
    check(
        soft,
        &given,
        &expect![[r#"
            step_up step_up_required ["ask", "ask2"]
              ask: A person looks. ()
              ask2: Or two. ()
              needs all [] any ["approval:lead", "approval:ops"] from 2 for 60 s
              > approval by lead (2 people)
              > approval by ops (2 people)"#]],
    );
    check(
        soft,
        &given.clone().discharge(&["approval:ops"]),
        &expect![[r#"
            allow ["ask", "ask2"]
              needs all [] any ["approval:ops"] from 1 for 60 s"#]],
    );
    check(
        &format!("{soft}{READ}"),
        &given,
        &expect![[r#"allow ["ask", "ask2", "read"]"#]],
    );
}

#[test]
fn a_soft_forbid_asks_whatever_else_permits() {
    let policies = format!(
        "{READ}@id(\"look\") @reason(\"A person looks first.\") @step_up(\"approval:ops\") @quorum(\"2\")\nforbid (principal, action, resource);"
    );
    check(
        &policies,
        &Given::call("s/r", "{}"),
        &expect![[r#"
            step_up step_up_required ["look", "read"]
              look: A person looks first. ()
              needs all ["approval:ops"] any [] from 2 for 300 s
              > approval by ops (2 people)"#]],
    );
    check(
        &policies,
        &Given::call("s/r", "{}").discharge(&["approval:ops"]),
        &expect![[r#"
            allow ["look", "read"]
              needs all ["approval:ops"] any [] from 2 for 300 s"#]],
    );
}

#[test]
fn duties_are_performed_or_the_call_is_denied() {
    let policies = format!(
        "{READ}@id(\"mask\") @reason(\"Personal data is masked.\") @duty(\"redact:pii\")\nforbid (principal, action, resource);\n@id(\"cap\") @reason(\"Answers are small.\") @duty(\"max_bytes:100\")\nforbid (principal, action, resource);\n@id(\"cap2\") @reason(\"Answers are small.\") @duty(\"max_bytes:50\")\nforbid (principal, action, resource);"
    );
    let mut given = Given::call("s/r", "{}");
    check(
        &policies,
        &given,
        &expect![[r#"
            deny unsupported_obligation ["cap", "cap2", "mask", "read"]
              cap: Answers are small. ()
              cap2: Answers are small. ()
              mask: Personal data is masked. ()
              > an enforcement point that performs max_bytes, redact"#]],
    );
    given.performs = vec!["redact".to_owned(), "max_bytes".to_owned()];
    check(
        &policies,
        &given,
        &expect![[r#"
        allow ["cap", "cap2", "mask", "read"]
          must max_bytes:50
          must redact:pii"#]],
    );
}

#[test]
fn a_forbid_that_fails_denies_and_a_permit_that_fails_does_not_count() {
    let sum = "context.input has n && context.input.n + 1 > 0";
    let forbid = format!(
        "{READ}@id(\"sum\") @reason(\"r\")\nforbid (principal, action, resource) when {{ {sum} }};"
    );
    let huge = Given::call("s/r", r#"{"n":9223372036854775807}"#);
    check(
        &forbid,
        &huge,
        &expect![[r#"
            deny policy_error ["read"]
              sum: this policy could not be evaluated for the call, so it counts as forbidding (run `bailiwick policy check` and correct the policy)
              > the call without `n`"#]],
    );
    let permit = format!(
        "@id(\"sum\") @reason(\"r\")\npermit (principal, action, resource) when {{ {sum} }};"
    );
    check(
        &permit,
        &huge,
        &expect![[r#"
            deny no_permit []
              policy: no policy permits s/r (read) to agent a in stage run (ask for a policy that permits it, or do without)
              sum: this policy could not be evaluated for the call, so it does not count (run `bailiwick policy check` and correct the policy)
              > a policy that permits s/r (read) to agent a"#]],
    );
    check(
        &permit,
        &Given::call("s/r", r#"{"n":1}"#),
        &expect![[r#"allow ["sum"]"#]],
    );
}

#[test]
fn an_expired_permit_does_not_count() {
    let policies = "@id(\"once\") @reason(\"r\") @expires(\"2026-03-04T05:06:07Z\")\npermit (principal, action, resource);";
    let mut given = Given::call("s/r", "{}");
    check(
        policies,
        &given,
        &expect![[r#"
            deny no_permit []
              policy: no policy permits s/r (read) to agent a in stage run (ask for a policy that permits it, or do without)
              > a policy that permits s/r (read) to agent a"#]],
    );
    given.now = "2026-03-04T05:06:06Z".parse().unwrap();
    check(policies, &given, &expect![[r#"allow ["once"]"#]]);
}

#[test]
fn a_raised_call_is_decided_as_what_it_is() {
    let policies = format!(
        "{READ}@id(\"up\") @reason(\"No escalation.\")\nforbid (principal, action in Bailiwick::Action::\"escalate\", resource);"
    );
    let mut given = Given::call("s/r", "{}");
    given.effect = Effect::Escalate;
    check(
        &policies,
        &given,
        &expect![[r#"
            deny forbidden ["up"]
              up: No escalation. ()
              > a bundle whose `up` does not forbid it, and a policy that permits s/r (escalate) to agent a"#]],
    );
}

#[test]
fn a_server_named_like_an_effect_gains_nothing() {
    let registry = registry(
        "agent = [{ name = \"a\", owner = \"o\" }]\ntool = [{ tool = \"read/wipe\", effect = \"write\" }]\n",
    );
    let bundle = Bundle::compile(&bundle(READ), VERSION, &registry).unwrap();
    let decision = Given::on(&registry, "a", "read/wipe", "{}").decide(&bundle);
    assert_eq!(decision.code, Some(Code::NoPermit));
}

#[test]
fn what_the_bundle_was_not_compiled_for_is_denied() {
    let bundle =
        compile("@id(\"all\") @reason(\"r\")\npermit (principal, action, resource);").unwrap();
    let good = Given::call("s/r", "{}");
    assert_eq!(good.decide(&bundle).outcome, Outcome::Allow);
    let mut tool = good.clone();
    tool.tool.tool.tool = "other".parse().unwrap();
    let mut definition = good.clone();
    definition.tool.approved = Some(VERSION);
    let mut agent = good.clone();
    agent.agent.name = "nobody".parse().unwrap();
    let mut server = good.clone();
    server.server.name = "t".parse().unwrap();
    for given in [tool, definition, agent, server] {
        let decision = given.decide(&bundle);
        assert_eq!(
            (decision.outcome, decision.code),
            (Outcome::Deny, Some(Code::PolicyError))
        );
        assert!(!given.listed(&bundle));
    }
}

#[test]
fn a_registry_that_changed_breaks_policies_towards_deny() {
    let policies = format!(
        "{READ}{SECRETS}@id(\"w\") @reason(\"r\")\npermit (principal, action in Bailiwick::Action::\"write\", resource) when {{ context.input has path && context.input.path like \"tmp/*\" }};"
    );
    let changed = WORLD.replacen(
        "path = { type = \"string\" }",
        "path = { type = [\"string\", \"array\"] }",
        2,
    );
    let registry = registry(&changed);
    assert!(Bundle::compile(&bundle(&policies), VERSION, &registry).is_err());
    let lenient = Bundle::compile_lenient(&bundle(&policies), VERSION, &registry).unwrap();
    let broken: Vec<String> = lenient.broken().iter().map(ToString::to_string).collect();
    let broken = broken.join("\n");
    expect![[r#"
        p.cedar:5:34: policy `secrets`: unexpected type: expected String but saw Bailiwick::Opaque (for calls of s/r)
        p.cedar:7:101: policy `w`: unexpected type: expected String but saw Bailiwick::Opaque (for calls of s/w)"#]].assert_eq(&broken);
    let read = Given::on(&registry, "a", "s/r", r#"{"path":"a"}"#).decide(&lenient);
    expect![[r#"
        deny policy_error ["read"]
          secrets: this policy could not be evaluated for the call, so it counts as forbidding (run `bailiwick policy check` and correct the policy)"#]].assert_eq(&text(&read));
    let write = Given::on(&registry, "a", "s/w", r#"{"path":"tmp/a"}"#).decide(&lenient);
    assert_eq!(write.code, Some(Code::PolicyError));
}

/// A server that nobody reviewed cannot make a bundle unpublishable, nor slip past its forbids.
#[test]
fn an_unreviewed_tool_only_hurts_itself() {
    let policies = format!(
        "@id(\"all\") @reason(\"r\")\npermit (principal, action, resource);\n{}",
        SECRETS.replace(" == Bailiwick::Server::\"s\"", "")
    );
    let mut registry = registry(WORLD);
    assert!(Bundle::compile(&bundle(&policies), VERSION, &registry).is_err());
    for tool in registry
        .tools
        .iter_mut()
        .filter(|tool| tool.tool.server.as_str() == "t")
    {
        tool.approved = None;
    }
    let bundle = Bundle::compile(&bundle(&policies), VERSION, &registry).unwrap();
    assert_eq!(bundle.broken().len(), 1);
    assert_eq!(
        Given::on(&registry, "a", "s/r", r#"{"path":"a"}"#)
            .decide(&bundle)
            .outcome,
        Outcome::Allow
    );
    let odd = Given::on(&registry, "a", "t/e", r#"{"path":["secrets/key"]}"#).decide(&bundle);
    assert_eq!(odd.code, Some(Code::PolicyError));
}

#[test]
fn lists_hide_what_is_forbidden_whatever_the_arguments() {
    let bundle = compile(&format!("{READ}{SECRETS}@id(\"no-b\") @reason(\"r\")\nforbid (principal == Bailiwick::Agent::\"b\", action in Bailiwick::Action::\"write\", resource);\n@id(\"ask\") @reason(\"r\") @step_up(\"approval:x\")\nforbid (principal, action, resource);")).unwrap();
    let world = registry(WORLD);
    let listed = |agent: &str, tool: &str| {
        Given::on(&world, agent, tool, r#"{"path":"secrets/x"}"#).listed(&bundle)
    };
    assert!(listed("a", "s/r") && listed("a", "s/w") && listed("b", "s/r"));
    assert!(!listed("b", "s/w"));
}
