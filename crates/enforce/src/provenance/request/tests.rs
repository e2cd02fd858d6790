//! What a request names.

use super::Requested;

#[test]
fn a_request_names_addresses_links_paths_numbers_and_quotations() {
    let asked = Requested::read(
        "Send 'my notes' to Anna <Anna@Corp.example>, see https://Corp.example/a/ and /srv/Plan.md; pay $1,200.50 or 80. It's \"due\" soon",
        "user",
    );
    let facts = asked.facts();
    let list = |set: &std::collections::BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>();
    assert_eq!(facts.source, "user");
    assert_eq!(list(&facts.emails), ["anna@corp.example"]);
    assert_eq!(
        (list(&facts.urls), list(&facts.hosts)),
        (
            vec!["corp.example/a".to_owned()],
            vec!["corp.example".to_owned()]
        )
    );
    assert_eq!(list(&facts.paths), ["/srv/plan.md"]);
    assert_eq!(list(&facts.quoted), ["due", "my notes"]);
    assert!(asked.has_amount("1200.5") && asked.has_amount("80") && !asked.has_amount("200"));
}

#[test]
fn values_stand_on_word_borders() {
    let asked = Requested::read(
        "add Bob to channel 42 and file '7' of general-2, case 2024",
        "user",
    );
    for (value, named) in [
        ("bob", true),
        ("Bo", false),
        ("42", false),
        ("7", true),
        ("2024", true),
        ("024", false),
        ("general", true),
        ("channel 42", true),
        ("b", false),
        ("", false),
    ] {
        assert_eq!(asked.names(value), named, "{value}");
    }
}
