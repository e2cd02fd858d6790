//! Sets of exact texts and prefixes. One [`Pattern`] is written `text` or `text*`; the [`Rule`] of a set says which texts it
//! never matches, so that a prefix cannot be left by `..`.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

/// Server and tool names, and strings in arguments.
pub type Names = Patterns<Plain>;
/// URIs of resources.
pub type Uris = Patterns<Uri>;

/// One text, or all texts that begin with one. Compared as bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pattern {
    /// This text alone.
    Exact(String),
    /// Every text that begins so.
    Prefix(String),
}

impl Pattern {
    /// The text, without the `*` of a prefix.
    pub fn text(&self) -> &str {
        match self {
            Self::Exact(text) | Self::Prefix(text) => text,
        }
    }

    /// Whether this pattern matches `text`.
    pub fn matches<R: Rule>(&self, text: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == text && R::readable(text),
            Self::Prefix(prefix) => text.starts_with(prefix.as_str()) && R::readable_below(text),
        }
    }

    /// What both match: again one pattern, or nothing.
    pub(super) fn meet<'a, R: Rule>(&'a self, other: &'a Self) -> Option<&'a str> {
        match (self, other) {
            (Self::Exact(text), _) | (_, Self::Exact(text)) => {
                (self.matches::<R>(text) && other.matches::<R>(text)).then_some(text)
            }
            (Self::Prefix(a), Self::Prefix(b)) if a.starts_with(b.as_str()) => Some(a),
            (Self::Prefix(a), Self::Prefix(b)) if b.starts_with(a.as_str()) => Some(b),
            (Self::Prefix(_), Self::Prefix(_)) => None,
        }
    }

    /// Whether whatever this matches, `other` matches too.
    pub(super) fn under<R: Rule>(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(text), _) => other.matches::<R>(text),
            (Self::Prefix(a), Self::Prefix(b)) => a.starts_with(b.as_str()),
            (Self::Prefix(_), Self::Exact(_)) => false,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => f.write_str(text),
            Self::Prefix(text) => write!(f, "{text}*"),
        }
    }
}

/// Text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is no pattern: {why}")]
pub struct BadPattern {
    pattern: String,
    why: &'static str,
}

impl BadPattern {
    fn new(pattern: &str, why: &'static str) -> Self {
        Self {
            pattern: pattern.chars().take(64).collect(),
            why,
        }
    }
}

impl FromStr for Pattern {
    type Err = BadPattern;

    fn from_str(written: &str) -> Result<Self, BadPattern> {
        let pattern = match written.strip_suffix('*') {
            Some(prefix) => Self::Prefix(prefix.to_owned()),
            None => Self::Exact(written.to_owned()),
        };
        if written.is_empty() {
            return Err(BadPattern::new(
                written,
                "it is empty; `*` matches everything",
            ));
        }
        if pattern.text().contains('*') {
            return Err(BadPattern::new(
                written,
                "`*` may stand at the end only, and means every text that begins so",
            ));
        }
        if written.len() > super::MAX_TEXT {
            return Err(BadPattern::new(written, "it is longer than 2048 bytes"));
        }
        Ok(pattern)
    }
}

/// What kind of text a set matches, and so which texts it never does.
pub trait Rule:
    fmt::Debug + Clone + Copy + PartialEq + Eq + PartialOrd + Ord + sealed::Sealed
{
    /// Whether an exact pattern may match `text`.
    fn readable(text: &str) -> bool;
    /// Whether a prefix may match `text`. Implies [`Rule::readable`].
    fn readable_below(text: &str) -> bool;
    /// Why this prefix can match nothing, or not what its writer meant.
    fn flawed_prefix(prefix: &str) -> Option<&'static str>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Plain {}
    impl Sealed for super::Uri {}
    impl Sealed for super::Path {}
}

/// Any text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Plain;

/// A URI. A prefix ends in `/`, and matches no URI with a dot segment, a backslash or a control character, plain or
/// percent-encoded: what a server would resolve to a place outside the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Uri;

/// A file path. Never matches a path with an empty, `.` or `..` segment, `\`, `%` or NUL; one leading `/` is the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path;

impl Rule for Plain {
    fn readable(_: &str) -> bool {
        true
    }

    fn readable_below(_: &str) -> bool {
        true
    }

    fn flawed_prefix(_: &str) -> Option<&'static str> {
        None
    }
}

impl Rule for Uri {
    fn readable(_: &str) -> bool {
        true
    }

    fn readable_below(text: &str) -> bool {
        let hidden = |code: &[u8]| {
            text.as_bytes()
                .windows(3)
                .any(|window| window.eq_ignore_ascii_case(code))
        };
        !text.split('/').any(|segment| matches!(segment, "." | ".."))
            && !text.contains(|letter: char| letter == '\\' || letter.is_control())
            && ![b"%2e", b"%2f", b"%5c", b"%00"]
                .into_iter()
                .any(|code| hidden(code))
    }

    fn flawed_prefix(prefix: &str) -> Option<&'static str> {
        if !prefix.ends_with('/') {
            return Some("a URI prefix ends in `/*`, so that it cannot run on into another name");
        }
        (!Self::readable_below(prefix)).then_some("it has a dot segment or a hidden separator")
    }
}

impl Rule for Path {
    fn readable(text: &str) -> bool {
        let relative = text.strip_prefix('/').unwrap_or(text);
        !text.contains(['\\', '%', '\0'])
            && relative
                .split('/')
                .all(|segment| !matches!(segment, "" | "." | ".."))
    }

    fn readable_below(text: &str) -> bool {
        Self::readable(text)
    }

    fn flawed_prefix(prefix: &str) -> Option<&'static str> {
        // The last segment goes on, so it may be anything that can still become a name; a letter stands for the rest.
        let completed = format!("{prefix}x");
        (!Self::readable(&completed))
            .then_some("a path has no empty, `.` or `..` segment, no `\\`, `%` or NUL")
    }
}

/// A set of patterns under one rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Patterns<R> {
    set: BTreeSet<Pattern>,
    rule: PhantomData<R>,
}

impl<R: Rule> Patterns<R> {
    /// Takes patterns as they are written.
    pub fn parse<S: AsRef<str>>(written: impl IntoIterator<Item = S>) -> Result<Self, BadPattern> {
        let mut set = BTreeSet::new();
        for written in written {
            let written = written.as_ref();
            let pattern: Pattern = written.parse()?;
            let flaw = match &pattern {
                Pattern::Prefix(prefix) => R::flawed_prefix(prefix),
                Pattern::Exact(text) if R::readable(text) => None,
                Pattern::Exact(_) => Some("it could never match under the rules for paths"),
            };
            if let Some(why) = flaw {
                return Err(BadPattern::new(written, why));
            }
            set.insert(pattern);
        }
        Ok(Self::of(set))
    }

    /// The patterns, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &Pattern> {
        self.set.iter()
    }

    /// How many patterns there are.
    pub fn len(&self) -> usize {
        self.set.len()
    }

    /// Whether nothing matches.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// Whether one of the patterns matches `text`.
    pub fn matches(&self, text: &str) -> bool {
        self.set.iter().any(|pattern| pattern.matches::<R>(text))
    }

    /// What both sets match.
    #[must_use]
    pub(super) fn meet<S>(&self, other: &Patterns<S>) -> Self {
        let mut set = BTreeSet::new();
        for a in &self.set {
            for b in &other.set {
                if let Some(text) = a.meet::<R>(b) {
                    let exact = matches!((a, b), (Pattern::Exact(_), _) | (_, Pattern::Exact(_)));
                    let text = text.to_owned();
                    set.insert(if exact {
                        Pattern::Exact(text)
                    } else {
                        Pattern::Prefix(text)
                    });
                }
            }
        }
        Self::of(set)
    }

    /// Whether each of these patterns is under one of `other`'s, judged by `other`'s rule `S`.
    pub(super) fn within<S: Rule>(&self, other: &Patterns<S>) -> bool {
        self.set
            .iter()
            .all(|a| other.set.iter().any(|b| a.under::<S>(b)))
    }

    /// Without what matches nothing or is under another pattern of the set.
    #[must_use]
    pub(super) fn normal(self) -> Self {
        let possible: Vec<Pattern> = self
            .set
            .into_iter()
            .filter(|pattern| match pattern {
                Pattern::Exact(text) => R::readable(text),
                Pattern::Prefix(prefix) => R::flawed_prefix(prefix).is_none(),
            })
            .collect();
        let needed = possible
            .iter()
            .filter(|a| !possible.iter().any(|b| a != &b && a.under::<R>(b)));
        Self::of(needed.cloned().collect())
    }

    /// The texts, if no pattern is a prefix.
    pub(super) fn exact(&self) -> Option<impl Iterator<Item = &str>> {
        let all = self
            .set
            .iter()
            .all(|pattern| matches!(pattern, Pattern::Exact(_)));
        all.then(|| self.set.iter().map(Pattern::text))
    }

    /// Bytes and elements, as the limit on a whole scope counts them.
    pub(super) fn weight(&self) -> usize {
        let texts: usize = self.set.iter().map(|pattern| pattern.text().len()).sum();
        texts + self.set.len() * super::ELEMENT_WEIGHT
    }

    fn of(set: BTreeSet<Pattern>) -> Self {
        Self {
            set,
            rule: PhantomData,
        }
    }
}

impl<R: Rule> fmt::Display for Patterns<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, pattern) in self.set.iter().enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            write!(f, "{comma}{pattern}")?;
        }
        Ok(())
    }
}
