//! What a secret is before any of its letters is escaped.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// All forms, each once. Letters count in either case, so each form is here in one.
pub(super) fn of(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut hex = String::new();
    for byte in secret {
        // Writing to a String does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    let mut forms = vec![secret.to_vec(), hex.into_bytes()];
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
