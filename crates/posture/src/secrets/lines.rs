//! Where the value of a name is, in whatever notation: `K=v`, `"k": "v"`, `k => 'v'`, `<k>v</k>`, `--k v`, `k("v")`,
//! `name: K` with `value: v` beside it. Notations are told apart round the name, not by parsing the file: files are broken,
//! mixed and cut.

mod syntax;

use std::ops::Range;

pub(super) use syntax::Syntax;

/// A value that was found for a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Located {
    /// Where, without quotes.
    pub(super) range: Range<usize>,
    /// Whether it stands for itself.
    pub(super) literal: bool,
    /// Whether backslashes in it are escapes.
    pub(super) escaped: bool,
}

/// Longest value, in bytes, with its escapes.
pub(super) const LONGEST: usize = 8_192;
/// Blanks between a name and its value.
const GAP: usize = 64;

/// Finds the value of the name at `key`.
pub(super) fn value_of(text: &[u8], key: &Range<usize>, syntax: Syntax) -> Option<Located> {
    let reader = Reader { text, syntax };
    reader.paired(key).or_else(|| reader.after(key))
}

struct Reader<'a> {
    text: &'a [u8],
    syntax: Syntax,
}

impl Reader<'_> {
    fn byte(&self, at: usize) -> Option<u8> {
        self.text.get(at).copied()
    }

    fn blanks(&self, mut at: usize) -> usize {
        let end = at + GAP;
        while at < end && matches!(self.byte(at), Some(b' ' | b'\t')) {
            at += 1;
        }
        at
    }

    /// `name: KEY`, `"name":"KEY"`, `key="KEY"`, and `value` after it.
    fn paired(&self, key: &Range<usize>) -> Option<Located> {
        let before = self.text.get(key.start.saturating_sub(24)..key.start)?;
        let is_noise = |byte: &u8| matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b'\\');
        let trim = |text: &'_ [u8]| -> usize {
            text.iter()
                .rposition(|byte| !is_noise(byte))
                .map_or(0, |at| at + 1)
        };
        let before = before.get(..trim(before))?;
        let (separator, before) = before.split_last()?;
        if !matches!(separator, b':' | b'=') {
            return None;
        }
        let before = before.get(..trim(before))?;
        let is_name = [b"name".as_slice(), b"key"].iter().any(|word| {
            before
                .len()
                .checked_sub(word.len())
                .and_then(|at| before.get(at..))
                .is_some_and(|end| end.eq_ignore_ascii_case(word))
        });
        if !is_name {
            return None;
        }
        let mut at = key.end;
        let end = at + GAP;
        while at < end
            && self
                .byte(at)
                .is_some_and(|byte| is_noise(&byte) || matches!(byte, b'\r' | b'\n' | b','))
        {
            at += 1;
        }
        if !self.text.get(at..at + 5)?.eq_ignore_ascii_case(b"value") {
            return None;
        }
        at += 5;
        while self.byte(at).is_some_and(|byte| is_noise(&byte)) {
            at += 1;
        }
        if !matches!(self.byte(at), Some(b':' | b'=')) {
            return None;
        }
        let at = self.blanks(at + 1);
        self.quoted(at).or_else(|| self.to_line_end(at))
    }

    fn after(&self, key: &Range<usize>) -> Option<Located> {
        let before = key.start.checked_sub(1).and_then(|at| self.byte(at));
        let mut at = key.end;
        let mut key_is_quoted = false;
        if self.byte(at) == Some(b'\\') && is_quote(self.byte(at + 1)) {
            at += 2;
            key_is_quoted = true;
        } else if is_quote(self.byte(at)) && is_quote(before) {
            at += 1;
            key_is_quoted = true;
        }
        if key_is_quoted {
            while matches!(self.byte(at), Some(b']' | b')')) && at < key.end + 4 {
                at += 1;
            }
        }
        let gap_from = at;
        at = self.blanks(at);
        let gap = at > gap_from;
        let next = self.byte(at)?;
        let mut colon = false;
        match next {
            b'>' if before == Some(b'<') => return self.element(at + 1),
            b'=' => match self.byte(at + 1) {
                Some(b'=' | b'~') => return None,
                Some(b'>') => at += 2,
                _ => at += 1,
            },
            b'-' if self.byte(at + 1) == Some(b'>') => return None,
            b':' => match self.byte(at + 1) {
                Some(b':') => return None,
                Some(b'=') => at += 2,
                _ => {
                    at += 1;
                    colon = true;
                }
            },
            b'?' if self.byte(at + 1) == Some(b'=') => at += 2,
            b',' if key_is_quoted => return self.quoted_at(self.blanks(at + 1)),
            b'(' => return self.quoted_at(self.blanks(at + 1)),
            _ if gap && is_quote(Some(next)) && !key_is_quoted => return self.quoted(at),
            _ if gap && !key_is_quoted => return self.spaced(key, at),
            _ => return None,
        }
        let tight = !gap && !matches!(self.byte(at), Some(b' ' | b'\t'));
        at = self.blanks(at);
        if colon {
            at = self.past_type(at);
        }
        at = self.past_line_end(at);
        if let Some(found) = self.quoted_at(at) {
            return Some(found);
        }
        let settings = self.begins_line(key.start)
            && (tight || colon || self.syntax == Syntax::Settings)
            && self.syntax != Syntax::Code;
        if settings {
            return self.to_line_end(at);
        }
        let literal = match self.syntax {
            Syntax::Settings => true,
            Syntax::Code => self.is_in_quotes(key.start),
            Syntax::Text => tight || self.is_in_quotes(key.start),
        };
        self.word(at, literal)
    }

    /// Values after a blank: flags, and directives that are known to have one.
    fn spaced(&self, key: &Range<usize>, at: usize) -> Option<Located> {
        let name = self.text.get(key.clone())?;
        let flag = name.starts_with(b"-");
        let directive = [
            b"requirepass".as_slice(),
            b"masterauth",
            b"_authtoken",
            b"password",
            b"secret",
        ]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
            && self.begins_line(key.start)
            && self.syntax != Syntax::Code;
        if flag || directive {
            self.word(at, true)
        } else {
            None
        }
    }

    /// A quote here, or one after a prefix (`b"`, `@"`) or the name of a function (`String::from("`).
    fn quoted_at(&self, at: usize) -> Option<Located> {
        if let Some(found) = self.quoted(at) {
            return Some(found);
        }
        let mut end = at;
        while end < at + 40
            && self.byte(end).is_some_and(|byte| {
                byte.is_ascii_alphanumeric()
                    || matches!(byte, b'_' | b':' | b'.' | b'@' | b'$' | b'!' | b'#')
            })
        {
            end += 1;
        }
        if end == at {
            return None;
        }
        let one_letter = end == at + 1;
        match self.byte(end) {
            Some(b'(') => self.quoted(end + 1),
            _ if one_letter || self.byte(end - 1) == Some(b'#') => self.quoted(end),
            _ => None,
        }
    }

    fn quoted(&self, at: usize) -> Option<Located> {
        let first = self.byte(at)?;
        // JSON within a string: `\"value\"`.
        if first == b'\\' && self.byte(at + 1) == Some(b'"') {
            let rest = self
                .text
                .get(at + 2..(at + 2 + LONGEST).min(self.text.len()))?;
            let length = memchr::memmem::find(rest, b"\\\"")?;
            return Some(Located {
                range: at + 2..at + 2 + length,
                literal: true,
                escaped: false,
            });
        }
        if !is_quote(Some(first)) {
            return None;
        }
        let triple = self.byte(at + 1) == Some(first) && self.byte(at + 2) == Some(first);
        let start = if triple { at + 3 } else { at + 1 };
        let mut end = start;
        let limit = (start + LONGEST).min(self.text.len());
        while end < limit {
            match self.byte(end)? {
                b'\\' if first != b'\'' || self.syntax == Syntax::Code => end += 1,
                b'\n' if !triple => return None,
                byte if byte == first => {
                    return Some(Located {
                        range: start..end,
                        literal: true,
                        escaped: true,
                    });
                }
                _ => {}
            }
            end += 1;
        }
        None
    }

    /// The text of an XML element.
    fn element(&self, at: usize) -> Option<Located> {
        let rest = self.text.get(at..(at + LONGEST).min(self.text.len()))?;
        let length = memchr::memchr2(b'<', b'\n', rest)?;
        (rest.get(length) == Some(&b'<')).then_some(Located {
            range: at..at + length,
            literal: true,
            escaped: false,
        })
    }

    fn to_line_end(&self, at: usize) -> Option<Located> {
        let rest = self.text.get(at..(at + LONGEST).min(self.text.len()))?;
        let end = rest
            .iter()
            .position(|byte| matches!(byte, b'\n' | b'\r' | 0))
            .unwrap_or(rest.len());
        let mut line = rest.get(..end)?;
        if let Some(comment) = memchr::memmem::find(line, b" #") {
            line = line.get(..comment)?;
        }
        let line = line.trim_ascii_end();
        let line = line.strip_suffix(b",").unwrap_or(line);
        (!line.is_empty()).then_some(Located {
            range: at..at + line.len(),
            literal: true,
            escaped: false,
        })
    }

    /// Up to what ends a word in every notation.
    fn word(&self, at: usize, literal: bool) -> Option<Located> {
        let rest = self.text.get(at..(at + LONGEST).min(self.text.len()))?;
        let ends = |byte: &u8| {
            byte.is_ascii_whitespace()
                || byte.is_ascii_control()
                || matches!(
                    byte,
                    b'"' | b'\''
                        | b'`'
                        | b','
                        | b';'
                        | b')'
                        | b']'
                        | b'}'
                        | b'<'
                        | b'>'
                        | b'&'
                        | b'|'
                        | b'\\'
                )
        };
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        (length > 0).then_some(Located {
            range: at..at + length,
            literal,
            escaped: false,
        })
    }

    /// Past the type in `password: String = "…"`.
    fn past_type(&self, at: usize) -> usize {
        let Some(rest) = self.text.get(at..(at + 48).min(self.text.len())) else {
            return at;
        };
        let is_type = |byte: &u8| {
            byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b'_' | b'<'
                        | b'>'
                        | b'&'
                        | b'\''
                        | b'['
                        | b']'
                        | b'|'
                        | b'?'
                        | b'.'
                        | b' '
                        | b':'
                )
        };
        match rest.iter().position(|byte| !is_type(byte)) {
            Some(equals)
                if rest.get(equals) == Some(&b'=') && rest.get(equals + 1) == Some(&b' ') =>
            {
                self.blanks(at + equals + 1)
            }
            _ => at,
        }
    }

    /// Past one line end, if a quote follows it.
    fn past_line_end(&self, at: usize) -> usize {
        let mut next = at;
        while next < at + GAP
            && (self
                .byte(next)
                .is_some_and(|byte| byte.is_ascii_whitespace())
                || (self.byte(next) == Some(b'\\') && self.byte(next + 1) == Some(b'\n')))
        {
            next += 1;
        }
        if next > at && is_quote(self.byte(next)) {
            next
        } else {
            at
        }
    }

    /// Whether nothing but what may introduce a setting is before it on the line.
    fn begins_line(&self, at: usize) -> bool {
        let from = at.saturating_sub(40);
        let Some(before) = self.text.get(from..at) else {
            return false;
        };
        let line = before
            .iter()
            .rposition(|byte| matches!(byte, b'\n' | b'\r' | 0))
            .map(|end| end + 1);
        let start = match line {
            Some(start) => start,
            None if from == 0 => 0,
            None => return false,
        };
        let head = before.get(start..).unwrap_or_default().trim_ascii();
        head.is_empty()
            || [
                b"export".as_slice(),
                b"set",
                b"setx",
                b"ENV",
                b"ARG",
                b"-",
                b"+",
                b"- ",
                b"$",
                b"$env:",
                b"\"",
                b"'",
                b"#",
                b"//",
                b"--",
                b"-e",
                b"declare -x",
            ]
            .contains(&head)
    }

    /// Whether a quote is open on this line.
    fn is_in_quotes(&self, at: usize) -> bool {
        let before = self
            .text
            .get(at.saturating_sub(400)..at)
            .unwrap_or_default();
        let line = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        let line = before.get(line..).unwrap_or_default();
        [b'"', b'\'']
            .iter()
            .any(|quote| memchr::memchr_iter(*quote, line).count() % 2 == 1)
    }
}

fn is_quote(byte: Option<u8>) -> bool {
    matches!(byte, Some(b'"' | b'\'' | b'`'))
}

#[cfg(test)]
mod tests;
