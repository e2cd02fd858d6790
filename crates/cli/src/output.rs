//! Where everything printed goes. stdout is data only; hints, progress and errors go to stderr. A closed pipe ends nothing
//! with a panic: what is written after it is dropped, and followers ask [`Out::closed`].

pub(crate) mod ascii;
pub(crate) mod report;
pub(crate) mod table;
mod untrusted;

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

pub(crate) use untrusted::{Untrusted, visible_json};

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// The API's body; followers print one object a line.
    Json,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Also into a pipe.
    Always,
    /// Never.
    Never,
}

/// The process's output. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Out {
    format: Format,
    quiet: bool,
    terminal: bool,
    color: Both<bool>,
    closed: Arc<Both<AtomicBool>>,
}

/// Something of both streams.
#[derive(Debug, Clone, Default)]
struct Both<T> {
    stdout: T,
    stderr: T,
}

impl Out {
    /// As the process was started.
    pub(crate) fn of_process(format: Format, color: Color, quiet: bool) -> Self {
        let allowed = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let on = |terminal: bool| match color {
            Color::Auto => terminal && allowed,
            Color::Always => true,
            Color::Never => false,
        };
        let terminal = io::stdout().is_terminal();
        Self {
            format,
            quiet,
            terminal,
            color: Both {
                stdout: on(terminal),
                stderr: on(io::stderr().is_terminal()),
            },
            closed: Arc::default(),
        }
    }

    /// Whether data goes to JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether a person may be looking at stdout.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Whether stderr takes colour.
    pub(crate) fn colors_errors(&self) -> bool {
        self.color.stderr
    }

    /// Whether nobody reads stdout any more.
    pub(crate) fn closed(&self) -> bool {
        self.closed.stdout.load(Ordering::Relaxed)
    }

    /// Text and a line feed on stdout.
    pub(crate) fn line(&self, text: &str) {
        self.raw(format!("{text}\n").as_bytes());
    }

    /// Bytes on stdout, as they are.
    pub(crate) fn raw(&self, bytes: &[u8]) {
        if self.closed() {
            return;
        }
        let mut stdout = io::stdout().lock();
        if stdout
            .write_all(bytes)
            .and_then(|()| stdout.flush())
            .is_err()
        {
            self.closed.stdout.store(true, Ordering::Relaxed);
        }
    }

    /// One JSON document over several lines.
    pub(crate) fn document(&self, value: &Value) {
        self.line(&visible_json(&format!("{value:#}")));
    }

    /// One JSON document on one line, for followers.
    pub(crate) fn json_line(&self, value: &Value) {
        self.line(&visible_json(&value.to_string()));
    }

    /// The body in JSON, or what `table` makes of it.
    pub(crate) fn show(&self, body: &Value, table: impl FnOnce(&Self, &Value) -> String) {
        match self.format {
            Format::Json => self.document(body),
            Format::Table => {
                let text = table(self, body);
                if !text.is_empty() {
                    self.line(&text);
                }
            }
        }
    }

    /// A hint or progress, on stderr.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.error_line(text);
        }
    }

    /// A line on stderr, if anybody reads it.
    pub(crate) fn error_line(&self, text: &str) {
        if !self.closed.stderr.load(Ordering::Relaxed)
            && writeln!(io::stderr().lock(), "{text}").is_err()
        {
            self.closed.stderr.store(true, Ordering::Relaxed);
        }
    }

    /// Text in a style, if stdout takes colour.
    pub(crate) fn paint(&self, style: Style, text: &str) -> String {
        if self.color.stdout {
            format!("\u{1b}[{}m{text}\u{1b}[0m", style.sgr())
        } else {
            text.to_owned()
        }
    }
}

/// The few styles there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Headings.
    Bold,
    /// What matters less.
    Dim,
    /// It is well.
    Good,
    /// It waits, or is not known.
    Warn,
    /// It is not.
    Bad,
    /// Commands to type.
    Command,
}

impl Style {
    const fn sgr(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Good => "32",
            Self::Warn => "33",
            Self::Bad => "31",
            Self::Command => "36",
        }
    }
}
