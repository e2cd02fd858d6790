//! What others' rules do not report: paths, texts and words that their authors know.

use regex::bytes::Regex;

use super::raw;
use crate::secrets::filter::Subject;
use crate::secrets::rule;

#[derive(Debug)]
pub(super) struct Allowlist {
    all: bool,
    target: Target,
    regexes: Vec<Regex>,
    paths: Vec<Regex>,
    stopwords: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
enum Target {
    Secret,
    Match,
    Line,
}

impl Allowlist {
    pub(super) fn new(raw: raw::Allowlist) -> Result<Self, String> {
        let compiled = |patterns: Vec<String>| -> Result<Vec<Regex>, String> {
            patterns
                .iter()
                .map(|pattern| rule::compile(pattern).map_err(|error| error.to_string()))
                .collect()
        };
        Ok(Self {
            all: match raw.condition.to_ascii_uppercase().as_str() {
                "" | "OR" | "||" => false,
                "AND" | "&&" => true,
                other => return Err(format!("`{other}` is no condition of an allowlist")),
            },
            target: match raw.regex_target.as_str() {
                "" | "secret" => Target::Secret,
                "match" => Target::Match,
                "line" => Target::Line,
                other => return Err(format!("`{other}` is no regexTarget")),
            },
            regexes: compiled(raw.regexes)?,
            paths: compiled(raw.paths)?,
            stopwords: raw
                .stopwords
                .into_iter()
                .map(|word| word.to_ascii_lowercase())
                .collect(),
        })
    }

    pub(super) fn allows(&self, subject: &Subject<'_>) -> bool {
        let target = match self.target {
            Target::Secret => subject.secret,
            Target::Match => subject.matched,
            Target::Line => subject.line,
        };
        let lower = subject.secret.to_ascii_lowercase();
        let said = [
            (!self.regexes.is_empty())
                .then(|| self.regexes.iter().any(|regex| regex.is_match(target))),
            (!self.paths.is_empty())
                .then(|| self.paths.iter().any(|regex| regex.is_match(subject.path))),
            (!self.stopwords.is_empty()).then(|| {
                self.stopwords
                    .iter()
                    .any(|word| memchr::memmem::find(&lower, word.as_bytes()).is_some())
            }),
        ];
        let mut said = said.into_iter().flatten().peekable();
        if said.peek().is_none() {
            return false;
        }
        if self.all {
            said.all(|is| is)
        } else {
            said.any(|is| is)
        }
    }
}
