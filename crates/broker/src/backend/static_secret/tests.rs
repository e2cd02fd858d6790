//! Which sealed values can stand in a header.

use super::bearer;

#[test]
fn one_line_break_at_the_end_is_not_part_of_the_value() {
    for bytes in [&b"s3cr3t"[..], b"s3cr3t\n", b"s3cr3t\r\n"] {
        assert_eq!(bearer(bytes).unwrap().expose(), "s3cr3t");
    }
}

#[test]
fn a_value_cannot_smuggle_a_header() {
    for bytes in [
        &b""[..],
        b"\n",
        b"a b",
        b"a\r\nX-Evil: 1",
        b"a\n\n",
        b"a\0",
        "pä".as_bytes(),
        b"\xff",
    ] {
        let error = bearer(bytes).unwrap_err().to_string();
        assert!(error.contains("visible ASCII"), "{error}");
    }
}
