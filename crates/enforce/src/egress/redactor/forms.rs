//! The ways in which a secret is written.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::egress::path::is_unreserved;

/// All forms, each once. Letters count in either case, so each form is here in one.
pub(super) fn of(secret: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(secret);
    let mut forms = vec![
        secret.to_vec(),
        each(secret, |byte, out| {
            if is_unreserved(byte) {
                out.push(char::from(byte));
            } else {
                escape(out, "%", byte, 2);
            }
        }),
        each(secret, |byte, out| escape(out, "%", byte, 2)),
        each(secret, |byte, out| escape(out, "", byte, 2)),
        each(secret, |byte, out| escape(out, "\\x", byte, 2)),
        each(secret, |byte, out| escape(out, "\\u", byte, 4)),
        json(&text, &[]),
        json(&text, &['/']),
        json(&text, &['<', '>', '&', '\'', '=', '+']),
        html(&text).into_bytes(),
    ];
    for shift in 0..3 {
        forms.push(base64(secret, shift, |bytes| STANDARD_NO_PAD.encode(bytes)));
        forms.push(base64(secret, shift, |bytes| URL_SAFE_NO_PAD.encode(bytes)));
    }
    for form in &mut forms {
        form.make_ascii_lowercase();
    }
    forms.sort_unstable();
    forms.dedup();
    forms
}

fn each(secret: &[u8], write: impl Fn(u8, &mut String)) -> Vec<u8> {
    let mut out = String::new();
    for byte in secret {
        write(*byte, &mut out);
    }
    out.into_bytes()
}

fn escape(out: &mut String, mark: &str, byte: u8, digits: usize) {
    // Writing to a String does not fail.
    let _ = write!(out, "{mark}{byte:0digits$x}");
}

/// As the inside of a JSON string (RFC 8259 §7); `also` are escaped too, as some writers do: a slash by a backslash, others by number.
fn json(text: &str, also: &[char]) -> Vec<u8> {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            '/' if also.contains(&'/') => out.push_str("\\/"),
            letter if also.contains(&letter) => {
                let _ = write!(out, "\\u{:04x}", u32::from(letter));
            }
            _ => out.push(letter),
        }
    }
    out.into_bytes()
}

fn html(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(letter),
        }
    }
    out
}

/// The digits of base64 (RFC 4648 §4) that the secret alone decides when `shift` bytes stand before it, mod 3.
fn base64(secret: &[u8], shift: usize, encode: impl Fn(&[u8]) -> String) -> Vec<u8> {
    let mut shifted = vec![0; shift];
    shifted.extend_from_slice(secret);
    let digits = encode(&shifted);
    let (first, end) = ((shift * 8).div_ceil(6), shifted.len() * 8 / 6);
    digits
        .as_bytes()
        .get(first..end)
        .unwrap_or_default()
        .to_vec()
}
