//! Tasks on this repository that need more than a line of shell: `cargo xtask --help` lists them.

mod agentdojo;
mod bench;
mod chaos;
mod codegen;
mod console;
mod fuzz;
mod kill;
mod tidy;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Tasks on the Bailiwick repository")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Check the rules that no compiler checks: layers, walls, file sizes, module docs, dead paths
    Tidy,
    /// Write the generated gRPC types; with --check only compare
    Codegen {
        /// Fail if a committed file is stale, write nothing
        #[arg(long)]
        check: bool,
    },
    /// Build the web console, or check that what is committed is what its sources make
    Console {
        /// What to do
        #[arg(value_enum)]
        what: Console,
    },
    /// Measure and print one `figure` line per value; all benches, or the one named
    Bench {
        /// A bench; an unknown name lists those there are
        name: Option<String>,
    },
    /// Replay AgentDojo's own calls through the gateway, under three humans, and print the table
    Agentdojo(agentdojo::Plan),
    /// Kill a log under many writers at random moments, and check that it kept every receipt
    Kill(kill::Plan),
    /// Fuzz the parsers of hostile input, led by coverage, from their corpora on
    Fuzz(fuzz::Plan),
    /// Kill what is named under load at random moments, and check from outside that nothing is left behind
    Chaos {
        /// What
        #[command(subcommand)]
        chaos: chaos::Chaos,
    },
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Console {
    /// Write console/dist
    Build,
    /// Types and accessibility of the sources; fail if console/dist is stale or too large
    Check,
}

fn main() -> ExitCode {
    run(Arguments::parse().task).unwrap_or_else(|error| {
        // Nothing is left to do when the error cannot be written either.
        let _ = writeln!(io::stderr(), "xtask: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(task: Task) -> Result<ExitCode> {
    let mut out = io::stdout().lock();
    let code = match task {
        Task::Tidy => tidy::run(&repository(), &mut out)?,
        Task::Codegen { check } => codegen::run(&repository(), check, &mut out)?,
        Task::Console { what } => match what {
            Console::Build => console::build(&repository(), &mut out)?,
            Console::Check => console::check(&repository(), &mut out)?,
        },
        Task::Bench { name } => bench::run(name.as_deref(), &mut out)?,
        Task::Agentdojo(plan) => agentdojo::run(&plan)?,
        Task::Kill(plan) => kill::run(plan, &mut out)?,
        Task::Fuzz(plan) => fuzz::run(&repository(), &plan)?,
        Task::Chaos { chaos } => chaos::run(chaos, &mut out)?,
    };
    out.flush()?;
    Ok(code)
}

/// The root of the repository: where the workspace's `Cargo.toml` is.
fn repository() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}
