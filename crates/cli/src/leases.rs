//! `lease`: just-in-time credentials and their life. Never a value.

use bailiwick_core::id::{LeaseId, TaskId};
use clap::Subcommand;

use crate::context::{Context, Page};
use crate::{Exit, Outcome};

/// What can be done with leases.
#[derive(Debug, Subcommand)]
pub(crate) enum LeaseCommand {
    /// Lists leases.
    #[command(after_help = "Example: bailiwick lease list --task task_01h455vb4pex5vsknk084sn02q")]
    List {
        /// Only this task's.
        #[arg(long)]
        task: Option<TaskId>,
        #[command(flatten)]
        page: Page,
    },
    /// Shows one: where its account is, and what the backend said when it was gone.
    #[command(after_help = "Example: bailiwick lease show lease_01h455vb4pex5vsknk084sn02q")]
    Show {
        /// Its id.
        id: LeaseId,
    },
}

/// Does it.
pub(crate) async fn run(context: &Context, command: LeaseCommand) -> Outcome {
    match command {
        LeaseCommand::List { task, page } => {
            let mut query = page.query();
            query.extend(task.map(|task| ("task", task.to_string())));
            let body = context.api()?.query("/v1/leases", &query).await?;
            context.list(&body, &COLUMNS, "no leases");
        }
        LeaseCommand::Show { id } => {
            let body = context.api()?.get(&format!("/v1/leases/{id}")).await?;
            context.record(&body);
        }
    }
    Ok(Exit::DONE)
}

const COLUMNS: [(&str, &str); 8] = [
    ("ID", "/id"),
    ("STATE", "/state"),
    ("CLASS", "/class"),
    ("CREDENTIAL", "/credential"),
    ("AGENT", "/agent"),
    ("TASK", "/task"),
    ("ENDS", "/not_after"),
    ("CAUSE", "/cause"),
];
