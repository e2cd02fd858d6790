//! The tables fit together, bars are exact, nothing is above its cap, and what is missing is never shown.

use std::collections::BTreeSet;

use expect_test::expect;

use super::*;

fn basis() -> Basis {
    Basis {
        since: Timestamp::from_secs(1_790_000_000),
        until: Timestamp::from_secs(1_790_086_400),
        issued_at: Timestamp::from_secs(1_790_086_400),
        origin: "acme.example/n1".to_owned(),
        size: 12,
        complete: true,
    }
}

fn all(good: u64, of: u64) -> BTreeMap<String, Measured> {
    let facts = table::facts().unwrap();
    let measured = Measured {
        good,
        of,
        ..Measured::default()
    };
    facts
        .into_iter()
        .map(|fact| (fact.id, measured.clone()))
        .collect()
}

fn statuses(report: &Report) -> Vec<String> {
    let claims = report.claims.iter();
    claims
        .map(|claim| format!("{} {}", claim.row.number, claim.status.as_str()))
        .collect()
}

#[test]
fn tables_fit_together_and_name_every_item_once() {
    let known: BTreeSet<String> = table::facts()
        .unwrap()
        .into_iter()
        .map(|fact| fact.id)
        .collect();
    let counts = [10, 10, 8, 72];
    for (name, items) in FrameworkName::ALL.into_iter().zip(counts) {
        let framework = table::framework(name).unwrap();
        let numbers = framework.rows.iter().map(|row| row.number.clone());
        let numbers: Vec<String> = numbers.chain(framework.silent.clone()).collect();
        assert_eq!(numbers.len(), items, "{name}");
        let once: BTreeSet<&String> = numbers.iter().collect();
        assert_eq!(once.len(), items, "{name}");
        for row in &framework.rows {
            assert!(row.facts.iter().all(|fact| known.contains(fact)), "{row:?}");
        }
        assert_eq!(name.as_str().parse(), Ok(name));
    }
    for fact in table::facts().unwrap() {
        let measured = fact.says.is_some() && fact.query.is_some() && fact.covered.is_some();
        assert!(measured != fact.missing.is_some(), "{fact:?}");
    }
}

/// Even if everything that can be measured were perfect.
#[test]
fn nothing_is_above_its_cap_and_what_is_missing_is_not_covered() {
    for name in FrameworkName::ALL {
        let best = report(name, &all(7, 7), basis()).unwrap();
        for claim in &best.claims {
            assert!(claim.status <= claim.row.cap, "{claim:?}");
            let missing = claim.row.facts.iter().any(|id| {
                let found = best.facts.iter().find(|found| found.fact.id == *id);
                found.unwrap().fact.missing.is_some()
            });
            if missing || claim.row.facts.is_empty() {
                assert_eq!(claim.status, Status::NotCovered, "{claim:?}");
            }
            assert_eq!(
                claim.because.is_empty(),
                claim.status == Status::Covered,
                "{claim:?}"
            );
        }
    }
    let best = report(FrameworkName::OwaspAgentic, &all(7, 7), basis()).unwrap();
    expect![[r"
        ASI01 not covered
        ASI02 covered
        ASI03 partial
        ASI04 not covered
        ASI05 not covered
        ASI06 partial
        ASI07 partial
        ASI08 not covered
        ASI09 partial
        ASI10 not covered"]]
    .assert_eq(&statuses(&best).join("\n"));
}

/// For every fact that is measured: breaking it alone takes down exactly the rows that rest on it.
#[test]
fn breaking_one_fact_takes_down_its_rows_and_no_other() {
    for name in FrameworkName::ALL {
        let best = report(name, &all(7, 7), basis()).unwrap();
        for found in &best.facts {
            let id = &found.fact.id;
            for broken in [
                Some(Measured {
                    of: 7,
                    ..Measured::default()
                }),
                None,
            ] {
                let mut measured = all(7, 7);
                match broken {
                    Some(broken) => measured.insert(id.clone(), broken),
                    None => measured.remove(id),
                };
                let now = report(name, &measured, basis()).unwrap();
                for (before, after) in best.claims.iter().zip(&now.claims) {
                    let rests = after.row.facts.contains(id);
                    let wanted = if rests {
                        Status::NotCovered
                    } else {
                        before.status
                    };
                    assert_eq!(after.status, wanted, "{id} {after:?}");
                }
            }
        }
    }
}

#[test]
fn bars_are_met_exactly_or_not_at_all() {
    let status = |good, of| {
        let fact = Fact {
            lacks: None,
            ..table::facts().unwrap().remove(3)
        };
        let measured = Measured {
            good,
            of,
            ..Measured::default()
        };
        judge(&fact, Some(&measured), true).0
    };
    assert_eq!(status(999, 1_000), Status::Covered);
    assert_eq!(status(9_989, 10_000), Status::Partial);
    assert_eq!(status(95, 100), Status::Partial);
    assert_eq!(status(9_499, 10_000), Status::NotCovered);
    assert_eq!(status(u64::MAX, u64::MAX), Status::Covered);
    assert_eq!(status(u64::MAX / 2, u64::MAX), Status::NotCovered);
}

#[test]
fn an_empty_or_unread_period_shows_nothing_or_little() {
    let empty = report(FrameworkName::OwaspAgentic, &all(0, 0), basis()).unwrap();
    assert!(
        empty
            .claims
            .iter()
            .all(|claim| claim.status == Status::NotCovered)
    );
    let status = |id: &str| {
        let found = empty.facts.iter().find(|found| found.fact.id == id);
        found.unwrap().status
    };
    assert_eq!(
        (status("F06"), status("F03")),
        (Status::Partial, Status::NotCovered)
    );
    let unread = Basis {
        complete: false,
        ..basis()
    };
    for name in FrameworkName::ALL {
        let unread = report(name, &all(7, 7), unread.clone()).unwrap();
        assert_eq!(unread.counts.get(&Status::Covered), None);
        assert_eq!(unread.counts.get(&Status::Partial), None);
    }
}

/// Names in a report are others' words: a page and a table show them and do nothing else with them.
#[test]
fn what_others_called_things_is_text_in_every_form() {
    let mut measured = all(7, 7);
    let hostile = "x<script>alert(1)</script>|`\"'&\n[a](b)";
    measured.insert(
        "F07".to_owned(),
        Measured {
            good: 6,
            of: 7,
            against: vec![Place {
                kind: "tool".to_owned(),
                id: hostile.to_owned(),
                index: None,
                leaf_hash: None,
            }],
            examples: vec![Place {
                kind: "event".to_owned(),
                id: "evt_00000000000000000000000000".to_owned(),
                index: Some(4),
                leaf_hash: None,
            }],
        },
    );
    let report = report(FrameworkName::OwaspAgentic, &measured, basis()).unwrap();
    let page = html(&report);
    assert!(
        page.contains("x&lt;script&gt;alert(1)&lt;/script&gt;|`&quot;&#39;&amp;\u{fffd}[a](b)")
    );
    assert!(!page.contains("<script"), "{page}");
    assert!(page.contains("bailiwick audit prove evt_00000000000000000000000000"));
    for claim in &report.claims {
        assert!(page.contains(&claim.row.number), "{}", claim.row.number);
    }
    let text = markdown(&report);
    assert!(
        !text.contains("<script") && !text.contains("[a](b)"),
        "{text}"
    );
    let rows = text.lines().filter(|line| line.starts_with("| ASI"));
    let mut count = 0;
    for row in rows {
        assert_eq!(row.matches('|').count(), 6, "{row}");
        count += 1;
    }
    assert_eq!(count, 10);
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
}
