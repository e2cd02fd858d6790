//! Pull reader for one JSON text: the grammar of RFC 8259 and the limits, without recursion. Duplicate keys are
//! [`super::check`]'s business.

use std::ops::Range;

use super::strings::scan_string;
use super::{Flaw, JsonError, Limits};

/// One step through a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    ObjectStart,
    ObjectEnd,
    ArrayStart,
    ArrayEnd,
    /// A member's name; the range includes the quotes.
    Key,
    /// A string value; the range includes the quotes.
    String,
    Number,
    Bool(bool),
    Null,
}

/// Walks a text token by token and stops at the first error.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    open: Vec<Container>,
    expect: Expect,
    members: usize,
    limits: Limits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    Object,
    Array,
}

#[derive(Debug, Clone, Copy)]
enum Expect {
    Value,
    KeyOrEnd,
    ElementOrEnd,
    CommaOrEnd,
    Nothing,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, limits: &Limits) -> Self {
        Self {
            bytes: text.as_bytes(),
            at: 0,
            open: Vec::new(),
            expect: Expect::Value,
            members: 0,
            limits: *limits,
        }
    }

    /// How many containers are open after the token returned last.
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// The next token and its bytes, or `None` after the value.
    pub(super) fn next(&mut self) -> Result<Option<(Token, Range<usize>)>, JsonError> {
        self.skip_blank();
        match self.expect {
            Expect::Nothing => match self.peek() {
                None => Ok(None),
                Some(_) => Err(self.flaw(Flaw::Trailing)),
            },
            Expect::Value => self.value().map(Some),
            Expect::KeyOrEnd => match self.peek() {
                Some(b'}') => Ok(Some(self.close(Token::ObjectEnd))),
                _ => self.key().map(Some),
            },
            Expect::ElementOrEnd => match self.peek() {
                Some(b']') => Ok(Some(self.close(Token::ArrayEnd))),
                _ => self.value().map(Some),
            },
            Expect::CommaOrEnd => self.comma_or_end(),
        }
    }

    fn comma_or_end(&mut self) -> Result<Option<(Token, Range<usize>)>, JsonError> {
        let container = self.open.last().copied();
        match (self.peek(), container) {
            (Some(b'}'), Some(Container::Object)) => Ok(Some(self.close(Token::ObjectEnd))),
            (Some(b']'), Some(Container::Array)) => Ok(Some(self.close(Token::ArrayEnd))),
            (Some(b','), Some(Container::Object)) => {
                self.at += 1;
                self.skip_blank();
                self.key().map(Some)
            }
            (Some(b','), Some(Container::Array)) => {
                self.at += 1;
                self.skip_blank();
                self.value().map(Some)
            }
            _ => Err(self.unexpected()),
        }
    }

    fn key(&mut self) -> Result<(Token, Range<usize>), JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected());
        }
        self.count()?;
        let range = self.string()?;
        self.skip_blank();
        if self.peek() != Some(b':') {
            return Err(self.unexpected());
        }
        self.at += 1;
        self.expect = Expect::Value;
        Ok((Token::Key, range))
    }

    fn value(&mut self) -> Result<(Token, Range<usize>), JsonError> {
        if self.open.last() == Some(&Container::Array) {
            self.count()?;
        }
        let start = self.at;
        let token = match self.peek() {
            Some(b'{') => {
                return self.enter(Token::ObjectStart, Container::Object, Expect::KeyOrEnd);
            }
            Some(b'[') => {
                return self.enter(Token::ArrayStart, Container::Array, Expect::ElementOrEnd);
            }
            Some(b'"') => {
                self.string()?;
                Token::String
            }
            Some(b't') => self.literal(b"true", Token::Bool(true))?,
            Some(b'f') => self.literal(b"false", Token::Bool(false))?,
            Some(b'n') => self.literal(b"null", Token::Null)?,
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                Token::Number
            }
            _ => return Err(self.unexpected()),
        };
        self.after_value();
        Ok((token, start..self.at))
    }

    fn enter(
        &mut self,
        token: Token,
        container: Container,
        expect: Expect,
    ) -> Result<(Token, Range<usize>), JsonError> {
        if self.open.len() >= self.limits.depth {
            return Err(self.flaw(Flaw::TooDeep));
        }
        self.open.push(container);
        self.at += 1;
        self.expect = expect;
        Ok((token, self.at - 1..self.at))
    }

    fn close(&mut self, token: Token) -> (Token, Range<usize>) {
        self.open.pop();
        self.at += 1;
        self.after_value();
        (token, self.at - 1..self.at)
    }

    fn after_value(&mut self) {
        self.expect = if self.open.is_empty() {
            Expect::Nothing
        } else {
            Expect::CommaOrEnd
        };
    }

    fn count(&mut self) -> Result<(), JsonError> {
        self.members += 1;
        if self.members > self.limits.members {
            return Err(self.flaw(Flaw::TooMany));
        }
        Ok(())
    }

    fn string(&mut self) -> Result<Range<usize>, JsonError> {
        let start = self.at;
        self.at = scan_string(self.bytes, start)?;
        Ok(start..self.at)
    }

    fn literal(&mut self, word: &[u8], token: Token) -> Result<Token, JsonError> {
        for expected in word {
            if self.peek() != Some(*expected) {
                return Err(self.unexpected());
            }
            self.at += 1;
        }
        Ok(token)
    }

    fn number(&mut self) -> Result<(), JsonError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
            if self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                return Err(self.flaw(Flaw::Number));
            }
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        match self.peek() {
            _ if self.at > start => Ok(()),
            None => Err(self.flaw(Flaw::End)),
            Some(_) => Err(self.flaw(Flaw::Number)),
        }
    }

    fn skip_blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn unexpected(&self) -> JsonError {
        match self.peek() {
            None => self.flaw(Flaw::End),
            Some(_) => self.flaw(Flaw::Unexpected),
        }
    }

    fn flaw(&self, kind: Flaw) -> JsonError {
        JsonError::new(kind, self.at)
    }
}
