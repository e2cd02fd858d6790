//! The normal form of a value (04 §9 of the design): two spellings of one address, link, number or name have the same. It is compared,
//! never sent.

use unicode_normalization::UnicodeNormalization as _;

/// The normal form of a whole value.
pub fn normal(text: &str) -> String {
    let plain = plain(text);
    if let Some(link) = link(&plain) {
        return link;
    }
    if let Some(address) = address(&plain) {
        return address;
    }
    compact(&plain)
        .or_else(|| decimal(&plain))
        .unwrap_or_else(|| lexical(plain))
}

/// NFKC, lower case, without what is invisible, blanks to one.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut blank = false;
    for character in text.nfkc().flat_map(char::to_lowercase) {
        if character.is_whitespace() {
            blank = true;
            continue;
        }
        if is_invisible(character) {
            continue;
        }
        if blank && !plain.is_empty() {
            plain.push(' ');
        }
        blank = false;
        plain.push(character);
    }
    plain
}

/// Words of a text in [`plain`] form: runs of letters and digits.
pub fn words(plain: &str) -> impl Iterator<Item = &str> {
    plain
        .split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
}

/// A link without scheme, default port and last slash; none if it is no link.
fn link(plain: &str) -> Option<String> {
    let (scheme, rest) = plain.split_once("://")?;
    let port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return None,
    };
    if rest.is_empty() || rest.contains(' ') {
        return None;
    }
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = host.strip_suffix(port).unwrap_or(host);
    Some(format!("{host}{path}").trim_end_matches('/').to_owned())
}

/// `name <a@b>` and `mailto:a@b` are `a@b`.
fn address(plain: &str) -> Option<String> {
    let bare = match plain.strip_suffix('>') {
        Some(named) => named.rsplit_once('<')?.1,
        None => plain.strip_prefix("mailto:").unwrap_or(plain),
    };
    let (local, host) = bare.split_once('@')?;
    let is_one = !local.is_empty() && host.contains('.') && !bare.contains([' ', '/', '<']);
    is_one.then(|| bare.to_owned())
}

/// Numbers of accounts and telephones without what people put between their digits.
fn compact(plain: &str) -> Option<String> {
    let bare: String = plain
        .chars()
        .filter(|character| !matches!(character, ' ' | '-' | '(' | ')' | '/'))
        .collect();
    if bare.len() == plain.len() {
        return None;
    }
    let digits = bare.strip_prefix('+').unwrap_or(&bare);
    let phone = plain.starts_with(['+', '(']) && digits.len() >= 7 && all_digits(digits);
    (phone || is_iban(&bare)).then_some(bare)
}

/// ISO 13616: two letters, two check digits, 11 to 30 letters and digits.
pub fn is_iban(text: &str) -> bool {
    let bytes = text.as_bytes();
    (15..=34).contains(&bytes.len())
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            0 | 1 => byte.is_ascii_lowercase(),
            2 | 3 => byte.is_ascii_digit(),
            _ => byte.is_ascii_lowercase() || byte.is_ascii_digit(),
        })
}

/// The shortest way to write a decimal number.
fn decimal(plain: &str) -> Option<String> {
    let (sign, digits) = match plain.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", plain.strip_prefix('+').unwrap_or(plain)),
    };
    let (whole, part) = digits.split_once('.')?;
    let is_one = !whole.is_empty() && !part.is_empty() && all_digits(whole) && all_digits(part);
    let part = part.trim_end_matches('0');
    let point = if part.is_empty() { "" } else { "." };
    is_one.then(|| format!("{sign}{whole}{point}{part}"))
}

/// A path without `.` segments, doubled slashes and a last slash; any other text as it is. `..` stays: what it means depends on links.
fn lexical(plain: String) -> String {
    let odd = plain.contains("//") || plain.contains("./") || plain.ends_with('/');
    if !odd || plain.contains(' ') {
        return plain;
    }
    let root = if plain.starts_with('/') { "/" } else { "" };
    let segments = plain
        .split('/')
        .filter(|segment| !matches!(*segment, "" | "."));
    let path = segments.collect::<Vec<_>>().join("/");
    format!("{root}{path}")
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Zero-width, bidirectional, variation and tag characters, and controls.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests;
