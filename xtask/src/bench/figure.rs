//! One measured value beside its target: `figure <name> <value> <unit> target <op><value> ok|short`.

use std::fmt;

use anyhow::{Context, Result, bail, ensure};

/// A value that was measured, with what it was promised to be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Figure {
    name: String,
    value: f64,
    unit: String,
    target: Target,
}

/// What a figure is to reach, in its own unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Target {
    /// Times, sizes, overheads.
    AtMost(f64),
    /// Rates, and ratios to a baseline.
    AtLeast(f64),
}

impl Figure {
    /// A figure; its name and unit are single words, its value is a number.
    pub(super) fn new(
        name: impl Into<String>,
        value: f64,
        unit: impl Into<String>,
        target: Target,
    ) -> Result<Self> {
        let (name, unit) = (name.into(), unit.into());
        let is_word = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
        ensure!(
            is_word(&name) && is_word(&unit),
            "`{name}` in `{unit}`: a figure line is split at blanks"
        );
        ensure!(value.is_finite(), "{name} measured nothing: {value}");
        Ok(Self {
            name,
            value,
            unit,
            target,
        })
    }

    /// Reads what a bench in another process measured: `figure <name> <value> <unit> target <op><value>`.
    pub(super) fn parse(line: &str) -> Result<Self> {
        Self::of_words(line).with_context(|| format!("a bench wrote `{line}`"))
    }

    fn of_words(line: &str) -> Result<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["figure", name, value, unit, "target", target] = words.as_slice() else {
            bail!("a figure is `figure <name> <value> <unit> target <op><value>`");
        };
        let target = if let Some(most) = target.strip_prefix("<=") {
            Target::AtMost(most.parse()?)
        } else if let Some(least) = target.strip_prefix(">=") {
            Target::AtLeast(least.parse()?)
        } else {
            bail!("a target begins with <= or >=");
        };
        Self::new(*name, value.parse()?, *unit, target)
    }

    fn is_reached(&self) -> bool {
        match self.target {
            Target::AtMost(most) => self.value <= most,
            Target::AtLeast(least) => self.value >= least,
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            value,
            unit,
            target,
        } = self;
        let (sign, bound) = match target {
            Target::AtMost(most) => ("<=", most),
            Target::AtLeast(least) => (">=", least),
        };
        let verdict = if self.is_reached() { "ok" } else { "short" };
        write!(
            f,
            "figure {name} {} {unit} target {sign}{} {verdict}",
            Rounded(*value),
            Rounded(*bound)
        )
    }
}

/// Three significant digits, as many as a benchmark on a shared machine can mean; whole numbers from 100 on.
struct Rounded(f64);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = match self.0.abs() {
            size if size >= 100.0 => 0,
            size if size >= 10.0 => 1,
            size if size >= 1.0 || size == 0.0 => 2,
            size if size >= 0.1 => 3,
            size if size >= 0.01 => 4,
            _ => 6,
        };
        write!(f, "{:.digits$}", self.0)
    }
}

#[cfg(test)]
mod tests;
