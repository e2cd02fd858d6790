//! What is wrong with a configuration, where, and what to do.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use bailiwick_core::{Code, Fault};

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
    /// Bytes of the document; none if it is about something that is not there.
    pub span: Option<Range<usize>>,
}

impl Flaw {
    pub(super) fn at(
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            message: message.into(),
            help: help.into(),
            span: Some(span),
        }
    }
}

/// All problems of one document, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaws {
    /// What the document is called.
    pub file: String,
    /// The document.
    pub text: String,
    /// The problems; at least one.
    pub flaws: Vec<Flaw>,
}

impl Flaws {
    pub(super) fn new(file: &str, text: &str, mut flaws: Vec<Flaw>) -> Self {
        flaws.sort_by_key(|flaw| flaw.span.as_ref().map_or(0, |span| span.start));
        flaws.dedup();
        Self {
            file: file.to_owned(),
            text: text.to_owned(),
            flaws,
        }
    }

    /// Line and column of a problem, from 1, in characters.
    pub fn place(&self, flaw: &Flaw) -> Option<(usize, usize)> {
        let before = self.text.get(..flaw.span.as_ref()?.start)?;
        let line = before.rsplit('\n').next().unwrap_or_default();
        Some((
            before.matches('\n').count().saturating_add(1),
            line.chars().count().saturating_add(1),
        ))
    }
}

impl fmt::Display for Flaws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, flaw) in self.flaws.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            write!(f, "{}", self.file)?;
            if let Some((line, column)) = self.place(flaw) {
                write!(f, ":{line}:{column}")?;
            }
            write!(f, ": {}", flaw.message)?;
            if !flaw.help.is_empty() {
                write!(f, "\n  help: {}", flaw.help)?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Flaws {}

impl Fault for Flaws {
    fn code(&self) -> Code {
        Code::ConfigInvalid
    }

    fn help(&self) -> String {
        "every key is described in docs/reference/configuration.md".to_owned()
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is no configuration by its length.
    #[error("the configuration {} has {length} bytes; at most {} are read", path.display(), super::MAX_BYTES)]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its length.
        length: u64,
    },
    /// It has problems.
    #[error(transparent)]
    Flaws(#[from] Flaws),
}

impl Fault for ConfigError {
    fn code(&self) -> Code {
        Code::ConfigInvalid
    }

    fn help(&self) -> String {
        match self {
            Self::Unreadable { .. } => {
                "name another file with --config, or make one: bailiwick init".to_owned()
            }
            Self::TooLarge { .. } => "name the right file with --config".to_owned(),
            Self::Flaws(flaws) => flaws.help(),
        }
    }
}
