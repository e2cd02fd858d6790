//! `tool`: the review of definitions. Only an accepted definition is listed or called, and only as it was accepted.

mod bind;

use std::path::PathBuf;

use bailiwick_core::name::{ServerName, ToolRef};
use bailiwick_core::{Code, Digest, Effect, Problem};
use clap::Subcommand;
use serde_json::{Value, json};

use crate::client::Client;
use crate::context::{Context, Page};
use crate::failure::Failure;
use crate::output::{Out, Untrusted, table};
use crate::{Exit, Outcome};

/// What can be done with tools.
#[derive(Debug, Subcommand)]
pub(crate) enum ToolCommand {
    /// Lists tools and their review.
    #[command(after_help = "Example: bailiwick tool list --server files")]
    List {
        /// Only this server's.
        #[arg(long)]
        server: Option<ServerName>,
        #[command(flatten)]
        page: Page,
    },
    /// Shows a tool's definition, and the one that waits for review.
    #[command(after_help = "Example: bailiwick tool show files/read_file")]
    Show {
        /// SERVER/TOOL.
        tool: ToolRef,
    },
    /// Accepts a definition: SERVER/TOOL, SERVER/TOOL@sha256:…, or all that wait at a server.
    #[command(after_help = "Example: bailiwick tool accept files/read_file --effect read")]
    Accept {
        /// SERVER/TOOL, with @DIGEST to accept exactly that definition; with --all: SERVER.
        name: String,
        /// What a call does.
        #[arg(long)]
        effect: Option<Effect>,
        /// Every tool of the server that waits.
        #[arg(long)]
        all: bool,
    },
    /// Refuses a definition.
    #[command(after_help = "Example: bailiwick tool reject files/delete_all")]
    Reject {
        /// SERVER/TOOL.
        tool: ToolRef,
    },
    /// Says what a call of the tool does: read, write or escalate.
    #[command(after_help = "Example: bailiwick tool effect files/read_file read")]
    Effect {
        /// SERVER/TOOL.
        tool: ToolRef,
        /// What a call does.
        effect: Effect,
    },
    /// Says what is known of tools' arguments and answers: labels, items, what arguments are for (docs/reference/bindings.md).
    #[command(after_help = "Example: bailiwick tool bind bindings.toml")]
    Bind {
        /// A TOML file with a [[bind]] table for each tool.
        file: PathBuf,
    },
}

/// Does it.
pub(crate) async fn run(context: &Context, command: ToolCommand) -> Outcome {
    let api = context.api()?;
    match command {
        ToolCommand::List { server, page } => {
            let mut query = page.query();
            query.extend(server.map(|server| ("server", server.to_string())));
            let body = api.query("/v1/tools", &query).await?;
            context.list(&body, &COLUMNS, "no tools: bailiwick server add NAME URL");
        }
        ToolCommand::Show { tool } => {
            let found = find(&api, &tool).await?;
            context.out.show(&found, definition);
        }
        ToolCommand::Accept {
            name,
            effect,
            all: true,
        } => {
            let server: ServerName = name
                .parse()
                .map_err(|_| bad_name(&name, "a server's name"))?;
            let query = [("server", server.to_string()), ("limit", "1000".to_owned())];
            let body = api.query("/v1/tools", &query).await?;
            let mut accepted = Vec::new();
            for (path, digest) in table::items(&body).iter().filter_map(pending) {
                accepted.push(
                    api.post(
                        &format!("{path}/accept"),
                        &json!({"effect": effect, "digest": digest}),
                    )
                    .await?,
                );
            }
            context.list(
                &json!({"items": accepted, "next": null}),
                &COLUMNS,
                "nothing waits for review",
            );
        }
        ToolCommand::Accept {
            name,
            effect,
            all: false,
        } => {
            let (tool, digest) = match name.split_once('@') {
                Some((tool, digest)) => (
                    tool,
                    Some(
                        digest
                            .parse::<Digest>()
                            .map_err(|_| bad_name(digest, "a digest, sha256:HEX"))?,
                    ),
                ),
                None => (name.as_str(), None),
            };
            let tool: ToolRef = tool.parse().map_err(|_| bad_name(tool, "SERVER/TOOL"))?;
            context.record(
                &api.post(
                    &format!("{}/accept", path(&tool)),
                    &json!({"effect": effect, "digest": digest}),
                )
                .await?,
            );
        }
        ToolCommand::Reject { tool } => context.record(
            &api.post(&format!("{}/reject", path(&tool)), &json!({}))
                .await?,
        ),
        ToolCommand::Effect { tool, effect } => {
            context.record(
                &api.post(
                    &format!("{}/effect", path(&tool)),
                    &json!({"effect": effect}),
                )
                .await?,
            );
        }
        ToolCommand::Bind { file } => {
            let bound = bind::bind(&api, &file).await?;
            context.list(
                &json!({"items": bound, "next": null}),
                &COLUMNS,
                "the file binds nothing",
            );
        }
    }
    Ok(Exit::DONE)
}

async fn find(api: &Client, tool: &ToolRef) -> Result<Value, Failure> {
    let query = [
        ("server", tool.server.to_string()),
        ("limit", "1000".to_owned()),
    ];
    let body = api.query("/v1/tools", &query).await?;
    let name = tool.to_string();
    let mut items = table::items(&body).iter();
    let found = items.find(|item| reference(item).as_deref() == Some(name.as_str()));
    found.cloned().ok_or_else(|| {
        let problem = Problem::new(
            Code::ToolUnknown,
            format!("there is no tool {name}"),
            format!("see `bailiwick tool list --server {}`", tool.server),
        );
        problem.into()
    })
}

/// Path and shown digest of a tool that waits for review.
pub(crate) fn pending(tool: &Value) -> Option<(String, Value)> {
    let state = tool.get("state").and_then(Value::as_str)?;
    if !matches!(state, "new" | "changed") {
        return None;
    }
    let tool_ref: ToolRef = reference(tool)?.parse().ok()?;
    Some((
        path(&tool_ref),
        tool.get("seen").cloned().unwrap_or(Value::Null),
    ))
}

fn reference(tool: &Value) -> Option<String> {
    tool.get("tool").and_then(Value::as_str).map(str::to_owned)
}

fn path(tool: &ToolRef) -> String {
    format!(
        "/v1/tools/{}/{}",
        tool.server,
        crate::client::encode(tool.tool.as_str())
    )
}

fn bad_name(text: &str, wanted: &str) -> Problem {
    let text: String = text.chars().take(128).collect();
    Problem::new(
        Code::InvalidInput,
        format!("`{text}` is not {wanted}"),
        "see `bailiwick tool list`",
    )
}

/// A tool with its definitions laid out; they are the server's own words.
fn definition(out: &Out, tool: &Value) -> String {
    let mut facts = tool.clone();
    let mut texts = Vec::new();
    if let Some(members) = facts.as_object_mut() {
        for name in ["definition", "candidate"] {
            if let Some(Value::String(text)) = members.remove(name) {
                let text =
                    serde_json::from_str::<Value>(&text).map_or(text, |value| format!("{value:#}"));
                let lines: Vec<_> = text
                    .lines()
                    .map(|line| Untrusted(line).to_string())
                    .collect();
                texts.push(format!(
                    "\n{name}, as the server gave it:\n{}",
                    lines.join("\n")
                ));
            }
        }
    }
    format!("{}\n{}", table::record(out, &facts), texts.join("\n"))
}

/// Columns of a list of tools.
pub(crate) const COLUMNS: [(&str, &str); 5] = [
    ("TOOL", "/tool"),
    ("STATE", "/state"),
    ("EFFECT", "/effect"),
    ("SEEN", "/seen"),
    ("DECIDED BY", "/decided_by"),
];
