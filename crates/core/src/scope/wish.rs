//! How much of a scope somebody asks for: all of it, words of the OAuth `scope` parameter, or exact grants. Exact grants are refused
//! unless they fit whole; words stand for a reach, so they are met with what there is, and the answer says that it is less.

use serde::Deserialize;

use super::delegate::DelegateError;
use super::{Bounds, Draft, Grant, Scope, ScopeError};

/// What a delegation or a narrower token asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Option<Draft>")]
pub enum Wish {
    /// Everything that can be had.
    #[default]
    Whole,
    /// What words like `github:read` reach of it ([`super::from_oauth`]).
    Words(Vec<Grant>),
    /// Exactly this; numbers that are left out are those of the whole.
    Exact(Draft),
}

impl From<Option<Draft>> for Wish {
    fn from(draft: Option<Draft>) -> Self {
        draft.map_or(Self::Whole, Self::Exact)
    }
}

impl Wish {
    /// The scope that is asked for below `parent`, to be held against it by [`super::delegate`]. One delegation is used up.
    pub fn below(&self, parent: &Scope) -> Result<Scope, ScopeError> {
        let bounds = Bounds::below(parent);
        match self {
            Self::Exact(draft) => draft.clone().fill(&bounds),
            Self::Whole => Scope::new(
                parent.grants.clone(),
                bounds.budget,
                bounds.deadline,
                bounds.depth,
            ),
            Self::Words(words) => Scope::new(
                reached(parent, words)?.grants,
                bounds.budget,
                bounds.deadline,
                bounds.depth,
            ),
        }
    }

    /// Whether words reach further than what came of them.
    pub fn is_narrowed_to(&self, granted: &Scope) -> bool {
        match self {
            Self::Words(words) => {
                let reach = granted.with_grants(words.clone());
                reach.is_ok_and(|reach| reach.grants != granted.grants)
            }
            Self::Whole | Self::Exact(_) => false,
        }
    }

    /// The part of `whole` that is asked for, in the same task: grants alone can be narrower there. None if it is all of it.
    pub fn part_of(&self, whole: &Scope) -> Result<Option<Scope>, DelegateError> {
        let part = match self {
            Self::Whole => return Ok(None),
            Self::Words(words) => reached(whole, words).map_err(DelegateError::Scope)?,
            Self::Exact(draft) => {
                let same = Bounds {
                    budget: whole.budget,
                    deadline: whole.deadline,
                    depth: whole.depth,
                };
                let part = draft.clone().fill(&same).map_err(DelegateError::Scope)?;
                if part.budget != whole.budget
                    || part.deadline != whole.deadline
                    || part.depth != whole.depth
                {
                    return Err(DelegateError::OwnTask);
                }
                part
            }
        };
        part.within(whole).map_err(DelegateError::Widening)?;
        Ok((part.grants != whole.grants).then_some(part))
    }
}

/// What words reach of a scope.
fn reached(scope: &Scope, words: &[Grant]) -> Result<Scope, ScopeError> {
    let reach = Scope::new(words.to_vec(), scope.budget, scope.deadline, scope.depth)?;
    scope.meet(&reach)
}
