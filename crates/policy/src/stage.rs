//! What the stage of a task lets through, whatever the policies of the bundle say.

use bailiwick_core::name::{StageName, WorkflowName};
use bailiwick_core::scope::Call;
use bailiwick_core::{Code, Fault};

use crate::workflow::Workflows;

/// A stage that does not let a call through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageRefusal {
    /// The code.
    pub code: Code,
    /// Why.
    pub reason: String,
    /// What a person can do.
    pub fix: String,
}

impl Workflows {
    /// Why a task in this stage may not make the call; none if it may. A stage that the bundle does not have lets nothing through.
    pub fn refusal(
        &self,
        workflow: &WorkflowName,
        stage: &StageName,
        call: &Call<'_>,
    ) -> Option<StageRefusal> {
        let found = self
            .named(workflow)
            .and_then(|workflow| workflow.stage(stage));
        let Some(found) = found else {
            let fix =
                "an operator moves the task to a stage there is, or publishes the stage again";
            return Some(StageRefusal {
                code: Code::StageDenied,
                reason: format!("the policy bundle has no stage {stage} of workflow {workflow}"),
                fix: fix.to_owned(),
            });
        };
        let missing = found.cap.as_ref()?.permits(call).err()?;
        Some(StageRefusal {
            code: missing.code(),
            reason: missing.to_string(),
            fix: missing.help(),
        })
    }
}
