//! Signs for terminals that say they do not write UTF-8: each of the story's signs becomes one of ASCII, so that columns stay where they are.

use std::env;

/// The signs that our own text uses, and what stands for them.
const SIGNS: [(char, char); 12] = [
    ('→', '>'),
    ('└', '`'),
    ('·', '|'),
    ('✓', '+'),
    ('✗', 'X'),
    ('…', '~'),
    ('“', '"'),
    ('”', '"'),
    ('–', '-'),
    ('µ', 'u'),
    ('⟦', '<'),
    ('⟧', '>'),
];

/// Whether the locale is named and is none of UTF-8. Where nothing is said, as in most containers, terminals do write it.
pub(crate) fn is_wanted() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .filter_map(env::var_os)
        .find(|value| !value.is_empty());
    locale.is_some_and(|locale| !writes_utf8(&locale.to_string_lossy()))
}

/// POSIX locale names: `language[_territory][.codeset][@modifier]`.
fn writes_utf8(locale: &str) -> bool {
    let codeset = locale.split_once('.').map_or("", |(_, codeset)| codeset);
    let codeset = codeset.split('@').next().unwrap_or_default();
    let plain: String = codeset
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    plain.eq_ignore_ascii_case("utf8")
}

/// The text with signs of ASCII for ours.
pub(crate) fn signs(text: &str) -> String {
    let sign = |c: char| {
        let known = SIGNS.iter().find(|(sign, _)| *sign == c);
        known.map_or(c, |(_, ascii)| *ascii)
    };
    text.chars().map(sign).collect()
}

#[cfg(test)]
mod tests;
