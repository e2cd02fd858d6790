//! Of several duties of a kind, which holds.

use super::*;

fn strict(written: &[&str]) -> Vec<String> {
    let duties: Vec<Obligation> = written
        .iter()
        .map(|text| text.split_once(':').unwrap())
        .map(|(kind, argument)| Obligation {
            kind: kind.to_owned(),
            argument: argument.to_owned(),
        })
        .collect();
    let kept = strictest(duties.iter());
    assert_eq!(kept, strictest(duties.iter().rev()), "order matters");
    kept.into_iter()
        .map(|duty| format!("{}:{}", duty.kind, duty.argument))
        .collect()
}

#[test]
fn bounds_are_cut_and_labels_add_up() {
    assert_eq!(
        strict(&["max_ttl:1h", "max_ttl:5m", "max_ttl:300s"]),
        ["max_ttl:300s"]
    );
    assert_eq!(
        strict(&["max_bytes:1000", "max_bytes:99"]),
        ["max_bytes:99"]
    );
    assert_eq!(
        strict(&["rate:100/1h", "rate:2/1m", "rate:3/1m"]),
        ["rate:100/1h"]
    );
    assert_eq!(
        strict(&[
            "redact:pii",
            "label:secret",
            "redact:internal",
            "redact:pii"
        ]),
        ["label:secret", "redact:internal", "redact:pii"]
    );
}
