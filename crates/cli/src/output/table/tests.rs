//! Tables show everything, in a form that cannot lie.

use bailiwick_core::Timestamp;
use expect_test::expect;
use serde_json::json;

use super::super::{Color, Format, Out};
use super::{list, record, relative};

fn out() -> Out {
    Out::of_process(Format::Table, Color::Never, true)
}

#[test]
fn a_list_has_a_row_per_item_and_shows_hidden_characters() {
    let body = json!({"items": [
        {"name": "coder", "owner": "team", "selectors": ["unix:uid=1", "unix:path=/bin/x"]},
        {"name": "a\u{202e}b", "owner": null, "selectors": []},
    ], "next": null});
    let columns = [
        ("NAME", "/name"),
        ("OWNER", "/owner"),
        ("SELECTORS", "/selectors"),
    ];
    expect![[r"
         NAME        OWNER  SELECTORS
         coder       team   unix:uid=1, unix:path=/bin/x
         a⟦U+202E⟧b  -      -"]]
    .assert_eq(&list(&out(), &body, &columns, ""));
}

#[test]
fn a_record_has_a_line_per_member() {
    let body = json!({"id": "task_1", "risk": "low", "scope": {"depth": 1}, "reasons": [{"a": 1}]});
    expect![[r#"
         id          task_1
         risk        low
         scope       {"depth":1}
         reasons[0]  {"a":1}"#]]
    .assert_eq(&record(&out(), &body));
}

#[test]
fn times_are_relative_to_now() {
    let now = Timestamp::from_secs(1_000_000);
    let check = |secs: i64, expected: &str| {
        assert_eq!(
            relative(Timestamp::from_secs(1_000_000 + secs), now),
            expected
        );
    };
    check(0, "now");
    check(-5, "5 s ago");
    check(119, "in 119 s");
    check(-7_199, "119 min ago");
    check(7_200, "in 2 h");
    check(-200_000, "2 d ago");
}
