//! `revoke`: cuts everything below a subject. It says first what will be cut, and asks. `revocation`: what was cut, and the receipt of it.

use std::path::{Path, PathBuf};

use bailiwick_core::fence::Subject;
use bailiwick_core::{Code, Fault, Problem};
use bailiwick_crypto::token::{KeySet, ReceiptKeys, receipt};
use clap::Subcommand;
use serde_json::{Value, json};

use crate::context::{Context, confirm, read_file};
use crate::failure::Failure;
use crate::output::{Out, table};
use crate::{Exit, Outcome};

/// Longest receipt or key set that is read, bytes.
const MAX_FILE: usize = 256 << 10;

/// What to revoke.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: bailiwick revoke agent coder --reason \"INC-4\" --yes")]
pub(crate) struct RevokeArgs {
    /// What kind: owner, agent, user, server, tool, credential, instance, task, token, key, lease, or trust_domain.
    kind: String,
    /// Which; several of one kind are cut together.
    ids: Vec<String>,
    /// Why; it is on record and agents are told.
    #[arg(long)]
    reason: String,
    /// Only says what would be cut: each open task below the subject, and how much hangs on it.
    #[arg(long)]
    dry_run: bool,
    /// What to wait for. The fence holds at once in all cases.
    #[arg(long, value_enum, default_value_t = Wait::All)]
    wait: Wait,
    /// Writes the signed receipt into this new file.
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    /// Does not ask.
    #[arg(long)]
    yes: bool,
}

/// What an order waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Wait {
    /// Nothing.
    None,
    /// Every enforcement point is closed to the subjects.
    All,
    /// That, and each credential below them is verified dead; a minute at most.
    Dead,
}

/// What can be done with revocations.
#[derive(Debug, Subcommand)]
pub(crate) enum RevocationCommand {
    /// Shows a revocation: what it cut and how far it got.
    #[command(after_help = "Example: bailiwick revocation show rev_01h455vb4pex5vsknk084sn02q")]
    Show {
        /// rev_…
        id: String,
    },
    /// Prints the signed receipt of a revocation.
    #[command(
        after_help = "Example: bailiwick revocation receipt rev_01h455vb4pex5vsknk084sn02q > receipt.jwt"
    )]
    Receipt {
        /// rev_…
        id: String,
    },
    /// Verifies a receipt without any node: 0 if it is genuine, 1 if it is not.
    #[command(after_help = "Example: bailiwick revocation verify receipt.jwt --jwks keys.json")]
    Verify {
        /// The receipt.
        receipt: PathBuf,
        /// The issuer's receipt keys, fetched from its /oauth/receipt-jwks by a way that you trust.
        #[arg(long, value_name = "FILE")]
        jwks: PathBuf,
    },
}

/// Does it.
pub(crate) async fn look(context: &Context, command: RevocationCommand) -> Outcome {
    match command {
        RevocationCommand::Show { id } => {
            let path = format!("/v1/revocations/{}", crate::client::encode(&id));
            context.record(&context.api()?.get(&path).await?);
        }
        RevocationCommand::Receipt { id } => {
            let path = format!("/v1/revocations/{}/receipt", crate::client::encode(&id));
            let body = context.api()?.get(&path).await?;
            context
                .out
                .show(&body, |out, body| table::cell(out, body.get("receipt")));
        }
        RevocationCommand::Verify { receipt, jwks } => {
            let (text, keys) = (read_file(&receipt, MAX_FILE)?, read_file(&jwks, MAX_FILE)?);
            context.record(&verify(&text, &keys)?);
        }
    }
    Ok(Exit::DONE)
}

/// What a receipt says, if one of these keys signed it.
fn verify(text: &[u8], keys: &[u8]) -> Result<Value, Failure> {
    let keys = KeySet::<ReceiptKeys>::from_jwks(keys).map_err(|error| {
        let help = "give the document of the issuer's /oauth/receipt-jwks as it is";
        Failure::from(Problem::new(Code::InvalidInput, error.to_string(), help))
    })?;
    let receipt = receipt::verify(&String::from_utf8_lossy(text), &keys).map_err(|error| {
        let help =
            "do not rely on it; ask the issuer for the receipt, and whether these are its keys";
        let problem = Problem::new(
            error.code(),
            format!("not a genuine receipt: {error}"),
            help,
        );
        Failure::from(problem).exits(1)
    })?;
    serde_json::to_value(receipt)
        .map_err(|error| Failure::internal(format!("the receipt cannot be shown: {error}")))
}

/// Does it.
pub(crate) async fn run(context: &Context, args: RevokeArgs) -> Outcome {
    let ids = if args.kind == "trust_domain" && args.ids.is_empty() {
        vec![String::new()]
    } else {
        args.ids
    };
    if ids.is_empty() {
        let problem = Problem::new(
            Code::InvalidInput,
            format!("which {} is to be revoked?", args.kind),
            "name at least one",
        );
        return Err(problem.into());
    }
    let subjects = ids
        .iter()
        .map(|id| Subject::parse(&args.kind, id))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| {
            Problem::new(
                Code::InvalidInput,
                error.to_string(),
                "for example: bailiwick revoke agent coder --reason \"INC-4\"",
            )
        })?;
    let wait = match args.wait {
        Wait::None => "none",
        Wait::All => "all",
        Wait::Dead => "dead",
    };
    let body = |dry_run: bool| json!({"subjects": subjects, "reason": args.reason, "dry_run": dry_run, "wait": wait});
    let api = context.api()?;
    if args.dry_run || !args.yes {
        let preview = api.post("/v1/revocations", &body(true)).await?;
        if args.dry_run {
            context.out.show(&preview, report);
            return Ok(Exit::DONE);
        }
        context.out.error_line(&report(&context.out, &preview));
        if !confirm(&context.out, "Cut all of this?").await? {
            return Ok(Exit::NO);
        }
    }
    let cut = api.post("/v1/revocations", &body(false)).await?;
    context.out.show(&cut, report);
    if let Some(path) = &args.receipt {
        keep(path, &cut)?;
    }
    Ok(Exit::DONE)
}

/// Writes the receipt. The order stands whether or not that works.
fn keep(path: &Path, cut: &Value) -> Result<(), Failure> {
    let failed = |why: String| {
        let id = cut.get("id").and_then(Value::as_str).unwrap_or("ID");
        let help = format!("the revocation stands; later: bailiwick revocation receipt {id}");
        Failure::from(Problem::new(Code::Conflict, why, help))
    };
    let receipt = cut.get("receipt").and_then(Value::as_str);
    let receipt = receipt.ok_or_else(|| failed("there is no receipt yet".to_owned()))?;
    let written = std::fs::File::create_new(path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, receipt.as_bytes()));
    written.map_err(|error| failed(format!("{} cannot be written: {error}", path.display())))
}

/// What is or would be cut.
fn report(out: &Out, report: &Value) -> String {
    let mut lines = vec![format!(
        "revocation  {}",
        table::cell(out, report.get("id"))
    )];
    for fence in report
        .get("fences")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let subject = fence.get("subject").unwrap_or(fence);
        lines.push(format!("fence       {}", table::cell(out, Some(subject))));
    }
    if let Some(cut) = report.get("cut").and_then(Value::as_object) {
        for (name, value) in cut {
            let count = value.as_array().map_or_else(
                || table::cell(out, Some(value)),
                |all| all.len().to_string(),
            );
            lines.push(format!("{name:<11} {count}"));
        }
    }
    let items = |name: &str| {
        report
            .get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    for branch in items("subtree") {
        lines.push(self::branch(out, branch));
    }
    for lease in items("pending") {
        lines.push(format!("not dead    {}", table::cell(out, Some(lease))));
    }
    if report.get("points").is_some() {
        let all = items("points").count();
        let lapsed = items("points")
            .filter(|point| point.get("how").and_then(Value::as_str) == Some("lapsed"));
        let lapsed: Vec<String> = lapsed
            .map(|point| table::cell(out, point.get("id")))
            .collect();
        let by_lease = if lapsed.is_empty() {
            String::new()
        } else {
            format!("; by the end of their lease: {}", lapsed.join(" "))
        };
        lines.push(format!("closed      {all} of {all} points{by_lease}"));
    }
    if report.get("receipt").is_some() {
        lines.push("receipt     signed; `bailiwick revocation receipt` prints it".to_owned());
    }
    lines.join("\n")
}

/// One open task, indented below its parent.
fn branch(out: &Out, branch: &Value) -> String {
    let depth = branch.get("depth").and_then(Value::as_u64).unwrap_or(0);
    let indent = "  ".repeat(usize::try_from(depth).unwrap_or(0).min(8));
    let cell = |name: &str| table::cell(out, branch.get(name));
    let leases = branch.get("leases").and_then(Value::as_array);
    let leases = leases.map_or(0, Vec::len);
    let instance = match branch.get("instance") {
        Some(Value::String(_)) => format!(" {}", cell("instance")),
        _ => String::new(),
    };
    format!(
        "  {indent}{} {}{instance} · {leases} leases · {} approvals",
        cell("task"),
        cell("agent"),
        cell("approvals")
    )
}
