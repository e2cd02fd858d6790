//! `init`: a configuration, a data directory and its seal, in a directory of one's own.

use std::path::PathBuf;

use bailiwick_core::{Code, Problem};
use serde_json::json;

use crate::config::user_dir;
use crate::context::Context;
use crate::{Exit, Outcome};

/// Where.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: bailiwick init ./node")]
pub(crate) struct InitArgs {
    /// The directory. Default: ~/.config/bailiwick, where every command looks for its configuration.
    dir: Option<PathBuf>,
}

/// Does it.
pub(crate) fn run(context: &Context, args: &InitArgs) -> Outcome {
    let dir = args.dir.clone().or_else(user_dir).ok_or_else(|| {
        Problem::new(
            Code::ConfigInvalid,
            "there is no directory to begin in: HOME is not set",
            "name one: bailiwick init DIR",
        )
    })?;
    let made = bailiwick_server::init::init(&dir)?;
    context.record(&json!({"config": made.config, "data_dir": made.data_dir, "seal": made.seal}));
    context.out.note(&made.next);
    Ok(Exit::DONE)
}
