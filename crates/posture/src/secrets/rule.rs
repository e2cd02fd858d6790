//! The formats of credentials, as rules in TOML. Members of a `[[rule]]`:
//!
//! `id` · `provider` (who issued it, for the remedy) · `literals` (texts of which one is in every match) · `regex` · `group`
//! (the part that is the secret, default 0: all) · `validate` (a check that no regex can do) · `severity` (default `high`) ·
//! `examples` and `misses` (patterns of what it finds and what it does not).

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use bailiwick_core::{Code, Fault};
use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;

use super::find::Severity;
use super::validate::Check;

/// The rules that are compiled in.
const FILES: [(&str, &str); 5] = [
    ("code.toml", include_str!("../../rules/code.toml")),
    ("cloud.toml", include_str!("../../rules/cloud.toml")),
    ("models.toml", include_str!("../../rules/models.toml")),
    ("services.toml", include_str!("../../rules/services.toml")),
    ("carriers.toml", include_str!("../../rules/carriers.toml")),
];

/// Bytes that one compiled expression may take; expressions of others are large.
pub(super) const REGEX_BYTES: usize = 100 * 1024 * 1024;

/// A rule file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {what}")]
pub struct RuleError {
    /// The file.
    pub file: String,
    /// What is wrong in it, with the rule's id or the line.
    pub what: String,
}

impl Fault for RuleError {
    fn code(&self) -> Code {
        Code::RuleInvalid
    }

    fn help(&self) -> String {
        "the members of a rule are in `docs/reference/scan.md`".to_owned()
    }
}

/// The format of a kind of credential.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) id: Arc<str>,
    pub(super) remedy: Arc<str>,
    pub(super) literals: Vec<String>,
    pub(super) any_case: bool,
    /// The least bytes of a match that begins with its literal, if it always does.
    pub(super) least_from_literal: Option<usize>,
    pub(super) group: usize,
    pub(super) check: Check,
    pub(super) severity: Severity,
    pattern: String,
    compiled: OnceLock<Option<Regex>>,
    #[cfg_attr(not(test), expect(dead_code, reason = "what the tests of rules read"))]
    pub(super) examples: Vec<String>,
    #[cfg_attr(not(test), expect(dead_code, reason = "what the tests of rules read"))]
    pub(super) misses: Vec<String>,
}

impl Rule {
    /// The expression, compiled when it is first needed.
    pub(super) fn regex(&self) -> Option<&Regex> {
        self.compiled
            .get_or_init(|| compile(&self.pattern).ok())
            .as_ref()
    }
}

/// An expression over bytes; `\w` and `\b` are ASCII, as in the languages that rules are written for.
pub(super) fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern)
        .unicode(false)
        .size_limit(REGEX_BYTES)
        .build()
}

/// How many formats are compiled in.
pub fn builtin() -> Result<usize, RuleError> {
    Ok(load()?.len())
}

/// The rules that are compiled in.
pub(super) fn load() -> Result<Vec<Rule>, RuleError> {
    let mut rules = Vec::new();
    let mut ids = HashSet::new();
    for (name, text) in FILES {
        for raw in parse(name, text)? {
            if !ids.insert(Arc::clone(&raw.id)) {
                return Err(RuleError {
                    file: name.to_owned(),
                    what: format!("there are two rules `{}`", raw.id),
                });
            }
            rules.push(raw);
        }
    }
    Ok(rules)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rule: Vec<Raw>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    id: String,
    #[serde(default)]
    provider: String,
    literals: Vec<String>,
    regex: String,
    #[serde(default)]
    group: usize,
    #[serde(default)]
    validate: Option<String>,
    #[serde(default = "high")]
    severity: Severity,
    #[serde(default)]
    examples: Vec<String>,
    #[serde(default)]
    misses: Vec<String>,
}

fn high() -> Severity {
    Severity::High
}

fn parse(name: &str, text: &str) -> Result<Vec<Rule>, RuleError> {
    let flaw = |what: String| RuleError {
        file: name.to_owned(),
        what,
    };
    let file: File = toml::from_str(text).map_err(|error| flaw(error.to_string()))?;
    file.rule
        .into_iter()
        .map(|raw| raw.into_rule().map_err(&flaw))
        .collect()
}

impl Raw {
    fn into_rule(self) -> Result<Rule, String> {
        let Self { id, .. } = &self;
        if self.literals.is_empty() || self.literals.iter().any(|literal| literal.len() < 2) {
            return Err(format!("rule `{id}` needs literals of two bytes or more"));
        }
        let check = match self.validate.as_deref() {
            None => Check::Shape,
            Some(name) => Check::named(name)
                .ok_or_else(|| format!("rule `{id}`: there is no check `{name}`"))?,
        };
        let remedy = if self.provider.is_empty() {
            "replace it where it is accepted, then remove it here".to_owned()
        } else {
            format!("revoke it at {} and issue a new one", self.provider)
        };
        let begins = |literal: &String| {
            self.group == 0
                && self
                    .regex
                    .starts_with(&regex::escape(literal).replace("\\-", "-"))
        };
        let least_from_literal = if self.literals.iter().all(begins) {
            least_length(&self.regex)
        } else {
            None
        };
        Ok(Rule {
            any_case: self.regex.starts_with("(?i)"),
            id: self.id.into(),
            remedy: remedy.into(),
            literals: self.literals,
            least_from_literal,
            group: self.group,
            check,
            severity: self.severity,
            pattern: self.regex,
            compiled: OnceLock::new(),
            examples: self.examples,
            misses: self.misses,
        })
    }
}

fn least_length(pattern: &str) -> Option<usize> {
    regex_syntax::parse(pattern)
        .ok()?
        .properties()
        .minimum_len()
}

#[cfg(test)]
mod tests;
