//! The refusals before policy, each with its reason and what to do: fence, definition, scope, stage. Nothing overrides them.

use bailiwick_core::decision::{Decision, Versions};
use bailiwick_core::name::{ServerName, ToolName};
use bailiwick_core::risk::Risk;
use bailiwick_core::scope;
use bailiwick_core::{Code, Effect, Fault, Problem};
use bailiwick_policy::Workflows;

use super::Call;
use super::rows::Rows;
use crate::caller::Caller;
use crate::catalogue::LastShown;

/// Code, name of the check, reason, and what a person can do.
pub(super) type Refusal = (Code, &'static str, String, String);

/// The decision that it comes to.
pub(super) fn refuse((code, source, reason, fix): Refusal, versions: Versions) -> Decision {
    Decision::refused(code, source, reason, fix, versions)
}

/// There is no policy to ask.
pub(super) fn no_policy(problem: &Problem) -> Refusal {
    let (message, help) = (problem.message.clone(), problem.help.clone());
    (problem.code, "policy", message, help)
}

/// A fence stands on something in the chain, or on the target.
pub(super) fn fence_refusal(rows: &Rows) -> Option<Refusal> {
    let fence = rows.fence.as_ref()?;
    let reason = format!(
        "{} was revoked at {} ({}): {}",
        fence.subject, fence.set_at, fence.revocation, fence.reason
    );
    Some((
        Code::Revoked,
        "fence",
        reason,
        "nothing under a fence revives; a person has to open a new task".to_owned(),
    ))
}

/// Where much is at stake, a token that no key protects is not enough: it may be in other hands.
pub(super) fn unbound_refusal(rows: &Rows) -> Option<Refusal> {
    let risk = rows.view.task.risk;
    let escalates = rows.tool.is_some() && rows.effect == Effect::Escalate;
    let reason = if !rows.unbound {
        return None;
    } else if risk >= Risk::High {
        format!("the task is of risk {}", risk.as_str())
    } else if escalates {
        "the call escalates".to_owned()
    } else {
        return None;
    };
    Some((
        Code::TokenUnbound,
        "token",
        format!("{reason}, and the token is bound to no key"),
        "have the client use DPoP (RFC 9449)".to_owned(),
    ))
}

/// The tool is not the approved one, as it is shown now.
pub(super) fn definition_refusal(
    (server, tool): (&ServerName, &ToolName),
    shown: LastShown,
    rows: &Rows,
) -> Option<Refusal> {
    let refuse = |code: Code, reason: String| {
        let review = format!("an operator looks at it: bailiwick tool review {server}/{tool}");
        Some((code, "definition", reason, review))
    };
    let Some(row) = &rows.tool else {
        return refuse(
            Code::ToolUnknown,
            format!("server {server} has shown no tool {tool}"),
        );
    };
    if let Some(code) = row.state.refusal() {
        return refuse(
            code,
            format!(
                "the tool is not approved: {code}, since it was seen at {}",
                row.seen_at
            ),
        );
    }
    match shown {
        Some(Some(shown)) if Some(shown) == row.approved => None,
        Some(_) => refuse(
            Code::ToolChanged,
            "the server shows another definition than the approved one".to_owned(),
        ),
        None => refuse(
            Code::ToolRetired,
            "the server no longer shows this tool".to_owned(),
        ),
    }
}

/// No grant covers the call.
pub(super) fn scope_refusal(call: &Call<'_>, rows: &Rows) -> Option<Refusal> {
    as_scopes_ask(call, rows, "scope", |asked| {
        uncovered(call.caller, rows, asked)
    })
}

/// The task's scope, or the token's part of it, does not cover what is asked.
pub(super) fn uncovered(caller: &Caller, rows: &Rows, asked: &scope::Call<'_>) -> Option<Refusal> {
    if let Err(missing) = rows.view.task.scope.permits(asked) {
        return Some((missing.code(), "scope", missing.to_string(), missing.help()));
    }
    let missing = caller.part()?.permits(asked).err()?;
    let reason = format!("the token is good for a part of its task alone: {missing}");
    let fix = "ask for a token of the whole task, if the agent may have it".to_owned();
    Some((missing.code(), "token", reason, fix))
}

/// The workflow does not let the task do this in its stage. A stage that the bundle no longer has lets it do nothing.
pub(super) fn stage_refusal(
    call: &Call<'_>,
    rows: &Rows,
    workflows: &Workflows,
) -> Option<Refusal> {
    as_scopes_ask(call, rows, "stage", |asked| {
        out_of_stage(rows, workflows, asked)
    })
}

/// The stage's cap does not cover what is asked.
pub(super) fn out_of_stage(
    rows: &Rows,
    workflows: &Workflows,
    asked: &scope::Call<'_>,
) -> Option<Refusal> {
    let task = &rows.view.task;
    let refusal = workflows.refusal(&task.workflow, &task.stage, asked)?;
    Some((refusal.code, "stage", refusal.reason, refusal.fix))
}

fn as_scopes_ask(
    call: &Call<'_>,
    rows: &Rows,
    source: &'static str,
    ask: impl FnOnce(&scope::Call<'_>) -> Option<Refusal>,
) -> Option<Refusal> {
    let effect = rows.tool.as_ref().map(|_| rows.effect)?;
    let Ok(arguments) = call.arguments.leaves() else {
        return Some((
            Code::ArgumentsInvalid,
            source,
            "the arguments cannot be read".to_owned(),
            String::new(),
        ));
    };
    ask(&scope::Call {
        server: call.server.as_str(),
        tool: call.tool.as_str(),
        effect,
        arguments: &arguments,
        resources: None,
    })
}
