//! `evidence`: what a running node shows of a framework, as a page, as Markdown or as JSON.

use std::path::{Path, PathBuf};

use bailiwick_core::{Code, Problem, Timestamp};
use bailiwick_posture::evidence::{FrameworkName, Report, Status, html, markdown};
use clap::{Args, ValueEnum};

use crate::client::with_query;
use crate::context::Context;
use crate::failure::Failure;
use crate::policies::instant;
use crate::{Exit, Outcome};

/// Of which framework, and of which time.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: bailiwick evidence --framework owasp-agentic --since 30d -o evidence.html"
)]
pub(crate) struct EvidenceArgs {
    /// owasp-agentic, owasp-nhi, maestro or nist-ai-rmf.
    #[arg(long)]
    framework: FrameworkName,
    /// From then on: a time ago such as `30d`, or an instant in RFC 3339.
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = instant)]
    since: Timestamp,
    /// Up to then; default: now.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    until: Option<Timestamp>,
    /// How it is written; default: by the file's ending, else Markdown.
    #[arg(long, value_enum)]
    format: Option<Form>,
    /// Writes it there instead of printing it.
    #[arg(long, short = 'o', value_name = "FILE")]
    to: Option<PathBuf>,
}

/// A form of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// One page, readable in a browser and on paper.
    Html,
    /// Text with tables.
    Markdown,
    /// As the API has it.
    Json,
}

/// Asks the node and writes.
pub(crate) async fn run(context: &Context, args: EvidenceArgs) -> Outcome {
    let mut query = vec![("since", args.since.to_string())];
    query.extend(args.until.map(|until| ("until", until.to_string())));
    let path = with_query(&format!("/v1/evidence/{}", args.framework), &query);
    let answer = context.api()?.get(&path).await?;
    let report: Report = serde_json::from_value(answer.clone())
        .map_err(|error| Failure::internal(format!("the node sent no report: {error}")))?;
    let form = args.format.unwrap_or_else(|| form_of(args.to.as_deref()));
    let text = match form {
        Form::Html => html(&report),
        Form::Markdown => markdown(&report),
        Form::Json => format!("{answer:#}\n"),
    };
    let Some(file) = &args.to else {
        context.out.show(&answer, |_, _| text.trim_end().to_owned());
        return Ok(Exit::DONE);
    };
    std::fs::write(file, text).map_err(|error| {
        let message = format!("{} cannot be written: {error}", file.display());
        let help = "name a file that you may write";
        Problem::new(Code::ConfigInvalid, message, help)
    })?;
    context.out.show(&answer, |_, _| said(&report, file));
    Ok(Exit::DONE)
}

fn form_of(file: Option<&Path>) -> Form {
    let ending = file.and_then(Path::extension).and_then(|it| it.to_str());
    match ending {
        Some("html" | "htm") => Form::Html,
        Some("json") => Form::Json,
        _ => Form::Markdown,
    }
}

fn said(report: &Report, file: &Path) -> String {
    let count = |status| report.counts.get(&status).copied().unwrap_or(0);
    format!(
        "{} {}: {} covered, {} partial, {} not covered; wrote {}",
        report.title,
        report.version,
        count(Status::Covered),
        count(Status::Partial),
        count(Status::NotCovered),
        file.display()
    )
}
