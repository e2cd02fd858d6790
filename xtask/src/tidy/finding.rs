//! What a rule found: where, which rule, what is wrong and what to do about it.

use std::fmt;

/// One thing a rule has to say. The order is that of the report: errors first, then by place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    pub(crate) weight: Weight,
    /// From the root of the repository, with `/`.
    pub(crate) path: String,
    /// Counted from 1; none where the whole file is meant.
    pub(crate) line: Option<usize>,
    pub(crate) rule: &'static str,
    pub(crate) what: String,
    pub(crate) help: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    /// Fails the check.
    Error,
    /// Only said.
    Note,
}

impl Finding {
    pub(crate) fn error(
        rule: &'static str,
        path: &str,
        what: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            weight: Weight::Error,
            path: path.to_owned(),
            line: None,
            rule,
            what: what.into(),
            help: help.into(),
        }
    }

    pub(crate) fn note(
        rule: &'static str,
        path: &str,
        what: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            weight: Weight::Note,
            ..Self::error(rule, path, what, help)
        }
    }

    pub(crate) fn at(self, line: impl Into<Option<usize>>) -> Self {
        Self {
            line: line.into(),
            ..self
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.weight == Weight::Note {
            f.write_str("note: ")?;
        }
        f.write_str(&self.path)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": [{}] {}; {}", self.rule, self.what, self.help)
    }
}
