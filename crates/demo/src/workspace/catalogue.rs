//! The tools' definitions: names, descriptions, input schemas and honest annotations.

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::{Value, json};

/// Every tool of the workspace, in the order in which it lists them.
pub(super) fn tools() -> Vec<Tool> {
    let text = |description: &str| json!({"type": "string", "description": description});
    let path = || text("Path below the workspace, such as notes/plan.md.");
    let id = || json!({"type": "integer", "minimum": 1, "description": "Number of the order."});
    let status = json!({"type": "string", "enum": ["open", "paid", "shipped", "cancelled"], "description": "The new status."});
    vec![
        tool(
            "read_file",
            "Reads a text file of the workspace.",
            json!({"path": path()}),
            reads(),
        ),
        tool(
            "list_files",
            "Lists the paths of all files of the workspace.",
            json!({}),
            reads(),
        ),
        tool(
            "write_file",
            "Writes a text file of the workspace and replaces what was there.",
            json!({"path": path(), "content": text("The whole new content.")}),
            writes().destructive(true).idempotent(true),
        ),
        tool(
            "search_notes",
            "Finds the lines of the notes that hold a text.",
            json!({"query": text("What to look for; letter case does not matter.")}),
            reads(),
        ),
        tool(
            "add_note",
            "Adds a note; an existing one is never replaced.",
            json!({"title": text("Title; the note is named after it."), "body": text("Text of the note.")}),
            writes().destructive(false).idempotent(false),
        ),
        tool(
            "get_order",
            "Gives one order.",
            json!({"id": id()}),
            reads(),
        ),
        tool(
            "update_order",
            "Sets the status of an order.",
            json!({"id": id(), "status": status}),
            writes().destructive(true).idempotent(true),
        ),
        tool(
            "export_all",
            "Exports all files' paths and all orders; takes half a minute and reports progress.",
            json!({}),
            reads(),
        ),
    ]
}

fn reads() -> ToolAnnotations {
    ToolAnnotations::new().read_only(true).open_world(false)
}

fn writes() -> ToolAnnotations {
    ToolAnnotations::new().read_only(false).open_world(false)
}

/// A tool whose every property is required and which takes no other.
fn tool(
    name: &'static str,
    description: &'static str,
    properties: Value,
    annotations: ToolAnnotations,
) -> Tool {
    let required: Vec<String> = properties
        .as_object()
        .map(|all| all.keys().cloned().collect())
        .unwrap_or_default();
    let schema = JsonObject::from_iter([
        ("type".to_owned(), json!("object")),
        ("properties".to_owned(), properties),
        ("required".to_owned(), json!(required)),
        ("additionalProperties".to_owned(), json!(false)),
    ]);
    Tool::new(name, description, schema).with_annotations(annotations)
}
