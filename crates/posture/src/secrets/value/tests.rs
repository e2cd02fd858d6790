//! What a value is, apart from how it is written.

use super::{Kind, is_drawn, is_secret};
use crate::secrets::key_name::Promise;

#[track_caller]
fn check(kind: Kind, values: &[&str], expected: bool) {
    for value in values {
        assert_eq!(is_secret(value.as_bytes(), kind), expected, "{value}");
    }
}

#[test]
fn passwords_as_people_choose_them() {
    let kind = Kind::Literal(Promise::Password);
    check(
        kind,
        &[
            "Tr0ub4dor&3",
            "Sommer2019",
            "blue42horse",
            "s3cur3-P4ss!",
            "mZ7kQ2vR9xL4",
            "p/q+8fK2",
            "horse!battery",
        ],
        true,
    );
    check(
        kind,
        &[
            "changeme",
            "password",
            "short",
            "mypassword",
            "${DB_PASSWORD}",
            "/run/secrets/db",
            "getPassword()",
            "form.password",
            "reset-password",
            "12345678",
            "10.0.0.12",
            "https://a.example/x",
            "db.internal.acme.net",
            "user@acme.example",
        ],
        false,
    );
}

#[test]
fn tokens_look_drawn() {
    let kind = Kind::Literal(Promise::Token);
    check(
        kind,
        &[
            "9f86d081884c7d659a2feaa0c55ad015",
            "xK9mP2vQ7rTz4LbW",
            "550e8400-e29b-41d4-a716-446655440000",
            "q8zjx0vkw3hgfp2m",
        ],
        true,
    );
    check(
        kind,
        &[
            "authentication",
            "refresh_token",
            "Bearer",
            "session-cookie",
            "oauth2_access",
            "kubernetes.io/token",
        ],
        false,
    );
}

#[test]
fn expressions_are_no_values() {
    let kind = Kind::Expression(Promise::Token);
    check(
        kind,
        &[
            "tokens.next()",
            "self.token",
            "request.headers",
            "config->secret",
            "new_token2",
            "Option<String>",
        ],
        false,
    );
    check(kind, &["xK9mP2vQ7rTz4LbW"], true);
}

#[test]
fn a_name_that_is_not_sure_needs_more() {
    let kind = Kind::Literal(Promise::Perhaps);
    check(
        kind,
        &["Sommer2019", "us-east-1-primary", "blue42horse"],
        false,
    );
    check(kind, &["xK9mP2vQ7rTz4LbWq8zj"], true);
}

#[test]
fn any_bytes_are_judged() {
    for value in [b"".as_slice(), &[0xff; 64], &[0; 64], b"\n\n\n\n\n\n\n\n"] {
        assert!(!is_secret(value, Kind::Given));
        assert!(!is_drawn(value));
    }
}
