//! A log that lies elsewhere: in a bucket, behind a file server, at a node. It is fetched, and then checked like any other.

use std::path::{Path, PathBuf};

use bailiwick_audit::verify::verify as verify_log;
use bailiwick_core::{Code, Problem};
use bailiwick_server::ship::{Copied, Place, copy};
use serde_json::json;

use super::held::Held;
use super::offline::{self, as_json, as_text, key};
use crate::context::Context;
use crate::failure::Failure;
use crate::{Exit, Outcome};

/// What to fetch, and where to.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: bailiwick audit restore --from s3://backups/node-1 ./restored --vkey log.vkey"
)]
pub(crate) struct RestoreArgs {
    /// Where the log was shipped to: s3://bucket/prefix, file:///directory, or the URL under which it is served.
    #[arg(long, value_name = "URL")]
    from: String,
    /// The directory to write; it must be empty or not there.
    dir: PathBuf,
    /// The log's public key: the key itself or a file with it.
    #[arg(long, value_name = "KEY")]
    vkey: String,
}

/// Fetches a log into a directory of the reader's, with what lies beside the tree, and checks it.
pub(super) async fn restore(context: &Context, args: &RestoreArgs) -> Outcome {
    let keys = [key(&args.vkey)?];
    let used = std::fs::read_dir(&args.dir).is_ok_and(|mut entries| entries.next().is_some());
    if used {
        let message = format!("{} is not empty", args.dir.display());
        let help = "name a directory that is not there yet: nothing is written over";
        return Err(Problem::new(Code::InvalidInput, message, help).into());
    }
    let copied = fetch(context, &args.from, &args.dir, &keys, true).await?;
    let verdict = verify_log(&args.dir, &keys);
    let mut body = as_json(&verdict);
    if let Some(body) = body.as_object_mut() {
        body.insert("files".to_owned(), json!(copied.files));
        body.insert("missing".to_owned(), json!(copied.missing));
    }
    context.out.show(&body, |out, _| {
        let fetched = format!("fetched {} files into {}", copied.files, args.dir.display());
        format!("{fetched}\n{}", as_text(out, &verdict))
    });
    Ok(Exit(verdict.exit_code()))
}

/// Checks a log at a URL: what its checkpoint covers is fetched into a directory that goes again.
pub(super) async fn verify(context: &Context, url: &str, vkey: &str, held: &Held) -> Outcome {
    let keys = [key(vkey)?];
    let dir = tempfile::Builder::new()
        .prefix("bailiwick-verify-")
        .tempdir();
    let dir = dir.map_err(|error| {
        let message = format!("no directory can be made to fetch into: {error}");
        Failure::from(Problem::new(
            Code::DataDir,
            message,
            "set TMPDIR to a directory with room",
        ))
    })?;
    fetch(context, url, dir.path(), &keys, false).await?;
    offline::verify(context, dir.path(), vkey, held)
}

async fn fetch(
    context: &Context,
    url: &str,
    dir: &Path,
    keys: &[bailiwick_crypto::note::NoteVerifier],
    beside: bool,
) -> Result<Copied, Failure> {
    let place = Place::open_to_read(
        url,
        context.bearer_for(url),
        context.authorities()?.as_deref(),
    )?;
    // A place that cannot be read, or a checkpoint of another key, is no evidence of alteration.
    copy(&place, dir, keys, beside).await.map_err(|error| {
        let altered = bailiwick_core::Fault::code(&error) == Code::LogAltered;
        Failure::from(error).exits(if altered { 1 } else { 6 })
    })
}
