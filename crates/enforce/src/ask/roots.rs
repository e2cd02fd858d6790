//! The directories that a client works in: a server hears of those alone that the task may read resources of.

use bailiwick_core::json::Text;

use crate::caller::Caller;
use crate::decider::What;
use crate::gateway::Gateway;
use crate::mcp::session::Session;
use crate::mcp::splice::Splices;

/// Takes what the task may not read out of a client's answer, which has its list in `roots`.
pub(super) async fn within_scope(
    gateway: &Gateway,
    session: &Session,
    caller: &Caller,
    splices: &mut Splices,
    answer: &Text<'_>,
) {
    let Some(roots) = answer.member("roots").and_then(|roots| roots.elements()) else {
        return;
    };
    let uris: Vec<Option<String>> = roots
        .iter()
        .map(|root| Some(root.member("uri")?.string()?.into_owned()))
        .collect();
    let listed: Vec<Option<What<'_>>> = uris
        .iter()
        .map(|uri| uri.as_deref().map(|uri| What::Resource { uri }))
        .collect();
    let server = &session.server.name;
    let keep = gateway.decider.visible(caller, server, &listed).await;
    let ranges: Vec<_> = roots.iter().map(Text::range).collect();
    splices.retain(&ranges, |index| keep.get(index).copied().unwrap_or(false));
}
