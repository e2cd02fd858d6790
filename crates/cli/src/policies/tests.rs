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
    super::init(&context(), &bundle).unwrap();
    assert_eq!(test(&context(), &bundle).unwrap(), Exit::DONE);
    assert_eq!(super::init(&context(), &bundle).unwrap_err().exit_code(), 6);
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
    let failure = test(&context(), dir.path()).unwrap_err();
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
