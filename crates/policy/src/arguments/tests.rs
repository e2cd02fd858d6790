//! Which arguments become which Cedar values, and how the others are refused.

use std::collections::BTreeMap;

use expect_test::{Expect, expect};

use super::*;
use crate::shape::Field;
use crate::uid::{Types, uid};

fn field(shape: Shape, required: bool) -> Field {
    Field {
        shape,
        required,
        nullable: false,
    }
}

fn shape() -> Record {
    Record {
        fields: BTreeMap::from([
            ("path".to_owned(), field(Shape::Text, true)),
            ("count".to_owned(), field(Shape::Long, false)),
            ("price".to_owned(), field(Shape::Decimal, false)),
            (
                "tags".to_owned(),
                field(Shape::Set(Box::new(Shape::Text)), false),
            ),
            ("free".to_owned(), field(Shape::Opaque, false)),
            (
                "note".to_owned(),
                Field {
                    nullable: true,
                    ..field(Shape::Text, false)
                },
            ),
        ]),
        open: false,
    }
}

fn check(arguments: &str, expected: &Expect) {
    let opaque = uid(&Types::new().unwrap().opaque, "opaque");
    let text = match read(arguments, &shape(), &opaque) {
        Ok(value) => value.to_string(),
        Err(error) => format!("{}: {error}", error.code()),
    };
    expected.assert_eq(&text);
}

#[test]
fn fitting_arguments_become_values() {
    check(
        r#"{"path":"a/\u0062","count":-3,"price":12.5}"#,
        &expect![[r#"{count: -3, path: "a/b", price: decimal("12.5")}"#]],
    );
    check(
        r#"{"path":"","tags":["x","y","x"],"free":{"deep":[1,{}]},"note":null}"#,
        &expect![[r#"{free: Bailiwick::Opaque::"opaque", path: "", tags: ["x", "y"]}"#]],
    );
}

#[test]
fn unfit_arguments_are_refused_without_repeating_them() {
    check(
        "{}",
        &expect!["arguments_invalid: argument `/path` is missing"],
    );
    check(
        r#"{"path":"x","Path":"y"}"#,
        &expect!["arguments_invalid: argument `/Path` is not in the tool's schema"],
    );
    check(
        r#"{"path":null}"#,
        &expect!["arguments_invalid: argument `/path` is not a string"],
    );
    check(
        r#"{"path":"x","path":"y"}"#,
        &expect![
            "arguments_invalid: the arguments are not one well-formed JSON object: duplicate key"
        ],
    );
    check(
        r#"{"path":"x","count":9223372036854775808}"#,
        &expect![
            "arguments_invalid: argument `/count` is not an integer of 64 bits, written without fraction or exponent"
        ],
    );
    check(
        r#"{"path":"x","count":1e3}"#,
        &expect![
            "arguments_invalid: argument `/count` is not an integer of 64 bits, written without fraction or exponent"
        ],
    );
    check(
        r#"{"path":"x","price":0.00001}"#,
        &expect![
            "arguments_invalid: argument `/price` is not a decimal number with at most 4 digits after the point"
        ],
    );
    check(
        r#"{"path":"x","price":1e999}"#,
        &expect![
            "arguments_invalid: argument `/price` is not a decimal number with at most 4 digits after the point"
        ],
    );
    check(
        r#"{"path":"x","price":922337203685478}"#,
        &expect![
            "arguments_invalid: argument `/price` is not a decimal number with at most 4 digits after the point"
        ],
    );
    check(
        r#"{"path":"x","tags":["a",1]}"#,
        &expect!["arguments_invalid: argument `/tags/*` is not a string"],
    );
    check(
        "[]",
        &expect!["arguments_invalid: argument `/` is not an object"],
    );
    check(
        "",
        &expect![
            "arguments_invalid: the arguments are not one well-formed JSON object: unexpected end of text"
        ],
    );
}

#[test]
fn bounds_are_policy_limits() {
    let deep = format!(
        r#"{{"path":"x","free":{}1{}}}"#,
        "[".repeat(40),
        "]".repeat(40)
    );
    check(
        &deep,
        &expect![
            "policy_limit: the arguments are over a bound of evaluation: nesting deeper than allowed"
        ],
    );
    let long = format!(r#"{{"path":"{}"}}"#, "x".repeat(65_536));
    check(
        &long,
        &expect![
            "policy_limit: the arguments are over a bound of evaluation: text longer than allowed"
        ],
    );
}
