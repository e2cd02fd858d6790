//! What the user asked for, as far as it names things.

use std::collections::BTreeSet;

use bailiwick_core::normal::{normal, plain};
use bailiwick_core::task::{RequestSource, Task};
use bailiwick_policy::RequestFacts;

use super::entities::{Entity, entities, host};

/// Most facts of one kind.
const MAX_FACTS: usize = 64;
/// Shorter numbers stand in any text by chance.
const MIN_DIGITS: usize = 4;

/// A request that counts as the user's words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Requested {
    plain: String,
    forms: BTreeSet<String>,
    numbers: BTreeSet<String>,
    facts: RequestFacts,
}

impl Requested {
    /// The request of a task; none if an agent wrote it.
    pub(crate) fn of(task: &Task) -> Option<Self> {
        let source = match task.request.source {
            RequestSource::User => "user",
            RequestSource::Orchestrator => "orchestrator",
            RequestSource::Agent => return None,
        };
        Some(Self::read(&task.request.text, source))
    }

    pub(super) fn read(text: &str, source: &str) -> Self {
        let mut asked = Self {
            plain: plain(text),
            ..Self::default()
        };
        let facts = &mut asked.facts;
        source.clone_into(&mut facts.source);
        let put = |set: &mut BTreeSet<String>, form: &str| {
            if set.len() < MAX_FACTS {
                set.insert(form.to_owned());
            }
        };
        for entity in entities(&asked.plain) {
            match &entity {
                Entity::Link(form) => {
                    put(&mut facts.urls, form);
                    put(&mut facts.hosts, host(form));
                }
                Entity::Address(form) => put(&mut facts.emails, form),
                Entity::Path(form) => put(&mut facts.paths, form),
                Entity::Account(_) => {}
            }
            asked.forms.insert(entity.form().to_owned());
        }
        for quoted in quoted(text) {
            let form = normal(quoted);
            put(&mut facts.quoted, &form);
            asked.forms.insert(form);
        }
        for number in numbers(&asked.plain) {
            put(&mut facts.numbers, &number);
            asked.numbers.insert(number);
        }
        asked
    }

    /// Its facts, as policy gets them.
    pub(crate) fn facts(&self) -> RequestFacts {
        self.facts.clone()
    }

    /// Whether a value stands in it, on word borders.
    pub(crate) fn names(&self, value: &str) -> bool {
        let form = normal(value);
        let short = form.chars().count() < 2;
        let digits = form.bytes().all(|byte| byte.is_ascii_digit());
        if self.forms.contains(&form) {
            return true;
        }
        if short || (digits && form.len() < MIN_DIGITS) {
            return false;
        }
        stands(&self.plain, &form) || stands(&self.plain, &plain(value))
    }

    /// Whether an amount stands in it.
    pub(crate) fn has_amount(&self, value: &str) -> bool {
        self.numbers.contains(&normal(value))
    }
}

/// Whether `form` stands in a text with no letter or digit running on from it.
fn stands(text: &str, form: &str) -> bool {
    if form.is_empty() {
        return false;
    }
    text.match_indices(form).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text
            .get(at + form.len()..)
            .and_then(|after| after.chars().next());
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
    })
}

/// Texts between quotation marks of one kind. An apostrophe between letters is none.
fn quoted(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (open, close) in [
        ('"', '"'),
        ('“', '”'),
        ('`', '`'),
        ('\'', '\''),
        ('‘', '’'),
        ('«', '»'),
    ] {
        let mut rest = text;
        let mut before = None;
        while let Some(at) = rest.find(open) {
            let (head, tail) = rest.split_at(at);
            let runs_on = head
                .chars()
                .next_back()
                .or(before)
                .is_some_and(char::is_alphanumeric);
            let inner = tail.get(open.len_utf8()..).unwrap_or_default();
            let ends = inner.match_indices(close).find(|(end, _)| {
                let after = inner.get(end + close.len_utf8()..);
                !after
                    .and_then(|after| after.chars().next())
                    .is_some_and(char::is_alphanumeric)
            });
            let end = ends.map(|(end, _)| end).filter(|end| *end > 0 && !runs_on);
            before = Some(open);
            rest = match end {
                Some(end) => {
                    found.extend(inner.get(..end));
                    inner.get(end + close.len_utf8()..).unwrap_or_default()
                }
                None => inner,
            };
        }
    }
    found
}

/// Numbers in their shortest form, without separators of thousands.
fn numbers(plain: &str) -> Vec<String> {
    let parts = plain.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == ','));
    let parts = parts.map(|part| part.trim_matches(['.', ',']));
    parts
        .filter(|part| part.bytes().any(|byte| byte.is_ascii_digit()))
        .map(|part| normal(&part.replace(',', "")))
        .collect()
}

#[cfg(test)]
mod tests;
