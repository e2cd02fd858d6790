//! Names that bear a secret, and names that disarm it.

use super::{Promise, promise};

#[track_caller]
fn check(names: &[&str], expected: Option<Promise>) {
    for name in names {
        assert_eq!(promise(name.as_bytes()), expected, "{name}");
    }
}

#[test]
fn names_promise() {
    check(
        &[
            "DB_PASSWORD",
            "dbPassword",
            "PGPASSWORD",
            "smtp.passwd",
            "--password",
            "DB_PASSWORD_2",
            "mysqlPwd",
            "requirepass",
        ],
        Some(Promise::Password),
    );
    check(
        &[
            "API_TOKEN",
            "clientSecret",
            "x-api-key",
            "apiKey",
            "SECRET_KEY_BASE",
            "AWS_SECRET_ACCESS_KEY",
            "secret_id",
            "JWT_SIGNING_KEY",
            "authToken",
        ],
        Some(Promise::Token),
    );
    check(&["STRIPE_KEY", "sendgridKey"], Some(Promise::Perhaps));
}

#[test]
fn names_that_speak_about_a_secret_promise_nothing() {
    check(
        &[
            "TOKEN_TTL",
            "password_file",
            "SECRET_NAME",
            "TOKENIZERS_PARALLELISM",
            "max_tokens",
            "next_page_token",
            "public_key",
            "primary_key",
            "key",
            "keyboard",
            "passport",
            "bypass_rules",
            "secret_arn",
            "ACCESS_KEY_ID",
            "author",
            "compass",
        ],
        None,
    );
}

#[test]
fn names_may_be_anything() {
    check(&["", "_", "\u{ff}\u{0}", &"A".repeat(10_000)], None);
}
