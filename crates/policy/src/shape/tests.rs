//! Which JSON Schemas become which types (JSON Schema 2020-12).

use expect_test::{Expect, expect};

use super::*;

fn check(schema: &Value, expected: &Expect) {
    let definition = json!({"name": "t", "inputSchema": schema}).to_string();
    let record = Record::of_definition(&definition);
    let lines = record.fields.iter().map(|(name, field)| {
        let marks = [(!field.required, "?"), (field.nullable, " or null")];
        let marks: String = marks
            .iter()
            .filter(|(on, _)| *on)
            .map(|(_, mark)| *mark)
            .collect();
        format!("{name}{marks}: {}", text(&field.shape))
    });
    let open = if record.open { "…" } else { "" };
    expected.assert_eq(&format!("{}{open}", lines.collect::<Vec<_>>().join("; ")));
}

fn text(shape: &Shape) -> String {
    match shape {
        Shape::Set(element) => format!("[{}]", text(element)),
        Shape::Record(record) => {
            let fields = record
                .fields
                .iter()
                .map(|(name, field)| format!("{name}: {}", text(&field.shape)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn plain_properties_are_typed() {
    check(
        &json!({"type": "object", "properties": {
            "path": {"type": "string"}, "count": {"type": "integer"}, "price": {"type": "number"},
            "force": {"type": "boolean"}, "status": {"enum": ["open", "paid"]},
            "tags": {"type": "array", "items": {"type": "string"}},
            "who": {"type": "object", "properties": {"name": {"type": "string"}}},
        }, "required": ["path", "count"]}),
        &expect![
            "count: Long; force?: Bool; path: Text; price?: Decimal; status?: Text; tags?: [Text]; who?: {name: Text}"
        ],
    );
}

#[test]
fn what_generators_write_for_optional_values_is_understood() {
    check(
        &json!({"type": "object", "$defs": {"P": {"type": "object", "properties": {"x": {"type": "integer"}}}},
        "properties": {
            "a": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "b": {"type": ["integer", "null"]},
            "c": {"$ref": "#/$defs/P"},
        }}),
        &expect!["a? or null: Text; b? or null: Long; c?: {x: Long}"],
    );
}

#[test]
fn what_has_no_type_is_opaque() {
    check(
        &json!({"type": "object", "$defs": {"L": {"$ref": "#/$defs/L"}}, "additionalProperties": true, "properties": {
            "any": {}, "either": {"type": ["string", "array"]}, "free": {"type": "object", "additionalProperties": {"type": "string"}},
            "list": {"type": "array"}, "loop": {"$ref": "#/$defs/L"}, "away": {"$ref": "https://example.com/x"},
            "maybe": {"type": "array", "items": {"type": ["string", "null"]}},
        }}),
        &expect![
            "any? or null: Opaque; away? or null: Opaque; either? or null: Opaque; free? or null: Opaque; list? or null: Opaque; loop? or null: Opaque; maybe? or null: Opaque…"
        ],
    );
}

#[test]
fn unreadable_definitions_have_no_visible_arguments() {
    for definition in [
        "",
        "[]",
        "{}",
        r#"{"inputSchema":3}"#,
        r#"{"inputSchema":{"$ref":"elsewhere"}}"#,
    ] {
        let record = Record::of_definition(definition);
        assert!(record.fields.is_empty(), "{definition}");
    }
}

#[test]
fn a_recursive_type_ends() {
    check(
        &json!({"type": "object", "$defs": {"N": {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}}},
            "properties": {"n": {"$ref": "#/$defs/N"}}}),
        &expect!["n?: {next: {next: {next: {next: {next: {next: {next: Opaque}}}}}}}"],
    );
}
