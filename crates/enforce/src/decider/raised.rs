//! What a call does: its tool's effect, or a higher one that the values of its arguments raise it to (04, `escalate` of a binding).

use bailiwick_core::Effect;
use bailiwick_core::binding::Binding;
use bailiwick_core::json::Text;
use bailiwick_core::normal::normal;
use bailiwick_core::scope::{Pattern, Plain};

use crate::content::text_of;

/// The effect of a call with these arguments. Arguments that cannot be read raise it as well: nobody knows what they would do.
pub(super) fn raised(effect: Effect, binding: &Binding, arguments: &Text<'_>) -> Effect {
    if binding.escalate.is_empty() {
        return effect;
    }
    let Ok(leaves) = arguments.leaves() else {
        return Effect::Escalate;
    };
    let raises = binding.escalate.iter().any(|(path, patterns)| {
        let scalars = leaves
            .at(path.as_str())
            .map_or(&[][..], |node| node.scalars());
        let values = scalars.iter().filter_map(text_of);
        values
            .into_iter()
            .any(|value| patterns.iter().any(|written| hits(written, value)))
    });
    if raises { Effect::Escalate } else { effect }
}

/// Whether a value is what a pattern means, in whatever way it is written. What could be written otherwise still hits every path.
fn hits(written: &str, value: &str) -> bool {
    // A pattern that cannot be read is refused when it is bound.
    let Ok(pattern) = written.parse::<Pattern>() else {
        return true;
    };
    let is_path = written.starts_with('/');
    let hidden = value.contains(['%', '\\']) || value.split('/').any(|segment| segment == "..");
    pattern.matches::<Plain>(value)
        || pattern.matches::<Plain>(&normal(value))
        || (is_path && hidden)
}
