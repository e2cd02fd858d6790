//! Scans beside those of others, on the same bytes: recall and precision by value on a corpus that is drawn anew from a seed, an
//! environment separated by NUL and by lines, and bytes per second of processor time on source code. `cargo xtask bench scan` runs it.
//!
//! Without `--bench` (as `cargo test --benches` starts it) only ours is scored, and no peer is needed.

mod score;
mod speed;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use bailiwick_posture::secrets::{Engine, Load, Memo, Unit};

use score::{Reported, Score};

const SEED: &str = "20261";
const PEERS: [(&str, &str); 5] = [
    ("gitleaks", "gitleaks"),
    ("betterleaks", "betterleaks"),
    ("kingfisher", "kingfisher"),
    ("credsweeper", "credsweeper"),
    ("detect-secrets", "detect-secrets"),
];
/// Of the design: both at least this, and more than any peer.
const LEAST: f64 = 0.95;

fn main() -> Result<()> {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    generate(dir.path())?;
    let mut out = std::io::stdout().lock();
    let engine = Engine::new(Load::Much, None)?;
    let planted = score::planted(&dir.path().join("truth.tsv"))?;
    let corpus = dir.path().join("corpus");
    let ours = Score::of(&planted, &scanned(&engine, &corpus)?);
    let mut missed: BTreeMap<String, usize> = BTreeMap::new();
    for one in &ours.missed {
        *missed
            .entry(format!("{} {}", one.family, one.how))
            .or_default() += 1;
    }
    let mut errors = std::io::stderr().lock();
    writeln!(errors, "missed, by family and encoding: {missed:?}")?;
    writeln!(errors, "false, by check: {:?}", ours.wrong)?;
    write(&mut out, "recall", ours.recall(), "share", LEAST)?;
    write(&mut out, "precision", ours.precision(), "share", LEAST)?;
    let environ = score::planted(&dir.path().join("environ.tsv"))?;
    let nul = Score::of(
        &environ,
        &variables(&engine, &dir.path().join("nul/environ"))?,
    );
    let lines = Score::of(&environ, &scanned(&engine, &dir.path().join("lines"))?);
    for (name, score) in [("environ_nul", &nul), ("environ_lines", &lines)] {
        write(
            &mut out,
            &format!("{name}_found"),
            count(score.found),
            "of_19",
            19.0,
        )?;
        writeln!(
            out,
            "figure scan_{name}_false {} reports target <=0",
            score.wrong_reports
        )?;
    }
    if !is_bench {
        return Ok(());
    }
    let mut best = (0.0_f64, 0.0_f64);
    for (peer, program) in PEERS {
        let program = program_of(peer, program)?;
        let score = Score::of(&planted, &of_peer(peer, &program, &corpus)?);
        best = (best.0.max(score.recall()), best.1.max(score.precision()));
        write(
            &mut out,
            &format!("{peer}_recall"),
            score.recall(),
            "share",
            0.0,
        )?;
        write(
            &mut out,
            &format!("{peer}_precision"),
            score.precision(),
            "share",
            0.0,
        )?;
        for form in ["nul", "lines"] {
            let reported = of_peer(peer, &program, &dir.path().join(form))?;
            let score = Score::of(&environ, &reported);
            write(
                &mut out,
                &format!("{peer}_environ_{form}_found"),
                count(score.found),
                "of_19",
                0.0,
            )?;
        }
    }
    write(
        &mut out,
        "recall_over_best_peer",
        ours.recall() / best.0,
        "ratio",
        1.0,
    )?;
    write(
        &mut out,
        "precision_over_best_peer",
        ours.precision() / best.1,
        "ratio",
        1.0,
    )?;
    speed::measure(
        &engine,
        dir.path(),
        &program_of("gitleaks", "gitleaks")?,
        &mut out,
    )
}

fn write(out: &mut dyn Write, name: &str, value: f64, unit: &str, least: f64) -> Result<()> {
    Ok(writeln!(
        out,
        "figure scan_{name} {value:.4} {unit} target >={least}"
    )?)
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The program of a peer, which `ci/deps bench` installs.
fn program_of(peer: &str, program: &str) -> Result<PathBuf> {
    let path = repository()
        .join(".deps/scan")
        .join(peer)
        .join("bin")
        .join(program);
    ensure!(
        path.exists(),
        "{} is missing: run `ci/deps bench`",
        path.display()
    );
    Ok(path)
}

fn generate(dir: &Path) -> Result<()> {
    let script = repository().join("conformance/secrets/generate.py");
    let status = Command::new("python3")
        .arg(script)
        .arg(dir)
        .arg(SEED)
        .status()
        .context("python3 did not start")?;
    ensure!(status.success(), "the corpus was not written");
    Ok(())
}

/// What ours reports for each file of a directory.
fn scanned(engine: &Engine, directory: &Path) -> Result<Vec<(String, Reported)>> {
    let mut memo = Memo::default();
    let mut reported = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let text = std::fs::read(entry.path())?;
        let mut finds = Vec::new();
        let unit = Unit {
            text: &text,
            path: &name,
            key: None,
        };
        ensure!(
            engine.scan(&unit, &mut memo, &mut finds),
            "{name} was not read to its end"
        );
        reported.extend(finds.into_iter().map(|find| {
            (
                name.clone(),
                Reported::Ours(find.digest, find.check.to_string()),
            )
        }));
    }
    Ok(reported)
}

/// What ours reports for an environment as the kernel gives it.
fn variables(engine: &Engine, path: &Path) -> Result<Vec<(String, Reported)>> {
    let mut finds = Vec::new();
    let mut memo = Memo::default();
    for record in std::fs::read(path)?.split(|byte| *byte == 0) {
        let Some(at) = record.iter().position(|byte| *byte == b'=') else {
            continue;
        };
        let (key, value) = record.split_at(at);
        let text = value.get(1..).unwrap_or_default();
        engine.scan(
            &Unit {
                text,
                path: "",
                key: Some(key),
            },
            &mut memo,
            &mut finds,
        );
    }
    Ok(finds
        .into_iter()
        .map(|find| {
            (
                "environ".to_owned(),
                Reported::Ours(find.digest, find.check.to_string()),
            )
        })
        .collect())
}

/// What a peer reports for a directory.
fn of_peer(peer: &str, program: &Path, directory: &Path) -> Result<Vec<(String, Reported)>> {
    Ok(speed::run_peer(peer, program, directory)?.0)
}

pub(crate) fn peers_script() -> PathBuf {
    repository().join("conformance/secrets/peers.py")
}

pub(crate) fn sources() -> PathBuf {
    repository()
}
