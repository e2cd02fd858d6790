//! The path and query of a request in the one spelling that is matched and sent (RFC 3986 §6.2.2): what could be read in two ways by an
//! upstream, or by whatever stands before it, is refused.

/// A path that every parser reads alike: absolute, without dot segments, empty segments or hidden separators; escapes in upper case, and
/// only where they are needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(String);

/// A path or query that is not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {part} {why}")]
pub struct Ambiguous {
    part: &'static str,
    why: &'static str,
}

impl Path {
    /// Brings a path as received into its one spelling.
    pub fn normal(raw: &str) -> Result<Self, Ambiguous> {
        let bad = |why| Ambiguous { part: "path", why };
        let rest = raw
            .strip_prefix('/')
            .ok_or_else(|| bad("does not begin with a slash"))?;
        let mut segments: Vec<String> = Vec::new();
        let mut parts = rest.split('/').peekable();
        while let Some(part) = parts.next() {
            let last = parts.peek().is_none();
            let segment = segment(part)?;
            // `..;x` is `..` to servers that cut parameters off before they look, and `..%3Bx` to those that decode before that.
            let ends = [";", "%3B", "%3F", "%23"];
            let end = ends.iter().filter_map(|end| segment.find(end)).min();
            let bare = segment.get(..end.unwrap_or(segment.len()));
            if end.is_some() && matches!(bare, Some("." | "..")) {
                return Err(bad("has a dot segment with parameters"));
            }
            match segment.as_str() {
                ".." => {
                    segments.pop().ok_or_else(|| bad("leads above its root"))?;
                    if last {
                        segments.push(String::new());
                    }
                }
                "." if last => segments.push(String::new()),
                "." => {}
                "" if !last => return Err(bad("has an empty segment")),
                _ => segments.push(segment),
            }
        }
        // A trailing slash that dot segments left behind another one is one slash.
        while segments.len() > 1 && segments.iter().rev().take(2).all(String::is_empty) {
            segments.pop();
        }
        Ok(Self(format!("/{}", segments.join("/"))))
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its segments; the last one is empty if it ends with a slash.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.get(1..).unwrap_or_default().split('/')
    }
}

/// Brings a query as received into the form that is sent: nothing is decoded, what no URL has bare is escaped.
pub fn query(raw: &str) -> Result<String, Ambiguous> {
    let bad = |why| Ambiguous { part: "query", why };
    let mut out = String::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let value = escape(&mut bytes).ok_or_else(|| bad("has a broken escape"))?;
                push_escape(&mut out, value);
            }
            b'"' | b'<' | b'>' | b'\'' => push_escape(&mut out, byte),
            b'#' => return Err(bad("has a fragment")),
            0x21..=0x7e => out.push(char::from(byte)),
            _ => return Err(bad("has a byte that is not visible ASCII")),
        }
    }
    Ok(out)
}

/// The name of one `name=value` of a query, decoded as forms are.
pub fn name_of(pair: &str) -> Vec<u8> {
    let name = pair.split('=').next().unwrap_or_default();
    let mut bytes = name.bytes();
    let mut out = Vec::with_capacity(name.len());
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => out.extend(escape(&mut bytes)),
            b'+' => out.push(b' '),
            other => out.push(other),
        }
    }
    out
}

/// A text as one value of a query.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_unreserved(byte) {
            out.push(char::from(byte));
        } else {
            push_escape(&mut out, byte);
        }
    }
    out
}

/// RFC 3986 §2.3.
pub fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn segment(raw: &str) -> Result<String, Ambiguous> {
    let bad = |why| Ambiguous { part: "path", why };
    let mut out = String::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let value = escape(&mut bytes).ok_or_else(|| bad("has a broken escape"))?;
                match value {
                    b'/' | b'\\' => return Err(bad("has an escaped slash or backslash")),
                    0..=0x1f | 0x7f => return Err(bad("has an escaped control character")),
                    value if is_unreserved(value) => out.push(char::from(value)),
                    value => push_escape(&mut out, value),
                }
            }
            b'\\' => return Err(bad("has a backslash")),
            // RFC 3986 §3.3, pchar.
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':'
            | b'@' => out.push(char::from(byte)),
            byte if is_unreserved(byte) => out.push(char::from(byte)),
            _ => return Err(bad("has a character that has to be escaped")),
        }
    }
    // Seen in what is sent, not in what came: the digits may have been escaped themselves.
    let mut percents = out.match_indices("%25");
    if percents.any(|(at, found)| begins_with_digits(&out, at + found.len())) {
        return Err(bad("is escaped twice"));
    }
    Ok(out)
}

/// Whether two hexadecimal digits stand there.
fn begins_with_digits(text: &str, at: usize) -> bool {
    let rest = text.get(at..).unwrap_or_default();
    escape(&mut rest.bytes()).is_some()
}

/// The byte that the two digits after a percent sign stand for.
fn escape(bytes: &mut std::str::Bytes<'_>) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
    u8::try_from(high * 16 + low).ok()
}

fn push_escape(out: &mut String, byte: u8) {
    let digit = |value: u8| {
        char::from_digit(u32::from(value), 16)
            .unwrap_or('0')
            .to_ascii_uppercase()
    };
    out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
}

#[cfg(test)]
mod tests;
