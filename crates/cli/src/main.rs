//! The command line of Bailiwick: one binary for the node, for people, for scripts, and for agents' stdio.
//!
//! A file per noun, named as in every other layer; `command` is the table of contents.

mod accounts;
mod agent_auth;
mod agents;
mod approvals;
mod artefacts;
mod audit;
mod backends;
mod client;
mod clients;
mod command;
mod completion;
mod config;
mod context;
mod demo;
mod evidence;
mod failure;
mod fences;
mod findings;
mod init;
mod items;
mod join_tokens;
mod keys;
mod leases;
mod mcp;
mod output;
mod points;
mod policies;
mod process;
mod revocations;
mod run;
mod scan;
mod scopes;
mod secrets;
mod serve;
mod servers;
mod store;
mod svid;
mod tasks;
mod tools;
mod witness;
mod workload;

use std::process::ExitCode;

use clap::Parser as _;

use crate::command::Cli;
use crate::context::Context;
use crate::output::{Format, Out};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments
        .next()
        .is_some_and(|word| word == run::parked::WORD)
    {
        return run::parked::run(arguments);
    }
    bailiwick_crypto::tls::install_default_provider();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return command::usage(&error),
    };
    let out = Out::of_process(cli.global.format(), cli.global.color, cli.global.quiet);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => {
            let context = Context::new(out.clone(), &cli.global);
            let outcome = runtime.block_on(cli.command.run(&context));
            // A read of stdin that nobody answers must not hold the process.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Err(failure::Failure::internal(format!(
            "the runtime does not start: {error}"
        ))),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output::report::print(&out, &failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

/// How a command that did its work ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exit(pub(crate) u8);

impl Exit {
    /// Done, or the answer is yes.
    pub(crate) const DONE: Self = Self(0);
    /// Done, and the answer is no.
    pub(crate) const NO: Self = Self(1);
    /// Interrupted by Ctrl-C.
    pub(crate) const INTERRUPTED: Self = Self(130);
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.0)
    }
}

/// What every command returns.
pub(crate) type Outcome = Result<Exit, failure::Failure>;

/// Whether these arguments ask for JSON, for errors that come before parsing is done.
pub(crate) fn asks_for_json(
    arguments: impl Iterator<Item = String>,
    variable: Option<&str>,
) -> bool {
    let mut previous = String::new();
    for argument in arguments {
        if argument == "--json"
            || argument == "--output=json"
            || (previous == "--output" && argument == "json")
        {
            return true;
        }
        previous = argument;
    }
    variable == Some("json")
}

/// The format that was asked for when the arguments do not parse.
pub(crate) fn format_of_process() -> Format {
    let variable = std::env::var("BAILIWICK_OUTPUT").ok();
    if asks_for_json(std::env::args(), variable.as_deref()) {
        Format::Json
    } else {
        Format::Table
    }
}
