//! `point`: enforcement points in other processes. Each follows the feed of its node, and denies everything once it has lost it.

use std::path::{Path, PathBuf};

use bailiwick_core::name::PointName;
use bailiwick_server::point::{self, News};
use clap::Subcommand;
use serde_json::{Value, json};

use crate::context::{Context, Page, read_file};
use crate::output::table;
use crate::{Exit, Outcome};

/// Longest key file, bytes.
const MAX_FILE: usize = 16 << 10;

/// What can be done with points.
#[derive(Debug, Subcommand)]
pub(crate) enum PointCommand {
    /// Adds a point and prints what it follows the feed with, once. Keep that to the point: it is its key.
    #[command(after_help = "Example: bailiwick point add edge-1 > edge-1.point")]
    Add {
        /// Its name.
        name: PointName,
    },
    /// Lists the points: how far each has come, and whether it can decide on anything now.
    #[command(after_help = "Example: bailiwick point list")]
    List(Page),
    /// Removes a point. It is refused at once; the command ends when its lease has run out.
    #[command(after_help = "Example: bailiwick point remove edge-1")]
    Remove {
        /// Its name.
        name: PointName,
    },
    /// Runs a point that decides nothing: it follows the feed under its lease and prints each fence, and each time it opens or closes.
    #[command(after_help = "Example: bailiwick point watch edge-1.point")]
    Watch {
        /// What `bailiwick point add` printed.
        file: PathBuf,
    },
}

/// Does it.
pub(crate) async fn run(context: &Context, command: PointCommand) -> Outcome {
    match command {
        PointCommand::Add { name } => {
            let body = context
                .api()?
                .post("/v1/points", &json!({"name": name}))
                .await?;
            // One line, as it is: it goes into a file.
            context.out.show(&body, |_, body| body.to_string());
            context
                .out
                .note("this is the point's key, and not shown again");
        }
        PointCommand::List(page) => {
            let body = context.api()?.query("/v1/points", &page.query()).await?;
            context.list(
                &body,
                &COLUMNS,
                "no points elsewhere: bailiwick point add NAME",
            );
        }
        PointCommand::Remove { name } => {
            context.api()?.delete(&format!("/v1/points/{name}")).await?;
            context.out.note(&format!("{name} is closed"));
        }
        PointCommand::Watch { file } => return watch(context, &file).await,
    }
    Ok(Exit::DONE)
}

const COLUMNS: [(&str, &str); 6] = [
    ("NAME", "/name"),
    ("OPEN", "/open"),
    ("APPLIED", "/applied"),
    ("BEHIND", "/behind"),
    ("HEARD MS AGO", "/heard_ms"),
    ("ADDED", "/made_at"),
];

/// Follows until Ctrl-C, or until nobody reads.
async fn watch(context: &Context, file: &Path) -> Outcome {
    let point = point::open(
        &read_file(file, MAX_FILE)?,
        context.authorities()?.as_deref(),
    )?;
    let interrupted = async {
        // Without signals it runs until it is killed.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    point::watch(point, interrupted, |news| {
        say(context, &told(news));
        !context.out.closed()
    })
    .await;
    Ok(Exit::INTERRUPTED)
}

fn told(news: News) -> Value {
    match news {
        News::Open(applied) => json!({"event": "open", "applied": applied}),
        News::Closed { problem, trouble } => json!({
            "event": "closed",
            "code": problem.code,
            "message": problem.message,
            "trouble": trouble,
        }),
        News::Fence(fence) => {
            let event = match fence.lifted_seq {
                None => "fence",
                Some(_) => "lifted",
            };
            json!({"event": event, "subject": fence.subject, "seq": fence.seq, "reason": fence.reason})
        }
    }
}

fn say(context: &Context, event: &Value) {
    let out = &context.out;
    if out.is_json() {
        return out.json_line(event);
    }
    let cell = |name: &str| match event.get(name) {
        None | Some(Value::Null) => String::new(),
        some => format!("  {}", table::cell(out, some)),
    };
    let rest = ["subject", "applied", "seq", "reason", "message", "trouble"].map(cell);
    let event = table::cell(out, event.get("event"));
    out.line(&format!("{event:<8}{}", rest.concat()));
}
