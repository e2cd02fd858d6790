//! One change of a call, or of the bundle, that leads towards an allow: what it is in words, and how it is applied.

use bailiwick_core::Timestamp;
use bailiwick_core::label::Label;
use bailiwick_core::name::{StageName, UserId, WorkflowName};
use bailiwick_core::risk::Risk;
use bailiwick_core::task::RequestSource;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::recorded::Recorded;

/// Changes that together allow a call. All are needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remedy {
    /// In no particular order; at least one.
    pub steps: Vec<Step>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// People say yes to exactly this call.
    Approval {
        /// `approval:<who>` of each that is needed.
        tokens: Vec<String>,
        /// How many people.
        quorum: u32,
    },
    /// The enforcement point performs these kinds of duty.
    Perform {
        /// Kinds of duty.
        kinds: Vec<String>,
    },
    /// Another value for one argument.
    Argument {
        /// Names that lead to it.
        path: Vec<String>,
        /// A value that would do; none to leave it out.
        to: Option<Value>,
        /// What any other value must achieve as well; may be empty.
        so_that: String,
    },
    /// Arguments that fit the tool's schema, such as these.
    Arguments(Value),
    /// The task is in this stage.
    Stage(StageName),
    /// The task is of this workflow.
    Workflow(WorkflowName),
    /// The task has this risk.
    Risk(Risk),
    /// The task has this label, or has it not.
    Label {
        /// The label.
        label: Label,
        /// Whether it has it.
        on: bool,
    },
    /// The task was asked for by somebody else.
    RequestedBy(RequestSource),
    /// The task has this age, in seconds.
    Age(u64),
    /// The task has made so many calls.
    Calls(u64),
    /// The task has made so many calls that write.
    Writes(u64),
    /// The task has made so many calls that escalate.
    Escalations(u64),
    /// So many tasks are above it.
    Depth(u64),
    /// The call is made at this time.
    At(Timestamp),
    /// The call is made on behalf of this user.
    User(UserId),
    /// The bundle has no such policies, or they do not forbid this.
    Without {
        /// Their ids.
        policies: Vec<String>,
    },
    /// The bundle has one permit more.
    Permit {
        /// Its text.
        cedar: String,
        /// What it permits, in words.
        what: String,
    },
}

impl Remedy {
    /// The call with all changes applied, but for those of the bundle. None if one cannot be applied to this call.
    pub fn apply(&self, call: &Recorded) -> Option<Recorded> {
        let mut call = call.clone();
        self.steps
            .iter()
            .try_for_each(|step| step.apply(&mut call))?;
        Some(call)
    }

    /// Whether it differs only in the values that it offers as examples.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.steps.len() == other.steps.len()
            && self.steps.iter().zip(&other.steps).all(|pair| match pair {
                (
                    Step::Argument { path, to, so_that },
                    Step::Argument {
                        path: other_path,
                        to: other_to,
                        so_that: other_so_that,
                    },
                ) => {
                    path == other_path
                        && to.is_some() == other_to.is_some()
                        && (to.is_none() || so_that == other_so_that)
                }
                (one, other) => one == other,
            })
    }

    /// In words, for people.
    pub fn words(&self) -> String {
        let words: Vec<String> = self.steps.iter().map(Step::words).collect();
        words.join(", and ")
    }
}

impl Step {
    /// Whether it changes the bundle and not the call.
    pub fn is_of_bundle(&self) -> bool {
        matches!(self, Self::Without { .. } | Self::Permit { .. })
    }

    /// Whether both set the same thing, so that the later one stands for both.
    pub(crate) fn replaces(&self, earlier: &Self) -> bool {
        match (self, earlier) {
            (Self::Argument { path, .. }, Self::Argument { path: other, .. }) => path == other,
            (Self::Label { label, .. }, Self::Label { label: other, .. }) => label == other,
            (Self::Approval { .. } | Self::Perform { .. }, _) => self == earlier,
            (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
        }
    }

    fn apply(&self, call: &mut Recorded) -> Option<()> {
        let task = &mut call.task;
        match self {
            Self::Approval { tokens, .. } => call.discharged.extend(tokens.iter().cloned()),
            Self::Perform { kinds } => call.performs.extend(kinds.iter().cloned()),
            Self::Argument { path, to, .. } => {
                let mut arguments: Value = serde_json::from_str(&call.arguments).ok()?;
                put(&mut arguments, path, to.as_ref())?;
                call.arguments = arguments.to_string();
            }
            Self::Arguments(arguments) => call.arguments = arguments.to_string(),
            Self::Stage(stage) => task.stage = stage.clone(),
            Self::Workflow(workflow) => task.workflow = workflow.clone(),
            Self::Risk(risk) => task.risk = *risk,
            Self::Label { label, on } => {
                let others = task.labels.iter().filter(|other| *other != label).cloned();
                task.labels = others.chain(on.then(|| label.clone())).collect();
            }
            Self::RequestedBy(source) => task.requested_by = *source,
            Self::Age(seconds) => {
                task.created_at = call.now.minus(std::time::Duration::from_secs(*seconds));
            }
            Self::Calls(count) => task.usage.calls = *count,
            Self::Writes(count) => task.usage.writes = *count,
            Self::Escalations(count) => task.usage.escalations = *count,
            Self::Depth(depth) => task.depth = *depth,
            Self::At(now) => {
                let age = call.now.since(task.created_at);
                call.now = *now;
                task.created_at = now.minus(age);
            }
            Self::User(user) => call.user = user.clone(),
            Self::Without { .. } | Self::Permit { .. } => {}
        }
        Some(())
    }

    fn words(&self) -> String {
        match self {
            Self::Approval { tokens, quorum } => {
                let who: Vec<&str> = tokens
                    .iter()
                    .map(|token| token.strip_prefix("approval:").unwrap_or(token))
                    .collect();
                let people = match quorum {
                    0 | 1 => String::new(),
                    more => format!(" ({more} people)"),
                };
                format!("approval by {}{people}", who.join(" and "))
            }
            Self::Perform { kinds } => {
                format!("an enforcement point that performs {}", kinds.join(", "))
            }
            Self::Argument { path, to, so_that } => {
                let path = path.join("/");
                let so_that = if so_that.is_empty() {
                    String::new()
                } else {
                    format!(", so that {so_that}")
                };
                match to {
                    Some(value) => format!("another `{path}`, such as {value}{so_that}"),
                    None => format!("the call without `{path}`"),
                }
            }
            Self::Arguments(arguments) => {
                format!("arguments that fit the tool's schema, such as {arguments}")
            }
            Self::Stage(stage) => format!("a task in stage {stage}"),
            Self::Workflow(workflow) => format!("a task of workflow {workflow}"),
            Self::Risk(risk) => format!("a task at risk {risk}"),
            Self::Label { label, on: true } => format!("a task with the label {label}"),
            Self::Label { label, on: false } => format!("a task without the label {label}"),
            Self::RequestedBy(source) => {
                let source = match source {
                    RequestSource::User => "a user",
                    RequestSource::Orchestrator => "an orchestrator",
                    RequestSource::Agent => "an agent",
                };
                format!("a task requested by {source}")
            }
            Self::Age(seconds) => format!("a task that is {seconds} s old"),
            Self::Calls(count) => format!("a task that has made {count} calls"),
            Self::Writes(count) => format!("a task that has made {count} writes"),
            Self::Escalations(count) => format!("a task that has made {count} escalations"),
            Self::Depth(depth) => format!("a task with {depth} tasks above it"),
            Self::At(now) => format!("a call at another time, such as {now}"),
            Self::User(user) => format!("a call on behalf of {user}"),
            Self::Without { policies } => {
                let named: Vec<String> = policies.iter().map(|id| format!("`{id}`")).collect();
                format!("a bundle whose {} does not forbid it", named.join(", "))
            }
            Self::Permit { what, .. } => format!("a policy that permits {what}"),
        }
    }
}

/// Sets, or with nothing removes, the member at `path`.
fn put(value: &mut Value, path: &[String], to: Option<&Value>) -> Option<()> {
    let (last, above) = path.split_last()?;
    let mut object = value.as_object_mut()?;
    for name in above {
        object = object
            .entry(name.clone())
            .or_insert_with(|| Value::Object(Map::new()))
            .as_object_mut()?;
    }
    match to {
        Some(to) => drop(object.insert(last.clone(), to.clone())),
        None => drop(object.remove(last)),
    }
    Some(())
}
