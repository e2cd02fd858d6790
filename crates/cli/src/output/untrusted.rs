//! Words of agents and servers: what cannot be seen, or moves what is seen, is printed as its code point. A terminal that
//! shows them as they are can be made to lie about a call that a person is about to approve.

use std::fmt::Write as _;

pub(crate) use bailiwick_core::visible::Visible as Untrusted;
use bailiwick_core::visible::hides;

/// JSON text in which such characters are escapes. In JSON they can stand only inside strings, so the value is the same;
/// white space between values stays.
pub(crate) fn visible_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let mut units = [0_u16; 2];
    for c in json.chars() {
        if hides(c) && c != '\n' {
            for unit in c.encode_utf16(&mut units) {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        } else {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests;
