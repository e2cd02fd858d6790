//! `audit export`: the record in shapes that other people's tools read.

mod node;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use bailiwick_audit::export::{
    self, Evidence, ExportError, Exported, Exporter, Jsonl, Ocsf, Otlp, Parquet, Prov, Selection,
};
use bailiwick_audit::filter::Filter;
use bailiwick_audit::read::{Directory, Entry, ReadError};
use bailiwick_core::{Code, Problem};
use clap::ValueEnum;
use serde_json::{Value, json};

use super::FilterArgs;
use crate::context::Context;
use crate::failure::Failure;
use crate::{Exit, Outcome};

/// The shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shape {
    /// One line an event with the exact bytes of its leaf.
    Jsonl,
    /// One line an event, OCSF 1.8.0.
    Ocsf,
    /// Log records of OpenTelemetry in JSON, up to 512 a line.
    Otlp,
    /// A directory of Parquet files below origin=/date=.
    Parquet,
    /// One PROV-JSON document.
    Prov,
    /// A tar archive that proves the events to somebody who has neither node nor log.
    Evidence,
}

/// What to export, and where to.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: bailiwick audit export ocsf agent=coder since=2026-11-01T00:00:00Z -o coder.ocsf.jsonl"
)]
pub(crate) struct ExportArgs {
    /// The shape: jsonl, ocsf, otlp, parquet, prov, evidence.
    shape: Shape,
    #[command(flatten)]
    filter: FilterArgs,
    /// Where to: a file, for parquet a directory; `-` is standard output.
    #[arg(short = 'o', long = "to", value_name = "PATH")]
    to: PathBuf,
    /// The log's directory, instead of a node.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Go on behind this index.
    #[arg(long, value_name = "INDEX")]
    after: Option<u64>,
    /// Most events.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Evidence only: disclose the kept values of the events, such as arguments. Each is on record first.
    #[arg(long, requires = "reason", conflicts_with = "dir")]
    reveal: bool,
    /// Why values are disclosed; it goes on record.
    #[arg(long, value_name = "TEXT", requires = "reveal")]
    reason: Option<String>,
}

/// Exports.
pub(super) async fn run(context: &Context, args: ExportArgs) -> Outcome {
    let filter = args.filter.read()?;
    if args.reveal && args.shape != Shape::Evidence {
        let message = "values are disclosed only in a bundle of evidence";
        return Err(Problem::new(Code::InvalidInput, message, "leave out --reveal").into());
    }
    let done = match (&args.dir, args.shape) {
        (Some(dir), _) => from_directory(&args, &Directory::existing(dir.clone())?, &filter)?,
        (None, Shape::Evidence) => evidence_of_node(context, &args).await?,
        (None, _) => node::events(context, &args).await?,
    };
    tell(context, &args, done);
    Ok(Exit::DONE)
}

fn from_directory(
    args: &ExportArgs,
    directory: &Directory,
    filter: &Filter,
) -> Result<Option<Exported>, Failure> {
    let from = args.after.map_or(0, |after| after.saturating_add(1));
    let limit = args.limit.unwrap_or(u64::MAX);
    if args.shape == Shape::Evidence {
        let published = export::published(directory)?;
        let conditions = args.filter.pairs()?.into_iter();
        let conditions = conditions
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let mut evidence = Evidence::begin(directory.clone(), conditions, published)?;
        let origin = evidence.origin().to_owned();
        let selection = Selection {
            origin: &origin,
            filter,
            limit,
        };
        let until = evidence.size();
        let covered = |entry: &Result<Entry, ReadError>| match entry {
            Ok(entry) => entry.index < until,
            Err(_) => true,
        };
        let entries = directory.entries(from).take_while(covered);
        let done = export::export(entries, &selection, &mut evidence)?;
        whole_file(&args.to, |out| evidence.write(None, out))?;
        return Ok(Some(done));
    }
    let origin = export::origin(directory)?;
    let selection = Selection {
        origin: &origin,
        filter,
        limit,
    };
    write(args.shape, &args.to, directory.entries(from), &selection).map(Some)
}

/// Writes events in a shape.
fn write(
    shape: Shape,
    to: &Path,
    entries: impl Iterator<Item = Result<Entry, ReadError>>,
    selection: &Selection<'_>,
) -> Result<Exported, Failure> {
    if shape == Shape::Parquet {
        let put = |path: &str, bytes: &[u8]| put_file(&to.join(path), bytes);
        let mut exporter = Parquet::new(Box::new(put));
        return Ok(export::export(entries, selection, &mut exporter)?);
    }
    let mut done = Exported::default();
    whole_file(to, |out| {
        let mut exporter: Box<dyn Exporter> = match shape {
            Shape::Ocsf => Box::new(Ocsf(out)),
            Shape::Otlp => Box::new(Otlp::new(out)),
            Shape::Prov => Box::new(Prov::new(out)),
            Shape::Jsonl | Shape::Parquet | Shape::Evidence => Box::new(Jsonl(out)),
        };
        done = export::export(entries, selection, &mut *exporter)?;
        Ok(())
    })?;
    Ok(done)
}

/// The node makes and signs the bundle.
async fn evidence_of_node(
    context: &Context,
    args: &ExportArgs,
) -> Result<Option<Exported>, Failure> {
    let mut body = request(args, "evidence")?;
    if let Some(body) = body.as_object_mut().filter(|_| args.reveal) {
        body.insert("reveal".to_owned(), json!(true));
        body.insert("reason".to_owned(), json!(args.reason));
    }
    let mut answer = context.api()?.download("/v1/audit/exports", &body).await?;
    let mut pieces = Vec::new();
    while let Some(piece) = answer.piece().await? {
        pieces.push(piece);
    }
    whole_file(&args.to, |out| {
        for piece in &pieces {
            out.write_all(piece)?;
        }
        Ok(out.flush()?)
    })?;
    Ok(None)
}

/// What is asked of a node.
fn request(args: &ExportArgs, shape: &str) -> Result<Value, Failure> {
    let conditions: BTreeMap<&str, String> = args.filter.pairs()?.into_iter().collect();
    let mut body = json!({"shape": shape, "conditions": conditions});
    let members = [("after", args.after), ("limit", args.limit)];
    for (name, value) in members {
        if let (Some(value), Some(body)) = (value, body.as_object_mut()) {
            body.insert(name.to_owned(), json!(value));
        }
    }
    Ok(body)
}

/// Says on stderr what was written, or in JSON on stdout if the export did not go there.
fn tell(context: &Context, args: &ExportArgs, done: Option<Exported>) {
    let body = match done {
        Some(done) => {
            let last = done.next.checked_sub(1);
            json!({"events": done.events, "last": last, "more": done.more})
        }
        None => json!({"written": args.to}),
    };
    if is_stdout(&args.to) {
        context.out.note(&in_words(&body));
    } else {
        context.out.show(&body, |_, body| in_words(body));
    }
}

fn in_words(body: &Value) -> String {
    let Some(events) = body.get("events").and_then(Value::as_u64) else {
        return "exported a bundle of evidence".to_owned();
    };
    let mut words = format!("exported {events} events");
    if body.get("more") == Some(&Value::Bool(true))
        && let Some(last) = body.get("last").and_then(Value::as_u64)
    {
        // Writing to a String does not fail.
        let _ = write!(words, "; there are more, go on with --after {last}");
    }
    words
}

fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

/// Writes a file as a whole: under another name first, so that nobody takes half an export for one.
pub(super) fn whole_file(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<(), ExportError>,
) -> Result<(), Failure> {
    if is_stdout(path) {
        write(&mut BufWriter::new(io::stdout().lock()))?;
        return Ok(());
    }
    let mut partial = path.as_os_str().to_owned();
    partial.push(".part");
    let partial = PathBuf::from(partial);
    let unwritable = |error: io::Error| unwritable(path, &error);
    let file = File::create(&partial).map_err(unwritable)?;
    let mut out = BufWriter::new(file);
    let written = write(&mut out).map_err(Failure::from).and_then(|()| {
        let file = out
            .into_inner()
            .map_err(|error| unwritable(error.into_error()))?;
        file.sync_all().map_err(unwritable)?;
        fs::rename(&partial, path).map_err(unwritable)
    });
    if written.is_err() {
        // The failure is what is told; half an export is of no use.
        let _ = fs::remove_file(&partial);
    }
    written
}

fn put_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let partial = path.with_extension("part");
    fs::write(&partial, bytes)?;
    fs::rename(&partial, path)
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Problem::new(
        Code::DataDir,
        format!("{} cannot be written: {error}", path.display()),
        "name a path that you may write",
    )
    .into()
}
