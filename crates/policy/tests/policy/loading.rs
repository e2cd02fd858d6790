//! Whatever file of a bundle is wrong, people read where, what, and what to do.

use bailiwick_policy::{Bundle, BundleSource, Registry, fixtures};
use expect_test::{Expect, expect};

use crate::world::{VERSION, told};

const GOOD: &str = "name = \"x\"\n";

fn check(files: &[(&str, &str)], expected: &Expect) {
    let mut source = BundleSource::default();
    let manifest = [("bundle.toml", GOOD)];
    for (path, text) in manifest.iter().chain(files) {
        source.files.insert((*path).to_owned(), (*text).to_owned());
    }
    let errors = match Bundle::compile(&source, VERSION, &Registry::default()) {
        Err(errors) => errors,
        Ok(_) => fixtures(&source).unwrap_err(),
    };
    for flaw in &errors.flaws {
        assert!(!flaw.help.is_empty(), "{flaw}");
        let text = source.files.get(&flaw.file);
        let within = text.is_none_or(|text| text.get(flaw.span.clone()).is_some());
        assert!(
            within && (flaw.line > 0 || flaw.file.is_empty()),
            "{flaw:?}"
        );
    }
    expected.assert_eq(&told("error", &errors.flaws));
}

#[test]
fn the_manifest() {
    let with = |text: &str, expected: &Expect| check(&[("bundle.toml", text)], expected);
    with(
        "name = ",
        &expect![[r#"
        error Syntax bundle.toml:1:8: string values must be quoted, expected literal string
          help: correct what stands here; the reference of policy shows each file of a bundle
    "#]],
    );
    with(
        "nam = \"x\"\n",
        &expect![[r#"
            error Syntax bundle.toml:1:1: unknown field `nam`, expected one of `name`, `description`, `include`, `time_zone`, `agent`, `server`, `credential`, `user`, `tool`
              help: did you mean `name`?
        "#]],
    );
    with(
        "description = \"x\"\n",
        &expect![[r#"
        error Syntax bundle.toml:1:1: missing field `name`
          help: add `name = …`
    "#]],
    );
    with(
        "name = \"x\"\ntime_zone = \"Mars/Olympus\"\n",
        &expect![[r#"
            error Syntax bundle.toml:2:13: `Mars/Olympus` is no time zone of the IANA database, such as Europe/Berlin
              help: correct what stands here; the reference of policy shows each file of a bundle
        "#]],
    );
    with(
        "name = \"x\"\n[agent.a]\ngroups = [\"A B\"]\n",
        &expect![[r#"
            error Syntax bundle.toml:3:10: the name of a group is 1 to 63 of a-z 0-9 -
              help: correct what stands here; the reference of policy shows each file of a bundle
        "#]],
    );
    with(
        "name = \"x\"\n[tool.\"s/r\"]\ngroups = [\"read\"]\n",
        &expect![[r#"
            error Syntax bundle.toml:3:11: `read` is not free as the name of a group of tools
              help: effects, facets and built-in actions have names of their own
        "#]],
    );
    with(
        "name = \"x\"\n[tool.\"s/r\"]\nfacets = [\"spent\"]\n",
        &expect![[r#"
            error Syntax bundle.toml:3:11: unknown variant `spent`, expected one of `egress`, `spend`, `destroy`
              help: did you mean `spend`?
        "#]],
    );
    let groups: Vec<String> = (0..17).map(|n| format!("\"g{n}\"")).collect();
    let many = format!("name = \"x\"\n[agent.a]\ngroups = [{}]\n", groups.join(","));
    with(
        &many,
        &expect![[r#"
        error Bound bundle.toml:1:2: `a` is in too many groups, or has too many tags
          help: at most 16 groups and 32 tags each
    "#]],
    );
    let none = BundleSource::default();
    let errors = Bundle::compile(&none, VERSION, &Registry::default()).unwrap_err();
    expect![[r#"
        error Syntax the bundle has no bundle.toml
          help: add a bundle.toml with `name = "…"`
    "#]]
    .assert_eq(&told("error", &errors.flaws));
}

#[test]
fn workflows() {
    let with = |text: &str, expected: &Expect| check(&[("workflows/w.toml", text)], expected);
    with(
        "name = \"w\"\nstage = []\n",
        &expect![[r#"
        error Workflow workflows/w.toml:1:8: a workflow has 1 to 32 stages
          help: add [[stage]] with a name; a task starts in the first
    "#]],
    );
    with(
        "name = \"w\"\n[[stage]]\nname = \"a\"\n[[stage]]\nname = \"a\"\n",
        &expect![[r#"
            error Workflow workflows/w.toml:4:1: stage `a` is defined twice
              help: give each stage a name of its own
        "#]],
    );
    with(
        "name = \"w\"\n[[stage]]\nname = \"plan\"\n[[transition]]\nfrom = \"plam\"\nto = \"other\"\nwho = []\n",
        &expect![[r#"
            error Workflow workflows/w.toml:4:1: nobody may make this transition
              help: who is one or more of agent, user, operator
            error Workflow workflows/w.toml:4:1: there is no stage `other`
              help: add [[stage]] with name = "other"
            error Workflow workflows/w.toml:4:1: there is no stage `plam`
              help: did you mean `plan`?
        "#]],
    );
    with(
        "name = \"w\"\n[[stage]]\nname = \"a\"\nrisk_flor = \"low\"\n",
        &expect![[r#"
            error Workflow workflows/w.toml:4:1: unknown field `risk_flor`, expected one of `name`, `cap`, `risk_floor`
              help: did you mean `risk_floor`?
        "#]],
    );
    with(
        "name = \"w\"\n[[stage]]\nname = \"a\"\nrisk_floor = \"hihg\"\n",
        &expect![[r#"
            error Workflow workflows/w.toml:4:14: unknown variant `hihg`, expected one of `low`, `medium`, `high`, `critical`
              help: did you mean `high`?
        "#]],
    );
    with(
        "name = \"w\"\n[[stage]]\nname = \"a\"\n[stage.cap]\ngrants = []\n",
        &expect![[r#"
            error Workflow workflows/w.toml:4:1: nothing is left of the scope: it has no grant that could cover a call
              help: name a server, tool and effect that the agent's ceiling and the policy allow
        "#]],
    );
    let two = "name = \"w\"\n[[stage]]\nname = \"a\"\n";
    check(
        &[("workflows/a.toml", two), ("workflows/b.toml", two)],
        &expect![[r#"
            error Workflow workflows/b.toml:1:8: workflow `w` is defined twice
              help: give each workflow a name of its own
        "#]],
    );
}

#[test]
fn tests_and_policies() {
    let tests = |text: &str, expected: &Expect| check(&[("tests/t.toml", text)], expected);
    tests(
        "agent = [{ name = \"a\" }]\n",
        &expect![[r#"
        error Test tests/t.toml:1:10: missing field `owner`
          help: add `owner = …`
    "#]],
    );
    tests(
        "agent = [{ name = \"a\", owner = \"o\", age = 3 }]\n",
        &expect![[r#"
            error Test tests/t.toml:1:37: unknown field `age`, expected one of `name`, `owner`, `base_risk`
              help: did you mean `name`?
        "#]],
    );
    tests(
        "[[tool]]\ntool = \"s\"\neffect = \"read\"\n",
        &expect![[r#"
            error Test tests/t.toml:2:8: `s` is not a tool reference of the form server/tool
              help: correct what stands here; the reference of policy shows each file of a bundle
        "#]],
    );
    tests(
        "[[tool]]\ntool = \"s/r\"\neffect = \"reed\"\n",
        &expect![[r#"
            error Test tests/t.toml:3:10: unknown variant `reed`, expected one of `read`, `write`, `escalate`
              help: did you mean `read`?
        "#]],
    );
    let policy = |text: &str, expected: &Expect| check(&[("p.cedar", text)], expected);
    policy(
        "permit",
        &expect![[r#"
        error Syntax p.cedar:1:7: unexpected end of input
          help: expected `(`
    "#]],
    );
    policy(
        "permit (principal, action, resource) when { \"open };",
        &expect![[r#"
            error Syntax p.cedar:1:45: invalid token
              help: try checking that all strings are closed properly
        "#]],
    );
    policy(
        "permit (principal, action, resource) when { \u{1F600} };",
        &expect![[r#"
            error Syntax p.cedar:1:45: invalid token
              help: what Cedar takes here: https://docs.cedarpolicy.com/policies/syntax-grammar.html
        "#]],
    );
    policy(
        "permit (principal, action, resource) when { 99999999999999999999 == 1 };",
        &expect![[r#"
            error Syntax p.cedar:1:45: integer parse error: number too large to fit in target type
              help: what Cedar takes here: https://docs.cedarpolicy.com/policies/syntax-grammar.html
        "#]],
    );
    policy(
        "@id(\"x\") @reason(\"r\") @id(\"y\")\npermit (principal, action, resource);",
        &expect![[r#"
            error Syntax p.cedar:1:23: duplicate annotation: @id
              help: what Cedar takes here: https://docs.cedarpolicy.com/policies/syntax-grammar.html
        "#]],
    );
}

#[test]
fn files_of_a_directory() {
    let one = ("README.md".to_owned(), String::new());
    let twice = ("a.cedar".to_owned(), String::new());
    let errors = BundleSource::from_dir([one, twice.clone(), twice]).unwrap_err();
    expect![[r#"
        error Syntax README.md: this file has no place in a bundle
          help: a bundle holds bundle.toml, *.cedar, workflows/*.toml and tests/*.toml
        error Syntax a.cedar: this file is given twice
          help: give it once
    "#]]
    .assert_eq(&told("error", &errors.flaws));
    let many = (0..1_025).map(|n| (format!("f{n}.cedar"), String::new()));
    let errors = BundleSource::from_dir(many).unwrap_err();
    expect![[r#"
        error Bound the bundle has 1025 files and 0 bytes
          help: a bundle has at most 1,024 files and 16 MiB
    "#]]
    .assert_eq(&told("error", &errors.flaws));
}
