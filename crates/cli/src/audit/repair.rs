//! `audit repair`: what can be done about a log that does not open.

use bailiwick_core::name::NodeName;
use bailiwick_server::node::repair;
use serde_json::json;

use crate::config::ConfigArgs;
use crate::context::Context;
use crate::{Exit, Outcome};

/// What to do about it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: bailiwick audit repair --cut-at 8123 --reason \"INC-9: bad sector\"",
    group(clap::ArgGroup::new("way").required(true))
)]
pub(crate) struct RepairArgs {
    /// Cuts the log at this batch, which a refused start names as damaged. Refused if anything from there on was signed.
    #[arg(long, value_name = "BATCH", group = "way")]
    cut_at: Option<u64>,
    /// Leaves the log of this node, and begins another under the name that [node] name has now.
    #[arg(long, value_name = "OLD-NAME", group = "way")]
    succeed: Option<NodeName>,
    /// Why; it goes on record.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    found: ConfigArgs,
}

/// Does it.
pub(super) async fn repair(context: &Context, args: &RepairArgs) -> Outcome {
    let config = args.found.load()?;
    let actor = format!("uid:{}", rustix::process::geteuid().as_raw());
    if let Some(old) = &args.succeed {
        let left = repair::succeed(&config, old, &args.reason, &actor).await?;
        let (origin, kept) = (&left.origin, left.kept.display());
        let body = json!({
            "left": origin,
            "signed": left.signed,
            "kept": left.kept,
            "open_tasks": left.open_tasks,
        });
        context.out.show(&body, |_, _| {
            format!(
                "left {origin}, which had signed for {} events; its files are in {kept}",
                left.signed
            )
        });
        if left.open_tasks > 0 {
            context.out.note(&format!(
                "{} tasks are open, and what their budgets have used is not known any more: end them",
                left.open_tasks
            ));
        }
    } else if let Some(at) = args.cut_at {
        let cut = repair::cut(&config, at, &args.reason, &actor).await?;
        let body = json!({
            "batch": cut.batch,
            "first_event": cut.index,
            "bytes": cut.bytes,
            "digest": cut.digest,
            "file": cut.file,
        });
        context.out.show(&body, |_, _| {
            format!(
                "cut {} bytes from event {} on, kept as {} with {}; log.gap is on record",
                cut.bytes,
                cut.index,
                cut.file.display(),
                cut.digest
            )
        });
    }
    Ok(Exit::DONE)
}
