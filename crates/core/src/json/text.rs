//! A checked JSON text and its outermost members and elements, with byte ranges in the text that was received.

use std::borrow::Cow;
use std::ops::Range;

use super::reader::{Reader, Token};
use super::strings::{fold, unescape};
use super::{Flaw, JsonError, Limits};

/// Reads exactly one JSON value from `bytes`, or says what is wrong and where.
pub fn check<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Text<'a>, JsonError> {
    if bytes.len() > limits.bytes {
        return Err(JsonError::new(Flaw::TooLarge, limits.bytes));
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(JsonError::new(Flaw::ByteOrderMark, 0));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| JsonError::new(Flaw::Utf8, error.valid_up_to()))?;
    let mut reader = Reader::new(text, limits);
    let mut keys = Keys::default();
    let mut value = 0..0;
    while let Some((token, range)) = reader.next()? {
        match token {
            Token::ObjectStart => keys.open(),
            Token::Key => keys.push(slice(text, &range), range.start),
            Token::ObjectEnd => keys.close(limits.caseless)?,
            _ => {}
        }
        if value.end == 0 {
            value.start = range.start;
        }
        value.end = range.end;
    }
    Ok(Text {
        text: slice(text, &value),
        offset: value.start,
    })
}

/// One JSON value that passed [`check`], as received, without white space around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<'a> {
    text: &'a str,
    offset: usize,
}

/// What sort of value a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// A number, of any size.
    Number,
    /// `true` or `false`
    Bool,
    /// `null`
    Null,
}

/// One member of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member<'a> {
    /// The name, unescaped.
    pub key: Cow<'a, str>,
    /// Where the name stands in the text given to [`check`], quotes included.
    pub key_range: Range<usize>,
    /// The value; [`Text::range`] says where it stands.
    pub value: Text<'a>,
}

impl<'a> Text<'a> {
    /// The value's own characters.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// The value's own bytes.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// Where this value stands in the bytes given to [`check`].
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.text.len()
    }

    /// What sort of value this is.
    pub fn kind(&self) -> Kind {
        match self.text.as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') => Kind::Null,
            _ => Kind::Number,
        }
    }

    /// The unescaped string, if this is one.
    pub fn string(&self) -> Option<Cow<'a, str>> {
        (self.kind() == Kind::String).then(|| unescape(self.text))
    }

    /// The members in their order, if this is an object.
    pub fn members(&self) -> Option<Vec<Member<'a>>> {
        let mut members = Vec::new();
        if self.kind() != Kind::Object {
            return None;
        }
        let mut name = None;
        self.outermost(|token, value, range| match token {
            Token::Key => name = Some((unescape(value.text), range)),
            _ => members.extend(name.take().map(|(key, key_range)| Member {
                key,
                key_range,
                value,
            })),
        })?;
        Some(members)
    }

    /// The value of the member `key`, if this is an object that has it.
    pub fn member(&self, key: &str) -> Option<Text<'a>> {
        let members = self.members()?;
        Some(members.into_iter().find(|member| member.key == key)?.value)
    }

    /// The elements in their order, if this is an array.
    pub fn elements(&self) -> Option<Vec<Text<'a>>> {
        let mut elements = Vec::new();
        if self.kind() != Kind::Array {
            return None;
        }
        self.outermost(|_, value, _| elements.push(value))?;
        Some(elements)
    }

    /// Walks all tokens; the text was checked, so the walk sees no error and needs no limits.
    pub(super) fn reader(&self) -> Reader<'a> {
        Reader::new(self.text, &UNLIMITED)
    }

    /// Calls `visit` with each key and each whole value of the outermost level. `None` cannot happen on checked text.
    fn outermost(&self, mut visit: impl FnMut(Token, Text<'a>, Range<usize>)) -> Option<()> {
        let mut reader = self.reader();
        let mut start = 0;
        reader.next().ok()??;
        while let Some((token, range)) = reader.next().ok()? {
            let depth = reader.depth();
            let whole = match token {
                Token::ObjectStart | Token::ArrayStart if depth == 2 => {
                    start = range.start;
                    continue;
                }
                Token::ObjectEnd | Token::ArrayEnd if depth == 1 => start..range.end,
                _ if depth == 1 => range,
                _ => continue,
            };
            let part = Text {
                text: slice(self.text, &whole),
                offset: self.offset + whole.start,
            };
            visit(token, part, part.range());
        }
        Some(())
    }
}

/// Names seen in the objects that are open, innermost last; sorting each object's own when it closes keeps the check at
/// O(n log n) without a hash that an attacker could aim at.
#[derive(Default)]
struct Keys<'a> {
    names: Vec<(Cow<'a, str>, usize)>,
    starts: Vec<usize>,
}

impl<'a> Keys<'a> {
    fn open(&mut self) {
        self.starts.push(self.names.len());
    }

    fn push(&mut self, quoted: &'a str, offset: usize) {
        self.names.push((unescape(quoted), offset));
    }

    fn close(&mut self, caseless: bool) -> Result<(), JsonError> {
        let start = self.starts.pop().unwrap_or(0);
        let own = self.names.get_mut(start..).unwrap_or_default();
        distinct(own, Flaw::DuplicateKey)?;
        if caseless {
            let mut folded: Vec<_> = own.iter().map(|(name, at)| (fold(name), *at)).collect();
            distinct(&mut folded, Flaw::CaseClash)?;
        }
        self.names.truncate(start);
        Ok(())
    }
}

fn distinct(names: &mut [(Cow<'_, str>, usize)], flaw: Flaw) -> Result<(), JsonError> {
    names.sort_unstable();
    let clash = names
        .iter()
        .zip(names.iter().skip(1))
        .find(|(a, b)| a.0 == b.0);
    match clash {
        Some((_, (_, offset))) => Err(JsonError::new(flaw, *offset)),
        None => Ok(()),
    }
}

pub(super) fn slice<'a>(text: &'a str, range: &Range<usize>) -> &'a str {
    text.get(range.clone()).unwrap_or_default()
}

const UNLIMITED: Limits = Limits {
    bytes: usize::MAX,
    depth: usize::MAX,
    members: usize::MAX,
    caseless: false,
};
