//! Text as a person may read it: look-alikes of ASCII for what they look like, compatibility forms for what they stand for, and
//! nothing invisible (UTS 39 §4, UAX 15). A forbid looks at arguments in both forms, as sent and folded: what is forbidden by
//! its name is not let through by a name that only looks like it. Permits look at what was sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use cedar_policy_core::ast::{Literal, Value, ValueKind};
use unicode_normalization::UnicodeNormalization as _;
use unicode_security::confusable_detection::skeleton;

/// The folded text, if it is another than the text.
pub(crate) fn fold(text: &str) -> Option<String> {
    if text.is_ascii() {
        return None;
    }
    let mut folded = String::with_capacity(text.len());
    for character in text.nfkc().filter(|c| !is_invisible(*c)) {
        if character.is_ascii() {
            folded.push(character);
            continue;
        }
        let before = folded.len();
        folded.extend(skeleton(character.encode_utf8(&mut [0; 4])));
        if !folded.get(before..).is_some_and(str::is_ascii) {
            folded.truncate(before);
            folded.push(character);
        }
    }
    (folded != text).then_some(folded)
}

/// The value with all its texts folded, if one of them is changed by that.
pub(crate) fn fold_value(value: &Value) -> Option<Value> {
    match &value.value {
        ValueKind::Lit(Literal::String(text)) => fold(text).map(|text| text.as_str().into()),
        ValueKind::Set(set) => {
            let elements = set.authoritative.iter();
            let folded: Vec<Option<Value>> = elements.clone().map(fold_value).collect();
            folded.iter().any(Option::is_some).then(|| {
                let elements = elements.zip(folded);
                let elements =
                    elements.map(|(as_sent, folded)| folded.unwrap_or_else(|| as_sent.clone()));
                Value::set(elements, None)
            })
        }
        ValueKind::Record(members) => {
            let mut folded: Option<BTreeMap<_, _>> = None;
            for (name, member) in members.iter() {
                if let Some(member) = fold_value(member) {
                    let all = folded.get_or_insert_with(|| (**members).clone());
                    all.insert(name.clone(), member);
                }
            }
            folded.map(|folded| Value::new(ValueKind::Record(Arc::new(folded)), None))
        }
        ValueKind::Lit(_) | ValueKind::ExtensionValue(_) => None,
    }
}

/// Characters that show nothing, or change the order in which others are shown (`Default_Ignorable_Code_Point`, UAX 44, and the
/// bidirectional controls of UAX 9).
pub(crate) fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests;
