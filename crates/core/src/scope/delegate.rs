//! Delegation: a child's scope is what was asked for, if that is within the parent's, narrowed by the agent's ceiling and by
//! policy. Asking for more is refused with the element named, never narrowed in silence.

use super::{Code, Fault, Scope, ScopeError, Widening};

/// The scope of a child task. `ceiling` is the widest scope of the child's agent, `cap` what policy sets; either may be absent.
pub fn delegate(
    parent: &Scope,
    request: &Scope,
    ceiling: Option<&Scope>,
    cap: Option<&Scope>,
) -> Result<Delegated, DelegateError> {
    if request.depth >= parent.depth {
        return Err(DelegateError::Depth {
            asked: request.depth,
            parent: parent.depth,
        });
    }
    request.within(parent).map_err(DelegateError::Widening)?;
    let mut scope = request.clone();
    let mut narrowed_by = Vec::new();
    for (bound, name) in [(ceiling, Narrowing::Ceiling), (cap, Narrowing::Policy)] {
        let Some(bound) = bound else { continue };
        let narrowed = scope
            .meet(bound)
            .map_err(|source| DelegateError::Narrowed { by: name, source })?;
        if narrowed != scope {
            narrowed_by.push(name);
        }
        scope = narrowed;
    }
    Ok(Delegated { scope, narrowed_by })
}

/// A child's scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegated {
    /// The scope, within the parent's.
    pub scope: Scope,
    /// What made it narrower than was asked for.
    pub narrowed_by: Vec<Narrowing>,
}

/// A bound besides the parent's scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Narrowing {
    /// What there is to hand on: words reach further than the task's grants.
    Task,
    /// The ceiling of the child's agent.
    Ceiling,
    /// A cap that policy sets.
    Policy,
    /// What a token may do that is bound to no key.
    Unbound,
}

impl Narrowing {
    /// Lower-case name, as in the token answer's `narrowed_by`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Ceiling => "ceiling",
            Self::Policy => "policy",
            Self::Unbound => "unbound",
        }
    }
}

/// Why a delegation is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DelegateError {
    /// The request goes beyond the parent.
    #[error("the delegated scope goes beyond its parent's")]
    Widening(#[source] Widening),
    /// The chain would become too long.
    #[error("the child asks for {asked} further delegations, its parent has {parent}")]
    Depth {
        /// Delegations that the child asks for.
        asked: u8,
        /// Delegations that the parent may still make.
        parent: u8,
    },
    /// What is asked for is no scope, or nothing of it is there to be had.
    #[error("the scope that is asked for")]
    Scope(#[source] ScopeError),
    /// A narrower token of the same task with a budget, deadline or depth of its own: those are counted per task.
    #[error(
        "budget, deadline and depth belong to a task: a token of the same task can have narrower grants alone"
    )]
    OwnTask,
    /// With the ceiling or cap nothing is left, or too much to write down.
    #[error("narrowed by {}", .by.as_str())]
    Narrowed {
        /// Which bound.
        by: Narrowing,
        /// What went wrong.
        #[source]
        source: ScopeError,
    },
}

impl Fault for DelegateError {
    fn code(&self) -> Code {
        match self {
            Self::Widening(widening) => widening.code(),
            Self::Depth { .. } => Code::DelegationDepth,
            Self::Scope(source) | Self::Narrowed { source, .. } => source.code(),
            Self::OwnTask => Code::InvalidInput,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Widening(widening) => widening.help(),
            Self::Depth { parent: 0, .. } => {
                "this task may not delegate; do the work in it".to_owned()
            }
            Self::Depth { parent, .. } => format!("ask for a depth of at most {}", parent - 1),
            Self::Scope(source) | Self::Narrowed { source, .. } => source.help(),
            Self::OwnTask => "delegate a task of its own for that".to_owned(),
        }
    }
}
