//! Other people's verifiers on our logs: Go's checksum database code and PyPI's aics-tlog accept what is good, and name what was altered.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use bailiwick_audit::seal::Kek;
use bailiwick_audit::{Class, Log, Options, Recorder};
use bailiwick_core::event::{Event, EventType};
use bailiwick_core::{Id, Secret};
use bailiwick_crypto::keys::Ed25519Key;
use bailiwick_crypto::note::NoteSigner;
use bailiwick_crypto::system::{SystemClock, SystemRng};
use tokio::runtime::{Builder, Runtime};

use crate::harness::deps;
use crate::harness::node::{bailiwick, run};

const ORIGIN: &str = "e2e.internal/node-1";

fn signer() -> NoteSigner {
    let key = Ed25519Key::from_seed(&Secret::new([5; 32])).unwrap();
    NoteSigner::new(ORIGIN, key).unwrap()
}

fn vkey() -> String {
    signer().verifier().unwrap().vkey()
}

fn options(dir: &Path) -> Options {
    let kek = Kek {
        id: 1,
        key: Secret::new([9; 32]),
    };
    Options {
        segment_size: 8 << 20,
        min_free: 1 << 20,
        publish_every: Duration::from_millis(1),
        ..Options::new(
            dir.to_owned(),
            "node-1".into(),
            signer(),
            kek,
            Arc::new(SystemClock),
            Arc::new(SystemRng),
        )
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

/// Opens a log, records `count` events and closes it again, which are two more.
fn run_of(dir: &Path, count: u64) {
    let (log, runtime) = (Log::open(options(dir)).unwrap(), runtime());
    let mut left = count;
    while left > 0 {
        let batch = left.min(4_096);
        let event = || Event::new(Id::new(&SystemClock, &SystemRng), EventType::ToolRefused);
        let receipts: Vec<_> = (0..batch)
            .map(|_| log.record(event(), Class::Grant))
            .collect();
        for receipt in receipts {
            runtime.block_on(receipt).unwrap();
        }
        left -= batch;
    }
    log.close();
}

/// A log of exactly `size` events, written as a node writes it, in two runs. Also gives the directory as it was between them.
fn log(home: &Path, size: u64) -> (PathBuf, PathBuf) {
    let (dir, older) = (
        home.join(format!("log-{size}")),
        home.join(format!("older-{size}")),
    );
    let half = (size - 4) / 2;
    run_of(&dir, half);
    copied(&dir, &older);
    run_of(&dir, size - 4 - half);
    (dir, older)
}

/// A log with nothing but its first event: what is published of one that was just opened.
fn log_of_one(home: &Path) -> PathBuf {
    let (dir, copy) = (home.join("just-opened"), home.join("log-1"));
    let log = Log::open(options(&dir)).unwrap();
    let mut published = log.published();
    runtime()
        .block_on(async { published.wait_for(|size| *size == 1).await.map(drop) })
        .unwrap();
    std::fs::create_dir(&copy).unwrap();
    copied(&dir.join("tile"), &copy.join("tile"));
    copied(&dir.join("checkpoint"), &copy.join("checkpoint"));
    copy
}

fn copied(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    assert!(
        Command::new("cp")
            .arg("-a")
            .arg(from)
            .arg(to)
            .status()
            .unwrap()
            .success()
    );
}

fn go(dir: &Path) -> Command {
    let mut command = Command::new(deps::go_verifier());
    command.arg(dir).arg(vkey());
    command
}

/// Exit code and text of a verifier.
fn said(output: &Output) -> (Option<i32>, String) {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// What Go's code, aics-tlog and ours say of a log, in this order; with a checkpoint seen before.
fn verdicts(dir: &Path, seen: Option<&Path>) -> [(Option<i32>, String); 3] {
    let (mut go, mut aics) = (go(dir), deps::tlog_verify(dir, &vkey()));
    let key = vkey();
    let mut ours = bailiwick(&["audit", "verify", "--output", "json", "--vkey", &key]);
    ours.arg(dir);
    if let Some(seen) = seen {
        go.arg(seen);
        aics.arg("--seen").arg(seen);
        ours.arg("--seen").arg(seen);
    }
    let ours = run(&mut ours, "");
    [
        said(&go.output().unwrap()),
        said(&aics.output().unwrap()),
        (ours.code, format!("{}{}", ours.stdout, ours.stderr)),
    ]
}

#[test]
fn good_logs_of_every_awkward_size_are_accepted() {
    let home = tempfile::tempdir().unwrap();
    for size in [1_u64, 255, 256, 257, 70_000] {
        let (dir, seen) = if size == 1 {
            (log_of_one(home.path()), None)
        } else {
            let (dir, older) = log(home.path(), size);
            (dir, Some(older.join("checkpoint")))
        };
        let [go, aics, ours] = verdicts(&dir, seen.as_deref());
        assert_eq!(go, (Some(0), format!("proven {size}\n")));
        assert_eq!(aics, (Some(0), format!("proven {size}\n")));
        assert_eq!(ours.0, Some(0), "{}", ours.1);
        assert!(ours.1.contains(&size.to_string()), "{}", ours.1);
    }
}

/// Changes one byte in the middle of a file.
fn flip(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn each_verifier_names_what_was_altered() {
    let home = tempfile::tempdir().unwrap();
    let (good, older) = log(home.path(), 600);
    let touched = home.path().join("touched");
    // What is done to the log, and what each verifier says: Go, aics-tlog, ours.
    let check = |what: &str, damage: &dyn Fn(&Path), expected: [&str; 3]| {
        copied(&good, &touched);
        damage(&touched);
        let seen = good.join("checkpoint");
        let verdicts = verdicts(&touched, Some(&seen));
        for (verdict, expected) in verdicts.iter().zip(expected) {
            assert_eq!(verdict.0, Some(1), "{what}: {verdicts:#?}");
            assert!(
                verdict.1.contains(expected),
                "{what}: {expected}: {verdicts:#?}"
            );
        }
    };
    check(
        "a byte of a leaf",
        &|dir| flip(&dir.join("tile/entries/001")),
        ["leaf: ", "tile/entries/001", "tile/entries/001"],
    );
    check(
        "a byte of a tile",
        &|dir| flip(&dir.join("tile/0/001")),
        ["leaf: 384", "tile/0/001", "tile/0/001"],
    );
    check(
        "a byte of the checkpoint",
        &|dir| {
            let file = dir.join("checkpoint");
            let text = std::fs::read_to_string(&file).unwrap();
            std::fs::write(&file, text.replacen("\n600\n", "\n601\n", 1)).unwrap();
        },
        ["checkpoint: ", "checkpoint: ", "the checkpoint was altered"],
    );
    check(
        "the end of a bundle",
        &|dir| {
            let file = dir.join("tile/entries/001");
            let bytes = std::fs::read(&file).unwrap();
            std::fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
        },
        ["leaf: 511 is cut", "tile/entries/001", "tile/entries/001"],
    );
    // An older state of the log is good in itself; who has seen a newer one is not deceived.
    check(
        "an older log",
        &|dir| copied(&older, dir),
        ["rolled back", "rolled back", "rolled back"],
    );
    let [go, aics, ours] = verdicts(&older, None);
    assert_eq!(
        (go.0, aics.0, ours.0),
        (Some(0), Some(0), Some(0)),
        "{go:?} {aics:?} {ours:?}"
    );
}
