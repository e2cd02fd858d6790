//! `server`: tool servers behind the gateway. Adding one connects to it once and pins the tools it shows, for review.

use std::collections::BTreeMap;

use bailiwick_core::label::Label;
use bailiwick_core::name::{CredentialName, ServerName};
use clap::Subcommand;
use serde_json::{Value, json};

use crate::client::Client;
use crate::context::{Context, Page};
use crate::failure::Failure;
use crate::{Exit, Outcome, tools};

/// What can be done with servers.
#[derive(Debug, Subcommand)]
pub(crate) enum ServerCommand {
    /// Registers a tool server: an MCP URL, or a command behind `--` that speaks MCP on its stdio.
    #[command(after_help = "Example: bailiwick server add files -- files-mcp --root .")]
    Add {
        /// Its name; its gateway URL ends in it.
        name: ServerName,
        /// URL of its MCP endpoint.
        #[arg(required_unless_present = "command", conflicts_with = "command")]
        url: Option<String>,
        /// How far its words are trusted.
        #[arg(long, default_value = "unreviewed", value_parser = ["first_party", "reviewed", "unreviewed"])]
        trust: String,
        /// The secret that is leased and injected into its calls as a bearer token.
        #[arg(long)]
        credential: Option<CredentialName>,
        /// A label of every answer; `untrusted` if none is given.
        #[arg(long = "label", conflicts_with = "trusted_content")]
        labels: Vec<Label>,
        /// Its answers carry no label: outsiders can write nothing into them.
        #[arg(long)]
        trusted_content: bool,
        /// A variable for the command's environment, NAME=VALUE; never a secret.
        #[arg(long = "env", value_name = "NAME=VALUE")]
        env: Vec<String>,
        /// A variable of the node's own environment that the command gets.
        #[arg(long = "pass-env", value_name = "NAME")]
        pass_env: Vec<String>,
        /// Accepts every tool it shows now, without a look at each.
        #[arg(long)]
        accept_all: bool,
        /// The command and its arguments; no shell.
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// Lists the servers.
    #[command(after_help = "Example: bailiwick server list")]
    List(Page),
    /// Shows one server.
    #[command(after_help = "Example: bailiwick server show files")]
    Show {
        /// Its name.
        name: ServerName,
    },
    /// Connects again and looks for new or changed tools.
    #[command(after_help = "Example: bailiwick server refresh files")]
    Refresh {
        /// Its name.
        name: ServerName,
    },
    /// Says which labels every answer of a server carries; none only where outsiders can write nothing into its answers.
    #[command(after_help = "Example: bailiwick server label mail untrusted pii")]
    Label {
        /// Its name.
        name: ServerName,
        /// The labels.
        labels: Vec<Label>,
    },
    /// Removes a server and its tools.
    #[command(after_help = "Example: bailiwick server remove files")]
    Remove {
        /// Its name.
        name: ServerName,
    },
}

/// Does it.
pub(crate) async fn run(context: &Context, command: ServerCommand) -> Outcome {
    let api = context.api()?;
    match command {
        ServerCommand::Add {
            name,
            url,
            trust,
            credential,
            labels,
            trusted_content,
            env,
            pass_env,
            accept_all,
            command,
        } => {
            let transport = match url {
                Some(url) => json!({"kind": "http", "url": url}),
                None => {
                    json!({"kind": "stdio", "command": command, "env": variables(&env)?, "pass_env": pass_env})
                }
            };
            let labels: Vec<&str> = labels.iter().map(Label::as_str).collect();
            let labels = (trusted_content || !labels.is_empty()).then_some(labels);
            let mut body = json!({"name": name, "transport": transport, "trust": trust, "credential": credential});
            if let (Some(labels), Some(body)) = (labels, body.as_object_mut()) {
                body.insert("labels".to_owned(), json!(labels));
            }
            let mut answer = api.post("/v1/servers", &body).await?;
            if accept_all && let Some(tools) = answer.get_mut("tools") {
                *tools = Value::Array(accept_all_new(&api, tools).await?);
            }
            show_with_tools(context, &answer);
            if !accept_all {
                context.out.note(&format!(
                    "its tools are not callable before review: bailiwick tool accept --all {name}"
                ));
            }
        }
        ServerCommand::List(page) => {
            let body = api.query("/v1/servers", &page.query()).await?;
            context.list(
                &body,
                &COLUMNS,
                "no servers yet: bailiwick server add NAME URL",
            );
        }
        ServerCommand::Show { name } => {
            context.record(&api.get(&format!("/v1/servers/{name}")).await?);
        }
        ServerCommand::Refresh { name } => {
            show_with_tools(
                context,
                &api.post(&format!("/v1/servers/{name}/refresh"), &json!({}))
                    .await?,
            );
        }
        ServerCommand::Label { name, labels } => {
            let labels: Vec<&str> = labels.iter().map(Label::as_str).collect();
            let path = format!("/v1/servers/{name}/labels");
            context.record(&api.put(&path, &json!({ "labels": labels })).await?);
        }
        ServerCommand::Remove { name } => {
            api.delete(&format!("/v1/servers/{name}")).await?;
            context.out.note(&format!("server {name} is removed"));
        }
    }
    Ok(Exit::DONE)
}

/// Accepts each tool that waits, at the digest that was shown.
async fn accept_all_new(api: &Client, shown: &Value) -> Result<Vec<Value>, Failure> {
    let mut accepted = Vec::new();
    for tool in crate::output::table::items(shown) {
        accepted.push(match tools::pending(tool) {
            Some((path, digest)) => {
                api.post(&format!("{path}/accept"), &json!({"digest": digest}))
                    .await?
            }
            None => tool.clone(),
        });
    }
    Ok(accepted)
}

fn show_with_tools(context: &Context, answer: &Value) {
    context.out.show(answer, |out, answer| {
        let mut text = crate::output::table::record(out, answer.get("server").unwrap_or(answer));
        if let Some(found) = answer.get("tools") {
            text.push_str("\n\n");
            text.push_str(&crate::output::table::list(
                out,
                found,
                &tools::COLUMNS,
                "it shows no tools",
            ));
        }
        text
    });
}

fn variables(given: &[String]) -> Result<BTreeMap<&str, &str>, Failure> {
    given
        .iter()
        .map(|variable| {
            variable.split_once('=').ok_or_else(|| {
                let problem = bailiwick_core::Problem::new(
                    bailiwick_core::Code::InvalidInput,
                    "--env needs NAME=VALUE",
                    "to pass a variable of the node on, use --pass-env NAME",
                );
                problem.into()
            })
        })
        .collect()
}

const COLUMNS: [(&str, &str); 7] = [
    ("NAME", "/name"),
    ("KIND", "/transport/kind"),
    ("URL", "/transport/url"),
    ("COMMAND", "/transport/command"),
    ("TRUST", "/trust"),
    ("LABELS", "/labels"),
    ("CREDENTIAL", "/credential"),
];
