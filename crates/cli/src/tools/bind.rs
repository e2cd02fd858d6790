//! `tool bind`: what an operator knows of tools, out of a file.

use std::collections::BTreeMap;
use std::path::Path;

use bailiwick_core::binding::Binding;
use bailiwick_core::name::ToolRef;
use bailiwick_core::{Code, Fault as _, Problem};
use serde::Deserialize;
use serde_json::{Value, json};

use super::path;
use crate::client::Client;
use crate::context::read_file;
use crate::failure::Failure;

/// A file of bindings is at most this large.
const LARGEST: usize = 4 << 20;

/// `[[bind]]` tables, each of one tool.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    bind: Vec<Bound>,
}

#[derive(Debug, Deserialize)]
struct Bound {
    tool: ToolRef,
    #[serde(flatten)]
    binding: BTreeMap<String, toml::Value>,
}

/// Binds every tool that the file names; the tools as they are then. Nothing is bound unless all of the file can be read.
pub(super) async fn bind(api: &Client, file: &Path) -> Result<Vec<Value>, Failure> {
    let bytes = read_file(file, LARGEST)?;
    let unreadable = |message: String| {
        let message = format!("{} holds no bindings: {message}", file.display());
        Problem::new(
            Code::ConfigInvalid,
            message,
            "see docs/reference/bindings.md",
        )
    };
    let text = String::from_utf8_lossy(&bytes);
    let file: File = toml::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
    let mut bindings = Vec::new();
    for bound in file.bind {
        let table = toml::Value::Table(bound.binding.into_iter().collect());
        let binding: Binding = table
            .try_into()
            .map_err(|error: toml::de::Error| unreadable(format!("{}: {error}", bound.tool)))?;
        binding
            .check()
            .map_err(|error| unreadable(format!("{}: {}", bound.tool, error.problem().message)))?;
        bindings.push((bound.tool, binding));
    }
    let mut tools = Vec::new();
    for (tool, binding) in bindings {
        let place = format!("{}/binding", path(&tool));
        tools.push(api.put(&place, &json!({ "binding": binding })).await?);
    }
    Ok(tools)
}
