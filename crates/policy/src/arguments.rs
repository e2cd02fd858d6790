//! A tool's arguments as Cedar values, typed by the pinned schema. Missing, extra and unfit arguments are refused before any
//! policy is asked; a message never repeats a value.

use bailiwick_core::json::{Flaw, Kind, Limits, Text, check};
use bailiwick_core::{Code, Fault};
use cedar_policy_core::ast::{EntityUID, RestrictedExpr, Value};
use cedar_policy_core::evaluator::RestrictedEvaluator;
use cedar_policy_core::extensions::Extensions;

use crate::shape::{Record, Shape};

/// Bounds of the arguments' text.
pub(crate) const LIMITS: Limits = Limits {
    bytes: 64 << 10,
    depth: 32,
    members: 16_384,
    caseless: false,
};

/// Why arguments cannot be shown to policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgumentError {
    #[error("the arguments are over a bound of evaluation: {0}")]
    Limit(Flaw),
    #[error("the arguments are not one well-formed JSON object: {0}")]
    Json(Flaw),
    #[error("argument `{0}` is missing")]
    Missing(String),
    #[error("argument `{0}` is not in the tool's schema")]
    Extra(String),
    #[error("argument `{path}` is not {wanted}")]
    Unfit { path: String, wanted: &'static str },
}

impl Fault for ArgumentError {
    fn code(&self) -> Code {
        match self {
            Self::Limit(_) => Code::PolicyLimit,
            _ => Code::ArgumentsInvalid,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Limit(_) => "send less at once: at most 64 KiB and 32 levels of arguments",
            Self::Json(_) => "send one JSON object with each key once",
            Self::Missing(_) => "add it",
            Self::Extra(_) => "leave it out; only arguments that policy can see are forwarded",
            Self::Unfit { .. } => "send a value that fits the tool's input schema",
        }
        .to_owned()
    }
}

/// The arguments as a Cedar record. Opaque ones are `opaque`.
pub(crate) fn read(text: &str, shape: &Record, opaque: &EntityUID) -> Result<Value, ArgumentError> {
    let text = check(text.as_bytes(), &LIMITS).map_err(|error| match error.kind {
        Flaw::TooLarge | Flaw::TooDeep | Flaw::TooMany => ArgumentError::Limit(error.kind),
        kind => ArgumentError::Json(kind),
    })?;
    Reader {
        opaque,
        path: String::new(),
    }
    .record(text, shape)
}

struct Reader<'a> {
    opaque: &'a EntityUID,
    path: String,
}

impl Reader<'_> {
    fn record(&mut self, text: Text<'_>, shape: &Record) -> Result<Value, ArgumentError> {
        let Some(members) = text.members() else {
            return Err(self.unfit("an object"));
        };
        let mut pairs = Vec::with_capacity(members.len());
        let mut required = 0;
        for member in &members {
            let Some(field) = shape.fields.get(&*member.key) else {
                if shape.open {
                    continue;
                }
                return Err(ArgumentError::Extra(self.below(&member.key)));
            };
            required += usize::from(field.required);
            if field.nullable && member.value.kind() == Kind::Null {
                continue;
            }
            let length = self.path.len();
            self.enter(&member.key);
            pairs.push((&*member.key, self.value(member.value, &field.shape)?));
            self.path.truncate(length);
        }
        // Keys are unique, so as many required ones as there are means all of them.
        if required < shape.fields.values().filter(|field| field.required).count() {
            let absent = shape.fields.iter().find(|(name, field)| {
                field.required && !members.iter().any(|member| member.key == name.as_str())
            });
            let name = absent.map_or("", |(name, _)| name.as_str());
            return Err(ArgumentError::Missing(self.below(name)));
        }
        Ok(Value::record(pairs, None))
    }

    fn value(&mut self, text: Text<'_>, shape: &Shape) -> Result<Value, ArgumentError> {
        match shape {
            Shape::Text => match text.string() {
                Some(text) => Ok((&*text).into()),
                None => Err(self.unfit("a string")),
            },
            Shape::Bool => match text.kind() {
                Kind::Bool => Ok((text.as_str() == "true").into()),
                _ => Err(self.unfit("true or false")),
            },
            Shape::Long => match text.as_str().parse::<i64>() {
                Ok(number) => Ok(number.into()),
                Err(_) => {
                    Err(self.unfit("an integer of 64 bits, written without fraction or exponent"))
                }
            },
            Shape::Decimal => match decimal(text.as_str()) {
                Some(value) => Ok(value),
                None => Err(self.unfit("a decimal number with at most 4 digits after the point")),
            },
            Shape::Set(element) => {
                let Some(elements) = text.elements() else {
                    return Err(self.unfit("an array"));
                };
                let length = self.path.len();
                self.enter("*");
                let values = elements.into_iter().map(|text| self.value(text, element));
                let values = values.collect::<Result<Vec<_>, _>>()?;
                self.path.truncate(length);
                Ok(Value::set(values, None))
            }
            Shape::Record(record) => self.record(text, record),
            Shape::Opaque => Ok(self.opaque.clone().into()),
        }
    }

    fn enter(&mut self, key: &str) {
        self.path.push('/');
        self.path
            .extend(key.chars().take(64).filter(|c| !c.is_control()));
    }

    fn below(&mut self, key: &str) -> String {
        self.enter(key);
        std::mem::take(&mut self.path)
    }

    fn unfit(&self, wanted: &'static str) -> ArgumentError {
        let path = if self.path.is_empty() {
            "/"
        } else {
            &self.path
        };
        ArgumentError::Unfit {
            path: path.to_owned(),
            wanted,
        }
    }
}

/// A JSON number as Cedar's decimal, exactly or not at all (Cedar has no floats).
fn decimal(number: &str) -> Option<Value> {
    let digits = number.strip_prefix('-').unwrap_or(number);
    if digits.len() > 24 || !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    let text = match digits.split_once('.') {
        Some((_, fraction)) if fraction.len() > 4 => return None,
        Some(_) => number.to_owned(),
        None => format!("{number}.0"),
    };
    let call = RestrictedExpr::call_extension_fn(
        "decimal".parse().ok()?,
        [RestrictedExpr::val(text.as_str())],
    );
    let extensions = Extensions::all_available();
    RestrictedEvaluator::new(extensions)
        .interpret(call.as_borrowed())
        .ok()
}

#[cfg(test)]
mod tests;
