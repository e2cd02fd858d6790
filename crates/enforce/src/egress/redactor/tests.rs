//! Every form of a secret at every place where a stream can be cut in two, and streams of single bytes.

use bailiwick_core::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::{Patterns, REDACTED, Redactor, Unfit, forms};

/// With what each escape has a form of its own for.
const SECRET: &str = "k?>/\"<&'=+~a-Zq9\\_x";

fn patterns() -> Patterns {
    Patterns::of(&Secret::new(SECRET.to_owned())).unwrap()
}

/// The stream after redaction, and how often something was taken out.
fn through(patterns: &Patterns, pieces: &[&[u8]]) -> (Vec<u8>, u64) {
    let mut redactor = Redactor::new(patterns);
    let mut out = Vec::new();
    for piece in pieces {
        out.extend(redactor.push(piece));
    }
    out.extend(redactor.finish());
    (out, redactor.hits())
}

/// What others write.
fn written() -> Vec<Vec<u8>> {
    let each = |write: fn(u8) -> String| SECRET.bytes().map(write).collect::<Vec<_>>().concat();
    let mut all = vec![
        SECRET.to_owned(),
        serde_json::to_string(SECRET).unwrap(),
        each(|byte| format!("%{byte:02X}")),
        each(|byte| format!("{byte:02x}")),
        each(|byte| format!("{byte:02X}")),
        each(|byte| format!("\\u{byte:04X}")),
        crate::egress::path::escaped(SECRET),
        SECRET.to_uppercase(),
    ];
    for before in ["", "u", "us", "use"] {
        let whole = format!("{before}{SECRET}:tail");
        all.push(STANDARD.encode(&whole));
        all.push(URL_SAFE_NO_PAD.encode(&whole));
    }
    all.into_iter().map(String::into_bytes).collect()
}

#[test]
fn reflection_every_form_every_split() {
    let patterns = patterns();
    let forms = [written(), forms::of(SECRET.as_bytes())].concat();
    assert!(forms.len() > 25, "{}", forms.len());
    for form in forms {
        let text = [b"data: <", &form[..], b"> end\n"].concat();
        let (whole, hits) = through(&patterns, &[&text]);
        assert_eq!(hits, 1, "{}", String::from_utf8_lossy(&text));
        assert!(!patterns.stands_in(&whole));
        assert!(whole.windows(REDACTED.len()).any(|bytes| bytes == REDACTED));
        for at in 0..=text.len() {
            let (left, right) = text.split_at(at);
            assert_eq!(
                through(&patterns, &[left, right]),
                (whole.clone(), 1),
                "cut at {at}"
            );
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(through(&patterns, &bytes), (whole, 1), "byte by byte");
    }
}

#[test]
fn what_has_no_secret_passes_unchanged_and_at_once() {
    let patterns = patterns();
    let mut redactor = Redactor::new(&patterns);
    assert_eq!(redactor.push(b"data: 1\n\n"), b"data: 1\n\n");
    assert_eq!(redactor.push(b""), b"");
    // The beginning of a form waits, and goes on when it is none.
    assert_eq!(redactor.push(b"data: k?>"), b"data: ");
    assert_eq!(redactor.push(b"/x"), b"k?>/x");
    assert_eq!(redactor.push(b"k?"), b"");
    assert_eq!(redactor.finish(), b"k?");
    assert_eq!(redactor.hits(), 0);
}

#[test]
fn secrets_that_follow_each_other_are_all_taken_out() {
    let patterns = patterns();
    let text = format!("{SECRET}{SECRET}x{SECRET}").into_bytes();
    let bytes: Vec<&[u8]> = text.chunks(1).collect();
    let (out, hits) = through(&patterns, &bytes);
    let mark = String::from_utf8_lossy(REDACTED);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        format!("{mark}{mark}x{mark}")
    );
    assert_eq!(hits, 3);
}

#[test]
fn a_short_secret_is_refused() {
    let unfit = Patterns::of(&Secret::new("1234567".to_owned()));
    assert_eq!(unfit.err(), Some(Unfit::Short));
    assert!(Patterns::of(&Secret::new("12345678".to_owned())).is_ok());
}
