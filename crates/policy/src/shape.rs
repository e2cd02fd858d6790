//! What policy can know of a tool's arguments: the part of its pinned JSON Schema that has a Cedar type.
//!
//! Our own reading of the schema, not `cedar-policy-mcp-schema-generator`: that names actions without their server, turns
//! enums into entity types (`input.status == "paid"` would not validate) and refuses a whole server for one odd tool. Here
//! integers are Long, numbers decimal, closed objects records; whatever cannot be typed is [`Shape::Opaque`], an entity that
//! no rule about strings or numbers validates against, so that a rule can never silently look past an argument.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Objects and arrays are typed down to this depth; below they are opaque.
const MAX_DEPTH: usize = 8;
/// A chain of `$ref` is followed this far.
const MAX_REFS: usize = 8;

/// The type of an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    Bool,
    Long,
    Decimal,
    Text,
    Set(Box<Shape>),
    Record(Record),
    /// Anything; policy sees only that it is there.
    Opaque,
}

/// An object whose properties are known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Record {
    pub(crate) fields: BTreeMap<String, Field>,
    /// Whether it may have properties that are not listed; policy does not see them.
    pub(crate) open: bool,
}

/// A property of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) shape: Shape,
    pub(crate) required: bool,
    /// Whether it may be null, which policy sees as absent.
    pub(crate) nullable: bool,
}

impl Record {
    /// The arguments of a tool, from its definition as its server gave it. A definition that cannot be read has none that
    /// policy could see.
    pub(crate) fn of_definition(definition: &str) -> Self {
        let unknown = Self {
            fields: BTreeMap::new(),
            open: true,
        };
        let Ok(definition) = serde_json::from_str::<Value>(definition) else {
            return unknown;
        };
        let Some(root) = definition.get("inputSchema") else {
            return unknown;
        };
        let reader = Reader { root };
        match reader.resolve(root).and_then(Value::as_object) {
            Some(schema) => reader.record(schema, 0),
            None => unknown,
        }
    }

    /// Its Cedar type in Cedar's JSON schema format.
    pub(crate) fn cedar(&self) -> Value {
        let attributes = self.fields.iter().map(|(name, field)| {
            let mut kind = field.shape.cedar();
            if let Some(kind) = kind.as_object_mut() {
                kind.insert(
                    "required".to_owned(),
                    (field.required && !field.nullable).into(),
                );
            }
            (name.clone(), kind)
        });
        json!({"type": "Record", "attributes": attributes.collect::<Map<_, _>>()})
    }
}

impl Record {
    /// The smallest arguments that fit.
    pub(crate) fn example(&self) -> Value {
        let required = self.fields.iter().filter(|(_, field)| field.required);
        let members = required.map(|(name, field)| (name.clone(), field.shape.example()));
        Value::Object(members.collect())
    }

    /// What is wrong with the members of an object, each with a value that fits, or none where it has no place.
    pub(crate) fn misfits(&self, members: &Map<String, Value>) -> Vec<(String, Option<Value>)> {
        let unknown = members
            .keys()
            .filter(|name| !self.open && !self.fields.contains_key(*name))
            .map(|name| (name.clone(), None));
        let wrong = self
            .fields
            .iter()
            .filter(|(name, field)| match members.get(*name) {
                Some(Value::Null) if field.nullable => false,
                Some(value) => !field.shape.fits(value),
                None => field.required,
            })
            .map(|(name, field)| (name.clone(), Some(field.shape.example())));
        unknown.chain(wrong).collect()
    }
}

impl Shape {
    /// A value of it, as plain as there is.
    pub(crate) fn example(&self) -> Value {
        match self {
            Self::Bool => json!(false),
            Self::Long | Self::Decimal => json!(0),
            Self::Text => json!(""),
            Self::Set(_) => json!([]),
            Self::Record(record) => record.example(),
            Self::Opaque => json!({}),
        }
    }

    /// Whether the value is of it, as far as can be told from parsed JSON.
    fn fits(&self, value: &Value) -> bool {
        match self {
            Self::Bool => value.is_boolean(),
            Self::Long => value.is_i64(),
            Self::Decimal => value.is_number(),
            Self::Text => value.is_string(),
            Self::Set(element) => value
                .as_array()
                .is_some_and(|elements| elements.iter().all(|value| element.fits(value))),
            Self::Record(record) => value
                .as_object()
                .is_some_and(|members| record.misfits(members).is_empty()),
            Self::Opaque => true,
        }
    }

    fn cedar(&self) -> Value {
        match self {
            Self::Bool => json!({"type": "Boolean"}),
            Self::Long => json!({"type": "Long"}),
            Self::Decimal => json!({"type": "Extension", "name": "decimal"}),
            Self::Text => json!({"type": "String"}),
            Self::Set(element) => json!({"type": "Set", "element": element.cedar()}),
            Self::Record(record) => record.cedar(),
            Self::Opaque => json!({"type": "Entity", "name": "Opaque"}),
        }
    }
}

struct Reader<'a> {
    root: &'a Value,
}

impl<'a> Reader<'a> {
    fn record(&self, schema: &'a Map<String, Value>, depth: usize) -> Record {
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let properties = schema.get("properties").and_then(Value::as_object);
        let fields = properties.into_iter().flatten().map(|(name, property)| {
            let (shape, nullable) = self.shape(property, depth + 1);
            let required = required.contains(&name.as_str());
            let field = Field {
                shape,
                required,
                nullable,
            };
            (name.clone(), field)
        });
        Record {
            fields: fields.collect(),
            open: is_open(schema),
        }
    }

    /// The shape, and whether null is allowed beside it.
    fn shape(&self, schema: &'a Value, depth: usize) -> (Shape, bool) {
        let Some(schema) = self.resolve(schema).and_then(Value::as_object) else {
            return (Shape::Opaque, true);
        };
        if let Some(choices) = choices(schema) {
            return self.choice(choices, depth);
        }
        let (kind, nullable) = match schema.get("type") {
            Some(Value::String(kind)) => (kind.as_str(), false),
            Some(Value::Array(kinds)) => {
                let named: Vec<&str> = kinds.iter().filter_map(Value::as_str).collect();
                let nullable = named.contains(&"null");
                match *named
                    .into_iter()
                    .filter(|kind| *kind != "null")
                    .collect::<Vec<_>>()
                {
                    [only] => (only, nullable),
                    _ => return (Shape::Opaque, true),
                }
            }
            None if is_words(schema) => ("string", false),
            Some(_) | None => return (Shape::Opaque, true),
        };
        let shape = match kind {
            "boolean" => Shape::Bool,
            "integer" => Shape::Long,
            "number" => Shape::Decimal,
            "string" => Shape::Text,
            "array" if depth < MAX_DEPTH => self.array(schema, depth),
            "object" if depth < MAX_DEPTH => {
                let record = self.record(schema, depth);
                if record.open && record.fields.is_empty() {
                    Shape::Opaque
                } else {
                    Shape::Record(record)
                }
            }
            _ => return (Shape::Opaque, true),
        };
        let nullable = nullable || shape == Shape::Opaque;
        (shape, nullable)
    }

    fn array(&self, schema: &'a Map<String, Value>, depth: usize) -> Shape {
        let Some(items) = schema.get("items") else {
            return Shape::Opaque;
        };
        match self.shape(items, depth + 1) {
            (Shape::Opaque, _) | (_, true) => Shape::Opaque,
            (element, false) => Shape::Set(Box::new(element)),
        }
    }

    /// `anyOf` of one schema and null, as generators write an optional value; anything else is opaque.
    fn choice(&self, choices: &'a [Value], depth: usize) -> (Shape, bool) {
        let is_null = |choice: &&Value| choice.get("type").and_then(Value::as_str) == Some("null");
        let nullable = choices.iter().any(|choice| is_null(&choice));
        let rest: Vec<&Value> = choices.iter().filter(|choice| !is_null(choice)).collect();
        match *rest {
            [only] if depth < MAX_DEPTH => {
                let (shape, inner) = self.shape(only, depth + 1);
                (shape, nullable || inner)
            }
            _ => (Shape::Opaque, true),
        }
    }

    /// Follows `$ref` within the document.
    fn resolve(&self, mut schema: &'a Value) -> Option<&'a Value> {
        for _ in 0..MAX_REFS {
            let Some(reference) = schema.get("$ref") else {
                return Some(schema);
            };
            schema = self.root.pointer(reference.as_str()?.strip_prefix('#')?)?;
        }
        None
    }
}

/// Unlisted properties are refused unless the schema asks for them: what policy cannot see should be asked for.
fn is_open(schema: &Map<String, Value>) -> bool {
    let extra = schema.get("additionalProperties");
    match extra {
        Some(Value::Bool(open)) => *open,
        Some(_) => true,
        None => {
            let asks = [
                "patternProperties",
                "allOf",
                "anyOf",
                "oneOf",
                "if",
                "$dynamicRef",
            ];
            !schema.contains_key("properties")
                && schema.get("type").and_then(Value::as_str) != Some("object")
                || asks.iter().any(|keyword| schema.contains_key(*keyword))
        }
    }
}

fn choices(schema: &Map<String, Value>) -> Option<&[Value]> {
    let key = ["anyOf", "oneOf"]
        .into_iter()
        .find(|key| schema.contains_key(*key))?;
    (!schema.contains_key("type")).then(|| schema.get(key)?.as_array().map(Vec::as_slice))?
}

/// An `enum` or `const` of strings without a `type`.
fn is_words(schema: &Map<String, Value>) -> bool {
    let words = schema.get("enum").and_then(Value::as_array);
    words.is_some_and(|words| !words.is_empty() && words.iter().all(Value::is_string))
        || schema.get("const").is_some_and(Value::is_string)
}

#[cfg(test)]
mod tests;
