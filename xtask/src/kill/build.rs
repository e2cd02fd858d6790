//! Builds the process that is killed.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use cargo_metadata::Message;

/// The executable of an example. The whole workspace is the selection, so that what a test run has built already serves here too.
pub(crate) fn example(name: &str, release: bool) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--locked", "--workspace", "--example", name])
        .args(["--message-format", "json-render-diagnostics"])
        .args(release.then_some("--release"))
        .current_dir(crate::repository())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cargo did not start")?;
    ensure!(
        output.status.success(),
        "the example `{name}` does not build"
    );
    for message in Message::parse_stream(output.stdout.as_slice()) {
        if let Message::CompilerArtifact(artifact) = message?
            && artifact.target.name == name
            && let Some(executable) = artifact.executable
        {
            return Ok(executable.into());
        }
    }
    anyhow::bail!("cargo names no executable `{name}`")
}
