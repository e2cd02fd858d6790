//! `policy`: the bundle, a directory of Cedar text with workflows and tests. What is checked is what is published.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bailiwick_core::{Code, Digest, Problem};
use bailiwick_crypto::hash::sha256;
use bailiwick_policy::{Bundle, BundleSource, Flaw, PolicyErrors, Registry, Report, starter};
use clap::Subcommand;
use serde_json::{Value, json};

use crate::context::{Context, Page, read_file};
use crate::failure::Failure;
use crate::output::{Out, Untrusted, table};
use crate::{Exit, Outcome};

/// What can be done with policy.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Writes the bundle a new node begins with into a new directory.
    #[command(after_help = "Example: bailiwick policy init policy")]
    Init {
        /// The directory.
        dir: PathBuf,
    },
    /// Checks a bundle against the agents, servers and tools of the node; says every problem with its place.
    #[command(after_help = "Example: bailiwick policy check policy")]
    Check {
        /// The bundle's directory.
        dir: PathBuf,
    },
    /// Runs the tests of a bundle here, without a node.
    #[command(after_help = "Example: bailiwick policy test policy")]
    Test {
        /// The bundle's directory.
        dir: PathBuf,
    },
    /// Checks a bundle and makes it the one that decides.
    #[command(after_help = "Example: bailiwick policy publish policy")]
    Publish {
        /// The bundle's directory.
        dir: PathBuf,
        /// Only if this digest is active now.
        #[arg(long, value_name = "DIGEST")]
        if_version: Option<Digest>,
    },
    /// Shows the active bundle, or the files of one version.
    #[command(after_help = "Example: bailiwick policy show")]
    Show {
        /// The version; default the active one.
        digest: Option<Digest>,
    },
    /// Lists the versions that were published.
    #[command(after_help = "Example: bailiwick policy history")]
    History(Page),
}

/// Does it.
pub(crate) async fn run(context: &Context, command: PolicyCommand) -> Outcome {
    match command {
        PolicyCommand::Init { dir } => init(context, &dir),
        PolicyCommand::Check { dir } => {
            let source = read(&dir)?;
            let body = context
                .api()?
                .post("/v1/policy/check", &json!({"files": source.files}))
                .await?;
            let flaws = flaws(&body);
            if !flaws.is_empty() {
                return Err(Failure::of_policy(&PolicyErrors { flaws }, &source.files));
            }
            let failed = failed_cases(&body);
            context.out.show(&body, |out, body| {
                format!("the bundle holds: {}", table::cell(out, body.get("digest")))
            });
            for line in &failed {
                context.out.error_line(line);
            }
            Ok(if failed.is_empty() {
                Exit::DONE
            } else {
                Exit::NO
            })
        }
        PolicyCommand::Test { dir } => test(context, &dir),
        PolicyCommand::Publish { dir, if_version } => {
            let source = read(&dir)?;
            let mut body = json!({"files": source.files});
            if let (Some(digest), Some(members)) = (if_version, body.as_object_mut()) {
                members.insert("if_version".to_owned(), json!(digest));
            }
            context.record(&context.api()?.put("/v1/policy", &body).await?);
            Ok(Exit::DONE)
        }
        PolicyCommand::Show { digest: None } => {
            context.record(&context.api()?.get("/v1/policy").await?);
            Ok(Exit::DONE)
        }
        PolicyCommand::Show {
            digest: Some(digest),
        } => {
            let path = format!("/v1/policy/{}", crate::client::encode(&digest.to_string()));
            let body = context.api()?.get(&path).await?;
            context.out.show(&body, files);
            Ok(Exit::DONE)
        }
        PolicyCommand::History(page) => {
            let body = context
                .api()?
                .query("/v1/policy/history", &page.query())
                .await?;
            context.list(
                &body,
                &COLUMNS,
                "nothing was published yet: bailiwick policy publish DIR",
            );
            Ok(Exit::DONE)
        }
    }
}

fn init(context: &Context, dir: &Path) -> Outcome {
    let failed = |path: &Path, error: &std::io::Error| {
        Problem::new(
            Code::AlreadyExists,
            format!("{} cannot be made: {error}", path.display()),
            "name a directory that does not exist yet",
        )
    };
    std::fs::create_dir(dir).map_err(|error| failed(dir, &error))?;
    for (name, text) in starter::base().files {
        let path = dir.join(&name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| failed(parent, &error))?;
        }
        std::fs::write(&path, text).map_err(|error| failed(&path, &error))?;
    }
    context.out.note(&format!(
        "next: edit {0}/base.cedar, then bailiwick policy test {0}",
        dir.display()
    ));
    Ok(Exit::DONE)
}

fn test(context: &Context, dir: &Path) -> Outcome {
    let source = read(dir)?;
    let failed = |errors: PolicyErrors| Failure::of_policy(&errors, &source.files);
    // Also a bundle without tests must compile.
    let registry = bailiwick_policy::fixtures(&source).map_err(failed)?;
    Bundle::compile(&source, sha256(&[&source.canonical()]), &registry).map_err(failed)?;
    let report = Bundle::run_tests(&source, &Registry::default()).map_err(failed)?;
    let body =
        serde_json::to_value(&report).map_err(|error| Failure::internal(error.to_string()))?;
    context.out.show(&body, |_, _| cases(&report));
    Ok(if report.passed() {
        Exit::DONE
    } else {
        Exit::NO
    })
}

/// A line per case, and what no case reaches.
fn cases(report: &Report) -> String {
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

fn files(_: &Out, body: &Value) -> String {
    let files = body.get("files").and_then(Value::as_object);
    let shown = files.into_iter().flatten().map(|(path, text)| {
        let text: Vec<_> = text
            .as_str()
            .unwrap_or_default()
            .lines()
            .map(|line| Untrusted(line).to_string())
            .collect();
        format!("── {}\n{}", Untrusted(path), text.join("\n"))
    });
    shown.collect::<Vec<_>>().join("\n\n")
}

/// Reads the files of a bundle's directory. Files and directories whose names begin with a dot are left out.
fn read(dir: &Path) -> Result<BundleSource, Failure> {
    let mut entries = BTreeMap::new();
    let mut waiting = vec![(dir.to_owned(), String::new())];
    while let Some((place, prefix)) = waiting.pop() {
        let unreadable = |error: std::io::Error| {
            Problem::new(
                Code::ConfigInvalid,
                format!("{} cannot be read: {error}", place.display()),
                "name the directory of a bundle; bailiwick policy init makes one",
            )
        };
        for entry in std::fs::read_dir(&place).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            let path = format!("{prefix}{name}");
            if entry.file_type().map_err(unreadable)?.is_dir() {
                if prefix.matches('/').count() < DEEPEST {
                    waiting.push((entry.path(), format!("{path}/")));
                }
            } else {
                let text =
                    String::from_utf8(read_file(&entry.path(), bailiwick_policy::MAX_BYTES)?)
                        .map_err(|_| {
                            Problem::new(Code::PolicyInvalid, format!("{path} is not UTF-8"), "")
                        })?;
                entries.insert(path, text);
            }
        }
        if entries.len() > bailiwick_policy::MAX_FILES {
            break;
        }
    }
    let files = entries.clone();
    BundleSource::from_dir(entries).map_err(|errors| Failure::of_policy(&errors, &files))
}

/// Directories below the bundle that are looked into.
const DEEPEST: usize = 4;

const COLUMNS: [(&str, &str); 4] = [
    ("NUMBER", "/number"),
    ("DIGEST", "/digest"),
    ("PUBLISHED", "/published_at"),
    ("BY", "/published_by"),
];

#[cfg(test)]
mod tests;
