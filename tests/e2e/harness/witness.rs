//! Witnesses as real processes, ours and PyPI's aics-witness, and histories of a log to show them.

use std::path::Path;
use std::process::Command;

use bailiwick_audit::checkpoint::Checkpoint;
use bailiwick_audit::tree::{CompactRange, consistency_path, leaf_hash};
use bailiwick_audit::witness::Request;
use bailiwick_core::{Digest, Secret};
use bailiwick_crypto::keys::Ed25519Key;
use bailiwick_crypto::note::{Note, NoteSigner};
use serde_json::Value;

use super::http::{self, Place, Response};
use super::node::bailiwick;
use super::{Process, deps};

/// A running witness.
pub(crate) struct Witness {
    pub(crate) process: Process,
    pub(crate) url: String,
    pub(crate) vkey: String,
}

impl Witness {
    /// `bailiwick witness` on a state directory.
    pub(crate) fn ours(state: &Path, name: &str, log: &str) -> Self {
        let mut command = bailiwick(&["witness", "--output", "json", "--listen", "127.0.0.1:0"]);
        command.arg("--state").arg(state);
        command.args(["--name", name, "--log", log]);
        let mut process = Process::start("witness", &mut command, &state.with_extension("log"));
        let ready: Value = serde_json::from_str(&process.line()).unwrap();
        let text = |member: &str| ready[member].as_str().unwrap().to_owned();
        Self {
            url: text("url"),
            vkey: text("vkey"),
            process,
        }
    }

    /// aics-witness, set up in a directory of its own.
    pub(crate) fn aics(dir: &Path, name: &str, log: &str) -> Self {
        std::fs::create_dir_all(dir).unwrap();
        let config = dir.join("witness.json");
        let run = |arguments: &[&str]| {
            let ran = deps::tlog("aics-witness")
                .arg(arguments[0])
                .arg("--config")
                .arg(&config)
                .args(&arguments[1..])
                .output()
                .unwrap();
            assert!(
                ran.status.success(),
                "{}",
                String::from_utf8_lossy(&ran.stderr)
            );
            String::from_utf8(ran.stdout).unwrap()
        };
        let vkey = run(&["init", "--name", name, "--listen", "127.0.0.1:0"]);
        let origin = log.split('+').next().unwrap();
        run(&["add-log", "--origin", origin, "--vkey", log]);
        // It says where it listens on its standard error.
        let mut command = Command::new("sh");
        command
            .args(["-c", "exec \"$@\" 2>&1", "sh"])
            .arg(deps::tlog("aics-witness").get_program())
            .arg("serve")
            .arg("--config")
            .arg(&config);
        let mut process = Process::start("aics-witness", &mut command, &dir.join("log"));
        let url = loop {
            let line = process.line();
            if let Some((_, rest)) = line.split_once("listening on ") {
                break rest.split(' ').next().unwrap().to_owned();
            }
        };
        Self {
            process,
            url,
            vkey: vkey
                .lines()
                .find(|line| line.contains('+'))
                .unwrap()
                .trim()
                .to_owned(),
        }
    }

    pub(crate) fn add(&self, body: &[u8]) -> Response {
        http::send(
            &Place::of(&self.url),
            "POST",
            "/add-checkpoint",
            &[],
            Some(body),
        )
        .unwrap()
    }

    pub(crate) fn shows(&self, origin: &str) -> Response {
        let hash = bailiwick_crypto::hash::sha256(&[origin.as_bytes()]).to_hex();
        let path = format!("/{hash}/checkpoint");
        http::send(&Place::of(&self.url), "GET", &path, &[], None).unwrap()
    }
}

/// A log's key, and histories that it signs though only one can be true.
pub(crate) struct Forked {
    signer: NoteSigner,
}

impl Forked {
    pub(crate) fn new(origin: &str) -> Self {
        let key = Ed25519Key::from_seed(&Secret::new([77; 32])).unwrap();
        Self {
            signer: NoteSigner::new(origin, key).unwrap(),
        }
    }

    pub(crate) fn origin(&self) -> &str {
        self.signer.name()
    }

    pub(crate) fn vkey(&self) -> String {
        self.signer.verifier().unwrap().vkey()
    }

    fn leaves(size: u64, history: &str) -> Vec<Digest> {
        (0..size)
            .map(|index| leaf_hash(format!("{history} {index}").as_bytes()))
            .collect()
    }

    /// A request that is honest within one history.
    pub(crate) fn request(&self, old: u64, size: u64, history: &str) -> Request {
        let leaves = Self::leaves(size, history);
        let root = |leaves: &[Digest]| leaves.iter().copied().collect::<CompactRange>().root();
        let checkpoint = Checkpoint {
            origin: self.origin().to_owned(),
            size,
            root: root(&leaves),
        };
        let proof = consistency_path::<()>(old, size, &mut |level, position| {
            let start = usize::try_from(position << level).unwrap();
            Ok(root(&leaves[start..start + (1 << level)]))
        });
        Request {
            old,
            proof: proof.unwrap(),
            note: Note::parse(checkpoint.sign(&self.signer).unwrap().as_bytes()).unwrap(),
        }
    }
}
