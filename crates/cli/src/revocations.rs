//! `revoke`: cuts everything below a subject. It says first what will be cut, and asks.

use bailiwick_core::fence::Subject;
use serde_json::{Value, json};

use crate::context::{Context, confirm};
use crate::output::{Out, table};
use crate::{Exit, Outcome};

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
    /// Only says what would be cut.
    #[arg(long)]
    dry_run: bool,
    /// Does not ask.
    #[arg(long)]
    yes: bool,
}

/// Does it.
pub(crate) async fn run(context: &Context, args: RevokeArgs) -> Outcome {
    let ids = if args.kind == "trust_domain" && args.ids.is_empty() {
        vec![String::new()]
    } else {
        args.ids
    };
    if ids.is_empty() {
        let problem = bailiwick_core::Problem::new(
            bailiwick_core::Code::InvalidInput,
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
            bailiwick_core::Problem::new(
                bailiwick_core::Code::InvalidInput,
                error.to_string(),
                "for example: bailiwick revoke agent coder --reason \"INC-4\"",
            )
        })?;
    let body =
        |dry_run: bool| json!({"subjects": subjects, "reason": args.reason, "dry_run": dry_run});
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
    Ok(Exit::DONE)
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
    lines.join("\n")
}
