//! One pass for all literals; what hits is looked at by the rule, the name or the decoder it belongs to, in a bounded piece
//! round the hit. So the cost is that of the pass, and hostile text can raise it only to a named multiple.

mod around;
mod candidate;
mod layer;

use std::collections::HashMap;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::decode;
use super::find::Find;
use super::foreign::ForeignRules;
use super::lines::Syntax;
use super::memo::Memo;
use super::rule::{self, Rule, RuleError};
pub(in crate::secrets) use candidate::Candidate;
use layer::Layer;

/// Words of which one is in every name that promises a secret.
const NAMES: [&str; 13] = [
    "pass",
    "pwd",
    "secret",
    "token",
    "credential",
    "apikey",
    "api_key",
    "api-key",
    "auth",
    "key",
    "bearer",
    "jwt",
    "passcode",
];
/// Beginnings of `%2F`, `%3D` and other escapes of what tokens hold, and of escapes in JSON.
const ESCAPES: [&str; 8] = ["%2", "%3", "%4", "%5", "%7", "\\u00", "\\/", "\\x"];

/// What is scanned as one: a file, an object, a variable.
#[derive(Debug, Clone, Copy)]
pub struct Unit<'a> {
    /// The bytes.
    pub text: &'a [u8],
    /// Where they come from; its ending tells the notation. May be empty.
    pub path: &'a str,
    /// The name of the whole, if it has one: that of a variable.
    pub key: Option<&'a [u8]>,
}

/// How much is to be scanned: what is quicker to run takes longer to build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// A process or two.
    Little,
    /// Trees and histories.
    Much,
}

/// Finds secrets. Shared by threads; each has its own [`Memo`].
#[derive(Debug)]
pub struct Engine {
    rules: Vec<Rule>,
    literals: AhoCorasick,
    /// What a literal is for, by its number in `literals`.
    owners: Vec<Vec<Owner>>,
    foreign: Option<ForeignRules>,
}

/// Who wants to look where a literal is.
#[derive(Debug, Clone)]
enum Owner {
    /// A rule, with its literal as it must be written; none if in any case.
    Rule(usize, Option<Box<str>>),
    Name,
    Url,
    Escape,
}

impl Engine {
    /// The rules that are compiled in, and those of others.
    pub fn new(load: Load, foreign: Option<ForeignRules>) -> Result<Self, RuleError> {
        let rules = rule::load()?;
        let mut owners: HashMap<String, Vec<Owner>> = HashMap::new();
        for (number, rule) in rules.iter().enumerate() {
            for literal in &rule.literals {
                let exact = (!rule.any_case).then(|| literal.as_str().into());
                owners
                    .entry(literal.to_ascii_lowercase())
                    .or_default()
                    .push(Owner::Rule(number, exact));
            }
        }
        let others = NAMES.iter().map(|name| (*name, Owner::Name));
        let others = others.chain(ESCAPES.iter().map(|escape| (*escape, Owner::Escape)));
        for (literal, owner) in others.chain([("://", Owner::Url)]) {
            owners.entry(literal.to_owned()).or_default().push(owner);
        }
        let (texts, owners): (Vec<_>, Vec<_>) = owners.into_iter().unzip();
        let literals = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(match load {
                Load::Little => AhoCorasickKind::NoncontiguousNFA,
                Load::Much => AhoCorasickKind::DFA,
            }))
            .build(&texts)
            .map_err(|error| RuleError {
                file: "literals".to_owned(),
                what: error.to_string(),
            })?;
        Ok(Self {
            rules,
            literals,
            owners,
            foreign,
        })
    }

    /// Adds what is found in the unit to `finds`, in order of place. False if a bound was reached, so that there may be more.
    pub fn scan(&self, unit: &Unit<'_>, memo: &mut Memo, finds: &mut Vec<Find>) -> bool {
        let converted = decode::utf16(unit.text);
        let text = converted.as_ref().map_or(unit.text, |text| text.as_slice());
        let mut layer = Layer::new(self, text, Syntax::of(unit.path), memo);
        if let Some(key) = unit.key {
            layer.named(key);
        }
        let (mut candidates, mut complete) = layer.candidates(0);
        if let Some(text) = decode::gunzip(text, text.len()) {
            let (inner, all) = Layer::new(self, &text, Syntax::of(unit.path), memo).candidates(1);
            complete &= all;
            candidates.extend(inner.into_iter().map(|found| found.within(0..1, "gzip")));
        }
        if let Some(foreign) = &self.foreign {
            complete &= foreign.scan(text, unit.path, &mut candidates);
        }
        candidates.sort_by_key(|found| found.range.start);
        place(text, candidates, finds);
        complete
    }
}

/// Counts lines up to each candidate, once.
fn place(text: &[u8], candidates: Vec<Candidate>, finds: &mut Vec<Find>) {
    let (mut line, mut line_start, mut counted) = (1, 0, 0);
    for found in candidates {
        let offset = found.range.start;
        for end in memchr::memchr_iter(b'\n', text.get(counted..offset).unwrap_or_default()) {
            line += 1;
            line_start = counted + end + 1;
        }
        counted = offset.max(counted);
        finds.push(Find {
            check: found.check,
            severity: found.severity,
            offset,
            line,
            column: offset.saturating_sub(line_start) + 1,
            key: found
                .key
                .map(|key| String::from_utf8_lossy(&key).into_owned()),
            length: found.length,
            digest: found.digest,
            public: found.public,
            wrapped: found.wrapped,
            remedy: Arc::clone(&found.remedy),
        });
    }
}

#[cfg(test)]
mod tests;
