//! Strict JSON over bytes: what is refused here cannot be read in two ways further on (RFC 8259, RFC 7493, RFC 8785).
//!
//! [`check`] is the only door: it returns a [`Text`], one JSON value in valid UTF-8 with nothing around it, no
//! duplicate keys at any level, no lone surrogates, and within named [`Limits`]. A `Text` keeps the bytes as received;
//! byte ranges of members and elements allow splicing, [`Text::canonical`] gives digests, [`Text::leaves`] flattens.

mod canonical;
mod leaves;
mod reader;
mod strings;
mod text;

#[cfg(test)]
mod tests;

pub use canonical::Numbers;
pub use leaves::{Leaves, Node, Scalar};
pub use text::{Kind, Member, Text, check};

use crate::{Code, Fault};

/// Bounds that a text must keep, and whether keys may differ in case alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest text, in bytes.
    pub bytes: usize,
    /// Deepest nesting of arrays and objects; a scalar alone has depth 0.
    pub depth: usize,
    /// Most object members and array elements, counted together over all levels.
    pub members: usize,
    /// Refuse two keys of one object that are equal under case folding: some decoders take `Name` for `name`.
    pub caseless: bool,
}

impl Limits {
    /// One MCP message: 4 MiB, depth 64, 100,000 members and elements, keys distinct under case folding.
    pub const ENVELOPE: Self = Self {
        bytes: 4 << 20,
        depth: 64,
        members: 100_000,
        caseless: true,
    };
    /// A JOSE header or claims set: 16 KiB, depth 8.
    pub const JOSE: Self = Self {
        bytes: 16 << 10,
        depth: 8,
        members: 4_096,
        caseless: false,
    };

    /// The same bounds where keys may differ in case alone.
    #[must_use]
    pub const fn case_sensitive(self) -> Self {
        Self {
            caseless: false,
            ..self
        }
    }
}

/// Why a text is refused, and at which byte. The message never repeats the text: it may hold secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset}")]
pub struct JsonError {
    /// What is wrong.
    pub kind: Flaw,
    /// Offset of the first byte that is wrong; for keys, of the opening quote of the later one.
    pub offset: usize,
}

/// What is wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// Longer than [`Limits::bytes`].
    #[error("text longer than allowed")]
    TooLarge,
    /// Nested deeper than [`Limits::depth`].
    #[error("nesting deeper than allowed")]
    TooDeep,
    /// More members and elements than [`Limits::members`].
    #[error("more members and elements than allowed")]
    TooMany,
    /// Not UTF-8.
    #[error("invalid UTF-8")]
    Utf8,
    /// Starts with a byte order mark (RFC 8259 §8.1).
    #[error("byte order mark")]
    ByteOrderMark,
    /// The text stops inside a value.
    #[error("unexpected end of text")]
    End,
    /// A byte that the grammar does not allow here.
    #[error("unexpected byte")]
    Unexpected,
    /// Something other than white space after the value.
    #[error("bytes after the value")]
    Trailing,
    /// A number that the grammar does not allow, such as `01` or `1.`.
    #[error("malformed number")]
    Number,
    /// A number that no double can hold; only canonical form minds.
    #[error("number out of range")]
    NumberRange,
    /// An escape sequence that the grammar does not allow.
    #[error("malformed escape")]
    Escape,
    /// An unescaped control character in a string.
    #[error("control character in a string")]
    Control,
    /// Half of a surrogate pair.
    #[error("lone surrogate")]
    Surrogate,
    /// A key that this object has already, after unescaping.
    #[error("duplicate key")]
    DuplicateKey,
    /// A key that differs from another of this object in case alone.
    #[error("keys that differ in case alone")]
    CaseClash,
}

impl Fault for JsonError {
    fn code(&self) -> Code {
        match self.kind {
            Flaw::TooLarge => Code::TooLarge,
            _ => Code::EnvelopeInvalid,
        }
    }

    fn help(&self) -> String {
        "send one JSON value in UTF-8, each key once per object, within the documented size and depth".to_owned()
    }
}

impl JsonError {
    pub(crate) const fn new(kind: Flaw, offset: usize) -> Self {
        Self { kind, offset }
    }
}
