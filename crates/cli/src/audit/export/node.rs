//! Events of a running node: asked for as lines with their leaves, checked against their hashes, and written in the shape wanted here.

use std::io::{self, BufRead, BufReader, Read};

use bailiwick_audit::export::{Exported, Selection};
use bailiwick_audit::filter::Filter;
use bailiwick_audit::read::{Entry, ReadError};
use bailiwick_core::{Code, Problem};
use hyper::body::Bytes;
use serde_json::Value;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::{ExportArgs, request, write};
use crate::client::Download;
use crate::context::Context;
use crate::failure::Failure;

/// Pieces of the answer that wait to be written.
const MAX_PIECES: usize = 16;

/// Exports what a node gives.
pub(super) async fn events(
    context: &Context,
    args: &ExportArgs,
) -> Result<Option<Exported>, Failure> {
    let api = context.api()?;
    let log = api.get("/v1/audit/log").await?;
    let origin = log
        .get("origin")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let mut answer = api
        .download("/v1/audit/exports", &request(args, "jsonl")?)
        .await?;
    let (pieces, taken) = channel(MAX_PIECES);
    let (shape, to, origin) = (args.shape, args.to.clone(), origin.to_owned());
    let limit = args.limit;
    let writing = tokio::task::spawn_blocking(move || {
        let mut lines = Lines::new(taken);
        let everything = Filter::default();
        let selection = Selection {
            origin: &origin,
            filter: &everything,
            limit: u64::MAX,
        };
        let written = write(shape, &to, &mut lines, &selection);
        if let Some(problem) = lines.wrong {
            return Err(problem.into());
        }
        let done = written?;
        Ok(Exported {
            more: limit.is_some_and(|limit| done.events >= limit),
            ..done
        })
    });
    let sent = send(&mut answer, pieces).await;
    let written = writing
        .await
        .map_err(|error| Failure::internal(error.to_string()))?;
    sent?;
    written.map(Some)
}

/// Hands the answer on. What goes wrong there ends the writing too.
async fn send(answer: &mut Download, pieces: Sender<io::Result<Bytes>>) -> Result<(), Failure> {
    loop {
        let (piece, failure) = match answer.piece().await {
            Ok(Some(piece)) => (Ok(piece), None),
            Ok(None) => return Ok(()),
            Err(failure) => (Err(io::Error::other("the answer broke off")), Some(failure)),
        };
        let gone = pieces.send(piece).await.is_err();
        match failure {
            Some(failure) => return Err(failure),
            // The writer has ended: it says why.
            None if gone => return Ok(()),
            None => {}
        }
    }
}

/// The entries of the lines that come.
struct Lines {
    from: BufReader<Pieces>,
    wrong: Option<Problem>,
}

impl Lines {
    fn new(pieces: Receiver<io::Result<Bytes>>) -> Self {
        let pieces = Pieces {
            pieces,
            piece: Bytes::new(),
        };
        Self {
            from: BufReader::new(pieces),
            wrong: None,
        }
    }

    fn read(&mut self) -> Result<Option<Entry>, Problem> {
        let mut line = Vec::new();
        let unreadable = |why: String| {
            Problem::new(
                Code::NodeUnreachable,
                format!("the node's answer cannot be read: {why}"),
                "",
            )
        };
        let read = self.from.read_until(b'\n', &mut line);
        read.map_err(|error| unreadable(error.to_string()))?;
        if line.is_empty() {
            return Ok(None);
        }
        let line = String::from_utf8(line).map_err(|_| unreadable("it is not UTF-8".into()))?;
        let (head, rest) = line.split_once("\"leaf\":").unwrap_or_default();
        let leaf = rest.trim_end().strip_suffix('}').unwrap_or_default();
        let head: Value = serde_json::from_str(&format!("{head}\"leaf\":0}}"))
            .map_err(|error| unreadable(error.to_string()))?;
        let index = head.get("index").and_then(Value::as_u64);
        let entry = Entry {
            index: index.ok_or_else(|| unreadable("a line has no index".into()))?,
            leaf: leaf.as_bytes().to_vec(),
        };
        if head.get("leaf_hash").and_then(Value::as_str) != Some(&entry.leaf_hash().to_string()) {
            let message = format!(
                "the leaf at index {} does not have the hash that the node names",
                entry.index
            );
            return Err(Problem::new(
                Code::LogAltered,
                message,
                "run `bailiwick audit verify` on the log",
            ));
        }
        Ok(Some(entry))
    }
}

impl Iterator for Lines {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.read() {
            Ok(entry) => entry.map(Ok),
            Err(problem) => {
                let source = io::Error::other(problem.message.clone());
                self.wrong = Some(problem);
                Some(Err(ReadError::Io {
                    path: "the node's answer".into(),
                    source,
                }))
            }
        }
    }
}

struct Pieces {
    pieces: Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let taken = self.piece.split_to(self.piece.len().min(into.len()));
        into.get_mut(..taken.len())
            .unwrap_or_default()
            .copy_from_slice(&taken);
        Ok(taken.len())
    }
}
