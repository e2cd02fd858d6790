//! Lists that pass: each element stays, byte for byte and in its place, or goes (04 §6, §7). What is seen is reported before it is shown.

use std::ops::Range;
use std::sync::Arc;

use bailiwick_core::Code;
use bailiwick_core::decision::Versions;
use bailiwick_core::definition::{Tool, ToolState};
use bailiwick_core::json::{Kind, Text};
use bailiwick_policy::{Input, NO_FACTS};
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::envelope::Envelope;
use super::forward::refusal_of;
use super::methods::Context;
use super::outlet::{Outlet, Reply};
use super::revision::META_PREFIX;
use super::session::Session;
use super::splice::{Splices, member_ranges};
use super::upstream::Outbound;
use crate::answer::Refusal;
use crate::caller::Caller;
use crate::catalogue::{MAX_TOOLS, seen_tool};
use crate::decider::PERFORMS;
use crate::gateway::Gateway;
use crate::policies::Compiled;
use crate::ports::{Listing, SeenTool};
use crate::replica::View;

/// Pages read of one tool list.
const MAX_PAGES: usize = 64;
/// A filtered list may be cached for at most this long, in milliseconds.
const MAX_TTL_MS: u64 = 30_000;

/// The list that the caller gets for `answer`, whose elements are in `member`.
pub(super) async fn filter(
    gateway: &Gateway,
    session: &Session,
    request: &Envelope,
    answer: &Envelope,
    member: &str,
    context: &Context,
) -> Reply {
    let passed = Reply::ok(answer.raw().clone());
    // An error is the server's own answer.
    let Some(result) = answer.result() else {
        return passed;
    };
    let Some(list) = result
        .member(member)
        .filter(|list| list.kind() == Kind::Array)
    else {
        let refusal = Refusal::new(
            Code::UpstreamProtocol,
            format!("the tool server's list has no `{member}`"),
            "",
        );
        return gateway.error(&refusal, request.id().unwrap_or("null"), 200);
    };
    let elements = list.elements().unwrap_or_default();
    let keep = if member == "tools" {
        let tools: Vec<Option<SeenTool>> = elements.iter().map(seen_tool).collect();
        let (first, complete) = (
            cursor(request).is_none(),
            result.member("nextCursor").is_none(),
        );
        note(
            gateway,
            session,
            tools.iter().flatten().cloned().collect(),
            first,
            complete,
        )
        .await;
        visible(gateway, session, &context.caller, &tools).await
    } else {
        // No policy decides on prompts and resources yet, so none is shown.
        vec![false; elements.len()]
    };
    let ranges: Vec<Range<usize>> = elements.iter().map(Text::range).collect();
    let mut splices = Splices::default();
    let hidden = splices.retain(&ranges, |index| keep.get(index).copied().unwrap_or(false));
    if hidden > 0 {
        mark_hidden(&mut splices, &result, hidden);
    }
    if context.stateless {
        narrow_caching(&mut splices, &result);
    }
    if splices.is_empty() {
        passed
    } else {
        Reply::ok(Bytes::from(splices.apply(answer.raw())))
    }
}

/// Reads the whole tool list for the gateway itself, unless this session has it. Calls rest on what is shown here.
pub(crate) async fn refresh(
    gateway: &Gateway,
    session: &Arc<Session>,
    request: &Envelope,
    context: &Context,
    cancelled: &CancellationToken,
) -> Result<(), Refusal> {
    if session.shown().complete() {
        return Ok(());
    }
    let _one = session.refreshing.lock().await;
    if session.shown().complete() {
        return Ok(());
    }
    let generation = session.shown().generation();
    let mut seen = Vec::new();
    let mut at: Option<String> = None;
    let mut context = context.clone();
    context.headers.remove(super::headers::NAME);
    if let Some(method) = context.headers.get_mut(super::headers::METHOD) {
        *method = hyper::header::HeaderValue::from_static("tools/list");
    }
    for page in 0..MAX_PAGES {
        let id = own_id(gateway);
        let raw = Bytes::from(list_request(&id, request, at.as_deref()));
        let bearer = gateway
            .bearer(session, &context.caller)
            .await
            .map_err(|problem| Refusal::of(&problem))?;
        let (outlet, _unheard) = Outlet::new();
        let outbound = Outbound {
            id: &id,
            raw: &raw,
            headers: &context.headers,
            bearer: bearer.as_ref(),
            progress: None,
        };
        // The caller's going away matters to its call, not to this list.
        let listing = Context {
            stateless: false,
            ..context.clone()
        };
        let answer = gateway
            .forward(session, outbound, &listing, &outlet, cancelled)
            .await
            .map_err(|stopped| refusal_of(&stopped))?;
        let unreadable = || {
            Refusal::new(
                Code::UpstreamProtocol,
                "the tool server does not show its tools",
                "ask its operator",
            )
        };
        let result = answer.envelope.result().ok_or_else(unreadable)?;
        let elements = result
            .member("tools")
            .and_then(|list| list.elements())
            .ok_or_else(unreadable)?;
        let tools: Vec<SeenTool> = elements.iter().filter_map(seen_tool).collect();
        at = result
            .member("nextCursor")
            .filter(|next| next.kind() == Kind::String)
            .map(|next| next.as_str().to_owned());
        // A list that changed while it was read is read again by the next call.
        let last = at.is_none() && session.shown().generation() == generation;
        session.shown().page(&tools, page == 0, last);
        seen.extend(tools);
        if at.is_none() || seen.len() > MAX_TOOLS {
            break;
        }
    }
    report(gateway, session, seen, at.is_none()).await;
    Ok(())
}

/// Takes note of one page that passed.
async fn note(gateway: &Gateway, session: &Session, tools: Vec<SeenTool>, first: bool, last: bool) {
    session.shown().page(&tools, first, last);
    report(gateway, session, tools, first && last).await;
}

/// Reports what differs from what the replica knows. What cannot be reported stays unknown, and so hidden.
async fn report(gateway: &Gateway, session: &Session, tools: Vec<SeenTool>, complete: bool) {
    let server = &session.server.name;
    let known = gateway.decider.replica().view(|state| {
        let same = tools.iter().all(|seen| {
            let tool = state.tool(server, &seen.name);
            tool.is_some_and(|tool| tool.seen == seen.digest && tool.state != ToolState::Retired)
        });
        let gone = complete
            && state.tools(server).any(|tool: &Arc<Tool>| {
                tool.state != ToolState::Retired
                    && tools.iter().all(|seen| seen.name != tool.tool.tool)
            });
        same && !gone
    });
    if known == Ok(true) {
        return;
    }
    let listing = Listing {
        server: server.clone(),
        tools,
        complete,
    };
    if let Err(problem) = gateway.ports.cataloguer.seen(listing).await {
        tracing::warn!(%server, %problem, "what a tool server shows was not taken note of");
    }
}

/// Which tools the caller may see: approved as shown, named by a grant, and not forbidden whatever the arguments.
async fn visible(
    gateway: &Gateway,
    session: &Session,
    caller: &Caller,
    tools: &[Option<SeenTool>],
) -> Vec<bool> {
    let nothing = vec![false; tools.len()];
    let Ok(policy) = gateway.decider.policy().await else {
        return nothing;
    };
    let Ok(view) = gateway.decider.admit(caller, &session.server.name) else {
        return nothing;
    };
    let rows: Vec<Option<Arc<Tool>>> = {
        let server = &session.server.name;
        let look = gateway.decider.replica().view(|state| {
            tools
                .iter()
                .map(|seen| state.tool(server, &seen.as_ref()?.name).map(Arc::clone))
                .collect()
        });
        look.unwrap_or_default()
    };
    tools
        .iter()
        .zip(rows)
        .map(|(seen, tool)| {
            let (Some(seen), Some(tool)) = (seen, tool) else {
                return false;
            };
            // Shown twice with different definitions, or once with another than the approved one: not shown on.
            let same = session.shown().digest(&seen.name) == Some(tool.approved);
            tool.state == ToolState::Approved
                && tool.approved == Some(seen.digest)
                && same
                && view.task.scope.names_tool(
                    session.server.name.as_str(),
                    seen.name.as_str(),
                    tool.effect,
                )
                && caller.part().is_none_or(|part| {
                    part.names_tool(
                        session.server.name.as_str(),
                        seen.name.as_str(),
                        tool.effect,
                    )
                })
                && previews(gateway, session, &policy, &view, &tool)
        })
        .collect()
}

fn previews(
    gateway: &Gateway,
    session: &Session,
    policy: &Compiled,
    view: &View,
    tool: &Tool,
) -> bool {
    policy.bundle.preview(&Input {
        agent: &view.agent,
        instance: Some(&view.instance),
        chain: &view.chain,
        task: &view.task,
        server: &session.server,
        tool,
        effect: tool.effect,
        arguments: "{}",
        now: gateway.ports.clock.wall(),
        discharged: &[],
        performs: PERFORMS,
        usage: &gateway.decider.usage(view.task.id),
        facts: &NO_FACTS,
        versions: Versions {
            bundle: Some(policy.version),
            task: view.task.version,
            fence_seq: 0,
            replica_seq: 0,
        },
    })
}

/// Says that something was left out, so that an empty list is no riddle.
fn mark_hidden(splices: &mut Splices, result: &Text<'_>, hidden: usize) {
    let help = "not reviewed, not in the task's scope, or forbidden: bailiwick tool list, bailiwick task show";
    let member = format!(r#""bailiwick/hidden":{{"count":{hidden},"help":"{help}"}}"#);
    match result
        .member("_meta")
        .filter(|meta| meta.kind() == Kind::Object)
    {
        Some(meta) => splices.append_member(&meta, &member),
        None => splices.append_member(result, &format!(r#""_meta":{{{member}}}"#)),
    }
}

/// A filtered list is for this caller alone, and not for long.
fn narrow_caching(splices: &mut Splices, result: &Text<'_>) {
    if let Some(scope) = result.member("cacheScope") {
        splices.replace(scope.range(), &b"\"private\""[..]);
    }
    if let Some(ttl) = result.member("ttlMs")
        && ttl
            .as_str()
            .parse::<u64>()
            .is_ok_and(|ttl| ttl > MAX_TTL_MS)
    {
        splices.replace(ttl.range(), MAX_TTL_MS.to_string().into_bytes());
    }
}

fn cursor(request: &Envelope) -> Option<String> {
    request
        .params()?
        .member("cursor")
        .map(|cursor| cursor.as_str().to_owned())
}

/// Our own request: an id that no caller can guess, and what the revision without handshake wants in `_meta`.
fn list_request(id: &str, like: &Envelope, cursor: Option<&str>) -> String {
    let mut params = Vec::new();
    if let Some(cursor) = cursor {
        params.push(format!(r#""cursor":{cursor}"#));
    }
    let meta = like
        .params()
        .and_then(|params| params.member("_meta"))
        .filter(|meta| meta.kind() == Kind::Object);
    if let Some(meta) = meta {
        let members = meta.members().unwrap_or_default();
        let ranges = member_ranges(&meta);
        let own = members
            .iter()
            .zip(ranges)
            .filter(|(member, _)| member.key.starts_with(META_PREFIX));
        let raw = like.raw();
        let copied: Vec<String> = own
            .filter_map(|(_, range)| Some(String::from_utf8_lossy(raw.get(range)?).into_owned()))
            .collect();
        if !copied.is_empty() {
            params.push(format!(r#""_meta":{{{}}}"#, copied.join(",")));
        }
    }
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list","params":{{{}}}}}"#,
        params.join(",")
    )
}

fn own_id(gateway: &Gateway) -> String {
    let mut random = [0_u8; 32];
    gateway.ports.rng.fill(&mut random);
    let hex = bailiwick_core::Digest(random).to_hex();
    format!("\"bailiwick-{}\"", hex.get(..32).unwrap_or_default())
}
