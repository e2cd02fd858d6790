//! Lists that pass: each element stays, byte for byte and in its place, or goes (04 §6, §7). What is seen is reported before it is shown.

pub(crate) mod visible;

use std::ops::Range;
use std::sync::Arc;

use bailiwick_core::Code;
use bailiwick_core::definition::{Tool, ToolState};
use bailiwick_core::json::{Kind, Text};
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::envelope::Envelope;
use super::forward::refusal_of;
use super::methods::Context;
use super::outlet::{Outlet, Reply};
use super::revision::META_PREFIX;
use super::session::Session;
use super::splice::{Splices, member_ranges};
use super::upstream::{Answer, Outbound};
use crate::answer::Refusal;
use crate::catalogue::{MAX_TOOLS, Pinned};
use crate::gateway::Gateway;
use crate::ports::{Listing, SeenTool};

/// Pages read of one tool list.
const MAX_PAGES: usize = 64;
/// A filtered list may be cached for at most this long, in milliseconds.
const MAX_TTL_MS: u64 = 30_000;

/// A list that passes, filtered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum List {
    /// Of tools or prompts.
    Pinned(Pinned),
    /// Of resources, by `uri`.
    Resources,
    /// Of templates of resources, by `uriTemplate`.
    Templates,
}

impl List {
    const fn member(self) -> &'static str {
        match self {
            Self::Pinned(pinned) => pinned.member(),
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
        }
    }
}

/// The list that the caller gets for `answer`.
pub(super) async fn filter(
    gateway: &Gateway,
    session: &Session,
    request: &Envelope,
    answer: &Answer,
    list: List,
    context: &Context,
) -> Reply {
    let Answer {
        envelope: answer,
        status,
    } = answer;
    let passed = Reply {
        status: *status,
        body: answer.raw().clone(),
    };
    // An error is the server's own answer.
    let Some(result) = answer.result() else {
        return passed;
    };
    let member = list.member();
    let Some(elements) = result.member(member).and_then(|list| list.elements()) else {
        let refusal = Refusal::new(
            Code::UpstreamProtocol,
            format!("the tool server's list has no `{member}`"),
            "",
        );
        return gateway.error(&refusal, request.id().unwrap_or("null"), 200);
    };
    let caller = &context.caller;
    let keep = match list {
        List::Pinned(pinned) => {
            let seen: Vec<Option<SeenTool>> = elements
                .iter()
                .map(|element| pinned.seen(element))
                .collect();
            let (first, complete) = (
                cursor(request).is_none(),
                result.member("nextCursor").is_none(),
            );
            let known: Vec<SeenTool> = seen.iter().flatten().cloned().collect();
            session.shown(pinned).page(&known, first, complete);
            report(gateway, session, pinned, known, first && complete).await;
            match pinned {
                Pinned::Tools => visible::tools(gateway, session, caller, &seen).await,
                Pinned::Prompts => visible::prompts(gateway, session, caller, &elements).await,
            }
        }
        List::Resources => visible::resources(gateway, session, caller, &elements, "uri").await,
        List::Templates => {
            visible::resources(gateway, session, caller, &elements, "uriTemplate").await
        }
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

/// Reads the whole list of tools or prompts for the gateway itself, unless this session has it. What is called or fetched rests on what
/// is shown here.
pub(crate) async fn refresh(
    gateway: &Gateway,
    session: &Arc<Session>,
    pinned: Pinned,
    request: &Envelope,
    context: &Context,
    cancelled: &CancellationToken,
) -> Result<(), Refusal> {
    if session.shown(pinned).complete() {
        return Ok(());
    }
    let _one = session.refreshing.lock().await;
    if session.shown(pinned).complete() {
        return Ok(());
    }
    let generation = session.shown(pinned).generation();
    let mut seen = Vec::new();
    let mut at: Option<String> = None;
    let mut context = context.clone();
    context.headers.remove(super::headers::NAME);
    if let Some(method) = context.headers.get_mut(super::headers::METHOD) {
        *method = hyper::header::HeaderValue::from_static(pinned.method());
    }
    for page in 0..MAX_PAGES {
        let id = own_id(gateway);
        let raw = Bytes::from(list_request(&id, pinned, request, at.as_deref()));
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
            standing: false,
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
                format!("the tool server does not show its {}", pinned.member()),
                "ask its operator",
            )
        };
        let result = answer.envelope.result().ok_or_else(unreadable)?;
        let elements = result
            .member(pinned.member())
            .and_then(|list| list.elements())
            .ok_or_else(unreadable)?;
        let shown: Vec<SeenTool> = elements
            .iter()
            .filter_map(|element| pinned.seen(element))
            .collect();
        at = result
            .member("nextCursor")
            .filter(|next| next.kind() == Kind::String)
            .map(|next| next.as_str().to_owned());
        // A list that changed while it was read is read again by the next call.
        let last = at.is_none() && session.shown(pinned).generation() == generation;
        session.shown(pinned).page(&shown, page == 0, last);
        seen.extend(shown);
        if at.is_none() || seen.len() > MAX_TOOLS {
            break;
        }
    }
    report(gateway, session, pinned, seen, at.is_none()).await;
    Ok(())
}

/// Reports what differs from what the replica knows. What cannot be reported stays unknown, and so hidden.
async fn report(
    gateway: &Gateway,
    session: &Session,
    pinned: Pinned,
    seen: Vec<SeenTool>,
    complete: bool,
) {
    let server = &session.server.name;
    let known = gateway.decider.replica().view(|state| {
        let same = seen.iter().all(|seen| {
            let tool = state.tool(server, &seen.name);
            tool.is_some_and(|tool| tool.seen == seen.digest && tool.state != ToolState::Retired)
        });
        let gone = complete
            && state.tools(server).any(|tool: &Arc<Tool>| {
                tool.state != ToolState::Retired
                    && tool.tool.tool.is_prompt() == (pinned == Pinned::Prompts)
                    && seen.iter().all(|seen| seen.name != tool.tool.tool)
            });
        same && !gone
    });
    if known == Ok(true) {
        return;
    }
    let listing = Listing {
        server: server.clone(),
        tools: seen,
        complete,
    };
    if let Err(problem) = gateway.ports.cataloguer.seen(listing).await {
        tracing::warn!(%server, %problem, "what a tool server shows was not taken note of");
    }
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
fn list_request(id: &str, pinned: Pinned, like: &Envelope, cursor: Option<&str>) -> String {
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
        r#"{{"jsonrpc":"2.0","id":{id},"method":"{}","params":{{{}}}}}"#,
        pinned.method(),
        params.join(",")
    )
}

/// An id for a request of our own, which no caller can guess.
pub(crate) fn own_id(gateway: &Gateway) -> String {
    let mut random = [0_u8; 32];
    gateway.ports.rng.fill(&mut random);
    let hex = bailiwick_core::Digest(random).to_hex();
    format!("\"bailiwick-{}\"", hex.get(..32).unwrap_or_default())
}
