//! What of a list a caller may see (04 §7): approved as shown, in its scope, and not forbidden.

use std::sync::Arc;

use bailiwick_core::decision::Versions;
use bailiwick_core::definition::{Tool, ToolState};
use bailiwick_core::json::Text;
use bailiwick_core::name::ToolName;
use bailiwick_policy::{Input, NO_FACTS};
use serde_json::Value;

use crate::caller::Caller;
use crate::catalogue::Pinned;
use crate::decider::{PERFORMS, What};
use crate::gateway::Gateway;
use crate::mcp::session::Session;
use crate::policies::Compiled;
use crate::ports::SeenTool;
use crate::replica::View;

/// Which tools the caller may see: approved as shown, named by a grant, and not forbidden whatever the arguments.
pub(super) async fn tools(
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
            let same = session.shown(Pinned::Tools).digest(&seen.name) == Some(tool.approved);
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

/// Which prompts the caller may get as they are shown.
pub(super) async fn prompts(
    gateway: &Gateway,
    session: &Session,
    caller: &Caller,
    elements: &[Text<'_>],
) -> Vec<bool> {
    let names: Vec<Option<(String, ToolName, SeenTool)>> = elements
        .iter()
        .map(|element| {
            let name = element.member("name")?.string()?.into_owned();
            let seen = Pinned::Prompts.seen(element)?;
            Some((name, seen.name.clone(), seen))
        })
        .collect();
    let listed: Vec<Option<What<'_>>> = {
        let shown = session.shown(Pinned::Prompts);
        names
            .iter()
            .map(|known| {
                let (name, pinned, seen) = known.as_ref()?;
                Some(What::Prompt {
                    pinned,
                    name,
                    // As shown in this very list, if no other page shows it otherwise.
                    shown: shown
                        .digest(pinned)
                        .map(|digest| digest.filter(|digest| *digest == seen.digest)),
                    arguments: &Value::Null,
                })
            })
            .collect()
    };
    let server = &session.server.name;
    gateway.decider.visible(caller, server, &listed).await
}

/// Which resources, or templates of resources, the caller may read.
pub(crate) async fn resources(
    gateway: &Gateway,
    session: &Session,
    caller: &Caller,
    elements: &[Text<'_>],
    member: &str,
) -> Vec<bool> {
    let uris: Vec<Option<String>> = elements
        .iter()
        .map(|element| Some(element.member(member)?.string()?.into_owned()))
        .collect();
    let listed: Vec<Option<What<'_>>> = uris
        .iter()
        .map(|uri| uri.as_deref().map(|uri| What::Resource { uri }))
        .collect();
    let server = &session.server.name;
    gateway.decider.visible(caller, server, &listed).await
}
