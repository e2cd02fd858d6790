//! What policies are asked with, in both forms that forbids look at: as it was sent, and as a person may read it.

use bailiwick_core::Timestamp;
use cedar_policy_core::ast::{EntityUID, Value};
use cedar_policy_core::evaluator::Evaluator;

use crate::clause::Verdict;
use crate::fold::fold_value;
use crate::rule::Rule;
use crate::work::MAX_WORK;

/// One question in its forms.
pub(crate) struct Forms<'a> {
    /// As it was sent.
    pub(crate) sent: Evaluator<'a>,
    /// As a person may read it, if that is another text.
    folded: Option<Evaluator<'a>>,
}

/// To compare the input with takes more than a decision may.
pub(crate) struct TooMuchWork;

impl<'a> Forms<'a> {
    /// Of an input whose text has so many bytes, for these rules. `evaluator` is told whether what it makes is for the folded form.
    pub(crate) fn new<'r>(
        input: Value,
        bytes: usize,
        rules: impl Iterator<Item = &'r Rule>,
        evaluator: impl Fn(Value, bool) -> Evaluator<'a>,
    ) -> Result<Self, TooMuchWork> {
        let work = rules.map(|rule| rule.work.with(&input, bytes));
        let work = work.fold(0, u64::saturating_add);
        let folded = fold_value(&input);
        let forms = if folded.is_some() { 2 } else { 1 };
        if work > MAX_WORK / forms {
            return Err(TooMuchWork);
        }
        Ok(Self {
            sent: evaluator(input, false),
            folded: folded.map(|input| evaluator(input, true)),
        })
    }

    /// What a rule says: a permit to what was sent, a forbid if it fits either form.
    pub(crate) fn verdict(&self, rule: &Rule, action: &EntityUID, now: Timestamp) -> Verdict {
        let verdict = rule.verdict(action, now, &self.sent);
        match (&self.folded, verdict) {
            (Some(folded), Verdict::NotSatisfied) if !rule.is_permit() => {
                rule.verdict(action, now, folded)
            }
            _ => verdict,
        }
    }

    /// With which form a rule said what it said.
    pub(crate) fn of(&self, rule: &Rule) -> &Evaluator<'a> {
        match &self.folded {
            Some(folded) if !rule.is_permit() => match rule.clause.verdict(&self.sent) {
                Verdict::NotSatisfied => folded,
                Verdict::Satisfied | Verdict::Failed => &self.sent,
            },
            _ => &self.sent,
        }
    }
}
