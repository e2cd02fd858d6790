//! The steps that set one fact of a call: to a value, to be there, to be absent, to hold members or none.

use bailiwick_core::Timestamp;
use bailiwick_core::risk::Risk;
use bailiwick_core::task::RequestSource;
use cedar_policy_core::ast::{Expr, Literal, Value, ValueKind};
use serde_json::json;

use super::{Flip, Steps};
use crate::explain::step::Step;
use crate::shape::{Field, Shape};
use crate::work::path;

impl Flip<'_> {
    pub(super) fn set(&self, fact: &[String], value: &Value) -> Vec<Steps> {
        self.step(fact, value)
            .map(|step| vec![vec![step]])
            .unwrap_or_default()
    }

    fn step(&self, fact: &[String], value: &Value) -> Option<Step> {
        let long = || match &value.value {
            ValueKind::Lit(Literal::Long(number)) => Some(*number),
            _ => None,
        };
        let count = || u64::try_from(long()?).ok();
        let text = || match &value.value {
            ValueKind::Lit(Literal::String(text)) => Some(text.as_str()),
            _ => None,
        };
        match &*names(fact) {
            ["input", ..] => argument(fact, Some(json_of(value)?)),
            ["bw", "user"] => match &value.value {
                ValueKind::Lit(Literal::EntityUID(uid)) => {
                    let id: &str = uid.eid().as_ref();
                    id.parse().ok().map(Step::User)
                }
                _ => None,
            },
            ["bw", "depth"] => count().map(Step::Depth),
            ["bw", "task", "stage"] => text()?.parse().ok().map(Step::Stage),
            ["bw", "task", "workflow"] => text()?.parse().ok().map(Step::Workflow),
            ["bw", "task", "risk"] => {
                let risk = Risk::ALL
                    .into_iter()
                    .find(|risk| Some(risk.as_long()) == long())?;
                Some(Step::Risk(risk))
            }
            ["bw", "task", "requested_by"] => {
                let source = match text()? {
                    "user" => RequestSource::User,
                    "orchestrator" => RequestSource::Orchestrator,
                    "agent" => RequestSource::Agent,
                    _ => return None,
                };
                Some(Step::RequestedBy(source))
            }
            ["bw", "task", "age_s"] => count().map(Step::Age),
            ["bw", "task", "calls"] => count().map(Step::Calls),
            ["bw", "task", "writes"] => count().map(Step::Writes),
            ["bw", "task", "escalations"] => count().map(Step::Escalations),
            ["bw", "now", what] => self.time(what, long()?).map(Step::At),
            _ => None,
        }
    }

    fn time(&self, what: &str, to: i64) -> Option<Timestamp> {
        let (now, local) = (self.call.now.as_secs(), self.zone.local(self.call.now));
        let seconds = match what {
            "epoch_s" => to,
            "hour" if (0..24).contains(&to) => now + (to - local.hour) * 3_600,
            "weekday" if (0..7).contains(&to) => now + (to - local.weekday).rem_euclid(7) * 86_400,
            _ => return None,
        };
        (0..=MAX_SECONDS)
            .contains(&seconds)
            .then(|| Timestamp::from_secs(seconds))
    }

    /// All of these are members of the fact, or none of them is.
    pub(super) fn membership(&self, fact: &[String], members: &[Value], want: bool) -> Vec<Steps> {
        match &*names(fact) {
            ["bw", "task", "labels"] => {
                let labels = members.iter().map(|member| match &member.value {
                    ValueKind::Lit(Literal::String(text)) => text.parse().ok(),
                    _ => None,
                });
                let steps = labels.map(|label| {
                    Some(Step::Label {
                        label: label?,
                        on: want,
                    })
                });
                steps.collect::<Option<Steps>>().into_iter().collect()
            }
            ["input", ..] => {
                let now = self.argument_now(fact);
                let mut elements = match now {
                    Some(serde_json::Value::Array(elements)) => elements,
                    _ => Vec::new(),
                };
                let members: Vec<_> = members.iter().filter_map(json_of).collect();
                elements.retain(|element| !members.contains(element));
                if want {
                    elements.extend(members);
                }
                let step = argument(fact, Some(elements.into()));
                step.map(|step| vec![step]).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn emptied(&self, fact: &[String]) -> Vec<Steps> {
        match &*names(fact) {
            ["bw", "task", "labels"] => {
                let labels = self.call.task.labels.iter().cloned();
                vec![
                    labels
                        .map(|label| Step::Label { label, on: false })
                        .collect(),
                ]
            }
            ["input", ..] => argument(fact, Some(json!([])))
                .map(|step| vec![step])
                .into_iter()
                .collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn presence(&self, of: &Expr, attributes: &[String], want: bool) -> Vec<Steps> {
        let Some(mut fact) = path(of) else {
            return Vec::new();
        };
        fact.extend_from_slice(attributes);
        if !want {
            return self.absent(&fact);
        }
        let example = self.shape(&fact).map(Shape::example);
        let step = example.and_then(|example| argument(&fact, Some(example)));
        step.map(|step| vec![step]).into_iter().collect()
    }

    pub(super) fn absent(&self, fact: &[String]) -> Vec<Steps> {
        let optional = self.field(fact).is_some_and(|field| !field.required);
        let step = optional.then(|| argument(fact, None)).flatten();
        step.map(|step| vec![step]).into_iter().collect()
    }

    fn argument_now(&self, fact: &[String]) -> Option<serde_json::Value> {
        let arguments: serde_json::Value = serde_json::from_str(&self.call.arguments).ok()?;
        let mut value = &arguments;
        for name in fact.iter().skip(1) {
            value = value.get(name)?;
        }
        Some(value.clone())
    }

    fn shape(&self, fact: &[String]) -> Option<&Shape> {
        self.field(fact).map(|field| &field.shape)
    }

    fn field(&self, fact: &[String]) -> Option<&Field> {
        let (last, above) = fact.get(1..)?.split_last()?;
        let mut record = self.arguments;
        for name in above {
            match &record.fields.get(name)?.shape {
                Shape::Record(inner) => record = inner,
                _ => return None,
            }
        }
        record.fields.get(last)
    }
}

/// The last second of the year 9999.
const MAX_SECONDS: i64 = 253_402_300_799;

pub(super) fn argument(fact: &[String], to: Option<serde_json::Value>) -> Option<Step> {
    let (first, path) = fact.split_first()?;
    (first == "input" && !path.is_empty()).then(|| Step::Argument {
        path: path.to_vec(),
        to,
        so_that: String::new(),
    })
}

pub(super) fn names(fact: &[String]) -> Vec<&str> {
    fact.iter().map(String::as_str).collect()
}

fn json_of(value: &Value) -> Option<serde_json::Value> {
    match &value.value {
        ValueKind::Lit(Literal::Bool(is)) => Some(json!(is)),
        ValueKind::Lit(Literal::Long(number)) => Some(json!(number)),
        ValueKind::Lit(Literal::String(text)) => Some(json!(text.as_str())),
        ValueKind::Set(set) => set.authoritative.iter().map(json_of).collect(),
        ValueKind::Lit(Literal::EntityUID(_))
        | ValueKind::Record(_)
        | ValueKind::ExtensionValue(_) => None,
    }
}
