//! The bundle that `policy init` writes is one that `policy test` passes; a flaw is told with its place.

use super::directory::read;
use super::test;
use crate::context::Context;
use crate::output::{Color, Format, Out};
use crate::{Exit, command::Cli};
use clap::Parser as _;

fn context() -> Context {
    let cli = Cli::try_parse_from(["bailiwick", "-q", "policy", "history"]).unwrap();
    Context::new(
        Out::of_process(Format::Json, Color::Never, true),
        &cli.global,
    )
}

#[test]
fn the_starter_is_written_once_and_its_tests_pass() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = dir.path().join("policy");
    super::init(&context(), &bundle, "base").unwrap();
    assert_eq!(test(&context(), &bundle, true).unwrap(), Exit::DONE);
    assert_eq!(
        super::init(&context(), &bundle, "base")
            .unwrap_err()
            .exit_code(),
        6
    );
}

#[test]
fn each_pack_is_written_with_its_schema_and_passes_its_tests() {
    let dir = tempfile::tempdir().unwrap();
    for pack in bailiwick_policy::starter::PACKS {
        let bundle = dir.path().join(pack);
        super::init(&context(), &bundle, pack).unwrap();
        assert_eq!(
            test(&context(), &bundle, true).unwrap(),
            Exit::DONE,
            "{pack}"
        );
        let schema = std::fs::read(bundle.join(".schema.json")).unwrap();
        let schema: serde_json::Value = serde_json::from_slice(&schema).unwrap();
        let actions = schema.pointer("/Bailiwick/actions").unwrap();
        let tools = actions.as_object().unwrap().keys();
        assert!(
            tools.filter(|name| name.contains('/')).count() > 1,
            "{pack}"
        );
        // What lies beside a bundle is no part of it.
        assert!(!read(&bundle).unwrap().files.contains_key(".schema.json"));
    }
}

#[test]
fn a_flaw_has_a_place_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("bundle.toml"), "name = \"x\"\n").unwrap();
    std::fs::write(
        dir.path().join("a.cedar"),
        "@id(\"a\")\npermit (principal, acton, resource);\n",
    )
    .unwrap();
    let failure = test(&context(), dir.path(), false).unwrap_err();
    assert_eq!(failure.exit_code(), 3);
    assert_eq!(
        (
            failure.places[0].flaw.file.as_str(),
            failure.places[0].flaw.line
        ),
        ("a.cedar", 2)
    );
    std::fs::write(dir.path().join("notes.txt"), "").unwrap();
    assert!(
        read(dir.path())
            .unwrap_err()
            .problem
            .message
            .contains("notes.txt")
    );
}
