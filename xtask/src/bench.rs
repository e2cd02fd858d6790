//! `cargo xtask bench [NAME]`: measures, and prints one line per figure with the target it was promised to reach.
//! A figure that falls short does not fail the run: machines differ, the line is the evidence.

mod cargo;
mod figure;
mod product;
mod tidy;
mod timing;

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use figure::Figure;

/// Something to measure.
struct Bench {
    /// What is typed after `cargo xtask bench`.
    name: &'static str,
    /// Measures, and hands each figure over when it is known; a peer is measured in the same run.
    run: fn(&mut dyn FnMut(Figure) -> Result<()>) -> Result<()>,
}

const BENCHES: &[Bench] = &[
    product::DECIDE,
    product::POLICY,
    product::AUDIT,
    product::INDEX,
    product::GATEWAY,
    product::SCAN,
    product::REEVALUATE,
    product::REVOKE,
    tidy::BENCH,
];

/// Runs the bench called `name`, or all of them, and writes their figures.
pub(crate) fn run(name: Option<&str>, out: &mut dyn Write) -> Result<ExitCode> {
    run_of(BENCHES, name, out)
}

fn run_of(benches: &[Bench], name: Option<&str>, out: &mut dyn Write) -> Result<ExitCode> {
    let chosen: Vec<&Bench> = benches
        .iter()
        .filter(|bench| name.is_none_or(|name| name == bench.name))
        .collect();
    if let (Some(name), true) = (name, chosen.is_empty()) {
        let names: Vec<&str> = benches.iter().map(|bench| bench.name).collect();
        bail!("there is no bench `{name}`; there is: {}", names.join(", "));
    }
    for bench in chosen {
        let mut write = |figure: Figure| -> Result<()> { Ok(writeln!(out, "{figure}")?) };
        (bench.run)(&mut write).with_context(|| format!("bench {}", bench.name))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests;
