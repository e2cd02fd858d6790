//! Secrets named in plain sentences.

use super::{is_made_up, is_placeholder, is_reference};

#[test]
fn placeholders_are_known() {
    for text in [
        "changeme",
        "your-api-key-here",
        "<password>",
        "xxxxxxxxxxxx",
        "************",
        "AKIAIOSFODNN7EXAMPLE",
        "{{ password }}",
        "password123",
        "[REDACTED]",
        "aaaaaaaaaaaaaaaa",
        "__TOKEN__",
        "%TOKEN%",
    ] {
        assert!(is_placeholder(text.as_bytes()), "{text}");
    }
    for text in ["Tr0ub4dor&3x", "mZ7kQ2vR9xL4", "kj2h-8fjw-02lf"] {
        assert!(!is_placeholder(text.as_bytes()), "{text}");
    }
}

#[test]
fn references_are_known() {
    for text in [
        "${DB_PASSWORD}",
        "$DB_PASSWORD",
        "$(cat /run/secrets/db)",
        "{{ .Values.password }}",
        "vault:secret/data/db#password",
        "op://vault/item/password",
        "arn:aws:secretsmanager:eu-west-1:1:secret:db",
        "process.env.TOKEN",
        "os.environ[\"TOKEN\"]",
        "ENC[AES256_GCM,data:x]",
        "var.db_password",
    ] {
        assert!(is_reference(text.as_bytes()), "{text}");
    }
    for text in ["$2kdf93kd02", "mZ7k{Q2vR9", "hunter2$abc"] {
        assert!(!is_reference(text.as_bytes()), "{text}");
    }
}

#[test]
fn tokens_that_were_made_up_show_it() {
    assert!(is_made_up(b"ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"));
    assert!(!is_made_up(b"ghp_zQWBuTSOoRi4A9spHcVY5"));
}
