//! What is remembered of one root task: whole values that something stands behind, and the words of answers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};

use bailiwick_core::Timestamp;
use bailiwick_core::id::{ApprovalId, TaskId};
use bailiwick_core::label::{Label, Labels};
use bailiwick_core::normal::{normal, plain, words};

use super::origin::{Origins, Standing};

/// Values of each standing; a longer one than [`MAX_VALUE`] is not kept.
const MAX_VALUES: usize = 16_384;
/// Bytes of one value in normal form.
const MAX_VALUE: usize = 512;
/// Words and pairs of words of all answers.
const MAX_WORDS: usize = 65_536;
/// Bytes of one answer that are read.
pub(super) const MAX_ANSWER: usize = 1 << 20;
/// Labels that are told apart.
const MAX_LABELS: usize = 63;
/// Tasks below one root whose doings are remembered, and stages and tools of each.
const MAX_DOINGS: usize = 64;

/// The bit of words of which it is not known what they carry.
const OTHER: u64 = 1 << MAX_LABELS;

/// What is remembered of one root task.
#[derive(Debug)]
pub(crate) struct Memory {
    values: HashMap<Box<str>, Standing>,
    words: HashMap<u64, u64>,
    /// Words are kept as 64 bits under a key of this memory, so that nobody can choose two that are one.
    key: RandomState,
    labels: Vec<Label>,
    doings: HashMap<TaskId, Doings>,
    bytes: usize,
    saturated: bool,
}

/// What one task has done.
#[derive(Debug, Clone, Default)]
pub(crate) struct Doings {
    /// Stages in which it called something.
    pub(crate) stages: BTreeSet<String>,
    /// Tools that it called.
    pub(crate) tools: BTreeSet<String>,
    /// Calls that were refused.
    pub(crate) denied: u64,
    /// Calls that people refused.
    pub(crate) refused: u64,
    /// Approvals that people have not answered, as far as this task knows, with when they expire.
    pub(crate) waiting: BTreeMap<ApprovalId, Timestamp>,
    /// When it called last.
    pub(crate) last: Option<Timestamp>,
}

impl Memory {
    /// An empty one; saturated if something that belongs into it is missing.
    pub(super) fn new(saturated: bool) -> Self {
        Self {
            values: HashMap::new(),
            words: HashMap::new(),
            key: RandomState::new(),
            labels: Vec::new(),
            doings: HashMap::new(),
            bytes: 0,
            saturated,
        }
    }

    /// Whether something was forgotten: then what is not found counts as text of an answer.
    pub(crate) fn saturated(&self) -> bool {
        self.saturated
    }

    pub(super) fn saturate(&mut self) {
        self.saturated = true;
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.words.capacity() * 16
    }

    /// Remembers that something stands behind a value.
    pub(crate) fn stands(&mut self, value: &str, standing: Standing) {
        let value = normal(value);
        if value.is_empty() || value.len() > MAX_VALUE {
            return;
        }
        if let Some(known) = self.values.get_mut(value.as_str()) {
            known.join(standing);
            return;
        }
        if self.values.len() >= MAX_VALUES {
            self.saturated = true;
            return;
        }
        self.bytes += value.len() + 64;
        self.values.insert(value.into(), standing);
    }

    /// Remembers the words of a text with what it carries.
    pub(super) fn read(&mut self, text: &str, labels: &Labels) {
        let bits = self.bits(labels);
        let text = plain(text);
        let mut before = None;
        for word in words(&text) {
            self.put(self.key.hash_one(word), bits);
            if let Some(before) = before {
                self.put(self.key.hash_one((before, word)), bits);
            }
            before = Some(word);
        }
    }

    /// What is known of a value.
    pub(crate) fn origins(&self, value: &str) -> Origins {
        let form = normal(value);
        let standing = self.values.get(form.as_str()).copied();
        let bits = self.text(&plain(value));
        Origins {
            standing: standing.unwrap_or_default(),
            text: bits.is_some() || (self.saturated && standing.is_none()),
        }
    }

    /// The confidential labels of answers that held one of these words: of 16 letters, or of 6 with a digit among them.
    pub(crate) fn carried(&self, plain: &str) -> BTreeSet<String> {
        let tells = |word: &&str| {
            let letters = word.chars().count();
            letters >= 16 || (letters >= 6 && word.bytes().any(|byte| byte.is_ascii_digit()))
        };
        let found = words(plain)
            .filter(tells)
            .filter_map(|word| self.words.get(&self.key.hash_one(word)));
        let bits = found.fold(0, |all, bits| all | bits);
        let names = self.labels.iter().enumerate();
        let held = names.filter(|(at, label)| bits >> at & 1 == 1 && label.as_str() != "untrusted");
        let mut carried: BTreeSet<String> = held.map(|(_, label)| label.to_string()).collect();
        if bits & OTHER != 0 {
            carried.insert("other".to_owned());
        }
        carried
    }

    /// What a task below this root has done.
    pub(crate) fn doings(&self, task: TaskId) -> Doings {
        self.doings.get(&task).cloned().unwrap_or_default()
    }

    /// Takes note of what a task does. Of more tasks than are remembered, nothing is.
    pub(crate) fn done(&mut self, task: TaskId, note: impl FnOnce(&mut Doings)) {
        if !self.doings.contains_key(&task) && self.doings.len() >= MAX_DOINGS {
            self.saturated = true;
            return;
        }
        let doings = self.doings.entry(task).or_default();
        note(doings);
        while doings.waiting.len() > MAX_DOINGS {
            doings.waiting.pop_first();
        }
        let full = doings.stages.len() > MAX_DOINGS || doings.tools.len() > MAX_DOINGS;
        while doings.stages.len() > MAX_DOINGS {
            doings.stages.pop_last();
        }
        while doings.tools.len() > MAX_DOINGS {
            doings.tools.pop_last();
        }
        self.saturated |= full;
    }

    /// The labels under which a whole text stood, word by word and pair by pair, in answers; none if it did not.
    fn text(&self, plain: &str) -> Option<u64> {
        let (mut bits, mut before) = (None, None);
        for word in words(plain) {
            let own = *self.words.get(&self.key.hash_one(word))?;
            if let Some(before) = before {
                self.words.get(&self.key.hash_one((before, word)))?;
            }
            bits = Some(bits.unwrap_or(0) | own);
            before = Some(word);
        }
        bits
    }

    fn put(&mut self, word: u64, bits: u64) {
        if let Some(known) = self.words.get_mut(&word) {
            *known |= bits;
        } else if self.words.len() < MAX_WORDS {
            self.words.insert(word, bits);
        } else {
            self.saturated = true;
        }
    }

    fn bits(&mut self, labels: &Labels) -> u64 {
        let mut bits = 0;
        for label in labels.iter() {
            let known = self.labels.iter().position(|own| own == label);
            let at = known.unwrap_or_else(|| {
                if self.labels.len() < MAX_LABELS {
                    self.labels.push(label.clone());
                }
                self.labels.len().saturating_sub(1)
            });
            let told = self.labels.get(at) == Some(label);
            bits |= if told { 1 << at } else { OTHER };
        }
        bits
    }
}
