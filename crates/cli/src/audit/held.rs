//! What the reader of a log holds against it: keys of witnesses, of which enough must have cosigned, and checkpoints seen before.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use bailiwick_audit::checkpoint::{self, Checkpoint, CheckpointError};
use bailiwick_audit::export::evidence::Files;
use bailiwick_audit::proof::TileReadError;
use bailiwick_audit::read::Directory;
use bailiwick_audit::witnessed::{self, Continuation, Cosigned};
use bailiwick_core::{Code, Problem};
use bailiwick_crypto::cosignature::CosignatureVerifier;
use bailiwick_crypto::note::{NoteError, NoteVerifier};
use serde_json::{Value, json};

use super::offline::key_text;
use crate::Exit;
use crate::context::{Context, read_file};
use crate::failure::Failure;
use crate::output::Style;

/// As typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Held {
    /// A witness's public key, or a file with it. May be given several times.
    #[arg(long = "witness", value_name = "VKEY")]
    witnesses: Vec<String>,
    /// How many of these witnesses must have cosigned; all of them if not given.
    #[arg(long, value_name = "N", requires = "witnesses")]
    quorum: Option<usize>,
    /// A checkpoint of this log that you kept elsewhere. May be given several times.
    #[arg(long, value_name = "CHECKPOINT")]
    seen: Vec<PathBuf>,
}

/// As read.
pub(super) struct Expected {
    witnesses: Vec<CosignatureVerifier>,
    quorum: usize,
    seen: Vec<(PathBuf, Checkpoint)>,
}

/// What speaks for the log.
#[derive(Default)]
pub(super) struct Found {
    cosigned: Option<Cosigned>,
    seen: usize,
    /// What speaks against it, if anything does.
    pub(super) refuted: Option<Refuted>,
}

/// What speaks against a log.
pub(super) struct Refuted {
    code: Option<Code>,
    file: PathBuf,
    why: String,
}

/// Longest checkpoint read.
const LONGEST_NOTE: usize = 1 << 20;

impl Held {
    /// Reads keys and checkpoints. A checkpoint that the log's key did not sign says nothing about it.
    pub(super) fn read(&self, keys: &[NoteVerifier]) -> Result<Expected, Failure> {
        let witness = |text: &String| -> Result<CosignatureVerifier, Failure> {
            Ok(CosignatureVerifier::from_vkey(&key_text(text)?)?)
        };
        let witnesses: Vec<_> = self
            .witnesses
            .iter()
            .map(witness)
            .collect::<Result<_, _>>()?;
        let quorum = self.quorum.unwrap_or(witnesses.len());
        if quorum > witnesses.len() || self.quorum == Some(0) {
            let message = format!("--quorum {quorum} of {} witnesses", witnesses.len());
            let help = "it takes 1 to the number of --witness keys";
            return Err(Problem::new(Code::InvalidInput, message, help).into());
        }
        let seen = |path: &PathBuf| -> Result<_, Failure> {
            let note = read_file(path, LONGEST_NOTE)?;
            Ok((path.clone(), Checkpoint::verify(&note, keys)?))
        };
        Ok(Expected {
            witnesses,
            quorum,
            seen: self.seen.iter().map(seen).collect::<Result<_, _>>()?,
        })
    }
}

impl Expected {
    /// Holds it against the log in `dir`, whose files are proven to be those of `now`.
    pub(super) fn check_log(
        &self,
        dir: &Path,
        now: &Checkpoint,
        keys: &[NoteVerifier],
    ) -> Result<Found, Failure> {
        let directory = Directory::new(dir.to_owned());
        let mut found = Found::default();
        for (path, seen) in &self.seen {
            if let Some(refuted) = continues(&directory, path, now, seen) {
                found.refuted = Some(refuted);
                return Ok(found);
            }
            found.seen += 1;
        }
        if self.quorum == 0 {
            return Ok(found);
        }
        let file = PathBuf::from(witnessed::FILE);
        let Some(note) = directory.witnessed()? else {
            found.refuted = Some(Refuted {
                code: None,
                file,
                why: "the log has no checkpoint that witnesses cosigned".into(),
            });
            return Ok(found);
        };
        match self.cosigned(&file, &note, keys)? {
            Ok(cosigned) => {
                found.refuted = continues(&directory, &file, now, &cosigned.checkpoint);
                found.cosigned = Some(cosigned);
            }
            Err(refuted) => found.refuted = Some(refuted),
        }
        Ok(found)
    }

    /// Holds it against one checkpoint, of a proof.
    pub(super) fn check_note(
        &self,
        file: &Path,
        note: &[u8],
        keys: &[NoteVerifier],
    ) -> Result<Option<Refuted>, Failure> {
        if !self.seen.is_empty() {
            let message =
                "a proof alone does not show whether the log continues another checkpoint";
            return Err(Problem::new(
                Code::InvalidInput,
                message,
                "give the log's directory with --seen",
            )
            .into());
        }
        if self.quorum == 0 {
            return Ok(None);
        }
        Ok(self.cosigned(file, note, keys)?.err())
    }

    /// Holds it against a bundle, whose events are proven under `proven`.
    pub(super) fn check_bundle(
        &self,
        files: &Files,
        proven: &Checkpoint,
        keys: &[NoteVerifier],
    ) -> Result<Option<Refuted>, Failure> {
        if let Some((path, seen)) = self.seen.iter().find(|(_, seen)| seen.size == proven.size)
            && seen.root != proven.root
        {
            return Ok(Some(Refuted {
                code: Some(Code::LogAltered),
                file: path.clone(),
                why: "there are two histories: this checkpoint has as many events and another root"
                    .into(),
            }));
        }
        if self.seen.iter().any(|(_, seen)| seen.size != proven.size) {
            let message =
                "a bundle does not show whether the log continues a checkpoint of another size";
            let help = "give the log's directory with --seen";
            return Err(Problem::new(Code::InvalidInput, message, help).into());
        }
        if self.quorum == 0 {
            return Ok(None);
        }
        let note = files.bytes(checkpoint::FILE).unwrap_or_default();
        Ok(self
            .cosigned(Path::new(checkpoint::FILE), note, keys)?
            .err())
    }

    fn cosigned(
        &self,
        file: &Path,
        note: &[u8],
        keys: &[NoteVerifier],
    ) -> Result<Result<Cosigned, Refuted>, Failure> {
        let refuted = |code, why| {
            let file = file.to_owned();
            Ok(Err(Refuted { code, file, why }))
        };
        match Cosigned::verify(note, keys, &self.witnesses) {
            Ok(cosigned) if cosigned.by.len() >= self.quorum => Ok(Ok(cosigned)),
            Ok(cosigned) => refuted(
                None,
                format!(
                    "{} of the {} witnesses given cosigned the checkpoint of {} events, and {} must have",
                    cosigned.by.len(),
                    self.witnesses.len(),
                    cosigned.checkpoint.size,
                    self.quorum
                ),
            ),
            Err(CheckpointError::Note(NoteError::Unsigned)) => {
                refuted(None, "the key given did not sign it".into())
            }
            Err(error) => refuted(Some(Code::LogAltered), error.to_string()),
        }
    }
}

/// What speaks against `now` continuing `earlier`.
fn continues(
    directory: &Directory,
    file: &Path,
    now: &Checkpoint,
    earlier: &Checkpoint,
) -> Option<Refuted> {
    let refuted = |code, why| {
        let file = file.to_owned();
        Some(Refuted { code, file, why })
    };
    let (old, size) = (earlier.size, now.size);
    match directory.continues(now, earlier) {
        Ok(Continuation::Continues) => None,
        Ok(Continuation::RolledBack) => refuted(
            Some(Code::LogAltered),
            format!(
                "the log was rolled back: it had {old} events once, and its checkpoint has {size}"
            ),
        ),
        Ok(Continuation::Split) => refuted(
            Some(Code::LogAltered),
            format!(
                "there are two histories: the first {old} events of the log are not those that were signed"
            ),
        ),
        Ok(Continuation::OtherLog) => {
            refuted(None, format!("it is a checkpoint of {}", earlier.origin))
        }
        Err(error @ TileReadError::Io { .. }) => refuted(None, error.to_string()),
        Err(error) => refuted(Some(Code::LogAltered), error.to_string()),
    }
}

impl Found {
    /// In words, behind what else is said.
    pub(super) fn as_text(&self) -> String {
        let mut text = String::new();
        if self.seen > 0 {
            text.push_str("; it continues what was seen before");
        }
        if let Some(cosigned) = &self.cosigned {
            let (witnesses, size) = (cosigned.by.len(), cosigned.checkpoint.size);
            // Writing to a String does not fail.
            let _ = write!(text, "; {witnesses} witnesses cosigned its first {size}");
        }
        text
    }

    /// As scripts read it.
    pub(super) fn add_to(&self, body: &mut Value) {
        let Some(body) = body.as_object_mut() else {
            return;
        };
        if self.seen > 0 {
            body.insert("seen".into(), json!(self.seen));
        }
        if let Some(cosigned) = &self.cosigned {
            let by: Vec<Value> = cosigned
                .by
                .iter()
                .map(|(name, at)| json!({"name": name, "at": at}))
                .collect();
            let told = json!({"size": cosigned.checkpoint.size, "by": by});
            body.insert("witnessed".into(), told);
        }
    }
}

impl Refuted {
    /// Says so, and how the command ends: 1 if something is wrong with the log, 6 if what was asked for is not there.
    pub(super) fn show(&self, context: &Context) -> Exit {
        let altered = self.code.is_some();
        let verdict = if altered { "altered" } else { "cannot_tell" };
        let message = format!("{}: {}", self.file.display(), self.why);
        let body = json!({"verdict": verdict, "message": message, "file": self.file});
        context.out.show(&body, |out, _| {
            if altered {
                format!("{}: {message}", out.paint(Style::Bad, "altered"))
            } else {
                format!("cannot tell: {message}")
            }
        });
        Exit(if altered { 1 } else { 6 })
    }
}
