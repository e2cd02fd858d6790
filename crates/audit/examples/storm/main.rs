//! A log under many writers, made to be killed: `storm write DIR WRITERS` prints a line per receipt once it has it, until somebody
//! ends the process; `storm check DIR` is another process that holds such lines, from standard input, against the files.
//! `cargo xtask kill` runs both.

mod check;
mod write;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};
use bailiwick_audit::Options;
use bailiwick_audit::seal::Kek;
use bailiwick_core::Secret;
use bailiwick_crypto::keys::Ed25519Key;
use bailiwick_crypto::note::NoteSigner;
use bailiwick_crypto::system::{SystemClock, SystemRng};

const ORIGIN: &str = "example.org/node-1";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["write", dir, writers] => write::run(Path::new(dir), writers.parse()?),
        ["check", dir] => check::run(Path::new(dir)),
        _ => bail!("storm write DIR WRITERS | storm check DIR"),
    }
}

/// The same key in every run, so that the checker has it too.
fn signer() -> Result<NoteSigner> {
    let key = Ed25519Key::from_seed(&Secret::new([7; 32]))?;
    Ok(NoteSigner::new(ORIGIN, key)?)
}

/// Small segments, so that kills also meet the making, rolling and retiring of them.
fn options(dir: &Path) -> Result<Options> {
    let kek = Kek {
        id: 1,
        key: Secret::new([9; 32]),
    };
    Ok(Options {
        segment_size: 2 << 20,
        min_free: 64 << 20,
        publish_every: std::time::Duration::from_millis(20),
        ..Options::new(
            dir.to_owned(),
            "node-1".to_owned(),
            signer()?,
            kek,
            Arc::new(SystemClock),
            Arc::new(SystemRng),
        )
    })
}
