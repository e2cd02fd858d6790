//! What is wrong with a bundle and where: file, line, column, span, and what to do about it.

use std::fmt;
use std::ops::Range;

use bailiwick_core::{Code, Fault};
use serde::{Deserialize, Serialize};

use crate::nearest::nearest;

/// What kind of thing is wrong. The name stands in answers of the API; it does not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlawCode {
    /// The text is not Cedar or not TOML, or a file has no place in a bundle.
    #[default]
    Syntax,
    /// A policy is too deep or a bundle too large.
    Bound,
    /// An annotation is missing, unknown or of no use.
    Annotation,
    /// An id is taken.
    DuplicateId,
    /// A workflow contradicts itself.
    Workflow,
    /// A case of `tests/` cannot be run.
    Test,
    /// An action, entity type, agent, owner or server that does not exist.
    UnknownName,
    /// An attribute that does not exist.
    UnknownAttribute,
    /// An attribute that may be absent and is not asked for first.
    OptionalAttribute,
    /// An operator on values of other types.
    Type,
    /// Arithmetic on arguments in a forbid.
    Overflow,
    /// A permit that rests on what is known of the code.
    EvidenceInPermit,
    /// A text that is another than it looks.
    LookAlike,
    /// Conditions that cannot hold.
    NeverApplies,
    /// A permit without any condition.
    Broad,
    /// Escalations that nobody looks at.
    Escalation,
    /// A policy that reaches no tool.
    ReachesNothing,
    /// A policy that another leaves nothing to decide.
    Shadowed,
    /// A permit for an agent that cannot be attested.
    Unattested,
    /// A bundle without tests.
    Untested,
}

/// One thing that is wrong with a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flaw {
    /// Its kind.
    #[serde(default)]
    pub code: FlawCode,
    /// Path within the bundle; empty if the whole bundle is meant.
    pub file: String,
    /// Line from 1; 0 if the whole file is meant.
    pub line: usize,
    /// Column from 1, in characters; 0 if the whole file is meant.
    pub column: usize,
    /// Byte range in the file.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do; empty when there is nothing to add.
    pub help: String,
}

impl Flaw {
    pub(crate) fn whole(message: String) -> Self {
        Self::in_file("", message)
    }

    pub(crate) fn in_file(file: &str, message: String) -> Self {
        Self {
            code: FlawCode::Syntax,
            file: file.to_owned(),
            line: 0,
            column: 0,
            span: 0..0,
            message,
            help: String::new(),
        }
    }

    /// At a byte range of `text`, the content of `file`.
    pub(crate) fn at(file: &str, text: &str, span: Range<usize>, message: String) -> Self {
        let before = text.get(..span.start).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .map_or(1, |last| last.chars().count() + 1);
        Self {
            code: FlawCode::Syntax,
            file: file.to_owned(),
            line,
            column,
            span,
            message,
            help: String::new(),
        }
    }

    #[must_use]
    pub(crate) fn code(mut self, code: FlawCode) -> Self {
        self.code = code;
        self
    }

    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    /// An error of the TOML reader.
    pub(crate) fn toml(file: &str, text: &str, error: &toml::de::Error) -> Self {
        let message = error.message().to_owned();
        let help = advice(&message);
        let flaw = match error.span() {
            Some(span) => Self::at(file, text, span, message),
            None => Self::in_file(file, message),
        };
        flaw.help(help)
    }
}

/// What to do about a mistake, by the words that `serde` has for it: ``unknown field `x`, expected one of `y`, `z` ``.
pub(crate) fn advice(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match quoted.as_slice() {
        [wrong, known @ ..] if message.starts_with("unknown ") => {
            nearest(wrong, known.iter().copied(), 2).map_or_else(
                || format!("there is {}", known.join(", ")),
                |known| format!("did you mean `{known}`?"),
            )
        }
        [missing, ..] if message.starts_with("missing field") => format!("add `{missing} = …`"),
        _ => "correct what stands here; the reference of policy shows each file of a bundle"
            .to_owned(),
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.file.as_str(), self.line) {
            ("", _) => write!(f, "{}", self.message),
            (file, 0) => write!(f, "{file}: {}", self.message),
            (file, line) => write!(f, "{file}:{line}:{}: {}", self.column, self.message),
        }
    }
}

/// Everything that is wrong with a bundle; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyErrors {
    /// In order of file and place.
    pub flaws: Vec<Flaw>,
}

impl PolicyErrors {
    /// `Ok` if there is no flaw.
    pub(crate) fn check(mut flaws: Vec<Flaw>) -> Result<(), Self> {
        if flaws.is_empty() {
            return Ok(());
        }
        flaws.sort_by(|a, b| {
            (&a.file, a.span.start, &a.message).cmp(&(&b.file, b.span.start, &b.message))
        });
        Err(Self { flaws })
    }
}

impl fmt::Display for PolicyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.flaws.as_slice() {
            [] => f.write_str("the policy bundle cannot be used"),
            [only] => only.fmt(f),
            [first, rest @ ..] => write!(f, "{first} (and {} more)", rest.len()),
        }
    }
}

impl std::error::Error for PolicyErrors {}

impl Fault for PolicyErrors {
    fn code(&self) -> Code {
        Code::PolicyInvalid
    }

    fn help(&self) -> String {
        let help = self.flaws.iter().find(|flaw| !flaw.help.is_empty());
        help.map_or_else(String::new, |flaw| flaw.help.clone())
    }
}
