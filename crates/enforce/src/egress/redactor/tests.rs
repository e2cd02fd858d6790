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
    all.extend(by_others());
    for before in ["", "u", "us", "use"] {
        let whole = format!("{before}{SECRET}:tail");
        all.push(STANDARD.encode(&whole));
        all.push(URL_SAFE_NO_PAD.encode(&whole));
        // As PHP has it in JSON, and as forms have it.
        all.push(STANDARD.encode(&whole).replace('/', "\\/"));
        all.push(STANDARD.encode(&whole).replace('+', "%2B"));
    }
    all.into_iter().map(String::into_bytes).collect()
}

/// What writers make of it that escape only some letters, each its own.
fn by_others() -> Vec<String> {
    let some = |letters: &str, write: fn(u8) -> String| {
        let one = |byte: u8| {
            if letters.contains(char::from(byte)) {
                write(byte)
            } else {
                char::from(byte).to_string()
            }
        };
        SECRET.bytes().map(one).collect::<Vec<_>>().concat()
    };
    let named = |byte: u8| {
        let name = match byte {
            b'&' => "amp",
            b'<' => "lt",
            b'>' => "GT",
            b'"' => "quot",
            b'+' => "plus",
            b'/' => "sol",
            b'=' => "equals",
            b'?' => "quest",
            b'_' => "UnderBar",
            b'\\' => "bsol",
            other => return format!("&#{other};"),
        };
        format!("&{name};")
    };
    let in_turn = |at: usize, byte: u8| match at % 8 {
        0 => format!("%{byte:02x}"),
        1 => format!("\\u{byte:04x}"),
        2 => format!("\\x{byte:02X}"),
        3 => format!("&#{byte};"),
        4 => format!("&#x{byte:04X};"),
        5 => format!("\\u{{{byte:x}}}"),
        6 => format!("\\{byte:03o}"),
        _ => char::from(byte).to_string(),
    };
    let turns = SECRET.bytes().enumerate();
    vec![
        // Python's quote() and JavaScript's encodeURI().
        some("?>\"<&'=+\\", |byte| format!("%{byte:02X}")),
        some(">\"<\\", |byte| format!("%{byte:02x}")),
        // Gson; System.Text.Json; PHP's json_encode().
        some("<>&'=\"\\", |byte| format!("\\u{byte:04x}")),
        some("+", |byte| format!("\\u{byte:04X}")).replace("\\_", "\\\\_"),
        some("/\"\\", |byte| format!("\\{}", char::from(byte))),
        // Mustache; Go's html/template.
        some("&<>\"'/`=", |byte| format!("&#x{byte:02X};")),
        some("&<>\"'+", |byte| format!("&#{byte};")),
        some("&<>\"'+/=?_\\~", named),
        turns.map(|(at, byte)| in_turn(at, byte)).collect(),
    ]
}

#[test]
fn no_more_is_held_back_than_the_longest_form() {
    let patterns = patterns();
    let longest = forms::of(SECRET.as_bytes()).iter().map(Vec::len).max();
    let bound = longest.unwrap() * "&diacriticalgrave;".len();
    for text in [
        SECRET.bytes().fold(String::new(), |text, byte| {
            text + &format!("&#x{byte:06x};")
        }),
        "&".repeat(3 * bound),
        "&diacriticalgrave".repeat(bound),
        "\\u00".repeat(bound),
        "&#00000000000000000000000000000000".to_owned(),
        SECRET[..SECRET.len() - 1].repeat(bound / 8),
    ] {
        let mut redactor = Redactor::new(&patterns);
        for byte in text.as_bytes() {
            redactor.push(&[*byte]);
            assert!(redactor.held.len() < bound, "{text}");
        }
    }
}

#[test]
fn letters_outside_ascii_are_found_by_byte_and_by_number() {
    let patterns = Patterns::of(&Secret::new("schl\u{fc}ssel-\u{1f511}".to_owned())).unwrap();
    for text in [
        "schl\u{fc}ssel-\u{1f511}",
        "schl%C3%BCssel-%f0%9f%94%91",
        "schl\\u00fcssel-\\ud83d\\udd11",
        "schl&#252;ssel-&#x1F511;",
        "schl\\u{fc}ssel-\\u{1F511}",
    ] {
        for at in 0..=text.len() {
            let (left, right) = text.as_bytes().split_at(at);
            let out = through(&patterns, &[left, right]);
            assert_eq!(out, (REDACTED.to_vec(), 1), "{text} cut at {at}");
        }
    }
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
