//! An answer on its way into the memory of its task.

use std::collections::{BTreeSet, HashSet};

use bailiwick_core::Effect;
use bailiwick_core::scope::ArgPath;

use super::Source;
use super::memory::{MAX_ANSWER, Memory};
use super::origin::Standing;
use crate::content::Content;

/// An answer, before anybody but the gateway has read it.
#[derive(Debug)]
pub(crate) struct Answered<'a> {
    pub(crate) content: &'a Content<'a>,
    pub(crate) source: Source<'a>,
}

impl Memory {
    /// Remembers an answer. What is in it without an integrity label was written by people who are trusted; of the rest, what the operator
    /// says of its paths.
    pub(crate) fn answer(&mut self, answer: &Answered<'_>) {
        let Source {
            binding,
            effect,
            labels,
        } = answer.source;
        let trusted = !labels.taints();
        let confidential = labels.confidential().next().is_some();
        let mut left = MAX_ANSWER;
        let mut told = HashSet::new();
        for (path, value) in answer.content.trees.iter().flatten() {
            if !self.room(&mut left, value) {
                return;
            }
            let at = |paths: &BTreeSet<ArgPath>| paths.iter().any(|own| own.as_str() == path);
            let assigned = at(&binding.facts);
            let mut standing = Standing::default();
            if trusted || at(&binding.known) {
                standing.join(Standing::KNOWN);
            }
            if assigned {
                standing.join(Standing::FACT);
            }
            if assigned && effect != Effect::Read {
                standing.join(Standing::CREATED);
            }
            let plain_fact = !standing.is_none();
            if plain_fact {
                self.stands(value, standing);
            }
            if (!plain_fact || confidential) && told.insert(value.as_str()) {
                self.read(value, labels);
            }
        }
        for text in &answer.content.texts {
            if !self.room(&mut left, text) {
                return;
            }
            if trusted {
                self.stands(text, Standing::KNOWN);
            }
            if !trusted || confidential {
                self.read(text, labels);
            }
        }
    }

    fn room(&mut self, left: &mut usize, text: &str) -> bool {
        let Some(rest) = left.checked_sub(text.len()) else {
            self.saturate();
            return false;
        };
        *left = rest;
        true
    }
}
