//! What differs between two bundles: permissions, recorded decisions, shadowed decisions; and policies in observe mode.

use bailiwick_core::decision::Outcome;
use bailiwick_core::{Code, Effect, Fault};
use bailiwick_policy::{
    Bundle, Change, Diff, MAX_EXAMPLES, Past, Recorded, Shift, Tally, Terms, diff, replay, shadow,
};
use expect_test::{Expect, expect};
use proptest::prelude::{ProptestConfig, Strategy, prop, prop_assert, prop_assert_eq, proptest};

use crate::oracle::{Generated, given, policy, text};
use crate::world::{Given, VERSION, WORLD, bundle, compile, rank, registry};

const READ: &str = "@id(\"read\") @reason(\"r\")\npermit (principal, action in Bailiwick::Action::\"read\", resource);\n";
const WRITE: &str = "@id(\"write\") @reason(\"r\")\npermit (principal == Bailiwick::Agent::\"a\", action in Bailiwick::Action::\"write\", resource);\n";

fn compare(old: &str, new: &str) -> Diff {
    diff(&compile(old).unwrap(), &compile(new).unwrap())
}

fn check(old: &str, new: &str, expected: &Expect) {
    let diff = compare(old, new);
    assert!(diff.complete);
    assert_eq!(diff.changed, diff.permissions.len());
    let lines = diff.permissions.iter().map(|one| {
        let ways = |ways: &[bailiwick_policy::Way]| {
            let ways = ways.iter().map(|way| {
                let needs = way
                    .needs
                    .as_ref()
                    .map_or_else(String::new, |needs| format!(" with {needs}"));
                format!("{}{:?}{needs}", way.policy, way.conditions)
            });
            let ways: Vec<String> = ways.collect();
            if ways.is_empty() {
                "none".to_owned()
            } else {
                ways.join(", ")
            }
        };
        format!(
            "{} {} {}: {:?}\n  - {} | {}\n  + {} | {}\n",
            one.agent,
            one.tool,
            one.effect,
            one.change,
            ways(&one.before.permits),
            ways(&one.before.forbids),
            ways(&one.after.permits),
            ways(&one.after.forbids),
        )
    });
    expected.assert_eq(&lines.collect::<String>());
}

#[test]
fn diff_names_what_is_gained_and_lost() {
    check(
        READ,
        &format!("{READ}{WRITE}"),
        &expect![[r#"
        a s/r write: Gained
          - none | none
          + write[] | none
        a s/w write: Gained
          - none | none
          + write[] | none
    "#]],
    );
    check(
        &format!("{READ}{WRITE}"),
        READ,
        &expect![[r#"
        a s/r write: Lost
          - write[] | none
          + none | none
        a s/w write: Lost
          - write[] | none
          + none | none
    "#]],
    );
}

#[test]
fn diff_tells_wider_from_narrower() {
    let staged = READ.replace(");", ")\nwhen { context.bw.task.stage == \"plan\" };");
    check(
        READ,
        &staged,
        &expect![[r#"
        a s/r read: Narrower
          - read[] | none
          + read["context.bw.task.stage == \"plan\""] | none
        b s/r read: Narrower
          - read[] | none
          + read["context.bw.task.stage == \"plan\""] | none
    "#]],
    );
    check(
        &staged,
        READ,
        &expect![[r#"
        a s/r read: Wider
          - read["context.bw.task.stage == \"plan\""] | none
          + read[] | none
        b s/r read: Wider
          - read["context.bw.task.stage == \"plan\""] | none
          + read[] | none
    "#]],
    );
    let asked = READ.replace("@reason", "@step_up(\"approval:ops\") @reason");
    check(
        &asked,
        READ,
        &expect![[r#"
        a s/r read: Wider
          - read[] with approval:ops | none
          + read[] | none
        b s/r read: Wider
          - read[] with approval:ops | none
          + read[] | none
    "#]],
    );
    let other = READ.replace(");", ")\nwhen { context.bw.task.risk == 0 };");
    check(
        &staged,
        &other,
        &expect![[r#"
        a s/r read: Other
          - read["context.bw.task.stage == \"plan\""] | none
          + read["context.bw.task.risk == 0"] | none
        b s/r read: Other
          - read["context.bw.task.stage == \"plan\""] | none
          + read["context.bw.task.risk == 0"] | none
    "#]],
    );
    let owned = READ.replace(
        ");",
        ")\nwhen { principal.owner == Bailiwick::Owner::\"team\" };",
    );
    check(
        READ,
        &owned,
        &expect![[r#"
        b s/r read: Lost
          - read[] | none
          + none | none
    "#]],
    );
}

#[test]
fn diff_is_empty_for_another_text_that_says_the_same() {
    let renamed = READ.replace(
        "\"read\") @reason(\"r\")",
        "\"other\") @reason(\"s\") @owner(\"o\")",
    );
    assert!(compare(READ, &renamed).is_empty());
    let observed = format!(
        "{READ}{}",
        WRITE.replace("@reason", "@mode(\"observe\") @reason")
    );
    assert!(compare(READ, &observed).is_empty());
    let in_two = READ.replace(
        "action in Bailiwick::Action::\"read\"",
        "action == Bailiwick::Action::\"s/r\"",
    );
    // `s/r` is the only tool that reads; but by its name it is permitted also when a call of it is raised.
    let diff = compare(READ, &in_two);
    let raised = |one: &bailiwick_policy::Permission| {
        one.change == Change::Gained && one.effect > Effect::Read
    };
    assert!(
        diff.changed > 0 && diff.permissions.iter().all(raised),
        "{diff:?}"
    );
}

#[test]
fn diff_says_when_it_is_not_complete() {
    let fewer = WORLD.replace(
        "{ name = \"b\", owner = \"other\", base_risk = \"medium\" }",
        "",
    );
    let other = Bundle::compile(&bundle(READ), VERSION, &registry(&fewer)).unwrap();
    let diff = diff(&compile(READ).unwrap(), &other);
    assert!(!diff.complete && !diff.is_empty() && diff.changed == 0);
}

#[test]
fn diff_names_workflows() {
    let mut staged = bundle(READ);
    staged.files.insert(
        "workflows/w.toml".to_owned(),
        "name = \"w\"\n[[stage]]\nname = \"plan\"\n".to_owned(),
    );
    let staged = Bundle::compile(&staged, VERSION, &registry(WORLD)).unwrap();
    let diff = diff(&compile(READ).unwrap(), &staged);
    assert_eq!(diff.workflows, vec!["w".parse().unwrap()]);
    assert!(!diff.is_empty());
}

fn past(event: &str, given: &Given, bundle: &Bundle) -> Past {
    Past {
        event: event.to_owned(),
        input: given.recorded(),
        was: Terms::of(&given.decide(bundle)),
    }
}

#[test]
fn replay_counts_what_would_be_decided_otherwise() {
    let old = compile(&format!("{READ}{WRITE}")).unwrap();
    let new = compile(&format!(
        "{WRITE}@id(\"ask\") @reason(\"r\") @step_up(\"approval:ops\")\nforbid (principal, action in Bailiwick::Action::\"write\", resource);\n\
         @id(\"e\") @reason(\"r\")\npermit (principal, action in Bailiwick::Action::\"escalate\", resource);"
    ))
    .unwrap();
    let pasts: Vec<Past> = (0..5)
        .flat_map(|number| {
            [
                past(&format!("r{number}"), &Given::call("s/r", "{}"), &old),
                past(&format!("w{number}"), &Given::call("s/w", "{}"), &old),
                past(&format!("e{number}"), &Given::call("t/e", "{}"), &old),
            ]
        })
        .collect();
    let tally = replay(&new, pasts.clone());
    let count = |tally: &Tally, shift| tally.count(shift);
    assert_eq!((tally.compared, tally.differing()), (15, 15));
    assert_eq!(count(&tally, Shift::Denied), 5);
    assert_eq!(count(&tally, Shift::SteppedUp), 5);
    assert_eq!(count(&tally, Shift::Allowed), 5);
    let group = &tally.groups[0];
    assert_eq!(
        (
            group.agent.as_str(),
            group.tool.to_string().as_str(),
            group.effect
        ),
        ("a", "s/r", Effect::Read)
    );
    assert_eq!(group.examples.len(), MAX_EXAMPLES);
    assert_eq!(group.examples[0].event, "r0");
    assert_eq!(group.examples[0].sources, ["policy"]);

    // In two halves it is the same but for which examples are kept.
    let mut halves = replay(&new, pasts[..7].to_vec());
    halves.merge(replay(&new, pasts[7..].to_vec()));
    assert_eq!(halves, tally);
    // Under the bundle that decided them nothing differs.
    assert_eq!(replay(&old, pasts).differing(), 0);
}

#[test]
fn replay_says_what_it_cannot_answer() {
    let old = compile(READ).unwrap();
    let mut changed = registry(WORLD);
    for tool in &mut changed.tools {
        tool.approved = Some(bailiwick_core::Digest([9; 32]));
    }
    let new = Bundle::compile(&bundle(READ), VERSION, &changed).unwrap();
    let tally = replay(&new, [past("x", &Given::call("s/r", "{}"), &old)]);
    assert_eq!((tally.compared, tally.unanswerable), (0, 1));
}

/// What is recorded is all that a decision takes: read back, it decides the same.
#[test]
fn a_recorded_input_is_read_back_whole_or_not_at_all() {
    let recorded = Given::call("s/w", r#"{"path":"a"}"#)
        .discharge(&["approval:ops"])
        .recorded();
    let sealed = recorded.sealed();
    assert!(!String::from_utf8(sealed.clone()).unwrap().contains("path"));
    assert!(sealed.len() < 1_024, "{} bytes", sealed.len());
    let opened = Recorded::opened(&sealed, r#"{"path":"a"}"#).unwrap();
    assert_eq!(opened, recorded);
    let more = String::from_utf8(sealed)
        .unwrap()
        .replacen('{', "{\"later\":1,", 1);
    for unread in [more.as_bytes(), b"{}", b""] {
        let error = Recorded::opened(unread, "{}").unwrap_err();
        assert_eq!(error.code(), Code::InvalidInput);
    }
}

#[test]
fn a_shadow_is_looked_at_and_not_enforced() {
    let active = compile(READ).unwrap();
    let candidate = compile(WRITE).unwrap();
    let given = Given::call("s/r", "{}");
    let decided = given.decide(&active);
    let (now, shift) = given
        .with(|input| shadow(&candidate, input, &decided))
        .unwrap();
    assert_eq!((now.outcome, shift), (Outcome::Deny, Some(Shift::Denied)));
    assert_eq!(given.decide(&active), decided);
    let same = given
        .with(|input| shadow(&active, input, &decided))
        .unwrap();
    assert_eq!(same.1, None);
}

#[test]
fn observed_policies_say_what_they_would_do() {
    let observed = "@id(\"no\") @reason(\"Not today.\") @mode(\"observe\")\nforbid (principal, action, resource);\n";
    let given = Given::call("s/r", "{}");
    let decision = given.decide(&compile(&format!("{READ}{observed}")).unwrap());
    assert_eq!(
        (decision.outcome, decision.policies),
        (Outcome::Allow, vec!["read".to_owned()])
    );
    let would_be = decision.would_be.unwrap();
    assert_eq!(would_be.outcome, Outcome::Deny);
    assert_eq!(would_be.policies, ["no", "read"]);
    assert_eq!(would_be.reasons[0].reason, "Not today.");
    // One that says what is decided anyway says nothing.
    let agrees = given.decide(
        &compile(&format!(
            "{READ}{}",
            READ.replace("\"read\") @", "\"too\") @mode(\"observe\") @")
        ))
        .unwrap(),
    );
    assert_eq!((agrees.outcome, agrees.would_be), (Outcome::Allow, None));
    // A permit in observe mode lets nothing through, and a forbid in observe mode hides nothing from lists.
    let permit = compile(&READ.replace("@reason", "@mode(\"observe\") @reason")).unwrap();
    let denied = given.decide(&permit);
    assert_eq!(denied.outcome, Outcome::Deny);
    assert_eq!(denied.would_be.unwrap().outcome, Outcome::Allow);
    assert!(given.listed(&compile(observed).unwrap()));
    // One that cannot be evaluated denies nothing.
    let fails = "@id(\"sum\") @reason(\"r\") @mode(\"observe\")\nforbid (principal, action, resource) when { context.input has n && context.input.n + 1 > 0 };";
    let huge = Given::call("s/r", r#"{"n":9223372036854775807}"#);
    let decision = huge.decide(&compile(&format!("{READ}{fails}")).unwrap());
    assert_eq!(decision.outcome, Outcome::Allow);
    assert_eq!(decision.would_be.unwrap().outcome, Outcome::Deny);
}

fn policies() -> impl Strategy<Value = Vec<Generated>> {
    prop::collection::vec(policy(), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 60 } else { 2_000 }))]

    /// What a diff says of an agent and a tool holds for every call of them, whatever its context.
    #[test]
    fn a_diff_is_true_of_every_call(shared in policies(), old in policies(), new in policies(), calls in prop::collection::vec(given(), 1..6), approved: bool) {
        let of = |own: &[Generated]| compile(&text(&[&shared[..], own].concat())).unwrap();
        let (old, new) = (of(&old), of(&new));
        let diff = diff(&old, &new);
        prop_assert!(diff.complete);
        for given in calls {
            let given = if approved { given.discharge(&["approval:one", "label:x"]) } else { given };
            let (before, after) = (rank(&given.decide(&old)), rank(&given.decide(&new)));
            let found = |effect| diff.permissions.iter().find(|one| one.agent == given.agent.name && one.tool == given.tool.tool && one.effect == effect);
            // A raised call that changes as the plain one does is not repeated.
            match found(given.effect).map(|one| one.change) {
                Some(Change::Gained) => prop_assert_eq!(before, 0),
                Some(Change::Lost) => prop_assert_eq!(after, 0),
                Some(Change::Wider) => prop_assert!(after >= before, "{diff:?} {given:?}"),
                Some(Change::Narrower) => prop_assert!(after <= before, "{diff:?} {given:?}"),
                Some(Change::Other) => {}
                None if diff.permissions.iter().any(|one| one.agent == given.agent.name && one.tool == given.tool.tool) => {}
                None => prop_assert_eq!(before, after, "{:?}", given),
            }
        }
    }

    /// A recorded call decides as the live one did.
    #[test]
    fn a_replay_under_the_same_bundle_finds_nothing(policies in policies(), given in given(), approved: bool) {
        let given = if approved { given.discharge(&["approval:one"]) } else { given };
        let bundle = compile(&text(&policies)).unwrap();
        let tally = replay(&bundle, [past("x", &given, &bundle)]);
        prop_assert_eq!((tally.compared, tally.differing()), (1, 0));
    }
}
