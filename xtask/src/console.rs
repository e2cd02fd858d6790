//! Builds the web console. What it makes is committed and embedded, so that building the binary needs no Node; the check builds it again
//! and compares, and holds it to its size.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};

const SOURCES: &str = "console";
const BUILT: &str = "console/dist";
/// What a browser loads to show anything, gzip -9.
const MAX_BYTES: usize = 200 << 10;

/// Builds into `console/dist`.
pub(crate) fn build(root: &Path, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    vite(root, &root.join(BUILT))?;
    report(out, &files(&root.join(BUILT))?)
}

/// Types, unused code and accessibility of the sources; then whether what is committed is what they make, and small enough.
pub(crate) fn check(root: &Path, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let checked = node(root, "svelte-check/bin/svelte-check")
        .args([
            "--tsconfig",
            "./tsconfig.json",
            "--fail-on-warnings",
            "--output",
            "human",
        ])
        .status()
        .context("svelte-check does not start")?;
    if !checked.success() {
        bail!("svelte-check found something in {SOURCES}");
    }
    let fresh = root
        .join("target")
        .join(format!("console-{}", std::process::id()));
    vite(root, &fresh)?;
    let (committed, built) = (files(&root.join(BUILT))?, files(&fresh)?);
    fs::remove_dir_all(&fresh)?;
    if committed != built {
        let differs = |name: &&String| committed.get(*name) != built.get(*name);
        let names: Vec<&String> = committed
            .keys()
            .chain(built.keys())
            .filter(differs)
            .collect();
        bail!("{BUILT} is stale ({names:?}): run `cargo xtask console build` and commit it");
    }
    report(out, &built)
}

fn report(out: &mut dyn Write, files: &BTreeMap<String, Vec<u8>>) -> anyhow::Result<ExitCode> {
    let mut all = 0;
    for (name, bytes) in files {
        let packed = packed(bytes)?;
        all += packed;
        writeln!(out, "{name}: {} bytes, {packed} with gzip -9", bytes.len())?;
    }
    writeln!(out, "together {all} bytes of at most {MAX_BYTES}")?;
    Ok(ExitCode::from(u8::from(all > MAX_BYTES)))
}

/// Bytes after `gzip -9`, as a web server would send them.
fn packed(bytes: &[u8]) -> anyhow::Result<usize> {
    let mut gzip = Command::new("gzip")
        .args(["-9", "-n", "-c"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .context("gzip does not start")?;
    let mut input = gzip.stdin.take().context("gzip takes nothing")?;
    let bytes = bytes.to_vec();
    let writing = std::thread::spawn(move || input.write_all(&bytes));
    let output = gzip.wait_with_output()?;
    let _ = writing.join();
    if !output.status.success() {
        bail!("gzip failed");
    }
    Ok(output.stdout.len())
}

fn vite(root: &Path, into: &Path) -> anyhow::Result<()> {
    let built = node(root, "vite/bin/vite.js")
        .args(["build", "--logLevel", "warn", "--emptyOutDir", "--outDir"])
        .arg(into)
        .status()
        .context("vite does not start")?;
    if !built.success() {
        bail!("the console does not build");
    }
    Ok(())
}

/// A program of the console's packages, in its directory.
fn node(root: &Path, program: &str) -> Command {
    let installed = root.join(".deps/node/bin/node");
    let mut command = Command::new(if installed.exists() {
        installed
    } else {
        PathBuf::from("node")
    });
    command
        .arg(root.join(SOURCES).join("node_modules").join(program))
        .current_dir(root.join(SOURCES));
    command
}

fn files(directory: &Path) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut left = vec![directory.to_owned()];
    while let Some(next) = left.pop() {
        let entries = fs::read_dir(&next)
            .with_context(|| format!("{} cannot be read: run ci/deps", next.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                left.push(path);
            } else {
                let name = path.strip_prefix(directory)?.display().to_string();
                found.insert(name, fs::read(&path)?);
            }
        }
    }
    Ok(found)
}
