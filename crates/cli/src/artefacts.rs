//! `artefact`: reports about the code that agents run, and what is known of it.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use bailiwick_core::artefact::ArtefactSubject;
use bailiwick_core::{Code, Problem, Timestamp};
use bailiwick_posture::artefact::MAX_DOCUMENT;
use clap::Subcommand;
use serde_json::{Value, json};

use crate::client::{encode, with_query};
use crate::context::{Context, Page};
use crate::failure::Failure;
use crate::output::{Out, table};
use crate::{Exit, Outcome};

/// What can be done with reports.
#[derive(Debug, Subcommand)]
pub(crate) enum ArtefactCommand {
    /// Brings reports about an executable or a commit: SARIF, SLSA provenance, CycloneDX, SPDX; signed in a DSSE envelope or not. Exit 1: signatures of one do not
    /// count, and it was taken as brought by you.
    #[command(
        after_help = "Example: bailiwick artefact add scan.sarif --subject git:4f0c3a1e9b7d2c6f8a5b3e1d0c9f7a6b5d4e3c21"
    )]
    Add {
        /// Files as the tools wrote them, at most 16 MiB each.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// `sha256:` and the digest of the executable, as `bailiwick agent list` shows it, or `git:` and the whole commit.
        #[arg(long)]
        subject: ArtefactSubject,
        /// When the scan ended, RFC 3339, where the report does not say; not given: now.
        #[arg(long)]
        scanned_at: Option<Timestamp>,
    },
    /// Lists what there are reports about.
    #[command(after_help = "Example: bailiwick artefact list")]
    List(Page),
    /// Shows the reports about a subject and what follows for policy.
    #[command(
        after_help = "Example: bailiwick artefact show sha256:9b2e4f0c3a1e9b7d2c6f8a5b3e1d0c9f7a6b5d4e3c219b2e4f0c3a1e9b7d2c6f"
    )]
    Show {
        /// `sha256:…` or `git:…`.
        subject: ArtefactSubject,
    },
    /// Forgets all reports about a subject.
    #[command(
        after_help = "Example: bailiwick artefact remove sha256:9b2e4f0c3a1e9b7d2c6f8a5b3e1d0c9f7a6b5d4e3c219b2e4f0c3a1e9b7d2c6f"
    )]
    Remove {
        /// `sha256:…` or `git:…`.
        subject: ArtefactSubject,
    },
}

/// Does it.
pub(crate) async fn run(context: &Context, command: ArtefactCommand) -> Outcome {
    let api = context.api()?;
    let path =
        |subject: &ArtefactSubject| format!("/v1/artefacts/{}", encode(&subject.to_string()));
    match command {
        ArtefactCommand::Add {
            files,
            subject,
            scanned_at,
        } => {
            let documents: Vec<_> = files.iter().map(document).collect::<Result<_, _>>()?;
            let at = scanned_at.map(|at| ("scanned_at", at.to_string()));
            let place = with_query(&path(&subject), at.as_slice());
            let mut answer = Value::Null;
            let mut unsigned = Vec::new();
            for (file, document) in files.iter().zip(documents) {
                answer = api.put_bytes(&place, document).await?;
                if let Some(why) = answer.get("unsigned").and_then(Value::as_str) {
                    unsigned.push(format!("{}: not signed: {why}", file.display()));
                }
            }
            context.out.show(&answer, told);
            for line in &unsigned {
                context.out.note(line);
            }
            Ok(if unsigned.is_empty() {
                Exit::DONE
            } else {
                Exit::NO
            })
        }
        ArtefactCommand::List(page) => {
            let body = api.query("/v1/artefacts", &page.query()).await?;
            context.list(&body, &COLUMNS, "no reports");
            Ok(Exit::DONE)
        }
        ArtefactCommand::Show { subject } => {
            context.out.show(&api.get(&path(&subject)).await?, told);
            Ok(Exit::DONE)
        }
        ArtefactCommand::Remove { subject } => {
            api.delete(&path(&subject)).await?;
            context.out.show(&json!({"subject": subject}), |_, _| {
                format!("nothing is known of {subject} any more")
            });
            Ok(Exit::DONE)
        }
    }
}

fn document(file: &PathBuf) -> Result<Vec<u8>, Failure> {
    let unread = |error: std::io::Error| {
        let message = format!("{} cannot be read: {error}", file.display());
        Failure::from(Problem::new(
            Code::InvalidInput,
            message,
            "name a report as its tool wrote it",
        ))
    };
    let mut bytes = Vec::new();
    let opened = File::open(file).map_err(unread)?;
    let most = MAX_DOCUMENT as u64 + 1;
    opened.take(most).read_to_end(&mut bytes).map_err(unread)?;
    if bytes.len() > MAX_DOCUMENT {
        let message = format!("{} is over {} MiB", file.display(), MAX_DOCUMENT >> 20);
        let help = "one file for each scanner";
        return Err(Problem::new(Code::TooLarge, message, help).into());
    }
    Ok(bytes)
}

const COLUMNS: [(&str, &str); 6] = [
    ("SUBJECT", "/subject"),
    ("PROVENANCE", "/evidence/provenance"),
    ("SCANNED", "/evidence/scanned_at"),
    ("CRITICAL", "/evidence/open/critical"),
    ("HIGH", "/evidence/open/high"),
    ("SBOM", "/evidence/sbom"),
];

fn told(out: &Out, artefact: &Value) -> String {
    let cell = |path: &str| table::cell(out, artefact.pointer(path));
    let mut lines = vec![cell("/subject")];
    if artefact.get("evidence").is_some() {
        lines.push(format!(
            "  provenance {}, scanned {}, open: {} critical, {} high, bill of materials {}",
            cell("/evidence/provenance"),
            cell("/evidence/scanned_at"),
            cell("/evidence/open/critical"),
            cell("/evidence/open/high"),
            cell("/evidence/sbom"),
        ));
    }
    for built in items(artefact, "built") {
        lines.push(format!("  built into {}", table::cell(out, Some(built))));
    }
    for report in items(artefact, "reports") {
        let cell = |path: &str| table::cell(out, report.pointer(path));
        let signer = report.pointer("/signer/name");
        let signer = signer.map_or_else(
            || format!("brought by {}", cell("/added_by")),
            |name| format!("signed by {}", table::cell(out, Some(name))),
        );
        lines.push(format!(
            "  {} {}, {signer}, {}",
            cell("/kind"),
            cell("/tool"),
            cell("/added_at")
        ));
    }
    lines.join("\n")
}

fn items<'a>(artefact: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    let items = artefact.get(name).and_then(Value::as_array);
    items.into_iter().flatten()
}
