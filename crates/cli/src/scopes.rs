//! Scopes as people type them: `--allow SERVER/TOOL:EFFECT,…`, or a file in TOML or JSON.

use std::path::PathBuf;

use bailiwick_core::scope::{Draft, Grant, Names};
use bailiwick_core::{Code, Effect, Problem};
use serde_json::Value;

use crate::context::read_file;
use crate::failure::Failure;

/// Bytes of a scope's file.
const LARGEST: usize = 256 << 10;

/// What may be done at most.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ScopeArgs {
    /// Tools and effects, `SERVER/TOOL:EFFECT[,EFFECT]`; a name may end in `*`. Can be given again.
    #[arg(long, value_name = "GRANT", value_parser = grant)]
    pub(crate) allow: Vec<Grant>,
    /// A file with the whole scope, in TOML or JSON (docs/reference/scope.md).
    #[arg(long, value_name = "FILE", conflicts_with = "allow")]
    pub(crate) scope: Option<PathBuf>,
}

impl ScopeArgs {
    /// The draft as the API takes it; none if nothing was said.
    pub(crate) fn draft(&self) -> Result<Option<Value>, Failure> {
        let draft = match &self.scope {
            Some(path) => {
                let bytes = read_file(path, LARGEST)?;
                if path
                    .extension()
                    .is_some_and(|extension| extension == "toml")
                {
                    let text = String::from_utf8_lossy(&bytes);
                    toml::from_str::<Draft>(&text).map_err(|error| {
                        let message =
                            format!("{} is not a scope: {}", path.display(), error.message());
                        Problem::new(
                            Code::ConfigInvalid,
                            message,
                            "a scope has [[grant]] tables with server, tool and effects",
                        )
                    })?
                } else {
                    Draft::from_json(&bytes)?
                }
            }
            None if self.allow.is_empty() => return Ok(None),
            None => Draft {
                grants: self.allow.clone(),
                budget: bailiwick_core::budget::Budget::default(),
                deadline: None,
                depth: None,
            },
        };
        serde_json::to_value(draft)
            .map(Some)
            .map_err(|error| Failure::internal(error.to_string()))
    }
}

/// Reads `SERVER/TOOL:EFFECT[,EFFECT]`.
fn grant(text: &str) -> Result<Grant, String> {
    let form = || format!("`{text}` is not SERVER/TOOL:EFFECT, such as files/read_*:read");
    let (names, effects) = text.rsplit_once(':').ok_or_else(form)?;
    let (server, tool) = names.split_once('/').ok_or_else(form)?;
    let server = Names::parse([server]).map_err(|error| error.to_string())?;
    let tool = Names::parse([tool]).map_err(|error| error.to_string())?;
    let effects: Vec<Effect> = effects
        .split(',')
        .map(|effect| {
            effect
                .parse()
                .map_err(|_| format!("`{effect}` is no effect: read, write or escalate"))
        })
        .collect::<Result<_, String>>()?;
    Ok(Grant::open(server, tool, effects))
}

#[cfg(test)]
mod tests;
