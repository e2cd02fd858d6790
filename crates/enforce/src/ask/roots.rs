//! The directories that a client works in: a server hears of those alone that the task may read resources of.

use bailiwick_core::json::Text;

use crate::caller::Caller;
use crate::gateway::Gateway;
use crate::mcp::lists::visible;
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
    let keep = visible::resources(gateway, session, caller, &roots, "uri").await;
    let ranges: Vec<_> = roots.iter().map(Text::range).collect();
    splices.retain(&ranges, |index| keep.get(index).copied().unwrap_or(false));
}
