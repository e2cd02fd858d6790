//! `audit`: the record. `verify`, and `prove`, `search` and `task` with `--dir`, need no node: only the log's files, and for
//! `verify` a key that the reader brings.

mod blast;
mod bundle;
mod export;
mod filter;
mod held;
mod offline;
mod privacy;
mod remote;
mod repair;
mod story;
mod task;

use std::path::PathBuf;

use bailiwick_core::id::EventId;
use bailiwick_server::ship::Place;
use clap::Subcommand;
use serde_json::{Value, json};

use crate::client::with_query;
use crate::config::ConfigArgs;
use crate::context::{Context, Page};
use crate::output::{Untrusted, table};
use crate::{Exit, Outcome};

pub(crate) use filter::FilterArgs;
pub(crate) use offline::key as log_key;
pub(crate) use story::line;

/// What can be done with the record.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Prints events as they are recorded, until Ctrl-C.
    #[command(after_help = "Example: bailiwick audit tail --agent coder --type tool")]
    Tail {
        #[command(flatten)]
        filter: FilterArgs,
    },
    /// Tells the story of a task and everything below it.
    Task(task::TaskArgs),
    /// Sets what was touched against what could have been reached: by an agent, a process, in a task, for a user, with a lease.
    BlastRadius(blast::BlastArgs),
    /// Finds events; all conditions must hold.
    #[command(after_help = "Example: bailiwick audit search --agent coder --decision deny")]
    Search {
        #[command(flatten)]
        filter: FilterArgs,
        /// Waits until everything on record is in the index, so that nothing can be missing.
        #[arg(long, conflicts_with = "dir")]
        wait: bool,
        /// The log's directory, instead of a node. Every event is read; conditions on resources need a node.
        #[arg(long)]
        dir: Option<PathBuf>,
        #[command(flatten)]
        page: Page,
    },
    /// Makes the index of the record anew: a running node in the background, a stopped one at once.
    #[command(after_help = "Example: bailiwick audit reindex")]
    Reindex {
        /// The node is stopped: read and write its data directory.
        #[arg(long)]
        offline: bool,
        #[command(flatten)]
        found: ConfigArgs,
    },
    /// Shows one event.
    #[command(after_help = "Example: bailiwick audit show evt_01h455vb4pex5vsknk084sn02q")]
    Show {
        /// Its id.
        event: EventId,
        /// Opens its kept values too, or only those at these paths (/args, /result, /request, …). That is on record first; role operator.
        #[arg(long, value_name = "PATH", num_args = 0.., requires = "reason")]
        reveal: Option<Vec<String>>,
        /// Why they are opened; it goes on record.
        #[arg(long, requires = "reveal")]
        reason: Option<String>,
    },
    /// Prints a proof that an event is in the log, as other people's tools read it (C2SP tlog-proof).
    #[command(after_help = "Example: bailiwick audit prove evt_01h455vb4pex5vsknk084sn02q")]
    Prove {
        /// Its id.
        event: EventId,
        /// The log's directory, instead of a node.
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Prints the log's public key, origin and newest checkpoint. Keep the key elsewhere: `verify` needs it.
    #[command(after_help = "Example: bailiwick audit log")]
    Log,
    /// Prints the kept values of an event, such as its arguments. Who saw them and why is on record first.
    #[command(
        after_help = "Example: bailiwick audit reveal evt_01h455vb4pex5vsknk084sn02q --reason \"INC-4\""
    )]
    Reveal {
        /// Its id.
        event: EventId,
        /// Why; it goes on record.
        #[arg(long)]
        reason: String,
    },
    /// Erases kept values and the keys of their commitments, for good; proofs stand. It says first how much, and asks.
    Erase(privacy::EraseArgs),
    /// Confirms an erasure that another admin asked for, and carries it out. Needs an account of its own.
    #[command(after_help = "Example: bailiwick audit confirm-erasure ers_0123456789abcdef")]
    ConfirmErasure {
        /// What `audit erase` printed for whoever asked.
        id: String,
    },
    /// Makes a new key for the log's checkpoints. The key before signs too for a week, so that everybody can learn the new one. Role admin.
    #[command(after_help = "Example: bailiwick audit rotate-key")]
    RotateKey,
    /// With the node stopped: cuts a damaged log where it is damaged, or leaves it and goes on under another name. Either is on record.
    Repair(repair::RepairArgs),
    /// Writes the record in a shape that other people's tools read.
    Export(export::ExportArgs),
    /// Fetches a log that was shipped, into a directory for reading, and checks it.
    Restore(remote::RestoreArgs),
    /// Checks a log, a bundle of evidence or a proof against a key. Exit 0: proven, 1: altered, 6: cannot tell.
    #[command(
        after_help = "Example: bailiwick audit verify /var/lib/bailiwick/audit --vkey log.vkey"
    )]
    Verify {
        /// The log's directory or URL (s3://, file://, http://, https://), a bundle (packed or not), or a file with a proof.
        path: PathBuf,
        /// The log's public key: the key itself or a file with it.
        #[arg(long, value_name = "KEY")]
        vkey: String,
        /// Bundles only: the public key of the bundle's maker, or a file with it. Without it the maker's signature is not looked at.
        #[arg(long, value_name = "KEY")]
        evidence_key: Option<String>,
        #[command(flatten)]
        held: held::Held,
    },
}

/// Does it.
pub(crate) async fn run(context: &Context, command: AuditCommand) -> Outcome {
    match command {
        AuditCommand::Tail { filter } => tail(context, &filter).await,
        AuditCommand::Reindex { offline, found } => reindex(context, offline, &found).await,
        AuditCommand::Task(args) => task::task(context, args).await,
        AuditCommand::BlastRadius(args) => blast::blast_radius(context, args).await,
        AuditCommand::Search {
            filter,
            dir: Some(dir),
            page,
            ..
        } => offline::search(context, &filter.read()?, dir, &page),
        AuditCommand::Search {
            filter,
            wait,
            dir: None,
            page,
        } => search(context, &filter, wait, &page).await,
        AuditCommand::Show {
            event,
            reveal: Some(paths),
            reason: Some(reason),
        } => privacy::show_revealed(context, event, &paths, &reason).await,
        AuditCommand::Show { event, .. } => {
            context.record(
                &context
                    .api()?
                    .get(&format!("/v1/audit/events/{event}"))
                    .await?,
            );
            Ok(Exit::DONE)
        }
        AuditCommand::Prove {
            event,
            dir: Some(dir),
        } => offline::prove(context, event, dir),
        AuditCommand::Prove { event, dir: None } => {
            let path = format!("/v1/audit/events/{event}/proof");
            let body = context.api()?.get(&path).await?;
            context.out.show(&body, |_, body| {
                let proof = body.get("proof").and_then(Value::as_str);
                proof.unwrap_or_default().trim_end().to_owned()
            });
            Ok(Exit::DONE)
        }
        AuditCommand::Log => log(context).await,
        AuditCommand::Reveal { event, reason } => privacy::reveal(context, event, &reason).await,
        AuditCommand::Erase(args) => privacy::erase(context, args).await,
        AuditCommand::ConfirmErasure { id } => privacy::confirm_erasure(context, &id).await,
        AuditCommand::RotateKey => rotate_key(context).await,
        AuditCommand::Repair(args) => repair::repair(context, &args).await,
        AuditCommand::Export(args) => export::run(context, args).await,
        AuditCommand::Restore(args) => remote::restore(context, &args).await,
        AuditCommand::Verify {
            path, vkey, held, ..
        } if path.to_str().is_some_and(Place::is_url) => {
            remote::verify(context, &path.to_string_lossy(), &vkey, &held).await
        }
        AuditCommand::Verify {
            path,
            vkey,
            evidence_key,
            held,
        } => match bundle::at(&path)? {
            Some(files) => bundle::verify(context, &files, &vkey, evidence_key.as_deref(), &held),
            None => offline::verify(context, &path, &vkey, &held),
        },
    }
}

async fn log(context: &Context) -> Outcome {
    let body = context.api()?.get("/v1/audit/log").await?;
    context.out.show(&body, |_, body| {
        let text = |name: &str| {
            body.get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let checkpoint: Vec<_> = text("checkpoint")
            .lines()
            .map(|line| Untrusted(line).to_string())
            .collect();
        let (log, evidence) = (text("vkey"), text("evidence_vkey"));
        let checkpoint = checkpoint.join("\n");
        let former = |name| body.get("former").and_then(|former| former.get(name));
        let until = former("until").and_then(Value::as_str);
        let log = match (former("vkey").and_then(Value::as_str), until) {
            (Some(former), Some(until)) => {
                format!("{log}\n\nuntil {until} this key signs too\n{former}")
            }
            _ => log,
        };
        format!("{log}\n\n{checkpoint}\n\nbundles of evidence are signed with\n{evidence}")
    });
    Ok(Exit::DONE)
}

async fn rotate_key(context: &Context) -> Outcome {
    let path = "/v1/audit/key-rotations";
    let body = context.api()?.post(path, &json!({})).await?;
    context.out.show(&body, |out, body| {
        let former = body.get("former");
        let old = table::cell(out, former.and_then(|former| former.get("vkey")));
        let until = table::cell(out, former.and_then(|former| former.get("until")));
        let new = table::cell(out, body.get("vkey"));
        format!(
            "{new}\n\nthe log is signed with this key from now on; until {until} the one before signs too:\n{old}\n\nGive the new key to everybody who verifies this log, and to its witnesses, before then."
        )
    });
    Ok(Exit::DONE)
}

async fn search(context: &Context, filter: &FilterArgs, wait: bool, page: &Page) -> Outcome {
    let mut query = page.query();
    if wait {
        query.push(("wait", "true".to_owned()));
    }
    query.extend(filter.pairs()?);
    let body = context.api()?.query("/v1/audit/events", &query).await?;
    context.out.show(&body, |out, body| {
        let lines: Vec<_> = table::items(body)
            .iter()
            .map(|event| line(out, event))
            .collect();
        if lines.is_empty() {
            out.note("no such event");
        }
        lines.join("\n")
    });
    if let Some(behind) = body.get("index_behind") {
        let number = |name| table::cell(&context.out, behind.get(name));
        context.out.note(&format!(
            "partial: {} of {} events are in the index; --wait waits for it",
            number("indexed"),
            number("size")
        ));
    }
    if let Some(Value::String(next)) = body.get("next") {
        context
            .out
            .note(&format!("there is more: --after {}", Untrusted(next)));
    }
    Ok(Exit::DONE)
}

async fn reindex(context: &Context, offline: bool, found: &ConfigArgs) -> Outcome {
    if offline {
        let indexed = bailiwick_server::node::reindex(&found.load()?).await?;
        let body = json!({"indexed": indexed, "size": indexed});
        context
            .out
            .show(&body, |_, _| format!("indexed {indexed} events"));
        return Ok(Exit::DONE);
    }
    let body = context.api()?.post("/v1/audit/reindex", &json!({})).await?;
    context.out.show(&body, |out, body| {
        let size = table::cell(out, body.get("size"));
        format!(
            "the node makes the index of {size} events anew; `audit search --wait` waits for it"
        )
    });
    Ok(Exit::DONE)
}

async fn tail(context: &Context, filter: &FilterArgs) -> Outcome {
    let path = with_query("/v1/audit/tail", &filter.pairs()?);
    let mut events = context.api()?.follow(&path).await?;
    loop {
        let event = tokio::select! {
            event = events.event() => event,
            _ = tokio::signal::ctrl_c() => return Ok(Exit::INTERRUPTED),
        };
        let Some(event) = event else {
            return Ok(Exit::DONE);
        };
        if context.out.is_json() {
            context.out.json_line(&event);
        } else {
            context.out.line(&line(&context.out, &event));
        }
        if context.out.closed() {
            return Ok(Exit::DONE);
        }
    }
}
