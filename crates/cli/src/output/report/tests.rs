//! Errors as people and scripts see them.

use bailiwick_core::{Code, Problem};
use bailiwick_policy::{Flaw, FlawCode};
use expect_test::{Expect, expect};

use super::{as_json, as_text};
use crate::failure::{Failure, Place};

fn check(failure: &Failure, text: &Expect) {
    text.assert_eq(&as_text(failure, false));
}

#[test]
fn code_message_and_help() {
    let problem = Problem::new(
        Code::NotFound,
        "there is no agent `co\u{1b}der`",
        "see `bailiwick agent list`",
    );
    let failure = Failure {
        request_id: Some("req_1".to_owned()),
        ..Failure::from(problem)
    };
    check(
        &failure,
        &expect![[r"
        not_found

          × there is no agent `co⟦U+001B⟧der`
          help: see `bailiwick agent list` (request req_1)
    "]],
    );
    assert_eq!(failure.exit_code(), 6);
    assert_eq!(as_json(&failure)["code"], "not_found");
    assert_eq!(as_json(&failure)["request_id"], "req_1");
}

#[test]
fn a_place_in_a_file_is_drawn() {
    let text = "permit (\n  principal,\n  acton\n);\n";
    let flaw = Flaw {
        code: FlawCode::Syntax,
        file: "a.cedar".to_owned(),
        line: 3,
        column: 3,
        span: 24..29,
        message: "not a variable".to_owned(),
        help: "did you mean `action`?".to_owned(),
    };
    let failure = Failure {
        places: vec![Place {
            flaw,
            text: Some(text.to_owned()),
        }],
        ..Failure::from(Problem::new(Code::PolicyInvalid, "not a variable", ""))
    };
    check(
        &failure,
        &expect![[r"
        policy_invalid

          × not a variable
           ╭─[a.cedar:3:3]
         2 │   principal,
         3 │   acton
           ·   ─────
         4 │ );
           ╰────
          help: did you mean `action`?
    "]],
    );
    assert_eq!(failure.exit_code(), 3);
    assert_eq!(as_json(&failure)["problems"][0]["line"], 3);
}
