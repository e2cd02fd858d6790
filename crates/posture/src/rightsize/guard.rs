//! The proposal as one file of policy: a forbid for each place, which no permit of the bundle overrules. What people wrote stays
//! as they wrote it.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use bailiwick_core::name::{AgentName, ToolRef, WorkflowName};

use super::{Place, Proposal};

/// Whose authority is cut down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// One agent's.
    Agent(AgentName),
    /// That of all tasks of one workflow.
    Workflow(WorkflowName),
}

impl Subject {
    /// Where its guard of this number lies in a bundle.
    pub fn path(&self, number: u32) -> String {
        format!("rightsize/{}.cedar", self.guarded(number))
    }

    fn guarded(&self, number: u32) -> String {
        match self {
            Self::Agent(name) => format!("agent-{name}-{number}"),
            Self::Workflow(name) => format!("workflow-{name}-{number}"),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(name) => write!(f, "agent {name}"),
            Self::Workflow(name) => write!(f, "workflow {name}"),
        }
    }
}

/// The text of the file; none if nothing is taken away. Places from which nothing goes are not mentioned in it. A bundle may have
/// several, by number: each takes away, and none gives back what another took.
pub fn guard(subject: &Subject, number: u32, proposal: &Proposal) -> Option<String> {
    let mut places: BTreeMap<&Place, Vec<&ToolRef>> = proposal
        .removed
        .iter()
        .map(|removed| (&removed.place, Vec::new()))
        .collect();
    for kept in &proposal.kept {
        if let Some(tools) = places.get_mut(&kept.place) {
            tools.push(&kept.tool);
        }
    }
    if places.is_empty() {
        return None;
    }
    let mut text = String::from(HEAD);
    for (at, (place, tools)) in places.into_iter().enumerate() {
        let id = format!("rightsize/{}/{}", subject.guarded(number), at + 1);
        // A text that is written into cannot fail.
        let _ = one(&mut text, subject, (&id, place), &tools);
    }
    Some(text)
}

fn one(
    text: &mut String,
    subject: &Subject,
    (id, place): (&str, &Place),
    tools: &[&ToolRef],
) -> fmt::Result {
    let Place { workflow, stage } = place;
    let principal = match subject {
        Subject::Agent(name) => {
            format!("principal == Bailiwick::Agent::{}", quoted(name.as_str()))
        }
        Subject::Workflow(_) => "principal".to_owned(),
    };
    write!(
        text,
        r#"
@id("{id}")
@reason("No task of {subject} in stage {stage} of workflow {workflow} used this tool while its authority was measured.")
@fix("If it is needed after all, name the tool in the guard file, or remove that file, and publish the bundle.")
forbid ({principal}, action in Bailiwick::Action::"use", resource)
when {{
  context.bw.task.workflow == {} &&
  context.bw.task.stage == {}
}}"#,
        quoted(workflow.as_str()),
        quoted(stage.as_str()),
    )?;
    if !tools.is_empty() {
        text.push_str("\nunless {\n  action in [\n");
        for (at, tool) in tools.iter().enumerate() {
            let comma = if at + 1 < tools.len() { "," } else { "" };
            writeln!(
                text,
                "    Bailiwick::Action::{}{comma}",
                quoted(&tool.to_string())
            )?;
        }
        text.push_str("  ]\n}");
    }
    text.push_str(";\n");
    Ok(())
}

/// As Cedar writes a string. Names hold no control characters.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        if matches!(letter, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    quoted.push('"');
    quoted
}

const HEAD: &str = "\
// Written by `bailiwick policy rightsize` from what is on record. It only takes away; publish the bundle without this file to undo it.
";
