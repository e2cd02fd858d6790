//! `policy`: the bundle, a directory of Cedar text with workflows and tests. What is checked is what is published.

mod directory;
mod grounds;
mod published;
mod rightsize;
mod rollout;
mod schema;
mod trial;

use std::path::{Path, PathBuf};

use bailiwick_core::Digest;
use bailiwick_crypto::hash::sha256;
use bailiwick_policy::{Bundle, Flaw, PolicyErrors, Registry, Report, Untried, starter};
use clap::Subcommand;
use serde_json::{Value, json};

use crate::context::{Context, Page};
use crate::failure::Failure;
use crate::output::{Untrusted, table};
use crate::{Exit, Outcome};
use directory::read;
pub(crate) use trial::instant;

/// What can be done with policy.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Writes a bundle to begin with into a new directory: policies, tests, and the schema of what the tests declare.
    #[command(after_help = "Example: bailiwick policy init policy --pack coding-agent")]
    Init {
        /// The directory.
        dir: PathBuf,
        /// The kind of work that it is for.
        #[arg(long, value_name = "PACK", default_value = "base", value_parser = starter::PACKS)]
        pack: String,
    },
    /// Checks a bundle against the agents, servers and tools of the node; says every problem with its place.
    #[command(after_help = "Example: bailiwick policy check policy --strict")]
    Check {
        /// The bundle's directory.
        dir: PathBuf,
        /// What is only doubtful fails as well.
        #[arg(long)]
        strict: bool,
    },
    /// Runs the tests of a bundle here, without a node.
    #[command(after_help = "Example: bailiwick policy test policy --coverage")]
    Test {
        /// The bundle's directory.
        dir: PathBuf,
        /// Shows conditions that hold in no case, or in every one.
        #[arg(long)]
        coverage: bool,
    },
    /// The Cedar schema that policies are checked against, in Cedar's JSON form, for editors and analysers.
    #[command(after_help = "Example: bailiwick policy schema --server files")]
    Schema(schema::SchemaArgs),
    /// Checks a bundle and makes it the one that decides.
    #[command(after_help = "Example: bailiwick policy publish policy")]
    Publish {
        /// The bundle's directory.
        dir: PathBuf,
        /// Only if this digest is active now.
        #[arg(long, value_name = "DIGEST")]
        if_version: Option<Digest>,
    },
    /// Shows which bundle is active, or the files of one version.
    #[command(after_help = "Example: bailiwick policy show active --to policy")]
    Show(published::ShowArgs),
    /// Which permissions agents gain and lose from one bundle to another. Exit 1: some differ.
    #[command(after_help = "Example: bailiwick policy diff active policy")]
    Diff(trial::DiffArgs),
    /// Makes recorded decisions again under a bundle: what would be newly denied, newly allowed, asked. Exit 1: something would.
    #[command(after_help = "Example: bailiwick policy replay policy --since 7d")]
    Replay(trial::ReplayArgs),
    /// Why a recorded call was decided as it was, or a written one would be, and what would allow it.
    #[command(after_help = "Example: bailiwick policy explain evt_01h455vb4pex5vsknk084sn02q")]
    Explain(trial::ExplainArgs),
    /// What an agent or a workflow may do and nothing on record needed: a smaller policy, proved by deciding every recorded call again.
    /// Exit 1: nothing is proposed, or the proof does not hold.
    #[command(
        after_help = "Example: bailiwick policy rightsize coder --since 90d -o smaller --scope ceiling.json"
    )]
    Rightsize(rightsize::RightsizeArgs),
    /// Tries a bundle on live calls beside the active one.
    #[command(subcommand)]
    Shadow(rollout::ShadowCommand),
    /// Whether policy is enforced; observes it for a time instead.
    #[command(
        after_help = "Example: bailiwick policy mode observe --for 8h --reason \"first week\""
    )]
    Mode(rollout::ModeArgs),
    /// Makes an older version the active one again.
    #[command(after_help = "Example: bailiwick policy rollback")]
    Rollback(published::RollbackArgs),
    /// Lists the versions that were published.
    #[command(after_help = "Example: bailiwick policy history")]
    History(Page),
}

/// Does it.
pub(crate) async fn run(context: &Context, command: PolicyCommand) -> Outcome {
    match command {
        PolicyCommand::Init { dir, pack } => init(context, &dir, &pack),
        PolicyCommand::Schema(args) => schema::schema(context, &args).await,
        PolicyCommand::Check { dir, strict } => check(context, &dir, strict).await,
        PolicyCommand::Test { dir, coverage } => test(context, &dir, coverage),
        PolicyCommand::Publish { dir, if_version } => {
            published::publish(context, &read(&dir)?, if_version).await
        }
        PolicyCommand::Show(args) => published::show(context, &args).await,
        PolicyCommand::Rollback(args) => published::rollback(context, &args).await,
        PolicyCommand::Shadow(command) => rollout::shadow(context, command).await,
        PolicyCommand::Mode(args) => rollout::mode(context, &args).await,
        PolicyCommand::Diff(args) => trial::diff(context, &args).await,
        PolicyCommand::Replay(args) => trial::replay(context, &args).await,
        PolicyCommand::Explain(args) => trial::explain(context, &args).await,
        PolicyCommand::Rightsize(args) => rightsize::rightsize(context, &args).await,
        PolicyCommand::History(page) => published::history(context, &page).await,
    }
}

fn init(context: &Context, dir: &Path, pack: &str) -> Outcome {
    let source = starter::pack(pack).unwrap_or_else(starter::base);
    let failed = |errors: PolicyErrors| Failure::of_policy(&errors, &source.files);
    let declared = bailiwick_policy::fixtures(&source).map_err(failed)?;
    let schema = Bundle::schema_json(&declared, &source);
    let schema = serde_json::to_string_pretty(&schema)
        .map_err(|error| Failure::internal(error.to_string()))?;
    let mut files = source.files.clone();
    files.insert(SCHEMA.to_owned(), format!("{schema}\n"));
    directory::write(dir, &files)?;
    context.out.note(&format!(
        "next: edit {0}/*.cedar, then bailiwick policy test {0}",
        dir.display()
    ));
    Ok(Exit::DONE)
}

/// Beside the bundle and no part of it: a name with a dot before it is left out of what is published.
const SCHEMA: &str = ".schema.json";

async fn check(context: &Context, dir: &Path, strict: bool) -> Outcome {
    let source = read(dir)?;
    let body = context
        .api()?
        .post("/v1/policy/check", &json!({"files": source.files}))
        .await?;
    let mut flaws = flaws(&body);
    let warnings = body.get("warnings").cloned().unwrap_or_default();
    let warnings: Vec<Flaw> = serde_json::from_value(warnings).unwrap_or_default();
    if strict {
        flaws.extend(warnings.iter().cloned());
    }
    if !flaws.is_empty() {
        return Err(Failure::of_policy(&PolicyErrors { flaws }, &source.files));
    }
    let failed = failed_cases(&body);
    context.out.show(&body, |out, body| {
        format!("the bundle holds: {}", table::cell(out, body.get("digest")))
    });
    warn(context, &warnings);
    for line in &failed {
        context.out.error_line(line);
    }
    Ok(if failed.is_empty() {
        Exit::DONE
    } else {
        Exit::NO
    })
}

/// What is doubtful about a bundle, each with what to do about it.
fn warn(context: &Context, warnings: &[Flaw]) {
    for flaw in warnings {
        let said = flaw.to_string();
        context
            .out
            .error_line(&format!("warning: {}", Untrusted(&said)));
        if !flaw.help.is_empty() {
            context
                .out
                .error_line(&format!("  help: {}", Untrusted(&flaw.help)));
        }
    }
}

fn test(context: &Context, dir: &Path, coverage: bool) -> Outcome {
    let source = read(dir)?;
    let failed = |errors: PolicyErrors| Failure::of_policy(&errors, &source.files);
    // Also a bundle without tests must compile.
    let registry = bailiwick_policy::fixtures(&source).map_err(failed)?;
    let bundle = Bundle::compile(&source, sha256(&[&source.canonical()]), &registry);
    let bundle = bundle.map_err(failed)?;
    let report = Bundle::run_tests(&source, &Registry::default()).map_err(failed)?;
    let body =
        serde_json::to_value(&report).map_err(|error| Failure::internal(error.to_string()))?;
    context.out.show(&body, |_, _| cases(&report, coverage));
    warn(context, bundle.warnings());
    Ok(if report.passed() {
        Exit::DONE
    } else {
        Exit::NO
    })
}

/// A line per case, and what no case reaches.
fn cases(report: &Report, coverage: bool) -> String {
    let mut lines: Vec<String> = report
        .cases
        .iter()
        .map(|case| match &case.failure {
            None => format!("✓ {}", Untrusted(&case.name)),
            Some(failure) => format!(
                "✗ {} ({}:{})\n    {}",
                Untrusted(&case.name),
                case.file,
                case.line,
                Untrusted(failure)
            ),
        })
        .collect();
    let failed = report.failures().count();
    lines.push(format!(
        "{} passed, {failed} failed",
        report.cases.len().saturating_sub(failed)
    ));
    if !report.untested.is_empty() {
        lines.push(format!("no case reaches {}", report.untested.join(", ")));
    }
    let untried: &[Untried] = if coverage { &report.untried } else { &[] };
    for condition in untried {
        lines.push(format!(
            "{}:{}:{}: policy {}: `{}` {}",
            condition.file,
            condition.line,
            condition.column,
            condition.policy,
            Untrusted(&condition.clause),
            match (condition.holds, condition.fails) {
                (false, false) => "is asked in no case",
                (false, true) => "holds in no case",
                _ => "holds in every case that asks it",
            }
        ));
    }
    lines.join("\n")
}

/// The flaws that a check found; an answer of another form has none.
fn flaws(body: &Value) -> Vec<Flaw> {
    let flaws = body
        .get("flaws")
        .or_else(|| body.get("items"))
        .unwrap_or(body);
    serde_json::from_value(flaws.clone()).unwrap_or_default()
}

fn failed_cases(body: &Value) -> Vec<String> {
    let report = body
        .get("report")
        .and_then(|report| serde_json::from_value::<Report>(report.clone()).ok());
    let failures = report.iter().flat_map(Report::failures);
    failures
        .map(|case| {
            format!(
                "✗ {}: {}",
                Untrusted(&case.name),
                Untrusted(case.failure.as_deref().unwrap_or_default())
            )
        })
        .collect()
}

#[cfg(test)]
mod tests;
