//! `bailiwick scan`: finds credentials that lie around. Works without a node, reads only, and prints none of them.

mod render;
mod send;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use bailiwick_core::name::OwnerName;
use bailiwick_core::{Code, Problem};
use bailiwick_crypto::system::SystemRng;
use bailiwick_posture::process::Scanner;
use bailiwick_posture::repo::{self, Objects, Options, Skip};
use bailiwick_posture::report::{Fold, Report};
use bailiwick_posture::sarif;
use bailiwick_posture::secrets::{Engine, FingerprintKey, ForeignRules, Load, RuleFlaw, Severity};
use clap::{Args, Subcommand, ValueEnum};

use crate::context::{Context, read_file};
use crate::failure::Failure;
use crate::{Exit, Outcome};

/// Longest file of rules.
const MOST_RULES: usize = 8 * 1024 * 1024;

/// What is scanned.
#[derive(Debug, Subcommand)]
pub(crate) enum ScanCommand {
    /// A repository: work tree, index, and every object of its history.
    #[command(
        after_help = "Example: bailiwick scan repo . --skip '**/node_modules/**' --report scan.sarif"
    )]
    Repo(RepoArgs),
    /// A running process: its environment, command line, open files, and the credentials that its user can read.
    #[command(after_help = "Example: bailiwick scan process 4127 --tree")]
    Process(ProcessArgs),
    /// All processes of users on this host.
    #[command(after_help = "Example: bailiwick scan host --uid 1004 --fail-on critical")]
    Host(HostArgs),
}

/// `scan repo`.
#[derive(Debug, Args)]
pub(crate) struct RepoArgs {
    /// The top directory of a repository; one that is none is scanned as files.
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Of the objects, those of the index alone.
    #[arg(long)]
    no_history: bool,
    /// Only what is staged: the objects of the index, and no work tree.
    #[arg(long, conflicts_with = "no_history")]
    staged: bool,
    /// Paths of the work tree to leave out, as `**/node_modules/**`. Repeatable.
    #[arg(long, value_name = "PATTERN")]
    skip: Vec<String>,
    /// Largest file and object that is read, in bytes or with KiB, MiB, GiB.
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size)]
    max_object: u64,
    #[command(flatten)]
    all: AllArgs,
}

/// `scan process`.
#[derive(Debug, Args)]
pub(crate) struct ProcessArgs {
    /// The number of the process.
    pid: u32,
    /// And all that descend from it.
    #[arg(long)]
    tree: bool,
    #[command(flatten)]
    all: AllArgs,
}

/// `scan host`.
#[derive(Debug, Args)]
pub(crate) struct HostArgs {
    /// Whose processes. Repeatable; default: your own.
    #[arg(long, value_name = "UID")]
    uid: Vec<u32>,
    #[command(flatten)]
    all: AllArgs,
}

/// What every scan takes.
#[expect(clippy::struct_excessive_bools, reason = "flags of the command line")]
#[derive(Debug, Args)]
#[command(next_help_heading = "Every scan")]
pub(crate) struct AllArgs {
    /// Rules of others beside ours: TOML of gitleaks or betterleaks. Repeatable.
    #[arg(long, value_name = "FILE")]
    rules: Vec<PathBuf>,
    /// Exit with 1 if there is a find at least so bad.
    #[arg(long, value_enum, default_value = "high")]
    fail_on: FailOn,
    /// Exit with 1 if something was not read, and with 3 if a rule was left out.
    #[arg(long)]
    strict: bool,
    /// Also write the report there: SARIF if it ends in `.sarif`, else JSON.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Print SARIF 2.1.0.
    #[arg(long)]
    sarif: bool,
    /// Ask no node: prints are of this run alone and finds are not linked. That is so unless `--send` is given.
    #[arg(long, conflicts_with = "send")]
    offline: bool,
    /// Report what is found to the node, which says whose each secret is and keeps it as a finding. Role operator.
    #[arg(long)]
    send: bool,
    /// With `--send`: who answers for what is no agent's.
    #[arg(long, value_name = "OWNER", default_value = "security")]
    owner: OwnerName,
}

/// A severity to fail on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// Anything.
    Info,
    /// Low or worse.
    Low,
    /// Medium or worse.
    Medium,
    /// High or worse.
    High,
    /// Critical alone.
    Critical,
    /// Nothing that is found.
    Never,
}

impl FailOn {
    fn severity(self) -> Option<Severity> {
        Some(match self {
            Self::Info => Severity::Info,
            Self::Low => Severity::Low,
            Self::Medium => Severity::Medium,
            Self::High => Severity::High,
            Self::Critical => Severity::Critical,
            Self::Never => return None,
        })
    }
}

/// Scans.
pub(crate) async fn run(context: &Context, command: &ScanCommand) -> Outcome {
    // What is found must not end in a core file either.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    match command {
        ScanCommand::Repo(args) => of_repo(context, args).await,
        ScanCommand::Process(args) => {
            let (engine, flaws) = engine(&args.all, Load::Little)?;
            let outcome = Scanner::new(&engine, "/proc").process(args.pid, args.tree)?;
            let report = of_processes("process", format!("pid {}", args.pid), outcome);
            show(context, &args.all, report, &flaws).await
        }
        ScanCommand::Host(args) => {
            let (engine, flaws) = engine(&args.all, Load::Much)?;
            let outcome = Scanner::new(&engine, "/proc").host(&args.uid)?;
            let target = format!("{} processes", outcome.processes.len());
            let report = of_processes("host", target, outcome);
            show(context, &args.all, report, &flaws).await
        }
    }
}

async fn of_repo(context: &Context, args: &RepoArgs) -> Outcome {
    let (engine, flaws) = engine(&args.all, Load::Much)?;
    let options = Options {
        work_tree: !args.staged,
        objects: if args.staged || args.no_history {
            Objects::Index
        } else {
            Objects::All
        },
        most_bytes: args.max_object,
        skip: Skip::parse(&args.skip)?,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
    };
    let outcome = repo::scan(&engine, &args.path, &options)?;
    let report = report(
        "repo",
        args.path.display().to_string(),
        outcome.fold,
        outcome.coverage,
    );
    show(context, &args.all, report, &flaws).await
}

fn of_processes(
    kind: &'static str,
    target: String,
    outcome: bailiwick_posture::process::Outcome,
) -> Report {
    Report {
        exposures: outcome.exposures.into_iter().collect(),
        ..report(kind, target, outcome.fold, outcome.coverage)
    }
}

fn report(
    kind: &'static str,
    target: String,
    fold: Fold,
    coverage: bailiwick_posture::coverage::Coverage,
) -> Report {
    let (secrets, more_secrets) = fold.finish(&FingerprintKey::of_run(&SystemRng));
    Report {
        kind,
        target,
        secrets,
        more_secrets,
        exposures: Vec::new(),
        coverage,
    }
}

/// Our rules, and those of the files that were named.
fn engine(args: &AllArgs, load: Load) -> Result<(Engine, Vec<RuleFlaw>), Failure> {
    let mut foreign: Option<ForeignRules> = None;
    let mut flaws = Vec::new();
    for path in &args.rules {
        let bytes = read_file(path, MOST_RULES)?;
        let name = path.display().to_string();
        let text = String::from_utf8(bytes)
            .map_err(|_| Problem::new(Code::RuleInvalid, format!("{name} is not text"), ""))?;
        let (rules, left_out) = ForeignRules::parse(&name, &text)?;
        flaws.extend(left_out);
        match &mut foreign {
            Some(known) => known.join(rules),
            None => foreign = Some(rules),
        }
    }
    Ok((Engine::new(load, foreign)?, flaws))
}

async fn show(
    context: &Context,
    args: &AllArgs,
    mut report: Report,
    flaws: &[RuleFlaw],
) -> Outcome {
    if args.send {
        send::send(context, &args.owner, &mut report).await?;
    }
    let report = &report;
    for flaw in flaws {
        context.out.note(&format!("left out: {flaw}"));
    }
    let body = serde_json::to_value(report)
        .map_err(|error| Failure::internal(format!("the report is no JSON: {error}")))?;
    if let Some(path) = &args.report {
        let is_sarif = path
            .extension()
            .is_some_and(|ending| ending.eq_ignore_ascii_case("sarif"));
        let document = if is_sarif {
            sarif::document(report, env!("CARGO_PKG_VERSION"))
        } else {
            body.clone()
        };
        write(path, &document)?;
    }
    if args.sarif {
        context
            .out
            .document(&sarif::document(report, env!("CARGO_PKG_VERSION")));
    } else {
        context.out.show(&body, |out, _| render::text(out, report));
    }
    let failed = args
        .fail_on
        .severity()
        .is_some_and(|severity| report.has(severity));
    if args.strict && !flaws.is_empty() {
        return Ok(Exit(Code::RuleInvalid.exit_code()));
    }
    if failed || (args.strict && !report.coverage.is_complete()) {
        return Ok(Exit::NO);
    }
    Ok(Exit::DONE)
}

/// Writes a report that others need not read.
fn write(path: &Path, document: &serde_json::Value) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        let message = format!("{} cannot be written: {error}", path.display());
        Problem::new(
            Code::InvalidInput,
            message,
            "name a file in a directory that you may write to",
        )
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    file.write_all(format!("{document:#}\n").as_bytes())
        .map_err(failed)?;
    Ok(())
}

/// Bytes, with KiB, MiB or GiB.
fn size(text: &str) -> Result<u64, String> {
    let (digits, factor) = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)]
        .into_iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))
        .unwrap_or((text, 1));
    let bytes = digits
        .trim()
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor));
    match bytes {
        Some(bytes @ 1..=0x1_0000_0000) => Ok(bytes),
        _ => Err("a size is 1 to 4GiB, as `64MiB`".to_owned()),
    }
}

#[cfg(test)]
mod tests;
