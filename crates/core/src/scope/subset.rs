//! The order `A ⊑ B`: each grant of A lies in one grant of B. Sound but not complete: a grant that only two grants of B
//! together would cover is refused, the safe side.

use super::explain::{Field, brief};
use super::grant::Grant;
use super::{Code, Fault, Scope};

impl Scope {
    /// Whether this scope is within `other`; if not, the first element that is wider.
    pub fn within(&self, other: &Self) -> Result<(), Widening> {
        for grant in &self.grants {
            grant_within(grant, other)?;
        }
        if let Some(bound) = self.budget.widening(&other.budget) {
            return Err(Widening {
                element: Element::Budget(bound),
                allowed: brief(&Bound(bound, other)),
            });
        }
        if self.deadline > other.deadline {
            return Err(Widening {
                element: Element::Deadline,
                allowed: other.deadline.to_string(),
            });
        }
        if self.depth > other.depth {
            return Err(Widening {
                element: Element::Depth,
                allowed: other.depth.to_string(),
            });
        }
        Ok(())
    }
}

impl Grant {
    /// Whether whatever this grant covers, `other` covers too. Both in normal form.
    pub(super) fn within(&self, other: &Self) -> bool {
        self.wider_in(other).is_none()
    }

    /// The first field that is wider than `other`'s, and how many fields before it are not.
    fn wider_in(&self, other: &Self) -> Option<(u8, Field)> {
        if !self.server.within(&other.server) {
            return Some((0, Field::Server));
        }
        if !self.tool.within(&other.tool) {
            return Some((1, Field::Tool));
        }
        if !self.effects.is_subset(&other.effects) {
            return Some((2, Field::Effect));
        }
        let paths = self.args.keys().chain(other.args.keys());
        for path in paths {
            if !self.constraint(path).within(other.constraint(path)) {
                return Some((3, Field::Argument(path.to_string())));
            }
        }
        if other.closed && !self.closed {
            return Some((4, Field::Closed));
        }
        match (&self.resources, &other.resources) {
            (_, None) => None,
            (Some(a), Some(b)) if a.within(b) => None,
            _ => Some((5, Field::Resources)),
        }
    }

    /// What this grant has in `field`, in words.
    fn shown(&self, field: &Field) -> String {
        match field {
            Field::Server => brief(&self.server),
            Field::Tool => brief(&self.tool),
            Field::Effect => {
                let names: Vec<_> = self.effects.iter().map(|effect| effect.as_str()).collect();
                names.join(", ")
            }
            Field::Argument(path) => match path.parse() {
                Ok(path) => {
                    let constraint = self.constraint(&path);
                    let presence = if constraint.optional {
                        "may be left out"
                    } else {
                        "required"
                    };
                    format!("{}, {presence}", brief(&constraint.allowed))
                }
                Err(_) => String::new(),
            },
            Field::Closed => "closed = true".to_owned(),
            Field::Resources => self.resources.as_ref().map(brief).unwrap_or_default(),
        }
    }
}

/// What makes one scope wider than another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("wider in {element}")]
pub struct Widening {
    /// The element that is wider.
    pub element: Element,
    /// The widest it may be.
    pub allowed: String,
}

/// A part of a scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Element {
    /// A field of a grant, judged against the grant that comes nearest.
    #[error("`{field}` of the grant ({grant})")]
    Grant {
        /// The grant, in words.
        grant: String,
        /// Its field.
        field: Field,
    },
    /// A number of the budget.
    #[error("`budget.{0}`")]
    Budget(&'static str),
    /// The deadline.
    #[error("`deadline`")]
    Deadline,
    /// The delegations that may follow.
    #[error("`depth`")]
    Depth,
}

impl Fault for Widening {
    fn code(&self) -> Code {
        Code::DelegationWidening
    }

    fn help(&self) -> String {
        format!("the widest allowed there: {}", self.allowed)
    }
}

fn grant_within(grant: &Grant, scope: &Scope) -> Result<(), Widening> {
    let mut nearest: Option<(u8, Field, &Grant)> = None;
    for other in &scope.grants {
        match grant.wider_in(other) {
            None => return Ok(()),
            Some((stage, field)) => {
                if nearest.as_ref().is_none_or(|(best, ..)| stage > *best) {
                    nearest = Some((stage, field, other));
                }
            }
        }
    }
    let (field, allowed) = match nearest {
        Some((_, field, other)) => {
            let allowed = other.shown(&field);
            (field, allowed)
        }
        None => (Field::Server, String::new()),
    };
    let grant = brief(grant);
    Err(Widening {
        element: Element::Grant { grant, field },
        allowed,
    })
}

/// One number of a scope's budget, for a message.
struct Bound<'a>(&'static str, &'a Scope);

impl std::fmt::Display for Bound<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let budget = &self.1.budget;
        let number = match self.0 {
            "calls" => budget.calls,
            "writes" => budget.writes,
            "escalations" => budget.escalations,
            "egress_bytes" => budget.egress_bytes,
            "spend" => budget.spend,
            _ => budget.wall_time,
        };
        match number {
            Some(number) => write!(f, "{number}"),
            None => f.write_str("unlimited"),
        }
    }
}
