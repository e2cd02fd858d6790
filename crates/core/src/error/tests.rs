//! The page about error codes is exactly the table.

use super::Code;

const PAGE: &str = include_str!("../../../../docs/reference/errors.md");

#[test]
fn the_reference_page_is_the_table() {
    let written: Vec<&str> = PAGE
        .lines()
        .filter(|line| line.starts_with("| `") && line.split('|').count() == 6)
        .map(|line| line.rsplitn(3, '|').nth(2).unwrap())
        .collect();
    let table: Vec<String> = Code::ALL
        .iter()
        .map(|code| {
            let (status, exit) = (code.http_status(), code.exit_code());
            format!("| `{code}` | {status} | {exit} ")
        })
        .collect();
    assert_eq!(written, table, "correct docs/reference/errors.md");
}

#[test]
fn names_are_unique_and_numbers_plausible() {
    let mut names: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Code::ALL.len());
    for code in Code::ALL {
        assert!((400..=599).contains(&code.http_status()), "{code}");
        assert!(matches!(code.exit_code(), 1..=7 | 70), "{code}");
    }
}
