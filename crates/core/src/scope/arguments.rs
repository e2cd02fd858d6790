//! Whether a grant covers the arguments of a call: each leaf is in what its path allows, and each listed path that is not
//! optional has a leaf. The empty object carries no leaf: a call without arguments is a call without arguments.

use super::explain::Gap;
use super::grant::Grant;
use crate::json::{Leaves, Scalar};

impl Grant {
    /// Why the arguments are not covered; none if they are.
    pub(super) fn argument_gap<'a>(&'a self, arguments: &Leaves<'_>) -> Option<Gap<'a>> {
        let mut listed = 0;
        for (path, constraint) in &self.args {
            let scalars = arguments
                .at(path.as_str())
                .map_or(&[][..], |node| node.scalars());
            if scalars.is_empty() && !constraint.optional {
                return Some(Gap::Absent(path, constraint));
            }
            if !scalars
                .iter()
                .all(|scalar| constraint.allowed.holds(scalar))
            {
                return Some(Gap::Refused(path, constraint));
            }
            listed += scalars.len();
        }
        // Each spelling of a path is another place (`ArgPath`), so no leaf was counted twice.
        let unlisted = arguments.count() - nothing(arguments) > listed;
        (self.closed && unlisted).then(|| Gap::Unlisted(self.first_unlisted(arguments)))
    }

    fn first_unlisted(&self, arguments: &Leaves<'_>) -> String {
        let mut first = None;
        arguments.each(|path, scalar| {
            let whole = path.is_empty() && *scalar == Scalar::Empty;
            let known = self.args.keys().any(|listed| listed.as_str() == path);
            if first.is_none() && !known && !whole {
                first = Some(path.chars().take(SHOWN).collect());
            }
        });
        first.unwrap_or_default()
    }
}

/// Leaves that stand for "no arguments at all".
fn nothing(arguments: &Leaves<'_>) -> usize {
    let root = arguments.at("").map_or(&[][..], |node| node.scalars());
    usize::from(root == [Scalar::Empty])
}

/// Most characters of a caller's path that a message repeats.
const SHOWN: usize = 128;
