//! Workflows: the stages a task goes through and who may move it on (07 of the design, `workflows/*.toml`).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use bailiwick_core::Fault as _;
use bailiwick_core::name::{StageName, WorkflowName};
use bailiwick_core::risk::Risk;
use bailiwick_core::scope::{Bounds, Draft, Scope, ScopeError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::flaw::{Flaw, FlawCode, PolicyErrors, advice};
use crate::nearest::nearest;
use crate::source::BundleSource;

/// A workflow has at most this many stages.
pub const MAX_STAGES: usize = 32;
/// Name of the workflow that every bundle has.
pub const DEFAULT: &str = "default";

/// Who may make a transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// The agent of the task.
    Agent,
    /// The user of the task.
    User,
    /// An account with the operator role.
    Operator,
}

/// One stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Its name.
    pub name: StageName,
    /// A task in this stage can do no more than this, whatever its scope says.
    pub cap: Option<Scope>,
    /// A task in this stage has at least this risk.
    pub risk_floor: Risk,
}

/// One allowed change of stage.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transition {
    /// The stage it leaves.
    pub from: StageName,
    /// The stage it enters.
    pub to: StageName,
    /// Who may make it; at least one.
    pub who: BTreeSet<Who>,
}

/// One workflow.
#[derive(Debug, Clone, PartialEq)]
pub struct Workflow {
    /// Its name.
    pub name: WorkflowName,
    /// Stages in the order of the file; a task starts in the first.
    pub stages: Vec<Stage>,
    /// Every allowed change of stage.
    pub transitions: Vec<Transition>,
}

impl Workflow {
    /// Where a task starts.
    pub fn start(&self) -> Option<&Stage> {
        self.stages.first()
    }

    /// The stage of this name.
    pub fn stage(&self, name: &StageName) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.name == *name)
    }

    /// Whether `who` may move a task from one stage to the other.
    pub fn allows(&self, from: &StageName, to: &StageName, who: Who) -> bool {
        self.transitions
            .iter()
            .any(|step| step.from == *from && step.to == *to && step.who.contains(&who))
    }
}

/// The workflows of a bundle by name; `default` is always there.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Workflows(BTreeMap<WorkflowName, Workflow>);

impl Workflows {
    /// The workflow of this name.
    pub fn named(&self, name: &WorkflowName) -> Option<&Workflow> {
        self.0.get(name)
    }

    /// All of them in order of name.
    pub fn iter(&self) -> impl Iterator<Item = &Workflow> {
        self.0.values()
    }

    /// Reads `workflows/*.toml` and adds `default` with its one stage `run` unless a file defines it.
    pub fn read(source: &BundleSource) -> Result<Self, PolicyErrors> {
        let mut flaws = Vec::new();
        let mut all = BTreeMap::new();
        for (path, text) in source.below("workflows/", ".toml") {
            match parse(path, text) {
                Ok((workflow, place)) => {
                    let name = workflow.name.clone();
                    if all.insert(name.clone(), workflow).is_some() {
                        let message = format!("workflow `{name}` is defined twice");
                        let flaw = Flaw::at(path, text, place, message).code(FlawCode::Workflow);
                        flaws.push(flaw.help("give each workflow a name of its own"));
                    }
                }
                Err(wrong) => {
                    flaws.extend(wrong.into_iter().map(|flaw| flaw.code(FlawCode::Workflow)));
                }
            }
        }
        if !all.keys().any(|name| name.as_str() == DEFAULT) {
            let built_in = parse("workflows/default.toml", DEFAULT_TEXT);
            match built_in {
                Ok((workflow, _)) => drop(all.insert(workflow.name.clone(), workflow)),
                Err(wrong) => flaws.extend(wrong),
            }
        }
        PolicyErrors::check(flaws).map(|()| Self(all))
    }
}

const DEFAULT_TEXT: &str = "name = \"default\"\n[[stage]]\nname = \"run\"\n";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: toml::Spanned<WorkflowName>,
    #[serde(rename = "stage")]
    stages: Vec<toml::Spanned<StageFile>>,
    #[serde(rename = "transition", default)]
    transitions: Vec<toml::Spanned<Transition>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StageFile {
    name: StageName,
    #[serde(default)]
    cap: Option<toml::Spanned<Draft>>,
    #[serde(default)]
    risk_floor: Risk,
}

/// The workflow of a file and where its name stands, or everything that is wrong with it.
fn parse(path: &str, text: &str) -> Result<(Workflow, Range<usize>), Vec<Flaw>> {
    let file: File = toml::from_str(text).map_err(|error| misshapen(path, text, &error))?;
    let mut flaws = Vec::new();
    if file.stages.is_empty() || file.stages.len() > MAX_STAGES {
        let message = format!("a workflow has 1 to {MAX_STAGES} stages");
        let flaw = Flaw::at(path, text, file.name.span(), message);
        flaws.push(flaw.help("add [[stage]] with a name; a task starts in the first"));
    }
    let mut stages: Vec<Stage> = Vec::with_capacity(file.stages.len());
    for stage in file.stages {
        let place = stage.span();
        let stage = stage.into_inner();
        if stages.iter().any(|earlier| earlier.name == stage.name) {
            let message = format!("stage `{}` is defined twice", stage.name);
            let flaw = Flaw::at(path, text, place, message);
            flaws.push(flaw.help("give each stage a name of its own"));
        }
        let cap = stage.cap.and_then(|draft| {
            let span = draft.span();
            let filled = draft.into_inner().fill(&Bounds::WIDEST);
            let wrong = |error: ScopeError| {
                Flaw::at(path, text, span, error.to_string()).help(error.help())
            };
            filled.map_err(|error| flaws.push(wrong(error))).ok()
        });
        stages.push(Stage {
            name: stage.name,
            cap,
            risk_floor: stage.risk_floor,
        });
    }
    let mut transitions = Vec::with_capacity(file.transitions.len());
    for step in file.transitions {
        let span = step.span();
        let step = step.into_inner();
        let at = |message: String| Flaw::at(path, text, span.clone(), message);
        let known = |name: &StageName| stages.iter().any(|stage| stage.name == *name);
        let unknown = BTreeSet::from([&step.from, &step.to]);
        let unknown = unknown.into_iter().filter(|name| !known(name));
        flaws.extend(unknown.map(|name| {
            let all = stages.iter().map(|stage| stage.name.as_str());
            let near = nearest(name.as_str(), all, 2).map_or_else(
                || format!("add [[stage]] with name = \"{name}\""),
                |near| format!("did you mean `{near}`?"),
            );
            at(format!("there is no stage `{name}`")).help(near)
        }));
        if step.who.is_empty() {
            let flaw = at("nobody may make this transition".to_owned());
            flaws.push(flaw.help("who is one or more of agent, user, operator"));
        }
        transitions.push(step);
    }
    if flaws.is_empty() {
        let place = file.name.span();
        let workflow = Workflow {
            name: file.name.into_inner(),
            stages,
            transitions,
        };
        Ok((workflow, place))
    } else {
        Err(flaws)
    }
}

/// The reader stops at its first mistake. What else does not fit is found item by item.
fn misshapen(path: &str, text: &str, error: &toml::de::Error) -> Vec<Flaw> {
    let first = Flaw::toml(path, text, error);
    let Ok(items) = toml::from_str::<Items>(text) else {
        return vec![first];
    };
    let starts = |items: &[toml::Spanned<toml::Value>]| -> Vec<usize> {
        items.iter().map(|item| item.span().start).collect()
    };
    // An item's place is that of its head; the first mistake is in the last that begins before it.
    let all = starts(&items.stages)
        .into_iter()
        .chain(starts(&items.transitions));
    let known = all.filter(|start| *start <= first.span.start).max();
    let stages = items.stages.into_iter().filter_map(misfit::<StageShape>);
    let transitions = items.transitions.into_iter();
    let misfits = stages.chain(transitions.filter_map(misfit::<Transition>));
    let others = misfits.filter(|(span, _)| Some(span.start) != known);
    let others: Vec<Flaw> = others
        .map(|(span, message)| {
            let help = advice(&message);
            Flaw::at(path, text, span, message).help(help)
        })
        .collect();
    std::iter::once(first).chain(others).collect()
}

fn misfit<T: DeserializeOwned>(item: toml::Spanned<toml::Value>) -> Option<(Range<usize>, String)> {
    let span = item.span();
    let error = T::deserialize(item.into_inner()).err()?;
    Some((span, error.message().to_owned()))
}

/// The items of a file, whatever is in them.
#[derive(Deserialize)]
struct Items {
    #[serde(rename = "stage", default)]
    stages: Vec<toml::Spanned<toml::Value>>,
    #[serde(rename = "transition", default)]
    transitions: Vec<toml::Spanned<toml::Value>>,
}

/// A stage apart from its file, where there are no places.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only whether it can be read is asked")]
struct StageShape {
    name: StageName,
    #[serde(default)]
    cap: Option<Draft>,
    #[serde(default)]
    risk_floor: Risk,
}

#[cfg(test)]
mod tests;
