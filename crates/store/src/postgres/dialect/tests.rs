//! What is rewritten, and what must not be.

use super::translate;

#[test]
fn a_statement_in_the_words_of_the_other() {
    for (sqlite, postgres) in [
        (
            "SELECT body FROM task WHERE user = ?1 AND (?2 IS NULL OR id < ?2) LIMIT ?10",
            "SELECT body FROM task WHERE \"user\" = $1 AND ($2 IS NULL OR id < $2) LIMIT $10",
        ),
        ("UPDATE task SET user = ?2", "UPDATE task SET \"user\" = $2"),
        (
            "CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER, b BLOB) STRICT;",
            "CREATE TABLE t (id TEXT COLLATE \"C\" PRIMARY KEY, n BIGINT, b BYTEA) ;",
        ),
        // Neither in quotes, nor in comments, nor as a part of a word.
        (
            "SELECT 'user?''TEXT', \"user\", user_of, superuser -- user?\nFROM t",
            "SELECT 'user?''TEXT', \"user\", user_of, superuser -- user?\nFROM t",
        ),
        ("SELECT 'ü' || ?1", "SELECT 'ü' || $1"),
        ("SELECT 'never closed ?1", "SELECT 'never closed ?1"),
        ("", ""),
    ] {
        assert_eq!(translate(sqlite), postgres);
    }
}
