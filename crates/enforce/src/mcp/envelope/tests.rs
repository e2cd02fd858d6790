//! Tables of what is one JSON-RPC message and what is not (04 §1).

use bailiwick_core::json::Limits;
use bytes::Bytes;

use super::{Envelope, EnvelopeError, Message, same_id};

fn parse(text: impl AsRef<[u8]>) -> Result<Envelope, EnvelopeError> {
    Envelope::parse(Bytes::copy_from_slice(text.as_ref()), &Limits::ENVELOPE)
}

#[test]
fn what_is_one_message() {
    let request =
        parse(r#" {"jsonrpc":"2.0","id":7,"method":"m\u0031","params":{"x":1.0}, "more":[] } "#)
            .unwrap();
    assert_eq!(
        request.message(),
        Message::Request {
            id: "7",
            method: "m1"
        }
    );
    assert_eq!(request.params().unwrap().as_str(), r#"{"x":1.0}"#);
    let notification = parse(r#"{"jsonrpc":"2.0","method":"n"}"#).unwrap();
    assert_eq!(
        notification.message(),
        Message::Notification { method: "n" }
    );
    let response = parse(r#"{"id":"a\"b","result":null,"jsonrpc":"2.0"}"#).unwrap();
    assert_eq!(
        response.message(),
        Message::Response {
            id: Some(r#""a\"b""#)
        }
    );
    assert_eq!(response.result().unwrap().as_str(), "null");
    let error = parse(r#"{"id":null,"error":{},"jsonrpc":"2.0"}"#).unwrap();
    assert_eq!(error.message(), Message::Response { id: None });
    assert!(error.result().is_none());
}

#[test]
fn what_is_not_one_message_and_where() {
    for (text, code, offset) in [
        ("", -32_700, 0),
        ("{", -32_700, 1),
        ("[]", -32_600, 0),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"m"}]"#, -32_600, 0),
        ("7", -32_600, 0),
        (r#"{"id":1,"method":"m"}"#, -32_600, 0),
        (r#"{"jsonrpc":"2.1","id":1,"method":"m"}"#, -32_600, 11),
        (r#"{"jsonrpc":2.0,"id":1,"method":"m"}"#, -32_600, 11),
        (r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#, -32_600, 22),
        (r#"{"jsonrpc":"2.0","id":1.0,"method":"m"}"#, -32_600, 22),
        (r#"{"jsonrpc":"2.0","id":1e0,"method":"m"}"#, -32_600, 22),
        (r#"{"jsonrpc":"2.0","id":"","method":"m"}"#, -32_600, 22),
        (r#"{"jsonrpc":"2.0","id":{},"method":"m"}"#, -32_600, 22),
        (r#"{"jsonrpc":"2.0","id":1}"#, -32_600, 0),
        (r#"{"jsonrpc":"2.0","id":1,"method":""}"#, -32_600, 33),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"m","params":[1]}"#,
            -32_600,
            46,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"m","result":1}"#,
            -32_600,
            0,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{}}"#,
            -32_600,
            0,
        ),
        (r#"{"jsonrpc":"2.0","result":1}"#, -32_600, 0),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m"}{}"#, -32_700, 37),
        // One reading only: duplicates after unescaping, at any level, and keys that differ in case alone.
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}"#,
            -32_700,
            37,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"a","\u006dethod":"b"}"#,
            -32_700,
            37,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"a","Method":"b"}"#,
            -32_700,
            37,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"arguments":{"p":1,"P":2}}}"#,
            -32_700,
            66,
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":"\ud800"}"#, -32_700, 34),
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!(
            (error.rpc_code(), error.offset()),
            (code, offset),
            "{text}: {error}"
        );
    }
    assert_eq!(parse(b"\xef\xbb\xbf{}").unwrap_err().rpc_code(), -32_700);
}

#[test]
fn bounds_hold() {
    let id = "x".repeat(129);
    assert!(parse(format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"m"}}"#)).is_err());
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"a":{}1{}}}}}"#,
        "[".repeat(63),
        "]".repeat(63)
    );
    assert_eq!(parse(deep).unwrap_err().rpc_code(), -32_600);
    let long = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"a":"{}"}}}}"#,
        "x".repeat(4 << 20)
    );
    assert_eq!(parse(long).unwrap_err().rpc_code(), -32_600);
}

#[test]
fn an_id_is_a_value_not_a_spelling() {
    assert_eq!(same_id(r#""a\u0062""#), same_id(r#""ab""#));
    assert_eq!(same_id(r#""\/""#), same_id(r#""/""#));
    assert_ne!(same_id("7"), same_id(r#""7""#));
    assert_ne!(same_id("7"), same_id("07"));
}
