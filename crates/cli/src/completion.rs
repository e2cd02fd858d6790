//! `completion` and `man`: both come from the same tree as `--help`.

use std::path::PathBuf;

use bailiwick_core::{Code, Problem};
use clap::CommandFactory as _;

use crate::command::Cli;
use crate::context::Context;
use crate::{Exit, Outcome};

/// For which shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: bailiwick completion zsh > _bailiwick")]
pub(crate) struct CompletionArgs {
    /// The shell.
    shell: clap_complete::Shell,
}

/// Prints the script.
pub(crate) fn run(context: &Context, args: &CompletionArgs) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "bailiwick", &mut script);
    context.out.raw(&script);
    Exit::DONE
}

/// Where to.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: bailiwick man --dir /usr/local/share/man/man1")]
pub(crate) struct ManArgs {
    /// An existing directory; a page for every command is written into it. Without one the main page is printed.
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Writes the pages.
pub(crate) fn manual(context: &Context, args: &ManArgs) -> Outcome {
    let failed = |error: std::io::Error| {
        Problem::new(
            Code::ConfigInvalid,
            format!("the manual cannot be written: {error}"),
            "name a directory that exists and that you may write",
        )
    };
    if let Some(dir) = &args.dir {
        clap_mangen::generate_to(Cli::command(), dir).map_err(failed)?;
    } else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command())
            .render(&mut page)
            .map_err(failed)?;
        context.out.raw(&page);
    }
    Ok(Exit::DONE)
}
