//! Benches of the product are bench targets of its crates, run by `cargo bench`: xtask depends on no crate of the product,
//! and what is measured is built as it ships. A target writes one line per figure on stdout and nothing else there; the
//! verdict is given here.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::figure::Figure;

/// Runs the bench target `target` of `package` and hands its figures over as they come.
pub(super) fn run(
    package: &str,
    target: &str,
    figure: &mut dyn FnMut(Figure) -> Result<()>,
) -> Result<()> {
    // The cargo that runs xtask names itself, so that both are of one toolchain.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut child = Command::new(cargo)
        .args(["bench", "--quiet", "--package", package, "--bench", target])
        .current_dir(crate::repository())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cargo did not start")?;
    let stdout = child.stdout.take().context("cargo has no stdout")?;
    let relayed = relay(BufReader::new(stdout), figure);
    if relayed.is_err() {
        // It may already have ended; it is waited for below all the same.
        let _ = child.kill();
    }
    let status = child.wait().context("cargo was lost")?;
    relayed?;
    ensure!(
        status.success(),
        "`cargo bench` ended with {status}; what it said is above"
    );
    Ok(())
}

/// Reads figures to the end of `lines`. No figure at all is an error: then nothing was measured.
fn relay(lines: impl BufRead, figure: &mut dyn FnMut(Figure) -> Result<()>) -> Result<()> {
    let mut figures = 0_usize;
    for line in lines.lines() {
        figure(Figure::parse(
            &line.context("reading what the bench writes")?,
        )?)?;
        figures += 1;
    }
    ensure!(figures > 0, "it measured nothing");
    Ok(())
}

#[cfg(test)]
mod tests;
