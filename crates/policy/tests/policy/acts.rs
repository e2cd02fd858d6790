//! Built-in actions: what ships permits them, bundles narrow them; groups, tags, facets and hours that a bundle declares.

use std::time::Duration;

use bailiwick_core::decision::{Decision, Outcome};
use bailiwick_core::{Code, Timestamp};
use bailiwick_policy::act::{Act, Asked, Told, max_ttl, refusal};
use bailiwick_policy::{Bundle, BundleSource, PolicyErrors, Remedy, Step};
use expect_test::{Expect, expect};

use crate::world::{Given, VERSION, WORLD, bundle, compile_on, registry, told};

/// With this after the name in `bundle.toml`.
fn declared(manifest: &str, policies: &str) -> BundleSource {
    let mut source = bundle(policies);
    let text = source.files.get_mut("bundle.toml").unwrap();
    text.push_str(manifest);
    source
}

fn compiled(manifest: &str, policies: &str) -> Bundle {
    compile_on(&declared(manifest, policies), &registry(WORLD)).unwrap()
}

/// As it would be published.
fn published(manifest: &str, policies: &str) -> Result<Bundle, PolicyErrors> {
    Bundle::compile(&declared(manifest, policies), VERSION, &registry(WORLD))
}

fn input(act: Act) -> Vec<(&'static str, Told<'static>)> {
    match act {
        Act::Egress => vec![
            ("host", Told::Text("example.org")),
            ("port", Told::Number(443)),
        ],
        Act::OpenTask => vec![("life_s", Told::Number(7_200))],
        Act::Exchange => vec![("audience", Told::Text("https://example.org"))],
        Act::SetStage => vec![("to", Told::Text("execute"))],
        Act::Prompt => vec![("name", Told::Text("review"))],
        Act::ResourceRead => vec![("uri", Told::Text("file:///etc/passwd"))],
        Act::Elicit => vec![("mode", Told::Text("form"))],
        Act::Approve => vec![("tool", Told::Text("s/w")), ("effect", Told::Text("write"))],
        Act::LowerRisk => vec![("to", Told::Number(0))],
        Act::Declassify => vec![("label", Told::Text("pii"))],
        Act::Lease | Act::Delegate | Act::Sample => Vec::new(),
    }
}

fn decide(bundle: &Bundle, act: Act, principal: &str) -> Decision {
    let given = Given::call("s/r", "{}");
    let (server, helper) = ("s".parse().unwrap(), "b".parse().unwrap());
    let mut input = input(act);
    match act {
        Act::Lease => input.push(("server", Told::Server(&server))),
        Act::Delegate => input.extend([
            ("agent", Told::Agent(&helper)),
            ("life_s", Told::Number(60)),
        ]),
        _ => {}
    }
    bundle.decide_act(&Asked {
        input: &input,
        ..asked(&given, act, principal)
    })
}

fn asked<'a>(given: &'a Given, act: Act, principal: &'a str) -> Asked<'a> {
    Asked {
        principal,
        ..given.act(act, &[])
    }
}

fn code(decision: &Decision) -> Option<Code> {
    decision.code
}

const SHIPPED: [Act; 8] = [
    Act::OpenTask,
    Act::Delegate,
    Act::Lease,
    Act::SetStage,
    Act::LowerRisk,
    Act::Exchange,
    Act::Approve,
    Act::Declassify,
];

#[test]
fn what_ships_permits_what_other_rules_answer_for_and_nothing_else() {
    let bundle = compiled("", "");
    for act in Act::ALL {
        let decision = decide(&bundle, act, "a");
        let (outcome, of) = if SHIPPED.contains(&act) {
            (Outcome::Allow, None)
        } else {
            (Outcome::Deny, Some(Code::NoPermit))
        };
        assert_eq!(
            (decision.outcome, code(&decision)),
            (outcome, of),
            "{act:?}"
        );
        assert_eq!(refusal(&decision).is_none(), outcome == Outcome::Allow);
    }
    // A tool's permit is none for an act, nor is an act's for a tool.
    let tools = compiled(
        "",
        "@id(\"t\") @reason(\"r\") permit (principal, action in Bailiwick::Action::\"use\", resource);",
    );
    assert_eq!(
        code(&decide(&tools, Act::Egress, "a")),
        Some(Code::NoPermit)
    );
    assert_eq!(
        code(&Given::call("s/r", "{}").decide(&bundle)),
        Some(Code::NoPermit)
    );
}

#[test]
fn each_act_can_be_permitted_and_forbidden_by_its_own_types() {
    for act in Act::ALL {
        let name = act.as_str();
        let input = match act {
            Act::Sample => "true",
            Act::Lease => "context.input.server == Bailiwick::Server::\"s\"",
            Act::Delegate => {
                "context.input.agent == Bailiwick::Agent::\"b\" && context.input.life_s < 61"
            }
            Act::Egress => "context.input.host like \"*.org\" && context.input.port == 443",
            Act::OpenTask => "context.input.life_s > 3600",
            Act::Exchange => "context.input.audience like \"https://*\"",
            Act::SetStage => "context.input.to == \"execute\"",
            Act::Prompt => "context.input.name == \"review\"",
            Act::ResourceRead => "context.input.uri like \"file:*\"",
            Act::Elicit => "context.input.mode == \"form\"",
            Act::Approve => "context.input.tool == \"s/w\" && context.input.effect == \"write\"",
            Act::LowerRisk => "context.input.to == 0",
            Act::Declassify => "context.input.label == \"pii\"",
        };
        let rule = |effect: &str| {
            format!(
                "@id(\"{effect}\") @reason(\"r\") {effect} (principal, action == Bailiwick::Action::\"{name}\", resource)\n\
                 when {{ {input} && context.bw.task.stage == \"run\" && context.bw.now.hour == 5 }};\n"
            )
        };
        let permit =
            published("", &rule("permit")).unwrap_or_else(|errors| panic!("{name}: {errors}"));
        assert_eq!(decide(&permit, act, "a").outcome, Outcome::Allow, "{name}");
        let both = rule("permit") + &rule("forbid");
        let forbid = published("", &both).unwrap_or_else(|errors| panic!("{name}: {errors}"));
        assert_eq!(
            code(&decide(&forbid, act, "a")),
            Some(Code::Forbidden),
            "{name}"
        );
    }
}

#[test]
fn what_fits_no_act_is_said() {
    let check = |policies: &str, expected: &Expect| {
        let flaws = match published("", policies) {
            Ok(_) => String::new(),
            Err(errors) => told("error", &errors.flaws),
        };
        expected.assert_eq(&flaws);
    };
    let rule = |effect: &str, action: &str, condition: &str| {
        format!(
            "@id(\"x\") @reason(\"r\") {effect} (principal, {action}, resource)\nwhen {{ {condition} }};\n"
        )
    };
    let open = "action == Bailiwick::Action::\"open_task\"";
    check(
        &rule("forbid", open, "context.input.lifes > 1"),
        &expect![[r#"
            error UnknownAttribute p.cedar:2:8: policy `x`: attribute `input.lifes` in context for Bailiwick::Action::"open_task" not found (for the action open_task)
              help: did you mean `life_s`?
        "#]],
    );
    check(
        &rule("permit", open, "context.bw.effect == \"read\""),
        &expect![[r#"
            error UnknownAttribute p.cedar:2:8: policy `x`: attribute `bw.effect` in context for Bailiwick::Action::"open_task" not found (for the action open_task)
              help: `context.bw` has arg_effects, attested, budget_left, chain, depth, evidence, first_use, history, items, now, provenance, request, session, task, user
        "#]],
    );
    check(
        &rule(
            "forbid",
            "action == Bailiwick::Action::\"opentask\"",
            "true",
        ),
        &expect![[r#"
            error UnknownName p.cedar:1:52: policy `x`: unrecognized action `Bailiwick::Action::"opentask"`
              help: did you mean `Bailiwick::Action::"open_task"`?
        "#]],
    );
    // A forbid of everything is one of acts as well, and must be one that can be evaluated for them.
    check(
        &rule("forbid", "action", "resource.trust == \"unreviewed\""),
        &expect![[r#"
            error UnknownAttribute p.cedar:2:8: policy `x`: attribute `trust` on entity type `Bailiwick::Task` not found (for the action approve)
              help: to speak of tools alone, write action in Bailiwick::Action::"use"
        "#]],
    );
    check(
        &rule("permit", "action", "resource.trust == \"reviewed\""),
        &expect![[""]],
    );
    check(
        &rule("forbid", "action", "context.bw.task.risk > 2"),
        &expect![[""]],
    );
}

#[test]
fn a_forbid_of_everything_stops_acts_and_one_that_cannot_be_evaluated_does_too() {
    let all = compiled(
        "",
        "@id(\"x\") @reason(\"Not b.\") forbid (principal == Bailiwick::Agent::\"b\", action, resource);",
    );
    assert_eq!(
        code(&decide(&all, Act::OpenTask, "b")),
        Some(Code::Forbidden)
    );
    assert_eq!(decide(&all, Act::OpenTask, "a").outcome, Outcome::Allow);
    // It could not be published now, but may have been before there were acts.
    let old = compiled(
        "",
        "@id(\"x\") @reason(\"r\") forbid (principal, action, resource) when { resource.trust == \"unreviewed\" };",
    );
    assert_eq!(
        code(&decide(&old, Act::OpenTask, "a")),
        Some(Code::PolicyError)
    );
    // What is wrongly asked is not decided.
    let given = Given::call("s/r", "{}");
    let bundle = compiled("", "");
    for input in [
        &[][..],
        &[("life_s", Told::Text("7200"))],
        &[("life", Told::Number(1))],
    ] {
        let asked = Asked {
            input,
            ..asked(&given, Act::OpenTask, "a")
        };
        assert_eq!(
            code(&bundle.decide_act(&asked)),
            Some(Code::PolicyError),
            "{input:?}"
        );
    }
    assert_eq!(
        code(&decide(&bundle, Act::OpenTask, "nobody")),
        Some(Code::PolicyError)
    );
}

#[test]
fn duties_and_questions_about_acts() {
    let short = "@id(\"x\") @reason(\"Tasks are short.\") @duty(\"max_ttl:1h\")\n\
                 forbid (principal, action == Bailiwick::Action::\"open_task\", resource);";
    let decision = decide(&compiled("", short), Act::OpenTask, "a");
    assert_eq!(decision.outcome, Outcome::Allow);
    assert_eq!(max_ttl(&decision), Some(Duration::from_hours(1)));
    let masked = short.replace("max_ttl:1h", "redact:pii");
    let decision = decide(&compiled("", &masked), Act::OpenTask, "a");
    assert_eq!(code(&decision), Some(Code::UnsupportedObligation));
    let ask = short.replace("@duty(\"max_ttl:1h\")", "@step_up(\"approval:ops\")");
    let decision = decide(&compiled("", &ask), Act::OpenTask, "a");
    assert_eq!(decision.outcome, Outcome::StepUp);
    assert_eq!(refusal(&decision).unwrap().code, Code::StepUpRequired);
}

const DECLARED: &str = r#"
[agent.a]
groups = ["night"]
tags = { team = "one" }
autonomous = true
[server.s]
groups = ["inside"]
tags = { tier = "1" }
[user."user:test:alice"]
groups = ["leads"]
tags = { site = "x" }
[tool."s/r"]
groups = ["lookups"]
facets = ["egress"]
"#;

#[test]
fn groups_tags_and_facets_are_asked_about_as_the_bundle_declares_them() {
    let allowed = |scope: &str, condition: &str| {
        let policy = format!("@id(\"x\") @reason(\"r\") permit ({scope}) when {{ {condition} }};");
        let bundle =
            published(DECLARED, &policy).unwrap_or_else(|errors| panic!("{policy}: {errors}"));
        let call = |agent: &str, tool: &str| {
            let given = Given::on(&registry(WORLD), agent, tool, "{}");
            given.decide(&bundle).outcome == Outcome::Allow
        };
        (call("a", "s/r"), call("b", "s/r"), call("a", "t/e"))
    };
    let any = "principal, action in Bailiwick::Action::\"use\", resource";
    let group = |group: &str| {
        any.replace(
            "principal",
            &format!("principal in Bailiwick::AgentGroup::\"{group}\""),
        )
    };
    assert_eq!(allowed(&group("night"), "true"), (true, false, true));
    let inside = any.replace("resource", "resource in Bailiwick::ServerGroup::\"inside\"");
    assert_eq!(allowed(&inside, "true"), (true, true, false));
    for action in ["lookups", "egress"] {
        let scope = any.replace("\"use\"", &format!("\"{action}\""));
        assert_eq!(allowed(&scope, "true"), (true, true, false), "{action}");
    }
    assert_eq!(allowed(any, "principal.autonomous"), (true, false, true));
    assert_eq!(
        allowed(
            any,
            "principal.hasTag(\"team\") && principal.getTag(\"team\") == \"one\""
        ),
        (true, false, true)
    );
    assert_eq!(
        allowed(
            any,
            "resource.hasTag(\"tier\") && resource.getTag(\"tier\") == \"1\""
        ),
        (true, true, false)
    );
    assert_eq!(
        allowed(any, "context.bw.user in Bailiwick::Group::\"leads\""),
        (true, true, true)
    );
    // So is a credential.
    let narrow = "@id(\"x\") @reason(\"r\") forbid (principal, action == Bailiwick::Action::\"lease\", resource)\n\
                  unless { resource in Bailiwick::CredentialGroup::\"low\" && resource.hasTag(\"env\") && resource.getTag(\"env\") == \"test\" };";
    let manifest = |env: &str| {
        format!("{DECLARED}[credential.one]\ngroups = [\"low\"]\ntags = {{ env = \"{env}\" }}\n")
    };
    for (env, allowed) in [("test", None), ("prod", Some(Code::Forbidden))] {
        let bundle = published(&manifest(env), narrow).unwrap();
        assert_eq!(code(&decide(&bundle, Act::Lease, "a")), allowed, "{env}");
    }
    let unsaid = published(
        &manifest("test").replace("credential.one", "credential.other"),
        narrow,
    );
    let said = code(&decide(&unsaid.unwrap(), Act::Lease, "a"));
    assert_eq!(said, Some(Code::Forbidden));
    // A person who does something is in groups too.
    let leads = "@id(\"x\") @reason(\"r\") forbid (principal, action == Bailiwick::Action::\"lower_risk\", resource)\n\
                 unless { principal in Bailiwick::Group::\"leads\" };";
    let bundle = published(DECLARED, leads).unwrap();
    assert_eq!(
        decide(&bundle, Act::LowerRisk, "user:test:alice").outcome,
        Outcome::Allow
    );
    assert_eq!(
        code(&decide(&bundle, Act::LowerRisk, "mallory")),
        Some(Code::Forbidden)
    );
}

#[test]
fn what_is_declared_wrongly_is_said() {
    let check = |manifest: &str, policy: &str, expected: &Expect| {
        let errors = published(manifest, policy).unwrap_err();
        expected.assert_eq(&told("error", &errors.flaws));
    };
    let named = |named: &str| {
        format!(
            "@id(\"x\") @reason(\"r\") permit (principal in Bailiwick::AgentGroup::\"{named}\", action, resource);"
        )
    };
    check(
        DECLARED,
        &named("nigth"),
        &expect![[r#"
        error UnknownName p.cedar:1:1: policy `x`: there is no `Bailiwick::AgentGroup::"nigth"`
          help: did you mean "night"?
    "#]],
    );
    check(
        "",
        &named("night"),
        &expect![[r#"
        error UnknownName p.cedar:1:1: policy `x`: there is no `Bailiwick::AgentGroup::"night"`
          help: bundle.toml says who is in a group: groups = ["…"]
    "#]],
    );
    check(
        "[tool.\"s/r\"]\ngroups = [\"read\"]\n",
        "",
        &expect![[r#"
            error Syntax bundle.toml:3:11: `read` is not free as the name of a group of tools
              help: effects, facets and built-in actions have names of their own
        "#]],
    );
    check(
        "[tool.\"s/r\"]\nfacets = [\"egres\"]\n",
        "",
        &expect![[r#"
            error Syntax bundle.toml:3:11: unknown variant `egres`, expected one of `egress`, `spend`, `destroy`
              help: did you mean `egress`?
        "#]],
    );
    check(
        "[agent.a]\ngroups = [\"Night\"]\n",
        "",
        &expect![[r#"
            error Syntax bundle.toml:3:10: the name of a group is 1 to 63 of a-z 0-9 -
              help: correct what stands here; the reference of policy shows each file of a bundle
        "#]],
    );
    check(
        "time_zone = \"Europe/Berlni\"\n",
        "",
        &expect![[r#"
            error Syntax bundle.toml:2:13: `Europe/Berlni` is no time zone of the IANA database, such as Europe/Berlin
              help: correct what stands here; the reference of policy shows each file of a bundle
        "#]],
    );
    let many: Vec<String> = (0..17).map(|n| format!("\"g{n}\"")).collect();
    check(
        &format!("[agent.a]\ngroups = [{}]\n", many.join(",")),
        "",
        &expect![[r#"
            error Bound bundle.toml:1:2: `a` is in too many groups, or has too many tags
              help: at most 16 groups and 32 tags each
        "#]],
    );
    // Nor does a server take its tools into a group of its name.
    let group = "[tool.\"s/r\"]\ngroups = [\"t\"]\n";
    let policy = "@id(\"x\") @reason(\"r\") permit (principal, action in Bailiwick::Action::\"t\", resource);";
    let bundle = published(group, policy).unwrap();
    assert_eq!(
        Given::call("t/e", "{}").decide(&bundle).outcome,
        Outcome::Deny
    );
    assert_eq!(
        Given::call("s/r", "{}").decide(&bundle).outcome,
        Outcome::Allow
    );
}

#[test]
fn hours_are_those_of_the_bundles_time_zone_also_in_explanations() {
    let office = "@id(\"x\") @reason(\"r\") permit (principal, action in Bailiwick::Action::\"read\", resource)\n\
                  when { context.bw.now.hour >= 9 && context.bw.now.weekday == 2 };";
    let at = |zone: &str, time: &str| {
        let mut given = Given::call("s/r", "{}");
        given.now = time.parse::<Timestamp>().unwrap();
        given.task.created_at = given.now;
        let bundle = compiled(&format!("time_zone = \"{zone}\"\n"), office);
        let explained = given.with(|input| bundle.explain(input));
        for remedy in &explained.would_allow {
            let changed = remedy.apply(&given.recorded()).unwrap();
            let outcome = bundle.explain_recorded(&changed).decision.outcome;
            assert!(
                remedy.steps.iter().any(Step::is_of_bundle) || outcome == Outcome::Allow,
                "{remedy:?}"
            );
        }
        (
            explained.decision.outcome,
            explained.would_allow.first().map(Remedy::words),
        )
    };
    // Wednesday, 4 March 2026.
    assert_eq!(at("UTC", "2026-03-04T09:30:00Z").0, Outcome::Allow);
    assert_eq!(
        at("America/New_York", "2026-03-05T01:30:00Z").0,
        Outcome::Allow
    );
    let (outcome, would) = at("America/New_York", "2026-03-04T13:30:00Z");
    assert_eq!(outcome, Outcome::Deny);
    assert_eq!(
        would.as_deref(),
        Some("a call at another time, such as 2026-03-04T14:30:00.000000Z")
    );
}
