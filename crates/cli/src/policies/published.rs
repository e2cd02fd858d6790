//! Bundles on the node: publish one, bring an older one back, look at what was published.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bailiwick_core::Digest;
use bailiwick_policy::{BundleSource, Flaw};
use clap::Args;
use serde_json::{Value, json};

use super::{directory, rollout};
use crate::context::{Context, Page};
use crate::failure::Failure;
use crate::output::{Out, Untrusted};
use crate::{Exit, Outcome};

/// Which version to show.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// `active`, a number of the history, or a digest; without it, which version is active.
    version: Option<String>,
    /// Writes the files into this new directory instead.
    #[arg(long, value_name = "DIR", requires = "version")]
    to: Option<PathBuf>,
}

/// Which version to bring back.
#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// A number of the history, or a digest; default: the version before the active one.
    version: Option<String>,
    /// Only if this digest is active now.
    #[arg(long, value_name = "DIGEST")]
    if_version: Option<Digest>,
}

pub(super) async fn publish(
    context: &Context,
    source: &BundleSource,
    if_version: Option<Digest>,
) -> Outcome {
    let mut body = json!({"files": source.files});
    if let (Some(digest), Some(members)) = (if_version, body.as_object_mut()) {
        members.insert("if_version".to_owned(), json!(digest));
    }
    let published = context.api()?.put("/v1/policy", &body).await;
    context.record(&published.map_err(|failure| failure.in_files(&source.files))?);
    Ok(Exit::DONE)
}

pub(super) async fn show(context: &Context, args: &ShowArgs) -> Outcome {
    let Some(version) = &args.version else {
        context.record(&context.api()?.get("/v1/policy").await?);
        rollout::banner(context).await;
        return Ok(Exit::DONE);
    };
    let path = format!("/v1/policy/{}", crate::client::encode(version));
    let body = context.api()?.get(&path).await?;
    let Some(dir) = &args.to else {
        context.out.show(&body, files);
        return Ok(Exit::DONE);
    };
    let files: BTreeMap<String, String> =
        serde_json::from_value(body.get("files").cloned().unwrap_or_default())
            .map_err(|error| Failure::internal(format!("the node sent no files: {error}")))?;
    directory::write(dir, &files)?;
    let names: Vec<&String> = files.keys().collect();
    context.record(&json!({"digest": body.get("digest"), "directory": dir, "files": names}));
    Ok(Exit::DONE)
}

pub(super) async fn rollback(context: &Context, args: &RollbackArgs) -> Outcome {
    let body = json!({"version": args.version, "if_version": args.if_version});
    let body = context.api()?.post("/v1/policy/rollback", &body).await?;
    context.record(&body);
    let broken = body.get("broken").cloned().unwrap_or_default();
    let broken: Vec<Flaw> = serde_json::from_value(broken).unwrap_or_default();
    for flaw in &broken {
        let said = flaw.to_string();
        context.out.error_line(&format!(
            "no longer fits, and narrows: {}",
            Untrusted(&said)
        ));
    }
    Ok(Exit::DONE)
}

pub(super) async fn history(context: &Context, page: &Page) -> Outcome {
    let body = context
        .api()?
        .query("/v1/policy/history", &page.query())
        .await?;
    context.list(
        &body,
        &COLUMNS,
        "nothing was published yet: bailiwick policy publish DIR",
    );
    Ok(Exit::DONE)
}

fn files(_: &Out, body: &Value) -> String {
    let files = body.get("files").and_then(Value::as_object);
    let shown = files.into_iter().flatten().map(|(path, text)| {
        let text: Vec<_> = text
            .as_str()
            .unwrap_or_default()
            .lines()
            .map(|line| Untrusted(line).to_string())
            .collect();
        format!("── {}\n{}", Untrusted(path), text.join("\n"))
    });
    shown.collect::<Vec<_>>().join("\n\n")
}

const COLUMNS: [(&str, &str); 5] = [
    ("NUMBER", "/number"),
    ("DIGEST", "/digest"),
    ("PUBLISHED", "/published_at"),
    ("BY", "/published_by"),
    ("BRINGS BACK", "/restores"),
];
