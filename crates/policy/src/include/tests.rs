//! A bundle that includes packs is whole, says what it cannot include, and a version of a pack is one text for ever.

#![expect(
    clippy::needless_raw_string_hashes,
    reason = "expect-test writes its strings with hashes"
)]

use std::fmt::Write as _;

use expect_test::expect;

use super::*;
use crate::{Bundle, fixtures};
use bailiwick_core::Digest;

fn including(include: &str, more: &[(&str, &str)]) -> BundleSource {
    let manifest = format!("name = \"site\"\ninclude = [{include}]\n");
    let mut files: BTreeMap<String, String> = [(FILE.to_owned(), manifest)].into();
    files.extend(
        more.iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned())),
    );
    BundleSource { files }
}

fn told(errors: &PolicyErrors) -> String {
    let lines = errors.flaws.iter();
    let lines = lines.map(|flaw| format!("{:?} {flaw}\n  help: {}\n", flaw.code, flaw.help));
    lines.collect()
}

#[test]
fn what_is_included_is_part_of_the_text() {
    let source = including(r#""coding-agent@1", "injection@2""#, &[]);
    let whole = source.clone().with_packs().unwrap();
    let paths: Vec<&str> = whole.files.keys().map(String::as_str).collect();
    assert_eq!(
        paths,
        [
            "bundle.toml",
            "packs/base@1.cedar",
            "packs/coding-agent@1.cedar",
            "packs/injection@2.cedar",
            "workflows/code-change.toml",
        ]
    );
    assert_ne!(source.canonical(), whole.canonical());
    assert_eq!(whole.clone().with_packs().unwrap(), whole, "once is enough");
    let bundle = Bundle::compile(&whole, Digest([0; 32]), &crate::Registry::default()).unwrap();
    for id in ["base/read", "coding/plan-reads"] {
        assert!(bundle.policies().any(|known| known == id), "{id}");
    }
    // Also what comes by the API, without its packs, does not decide with less than it says.
    let errors = Bundle::compile(&source, Digest([0; 32]), &crate::Registry::default());
    expect![[r#"
        Syntax bundle.toml: the pack `coding-agent@1` is included and its text is not there
          help: bailiwick policy check DIR and publish DIR add it; to the API, send it along
    "#]]
    .assert_eq(&told(&errors.unwrap_err()));
}

#[test]
fn what_cannot_be_included_is_said() {
    let errors = including(r#""injecton@1", "base@7""#, &[]).with_packs();
    expect![[r#"
        UnknownName bundle.toml:2:12: there is no pack `injecton@1`
          help: did you mean "injection@2"?
        UnknownName bundle.toml:2:26: there is no pack `base@7`
          help: did you mean "base@1"?
    "#]]
    .assert_eq(&told(&errors.unwrap_err()));
    let altered = including(r#""base@1""#, &[("packs/base@1.cedar", "// mine\n")]);
    expect![[r#"
        Syntax bundle.toml:2:12: packs/base@1.cedar is not what the pack `base@1` says
          help: delete the file, or take the pack out of `include` and move the file elsewhere
    "#]]
    .assert_eq(&told(&altered.with_packs().unwrap_err()));
    // A pack that a later binary does not ship any more is still what the bundle says.
    let older = including(r#""base@0""#, &[("packs/base@0.cedar", "// as it was\n")]);
    assert_eq!(older.clone().with_packs().unwrap(), older);
}

/// Conditions of packs are tested with the packs: what a bundle is told of its own tests is about its own policies.
#[test]
fn a_bundle_is_not_asked_to_test_its_packs() {
    let own = "@id(\"own\") @reason(\"r\") forbid (principal, action == Bailiwick::Action::\"s/r\", resource)\nwhen { context.bw.depth > 1 };\n";
    let tests = "agent = [{ name = \"a\", owner = \"o\" }]\n[[tool]]\ntool = \"s/r\"\neffect = \"read\"\n\
        [[case]]\nname = \"reads\"\nagent = \"a\"\ntool = \"s/r\"\nexpect = { outcome = \"allow\" }\n";
    let files = [("own.cedar", own), ("tests/t.toml", tests)];
    let whole = including(r#""base@1""#, &files).with_packs().unwrap();
    let report = Bundle::run_tests(&whole, &crate::Registry::default()).unwrap();
    assert!(report.passed(), "{report:#?}");
    assert_eq!(report.untested, ["own"]);
    let [untried] = report.untried.as_slice() else {
        panic!("{report:#?}");
    };
    assert_eq!((untried.policy.as_str(), untried.line), ("own", 2));
    assert!(untried.fails && !untried.holds, "{untried:?}");
    fixtures(&whole).unwrap();
}

/// Whoever changes the text of a pack raises `starter::version`: bundles name the old text by the old version.
#[test]
fn a_version_of_a_pack_is_one_text() {
    let mut lines = String::new();
    for name in starter::PACKS {
        let files = files(&current(name)).unwrap();
        let own = files.get(&policies_of(&current(name))).unwrap();
        let sum = own.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
            (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        writeln!(lines, "{} {sum:016x}", current(name)).unwrap();
    }
    expect![[r#"
        base@1 0d5809404712c80c
        injection@2 87ed7ea8b218bbf6
        coding-agent@1 b9294358dbe0fa36
        data@1 158b4fcf8dc8a835
        ops@1 4ab56b5a765cee70
        support@1 71149d4307c8f7b1
    "#]]
    .assert_eq(&lines);
}
