//! Bytes per second of processor time on source code, beside gitleaks. Processor time, because other work on the machine is no
//! property of a scanner.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use bailiwick_posture::repo::{self, Objects, Options, Skip};
use bailiwick_posture::secrets::Engine;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::time::{ClockId, clock_gettime};

use crate::score::Reported;

/// Bytes of source code that are scanned.
const MOST: u64 = 64 * 1024 * 1024;
/// Of the design: times as fast as gitleaks on files, and no more time on a history.
const LEAST_OF_FILES: f64 = 3.0;
const LEAST_OF_HISTORY: f64 = 1.0;

pub(crate) fn measure(
    engine: &Engine,
    scratch: &Path,
    gitleaks: &Path,
    out: &mut dyn Write,
) -> Result<()> {
    let tree = scratch.join("sources");
    let bytes = gather(&tree)?;
    let history = scratch.join("history");
    let status = Command::new("git")
        .args(["clone", "-q", "--mirror"])
        .arg(crate::sources())
        .arg(&history)
        .status()?;
    ensure!(status.success(), "the repository was not cloned");
    for (name, path, least, objects) in [
        ("files", &tree, LEAST_OF_FILES, Objects::Index),
        ("history", &history, LEAST_OF_HISTORY, Objects::All),
    ] {
        let options = Options {
            work_tree: objects == Objects::Index,
            objects: Objects::All,
            most_bytes: MOST,
            skip: Skip::default(),
            threads: 1,
        };
        let before = cpu();
        let outcome = repo::scan(engine, path, &options)?;
        let ours = cpu() - before;
        let mode = if name == "files" {
            "gitleaks"
        } else {
            "gitleaks-history"
        };
        let (_, theirs) = run_peer(mode, gitleaks, path)?;
        let read = if name == "files" {
            bytes
        } else {
            outcome.coverage.bytes
        };
        writeln!(
            out,
            "figure scan_{name}_rate {:.1} MB_per_cpu_second target >=0",
            megabytes(read) / ours
        )?;
        writeln!(
            out,
            "figure scan_{name}_gitleaks_over_ours {:.2} ratio target >={least}",
            theirs / ours
        )?;
    }
    Ok(())
}

/// Processor time of this process, in seconds.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    std::time::Duration::try_from(time).map_or(0.0, |time| time.as_secs_f64())
}

fn megabytes(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let bytes = bytes as f64;
    bytes / 1e6
}

/// Copies source code of this repository's dependencies, in the order of their names.
fn gather(to: &Path) -> Result<u64> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
        .context("there is no CARGO_HOME")?;
    let mut bytes = 0;
    let registry = home.join("registry/src");
    for entry in walkdir::WalkDir::new(&registry).sort_by_file_name() {
        let entry = entry?;
        let size = entry.metadata()?.len();
        if !entry.file_type().is_file() || size > 1024 * 1024 {
            continue;
        }
        let target = to.join(entry.path().strip_prefix(&registry)?);
        std::fs::create_dir_all(target.parent().context("a file has a directory")?)?;
        std::fs::copy(entry.path(), target)?;
        bytes += size;
        if bytes >= MOST {
            break;
        }
    }
    ensure!(
        bytes > 1024 * 1024,
        "{} holds no source code",
        registry.display()
    );
    Ok(bytes)
}

/// What a peer reports for a directory, and the processor time that it took in seconds.
pub(crate) fn run_peer(
    peer: &str,
    program: &Path,
    directory: &Path,
) -> Result<(Vec<(String, Reported)>, f64)> {
    let output = Command::new("python3")
        .arg(crate::peers_script())
        .arg(peer)
        .arg(program)
        .arg(directory)
        .output()?;
    ensure!(
        output.status.success(),
        "{peer}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut reported = Vec::new();
    let mut seconds = None;
    for line in String::from_utf8(output.stdout)?.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        match columns.as_slice() {
            ["cpu", cpu, "wall", _] => seconds = Some(cpu.parse()?),
            [file, value] => {
                let report = match value.strip_prefix("sha1:") {
                    Some(hash) => Reported::Sha1(hash.to_owned()),
                    None => Reported::Value(STANDARD.decode(value)?),
                };
                reported.push(((*file).to_owned(), report));
            }
            _ => anyhow::bail!("{peer}: a line has other columns"),
        }
    }
    Ok((
        reported,
        seconds.with_context(|| format!("{peer} told no time"))?,
    ))
}
