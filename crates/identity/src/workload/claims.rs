//! JSON as protobuf's well-known types.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

/// An object, as a message of that type has it.
pub(super) fn to_struct(claims: serde_json::Value) -> Option<Struct> {
    match value(claims).kind {
        Some(Kind::StructValue(members)) => Some(members),
        _ => None,
    }
}

fn value(json: serde_json::Value) -> Value {
    let kind = match json {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(flag) => Kind::BoolValue(flag),
        serde_json::Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(text) => Kind::StringValue(text),
        serde_json::Value::Array(items) => Kind::ListValue(ListValue {
            values: items.into_iter().map(value).collect(),
        }),
        serde_json::Value::Object(members) => Kind::StructValue(Struct {
            fields: members
                .into_iter()
                .map(|(key, member)| (key, value(member)))
                .collect(),
        }),
    };
    Value { kind: Some(kind) }
}
