//! `cargo xtask agentdojo`: replays AgentDojo's own calls through a node's gateway (`tests/agentdojo/replay.py`). The harness that serves the
//! suites over MCP is not part of this repository; its directory is an argument.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

/// What is replayed.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Plan {
    /// Directory of the harness: adreplay.py and agentdojo_mcp_server.py
    #[arg(long)]
    harness: PathBuf,
    /// The binary; built if not given
    #[arg(long)]
    bailiwick: Option<PathBuf>,
    /// More arguments for the replay: --suite, --human, --limit, --benign-only, --attack, --out, --verbose
    #[arg(last = true)]
    more: Vec<String>,
}

pub(crate) fn run(plan: &Plan) -> Result<ExitCode> {
    let repository = crate::repository();
    let python = repository.join(".deps/agentdojo/bin/python");
    ensure!(
        python.exists(),
        "{} is missing: run ci/deps agentdojo",
        python.display()
    );
    let binary = match &plan.bailiwick {
        Some(binary) => binary.clone(),
        None => build()?,
    };
    let status = Command::new(python)
        .arg(repository.join("tests/agentdojo/replay.py"))
        .arg("--harness")
        .arg(&plan.harness)
        .arg("--bailiwick")
        .arg(binary)
        .args(&plan.more)
        .status()
        .context("the replay did not start")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--locked", "--package", "bailiwick-cli"])
        .current_dir(crate::repository())
        .status()
        .context("cargo did not start")?;
    ensure!(status.success(), "the binary does not build");
    Ok(crate::repository().join("target/debug/bailiwick"))
}
