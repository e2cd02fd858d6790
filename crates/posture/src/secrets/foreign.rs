//! Rules of others: TOML as gitleaks 8 and betterleaks 2 write it. Their expressions, keywords, entropy, allowlists and
//! conditions; never their programs that call providers (`validate`, `analyze`, `revoke`), and never a file that a rule file names.

mod allowlist;
mod raw;

use std::sync::Arc;

use aho_corasick::AhoCorasick;
use bailiwick_core::{Code, Fault};
use regex::bytes::Regex;

use self::allowlist::Allowlist;
use super::engine::Candidate;
use super::filter::{Filter, Subject, entropy};
use super::find::Severity;
use super::fingerprint::Digest;
use super::rule;

/// Longest rule file, rules in it, and finds of one text.
const LONGEST_FILE: usize = 8 * 1024 * 1024;
const MOST_RULES: usize = 5_000;
const MOST_FINDS: usize = 10_000;

/// Why a rule, or a whole file, is left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {what}", .rule.as_ref().map(|rule| format!(", rule `{rule}`")).unwrap_or_default())]
pub struct RuleFlaw {
    /// The file.
    pub file: String,
    /// The rule's id, if one is left out and not the file.
    pub rule: Option<String>,
    /// What is wrong, or not supported.
    pub what: String,
    /// Whether it is right there and only not supported here.
    pub unsupported: bool,
}

impl Fault for RuleFlaw {
    fn code(&self) -> Code {
        if self.unsupported {
            Code::RuleFeatureUnsupported
        } else {
            Code::RuleInvalid
        }
    }

    fn help(&self) -> String {
        "what is read of gitleaks' and betterleaks' files is in `docs/reference/scan.md`".to_owned()
    }
}

/// Rules of others, compiled.
#[derive(Debug)]
pub struct ForeignRules {
    rules: Vec<Rule>,
    /// Of each file: its keywords, and the rule of each.
    keywords: Vec<(AhoCorasick, Vec<usize>)>,
    allowed: Vec<(Option<Vec<String>>, Allowlist)>,
    filters: Vec<Filter>,
}

#[derive(Debug)]
struct Rule {
    id: Arc<str>,
    remedy: Arc<str>,
    regex: Regex,
    group: Option<usize>,
    least_entropy: Option<f64>,
    has_keywords: bool,
    path: Option<Regex>,
    allowed: Vec<Allowlist>,
    filter: Option<Filter>,
}

impl ForeignRules {
    /// Reads a rule file. Rules that cannot be used are left out and named; a file that cannot be read is an error.
    pub fn parse(file: &str, text: &str) -> Result<(Self, Vec<RuleFlaw>), RuleFlaw> {
        let flaw = |what: String, unsupported: bool| RuleFlaw {
            file: file.to_owned(),
            rule: None,
            what,
            unsupported,
        };
        if text.len() > LONGEST_FILE {
            return Err(flaw(
                format!("it is longer than {LONGEST_FILE} bytes"),
                false,
            ));
        }
        let raw: raw::File =
            toml::from_str(text).map_err(|error| flaw(error.message().to_owned(), false))?;
        if raw.extend.is_some_and(|extend| {
            extend.use_default || extend.path.is_some() || extend.url.is_some()
        }) {
            return Err(flaw(
                "`extend` names rules that are not in the file".to_owned(),
                true,
            ));
        }
        if raw.rules.len() > MOST_RULES {
            return Err(flaw(format!("it has more than {MOST_RULES} rules"), false));
        }
        let mut flaws = Vec::new();
        let mut rules = Vec::new();
        let mut keywords: Vec<(String, usize)> = Vec::new();
        for raw in raw.rules {
            let id = raw.id.clone();
            let words = raw.keywords.clone();
            match Rule::new(raw) {
                Ok(rule) => {
                    keywords.extend(
                        words
                            .into_iter()
                            .map(|word| (word.to_ascii_lowercase(), rules.len())),
                    );
                    rules.push(rule);
                }
                Err((what, unsupported)) => flaws.push(RuleFlaw {
                    file: file.to_owned(),
                    rule: Some(id),
                    what,
                    unsupported,
                }),
            }
        }
        let mut allowed = Vec::new();
        for raw in raw.allowlist.into_iter().chain(raw.allowlists) {
            let targets = raw.target_rules.clone();
            allowed.push((
                targets,
                Allowlist::new(raw).map_err(|what| flaw(what, false))?,
            ));
        }
        let conditions = raw.filter.iter().chain(&raw.prefilter);
        let filters: Result<Vec<_>, _> = conditions.map(|source| Filter::parse(source)).collect();
        let filters = filters.map_err(|what| flaw(what, true))?;
        let (words, owners): (Vec<_>, Vec<_>) = keywords.into_iter().unzip();
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(&words);
        let automaton = automaton.map_err(|error| flaw(error.to_string(), false))?;
        let rules = Self {
            rules,
            keywords: vec![(automaton, owners)],
            allowed,
            filters,
        };
        Ok((rules, flaws))
    }

    /// Adds the rules of another file; what one file allows, it allows for all.
    pub fn join(&mut self, other: Self) {
        let from = self.rules.len();
        self.rules.extend(other.rules);
        self.allowed.extend(other.allowed);
        self.filters.extend(other.filters);
        self.keywords
            .extend(other.keywords.into_iter().map(|(keywords, owners)| {
                (
                    keywords,
                    owners.into_iter().map(|owner| owner + from).collect(),
                )
            }));
    }

    /// How many rules can be used.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Adds what the rules find. False if a bound was reached.
    pub(super) fn scan(&self, text: &[u8], path: &str, found: &mut Vec<Candidate>) -> bool {
        let mut wanted: Vec<bool> = self.rules.iter().map(|rule| !rule.has_keywords).collect();
        for (keywords, owners) in &self.keywords {
            for hit in keywords.find_overlapping_iter(text) {
                let owner = owners.get(hit.pattern().as_usize());
                if let Some(wanted) = owner.and_then(|owner| wanted.get_mut(*owner)) {
                    *wanted = true;
                }
            }
        }
        let from = found.len();
        for (rule, _) in self
            .rules
            .iter()
            .zip(&wanted)
            .filter(|(_, wanted)| **wanted)
        {
            // Where a text is from may not be known yet.
            if !path.is_empty()
                && rule
                    .path
                    .as_ref()
                    .is_some_and(|wanted| !wanted.is_match(path.as_bytes()))
            {
                continue;
            }
            for captures in rule.regex.captures_iter(text) {
                if found.len() - from >= MOST_FINDS {
                    return false;
                }
                let Some(whole) = captures.get(0) else {
                    continue;
                };
                let part = match rule.group {
                    Some(group) => captures.get(group),
                    // The first group that took part, else all.
                    None => captures
                        .iter()
                        .skip(1)
                        .flatten()
                        .find(|part| !part.is_empty()),
                };
                let part = part.unwrap_or(whole);
                let subject = Subject {
                    secret: part.as_bytes(),
                    matched: whole.as_bytes(),
                    line: line_of(text, whole.start(), whole.end()),
                    path: path.as_bytes(),
                };
                if !self.keeps(rule, &subject) {
                    continue;
                }
                found.push(Candidate {
                    check: Arc::clone(&rule.id),
                    severity: Severity::High,
                    range: part.range(),
                    key: None,
                    length: part.len(),
                    digest: Digest::of(part.as_bytes()),
                    public: Vec::new(),
                    wrapped: Vec::new(),
                    remedy: Arc::clone(&rule.remedy),
                });
            }
        }
        true
    }

    fn keeps(&self, rule: &Rule, subject: &Subject<'_>) -> bool {
        if rule
            .least_entropy
            .is_some_and(|least| entropy(subject.secret) <= least)
        {
            return false;
        }
        let named = |targets: &Option<Vec<String>>| {
            targets
                .as_ref()
                .is_none_or(|targets| targets.iter().any(|target| **target == *rule.id))
        };
        let global = self
            .allowed
            .iter()
            .filter(|(targets, _)| named(targets))
            .map(|(_, list)| list);
        let marked = memchr::memmem::find(subject.line, b"gitleaks:allow").is_some();
        let filters = self.filters.iter().chain(&rule.filter);
        !marked
            && !rule
                .allowed
                .iter()
                .chain(global)
                .any(|list| list.allows(subject))
            && !filters.into_iter().any(|filter| filter.holds(subject))
    }
}

impl Rule {
    fn new(raw: raw::Rule) -> Result<Self, (String, bool)> {
        let broken = |what: String| (what, false);
        if !raw.required.is_empty() {
            return Err(("`required` is not supported".to_owned(), true));
        }
        let Some(pattern) = raw.regex.filter(|pattern| !pattern.is_empty()) else {
            return Err((
                "rules without an expression are not supported".to_owned(),
                true,
            ));
        };
        let regex = rule::compile(&pattern).map_err(|error| broken(error.to_string()))?;
        if raw.secret_group >= regex.captures_len() {
            return Err(broken(format!(
                "the expression has no group {}",
                raw.secret_group
            )));
        }
        let allowed: Result<_, _> = raw
            .allowlist
            .into_iter()
            .chain(raw.allowlists)
            .map(Allowlist::new)
            .collect();
        let conditions: Vec<String> = raw.filter.into_iter().chain(raw.prefilter).collect();
        let filter: Result<Vec<_>, _> = conditions
            .iter()
            .map(|source| Filter::parse(source))
            .collect();
        let filter = filter.map_err(|what| (what, true))?;
        Ok(Self {
            id: raw.id.into(),
            remedy: "replace it where it is accepted, then remove it here".into(),
            regex,
            group: (raw.secret_group > 0).then_some(raw.secret_group),
            least_entropy: (raw.entropy > 0.0).then_some(raw.entropy),
            has_keywords: !raw.keywords.is_empty(),
            path: raw
                .path
                .as_deref()
                .map(rule::compile)
                .transpose()
                .map_err(|error| broken(error.to_string()))?,
            allowed: allowed.map_err(broken)?,
            filter: (!filter.is_empty()).then_some(Filter::Any(filter)),
        })
    }
}

fn line_of(text: &[u8], start: usize, end: usize) -> &[u8] {
    let from = text
        .get(..start)
        .and_then(|before| memchr::memrchr(b'\n', before))
        .map_or(0, |at| at + 1);
    let to = text
        .get(end..)
        .and_then(|after| memchr::memchr(b'\n', after))
        .map_or(text.len(), |at| end + at);
    text.get(from..to).unwrap_or_default()
}

#[cfg(test)]
mod tests;
