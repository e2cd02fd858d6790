//! Coverage-guided fuzzing of the parsers of hostile input: builds `fuzz/` for libFuzzer and runs each target for a time, from its corpus on.
//!
//! It needs no nightly compiler: the instrumentation is LLVM's, asked for by stable options of rustc.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Result, bail, ensure};

/// Targets of `fuzz/src/main.rs`.
const TARGETS: [&str; 6] = [
    "dpop",
    "jose",
    "json",
    "scope_json",
    "spiffe_id",
    "uds_shim",
];
const TRIPLE: &str = "x86_64-unknown-linux-gnu";
/// Edge counters, tables of edges, and comparisons, which lead to magic values.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing";

/// What to fuzz, and how long.
#[derive(clap::Args)]
pub(crate) struct Plan {
    /// A target; all of them if not given
    target: Option<String>,
    /// Seconds for each target
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
}

/// Does it. An input that breaks a target is kept below `fuzz/found`.
pub(crate) fn run(root: &Path, plan: &Plan) -> Result<ExitCode> {
    let targets = match plan.target.as_deref() {
        None => TARGETS.to_vec(),
        Some(wanted) => match TARGETS.iter().find(|target| **target == wanted) {
            Some(target) => vec![*target],
            None => bail!(
                "there is no target {wanted}; there are {}",
                TARGETS.join(", ")
            ),
        },
    };
    let fuzz = root.join("fuzz");
    let built = Command::new(env!("CARGO"))
        .current_dir(&fuzz)
        .args(["build", "--release", "--locked", "--target", TRIPLE])
        .env("RUSTFLAGS", FLAGS)
        .status()?;
    ensure!(built.success(), "fuzz/ does not build");
    let binary = fuzz
        .join("target")
        .join(TRIPLE)
        .join("release/bailiwick-fuzz");
    let found = fuzz.join("found");
    std::fs::create_dir_all(&found)?;
    let mut broken = Vec::new();
    for target in targets {
        let learned = fuzz.join("learned").join(target);
        std::fs::create_dir_all(&learned)?;
        let mut command = Command::new(&binary);
        command
            .env("BAILIWICK_FUZZ", target)
            .arg(format!("-max_total_time={}", plan.seconds))
            .arg(format!("-artifact_prefix={}/{target}-", found.display()))
            .args([
                "-max_len=16384",
                "-timeout=10",
                "-rss_limit_mb=2048",
                "-print_final_stats=1",
            ])
            .arg(&learned);
        let corpus = root.join("conformance/corpora").join(target);
        if corpus.is_dir() {
            command.arg(corpus);
        }
        if !command.status()?.success() {
            broken.push(target);
        }
    }
    ensure!(
        broken.is_empty(),
        "{} broke; the inputs are in fuzz/found: mend the parser and put each into conformance/corpora",
        broken.join(", ")
    );
    Ok(ExitCode::SUCCESS)
}
