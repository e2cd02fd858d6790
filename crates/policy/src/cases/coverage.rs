//! Which conditions the cases of a bundle exercise: one is, if it holds in one case and does not in another. A condition that
//! never differs could as well not be there.

use std::collections::BTreeMap;

use cedar_policy_core::evaluator::Evaluator;
use serde::{Deserialize, Serialize};

use super::case::Question;
use crate::act;
use crate::bundle::Bundle;
use crate::call::Call;
use crate::decide::{Known, of, weigh};
use crate::rule::Rule;

/// A condition of which the cases do not show both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Untried {
    /// The policy.
    pub policy: String,
    /// File within the bundle.
    pub file: String,
    /// Line of the condition, from 1.
    pub line: usize,
    /// Its column in characters, from 1.
    pub column: usize,
    /// The condition as it is written.
    pub clause: String,
    /// Whether it holds in some case.
    pub holds: bool,
    /// Whether it does not hold in some case that got as far as to it.
    pub fails: bool,
}

/// What the cases so far have shown of each condition, by policy and number.
#[derive(Debug, Default)]
pub(super) struct Coverage(BTreeMap<(String, usize), Seen>);

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    holds: bool,
    fails: bool,
}

impl Coverage {
    /// Takes in what one request shows.
    pub(super) fn look(&mut self, bundle: &Bundle, question: &Question<'_>) {
        match question {
            Question::Call(input) => input.ask(|call| self.call(bundle, call)),
            Question::Act(asked) => {
                if let Ok(posed) = act::pose(bundle, asked) {
                    for rule in &posed.rules {
                        self.rule(rule, posed.forms.of(rule));
                    }
                }
            }
        }
    }

    fn call(&mut self, bundle: &Bundle, call: &Call<'_>) {
        let (Ok(weighed), Ok(known)) = (weigh(bundle, call), Known::new(bundle, call)) else {
            return;
        };
        for rule in of(bundle, &known.candidates(bundle, call)) {
            self.rule(rule, weighed.forms.of(rule));
        }
    }

    fn rule(&mut self, rule: &Rule, evaluator: &Evaluator<'_>) {
        for (number, conjunct) in rule.conjuncts().enumerate() {
            let holds = conjunct.holds(evaluator);
            let seen = self.0.entry((rule.marks.id.clone(), number)).or_default();
            seen.holds |= holds == Some(true);
            seen.fails |= holds == Some(false);
            // What follows is not asked.
            if holds != Some(true) {
                break;
            }
        }
    }

    /// The conditions of the bundle's own policies that the cases do not exercise, in order of policy. Packs come with tests.
    pub(super) fn untried(&self, bundle: &Bundle) -> Vec<Untried> {
        let own = bundle.rules.iter().filter(|rule| !rule.is_of_pack());
        let all = own.flat_map(|rule| {
            rule.conjuncts()
                .enumerate()
                .map(move |(n, one)| (rule, n, one))
        });
        let untried = all.filter_map(|(rule, number, conjunct)| {
            let seen = self.0.get(&(rule.marks.id.clone(), number));
            let Seen { holds, fails } = seen.copied().unwrap_or_default();
            let (line, column) = rule.place_of(conjunct);
            (!holds || !fails).then(|| Untried {
                policy: rule.marks.id.clone(),
                file: rule.written.file.to_string(),
                line,
                column,
                clause: conjunct.text(),
                holds,
                fails,
            })
        });
        untried.collect()
    }
}
