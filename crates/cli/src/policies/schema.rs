//! The schema that policies are checked against.

use std::path::PathBuf;

use bailiwick_policy::Bundle;
use clap::Args;
use serde_json::Value;

use super::directory;
use crate::context::Context;
use crate::failure::Failure;
use crate::{Exit, Outcome};

/// Of which agents, servers and tools.
#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Of what the tests of this bundle declare, without a node; default: of what is registered at the node, with the groups of the
    /// active bundle.
    dir: Option<PathBuf>,
    /// Of the tools, only those of this server.
    #[arg(long, value_name = "SERVER")]
    server: Option<String>,
}

pub(super) async fn schema(context: &Context, args: &SchemaArgs) -> Outcome {
    let mut schema = match &args.dir {
        Some(dir) => {
            let source = directory::read(dir)?;
            let declared = bailiwick_policy::fixtures(&source);
            let declared = declared.map_err(|errors| Failure::of_policy(&errors, &source.files))?;
            Bundle::schema_json(&declared, &source)
        }
        None => context.api()?.get("/v1/policy/schema").await?,
    };
    if let Some(server) = &args.server {
        keep(&mut schema, server);
    }
    context.out.show(&schema, |_, schema| {
        serde_json::to_string_pretty(schema).unwrap_or_default()
    });
    Ok(Exit::DONE)
}

/// Leaves out the tools of other servers.
fn keep(schema: &mut Value, server: &str) {
    let actions = schema.pointer_mut("/Bailiwick/actions");
    if let Some(actions) = actions.and_then(Value::as_object_mut) {
        actions.retain(|name, _| name.split_once('/').is_none_or(|(of, _)| of == server));
    }
}
