//! What a bundle is refused for although it is good Cedar, and what its author is warned of.

use bailiwick_core::binding::Named;
use bailiwick_policy::{Bundle, BundleSource, Registry};
use expect_test::{Expect, expect};

use crate::world::{VERSION, WORLD, bundle, registry, told};

/// With a test, so that the warning about missing ones does not stand everywhere.
fn tested(policies: &str) -> BundleSource {
    let mut source = bundle(policies);
    source.files.insert(
        "tests/t.toml".to_owned(),
        "[[case]]\nname = \"n\"\nagent = \"a\"\ntool = \"s/r\"\nexpect = { outcome = \"deny\" }\n"
            .to_owned(),
    );
    source
}

fn found(source: &BundleSource, registry: &Registry) -> String {
    match Bundle::compile(source, VERSION, registry) {
        Ok(bundle) => told("warning", bundle.warnings()),
        Err(errors) => told("error", &errors.flaws),
    }
}

fn check(policies: &str, expected: &Expect) {
    expected.assert_eq(&found(&tested(policies), &registry(WORLD)));
}

const READ: &str = "@id(\"read\") @reason(\"r\")\npermit (principal, action in Bailiwick::Action::\"read\", resource);\n";

fn forbid(condition: &str) -> String {
    format!(
        "@id(\"x\") @reason(\"r\")\nforbid (principal, action == Bailiwick::Action::\"s/r\", resource)\nwhen {{ {condition} }};\n"
    )
}

fn permit(condition: &str) -> String {
    forbid(condition).replace("forbid", "permit")
}

#[test]
fn a_good_bundle_has_no_warnings() {
    check(READ, &expect![[""]]);
    for source in [
        bailiwick_policy::starter::base(),
        bailiwick_policy::starter::demo(),
    ] {
        let registry = bailiwick_policy::fixtures(&source).unwrap();
        assert_eq!(found(&source, &registry), "");
        // Nor on a node where nothing is registered yet.
        if source == bailiwick_policy::starter::base() {
            assert_eq!(found(&source, &Registry::default()), "");
        }
    }
}

#[test]
fn permits_that_rest_on_what_is_known_of_code() {
    check(
        &permit("context.bw has evidence && context.bw.evidence.open_high == 0"),
        &expect![[r#"
            error EvidenceInPermit p.cedar:3:35: permit `x` rests on `context.bw.evidence`: what is known of an agent's code never gives it anything
              help: write it as a forbid: forbid (…) unless { context.bw has evidence && … }
        "#]],
    );
}

#[test]
fn arithmetic_on_arguments_in_a_forbid() {
    check(
        &forbid("context.input has n && context.input.n * 2 > 100"),
        &expect![[r#"
            error Overflow p.cedar:3:31: policy `x`: this overflows for some arguments, and a forbid that cannot be evaluated denies
              help: write context.input.n > 50, which cannot fail
        "#]],
    );
    check(
        &forbid("context.input has n && -context.input.n > 100"),
        &expect![[r#"
            error Overflow p.cedar:3:31: policy `x`: this overflows for some arguments, and a forbid that cannot be evaluated denies
              help: write context.input.n < -100, which cannot fail
        "#]],
    );
    check(
        &permit("context.input has n && context.input.n * 2 > 100"),
        &expect![[""]],
    );
    check(&forbid("context.bw.task.calls + 1 > 100"), &expect![[""]]);
}

#[test]
fn texts_that_are_not_what_they_look_like() {
    check(
        &forbid("context.input has path && context.input.path == \"s\u{435}crets\""),
        &expect![[r#"
            error LookAlike p.cedar:3:56: policy `x`: this text looks like "secrets" and is another one
              help: write "secrets"; a forbid is asked about look-alikes as well, a permit is not
        "#]],
    );
    check(
        &forbid("context.input has path && context.input.path like \"s\u{435}crets/*\""),
        &expect![[r#"
            error LookAlike p.cedar:3:34: policy `x`: this text looks like "secrets/" and is another one
              help: write "secrets/"; a forbid is asked about look-alikes as well, a permit is not
        "#]],
    );
    check(
        &permit("context.input has path && context.input.path like \"\u{ff4e}otes/*\""),
        &expect![[r#"
            error LookAlike p.cedar:3:34: policy `x`: this text looks like "notes/" and is another one
              help: write "notes/"; a forbid is asked about look-alikes as well, a permit is not
        "#]],
    );
    check(
        &permit(
            "context.input has path && context.input.path like \"\u{43e}\u{442}\u{447}\u{451}\u{442}s/*\"",
        ),
        &expect![[r#"
            warning LookAlike p.cedar:3:34: policy `x`: this text mixes letters of several scripts
              help: check that each letter is the one it looks like
        "#]],
    );
    check(
        &forbid("context.input has path && context.input.path == \"caf\u{e9}\""),
        &expect![[""]],
    );
    check(
        &READ.replace("\"r\"", "\"r\u{202e}\""),
        &expect![[r#"
        error LookAlike p.cedar:1:23: the invisible character U+202E stands here
          help: remove it; in a text that must hold it, write \u{…}
    "#]],
    );
    check(
        &format!("// \u{2066}hidden\n{READ}"),
        &expect![[r#"
        error LookAlike p.cedar:1:4: the invisible character U+2066 stands here
          help: remove it; in a text that must hold it, write \u{…}
    "#]],
    );
}

#[test]
fn names_that_are_not_registered() {
    let world = WORLD.replace("name = \"a\"", "name = \"triage\"");
    let lint = |agent: &str| {
        let policies = READ.replace(
            "principal,",
            &format!("principal == Bailiwick::Agent::\"{agent}\","),
        );
        let source = bundle(&policies);
        found(&source, &registry(&world))
    };
    expect![[r#"
        error UnknownName p.cedar:1:1: policy `read`: there is no `Bailiwick::Agent::"triaje"`
          help: did you mean "triage"?
    "#]]
    .assert_eq(&lint("triaje"));
    expect![[r#"
        warning Untested the bundle has no tests
          help: add tests/*.toml with a [[case]] for each thing it promises
        warning UnknownName p.cedar:1:1: policy `read`: there is no `Bailiwick::Agent::"triage2"`
          help: it holds for nobody until that is registered
    "#]]
    .assert_eq(&lint("triage2"));
    expect![[r#"
        warning Untested the bundle has no tests
          help: add tests/*.toml with a [[case]] for each thing it promises
        warning UnknownName p.cedar:1:1: policy `read`: there is no `Bailiwick::Agent::"another"`
          help: it holds for nobody until that is registered
    "#]]
    .assert_eq(&lint("another"));
    check(
        &forbid("principal.owner == Bailiwick::Owner::\"taem\""),
        &expect![[r#"
            error UnknownName p.cedar:1:1: policy `x`: there is no `Bailiwick::Owner::"taem"`
              help: did you mean "team"?
        "#]],
    );
    check(
        &READ.replace("resource)", "resource == Bailiwick::Server::\"x\")"),
        &expect![[r#"
            warning ReachesNothing p.cedar:1:1: policy `read` reaches no tool that is registered
              help: check the action and the resource: they must be of the same server
            warning UnknownName p.cedar:1:1: policy `read`: there is no `Bailiwick::Server::"x"`
              help: it holds for nobody until that is registered
        "#]],
    );
}

#[test]
fn conditions_that_cannot_hold() {
    for condition in [
        "context.bw.task.stage == \"plan\"",
        "context.bw.task.stage == \"rum\"",
        "context.bw.task.risk > 3",
        "context.bw.task.risk >= 2 && context.bw.task.risk < 2",
        "context.bw.task.requested_by == \"human\"",
        "context.bw.now.hour >= 24",
        "context.bw.task.calls < 0",
        "context.bw.effect == \"read\" && context.bw.effect == \"write\"",
        "context.input has nn",
        "false",
    ] {
        let lines = found(&tested(&forbid(condition)), &registry(WORLD));
        assert!(
            lines.starts_with("error NeverApplies"),
            "{condition}: {lines}"
        );
        let lines = found(&tested(&permit(condition)), &registry(WORLD));
        assert!(
            lines.starts_with("warning NeverApplies"),
            "{condition}: {lines}"
        );
    }
    for condition in [
        "context.bw.task.stage == \"run\"",
        "context.bw.task.risk >= 3",
        "context.bw.task.risk > 0 && context.bw.task.risk < 2",
        "context.bw.now.hour >= 22 || context.bw.now.hour < 6",
        "!(context.bw.task.risk > 2)",
        "context.input has n && context.input.n > 10",
        "context.bw.effect == \"read\" || context.bw.effect == \"write\"",
    ] {
        assert_eq!(
            found(&tested(&forbid(condition)), &registry(WORLD)),
            "",
            "{condition}"
        );
    }
    check(
        &forbid("context.bw.task.stage == \"rum\""),
        &expect![[r#"
        error NeverApplies p.cedar:3:8: policy `x` never applies, for this cannot hold: there is no stage "rum"
          help: did you mean "run"?
    "#]],
    );
    check(
        &forbid("context.bw.task.risk >= 2 && context.bw.task.risk < 2"),
        &expect![[r#"
            error NeverApplies p.cedar:3:37: policy `x` never applies, for this cannot hold: another condition leaves `context.bw.task.risk` only 2 to 3
              help: correct one of the numbers
        "#]],
    );
    check(
        &forbid("context.bw.task.risk > 3"),
        &expect![[r#"
        error NeverApplies p.cedar:3:8: policy `x` never applies, for this cannot hold: `context.bw.task.risk` is 0 to 3
          help: correct one of the numbers
    "#]],
    );
    check(
        &forbid("context.bw.effect == \"read\" && context.bw.effect == \"write\""),
        &expect![[r#"
            error NeverApplies p.cedar:3:39: policy `x` never applies, for this cannot hold: another condition says that `context.bw.effect` is "read"
              help: to allow several, write [..].contains(..), or one policy for each
        "#]],
    );
    check(
        &forbid("context.input has nn"),
        &expect![[r#"
        error NeverApplies p.cedar:1:1: policy `x` never applies: its conditions exclude each other
          help: remove it, or correct the condition that cannot hold
    "#]],
    );
}

#[test]
fn items_that_nothing_tells() {
    let mut registry = registry(WORLD);
    let tools = registry.tools.iter_mut();
    for tool in tools.filter(|tool| tool.tool.to_string() == "s/w") {
        tool.binding.items.push(Named {
            kind: "repo".parse().unwrap(),
            arguments: vec!["/path".parse().unwrap()],
            answer: None,
        });
    }
    let check = |item: &str, expected: &Expect| {
        let policy = forbid(&format!(
            "context.bw has items && context.bw.items.names.contains(Bailiwick::Item::\"{item}\")"
        ));
        expected.assert_eq(&found(&tested(&policy), &registry));
    };
    for there in ["s/repo/acme/web", "s/server"] {
        check(there, &expect![[""]]);
    }
    check(
        "s/rep/acme/web",
        &expect![[r#"
        warning UnknownName p.cedar:1:1: policy `x`: there is no `Bailiwick::Item::"s/rep/acme/web"`
          help: calls of s are about these kinds: repo, server; bailiwick tool bind says what arguments name
    "#]],
    );
    check(
        "t/repo/acme/web",
        &expect![[r#"
        warning UnknownName p.cedar:1:1: policy `x`: there is no `Bailiwick::Item::"t/repo/acme/web"`
          help: calls of t are about these kinds: server; bailiwick tool bind says what arguments name
    "#]],
    );
    check(
        "elsewhere/repo/x",
        &expect![[r#"
        warning UnknownName p.cedar:1:1: policy `x`: there is no `Bailiwick::Item::"elsewhere/repo/x"`
          help: an item is named "<server>/<kind>/<name>"; no call is about it until the server is registered
    "#]],
    );
}

#[test]
fn permits_that_let_too_much_through() {
    check(
        "@id(\"all\") @reason(\"r\")\npermit (principal, action, resource);",
        &expect![[r#"
            warning Escalation p.cedar:1:1: policy `all` lets escalations run unseen
              help: give it a @step_up or a stage, or add a forbid on Action::"escalate" with @step_up
            warning Broad p.cedar:1:1: policy `all` permits everything to every agent
              help: name the agent, the tools or their effect, or the user
        "#]],
    );
    check(
        "@id(\"e\") @reason(\"r\")\npermit (principal, action == Bailiwick::Action::\"t/e\", resource);",
        &expect![[r#"
            warning Escalation p.cedar:1:1: policy `e` lets escalations run unseen
              help: give it a @step_up or a stage, or add a forbid on Action::"escalate" with @step_up
        "#]],
    );
    let staged = "@id(\"e\") @reason(\"r\")\npermit (principal, action == Bailiwick::Action::\"t/e\", resource) when { context.bw.task.stage == \"run\" };";
    check(staged, &expect![[""]]);
    let asked = "@id(\"e\") @reason(\"r\") @step_up(\"approval:ops\")\npermit (principal, action == Bailiwick::Action::\"t/e\", resource);";
    check(asked, &expect![[""]]);
}

#[test]
fn policies_that_decide_nothing() {
    let closed = format!(
        "{READ}@id(\"no\") @reason(\"r\")\nforbid (principal, action, resource == Bailiwick::Server::\"s\");\n"
    );
    check(
        &closed,
        &expect![[r#"
        warning Shadowed p.cedar:1:1: policy `read` changes nothing: policy `no` forbids all that it is about
          help: remove it, or narrow the forbid
    "#]],
    );
    let asked = format!(
        "{READ}@id(\"ask\") @reason(\"r\") @step_up(\"approval:ops\")\npermit (principal == Bailiwick::Agent::\"a\", action == Bailiwick::Action::\"s/r\", resource);\n"
    );
    check(
        &asked,
        &expect![[r#"
        warning Shadowed p.cedar:3:1: policy `ask` never asks: policy `read` permits the same without
          help: narrow the other, or put the @step_up on a forbid
    "#]],
    );
    let elsewhere = "@id(\"x\") @reason(\"r\")\npermit (principal, action == Bailiwick::Action::\"s/r\", resource == Bailiwick::Server::\"t\");\n";
    check(
        elsewhere,
        &expect![[r#"
        warning ReachesNothing p.cedar:1:1: policy `x` reaches no tool that is registered
          help: check the action and the resource: they must be of the same server
    "#]],
    );
}

#[test]
fn a_bundle_without_tests_and_an_agent_without_selectors() {
    let mut registry = registry(WORLD);
    registry.agents[0].version = 1;
    expect![[r#"
        warning Untested the bundle has no tests
          help: add tests/*.toml with a [[case]] for each thing it promises
        warning Unattested p.cedar:1:1: policy `read` reaches agent a, which has no selectors: no process can be told to be it
          help: give the agent selectors, or name other agents
    "#]].assert_eq(&found(&bundle(READ), &registry));
}

/// All that is wrong is said at once, whatever kind it is of.
#[test]
fn every_flaw_is_reported() {
    let mut source = bundle(
        "permit (principal, action, resource);\n@id(\"a\") @reason(\"r\") @stepup(\"x\")\npermit (principal, action, resource);\n@id(\"b\") @reason(\"r\")\nforbid (principal, action == Bailiwick::Action::\"s/r\", resource) when { context.bw.task.stge == \"run\" };\n@id(\"c\") @reason(\"r\")\nforbid (principal, action == Bailiwick::Action::\"s/r\", resource) when { context.input has n && context.input.n + 1 > 5 };\n@id(\"c\") @reason(\"r\")\npermit (principal is Bailiwick::Agnt, action, resource);\n",
    );
    source
        .files
        .insert("bundle.toml".to_owned(), "nam = \"x\"\n".to_owned());
    source
        .files
        .insert("q.cedar".to_owned(), "permit (principal, action".to_owned());
    source.files.insert(
        "workflows/w.toml".to_owned(),
        "name = \"w\"\nstage = []\n".to_owned(),
    );
    expect![[r#"
        error Syntax bundle.toml:1:1: unknown field `nam`, expected one of `name`, `description`, `include`, `time_zone`, `agent`, `server`, `credential`, `user`, `tool`
          help: did you mean `name`?
        error Annotation p.cedar:1:1: this policy has no @id
          help: add @id("…") above it
        error Annotation p.cedar:1:1: this policy has no @reason
          help: add @reason("…") above it
        error Annotation p.cedar:2:23: there is no annotation @stepup
          help: did you mean @step_up?
        error UnknownAttribute p.cedar:5:73: policy `b`: attribute `bw.task.stge` in context for Bailiwick::Action::"s/r" not found (for calls of s/r)
          help: did you mean `stage`?
        error Overflow p.cedar:7:96: policy `c`: this overflows for some arguments, and a forbid that cannot be evaluated denies
          help: write context.input.n > 4, which cannot fail
        error DuplicateId p.cedar:8:1: the id `c` is taken by a policy of p.cedar
          help: give each policy of the bundle an id of its own
        error UnknownName p.cedar:9:22: policy `c`: unrecognized entity type `Bailiwick::Agnt`
          help: did you mean `Bailiwick::Agent`?
        error Syntax q.cedar:1:26: unexpected end of input
          help: expected `!=`, `)`, `,`, `:`, `<`, `<=`, `==`, `>`, `>=`, `in`, or `is`
        error Workflow workflows/w.toml:1:8: a workflow has 1 to 32 stages
          help: add [[stage]] with a name; a task starts in the first
    "#]].assert_eq(&found(&source, &registry(WORLD)));
}

#[test]
fn typos_of_attributes_name_what_there_is() {
    check(
        &forbid("context.bw.task.lables.contains(\"pii\")"),
        &expect![[r#"
            error UnknownAttribute p.cedar:3:8: policy `x`: attribute `bw.task.lables` in context for Bailiwick::Action::"s/r" not found (for calls of s/r)
              help: did you mean `labels`?
        "#]],
    );
    check(
        &forbid("context.inptu has path"),
        &expect![[r#"
        error UnknownAttribute p.cedar:3:8: policy `x`: attribute `inptu` in context for Bailiwick::Action::"s/r" not found (for calls of s/r)
          help: did you mean `input`?
    "#]],
    );
    check(
        &forbid("principal.ownr == Bailiwick::Owner::\"team\""),
        &expect![[r#"
            error UnknownAttribute p.cedar:3:8: policy `x`: attribute `ownr` on entity type `Bailiwick::Agent` not found (for calls of s/r)
              help: did you mean `owner`?
        "#]],
    );
    check(
        &forbid("context.bw.chain_of_command == 1"),
        &expect![[r#"
            error UnknownAttribute p.cedar:3:8: policy `x`: attribute `bw.chain_of_command` in context for Bailiwick::Action::"s/r" not found (for calls of s/r)
              help: `context.bw` has arg_effects, attested, budget_left, chain, depth, effect, evidence, first_use, history, items, now, provenance, request, session, task, user
        "#]],
    );
    check(
        &forbid("context.input.pth == \"x\""),
        &expect![[r#"
            error UnknownAttribute p.cedar:3:8: policy `x`: attribute `input.pth` in context for Bailiwick::Action::"s/r" not found (for calls of s/r)
              help: did you mean `path`?
        "#]],
    );
    check(
        &forbid("resource.trustt == \"x\""),
        &expect![[r#"
        error UnknownAttribute p.cedar:3:8: policy `x`: attribute `trustt` on entity type `Bailiwick::Server` not found (for calls of s/r)
          help: did you mean `trust`?
    "#]],
    );
}
