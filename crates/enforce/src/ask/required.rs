//! An answer that asks for input instead (2026-07-28, multi round-trip requests), or that sends the user to a URL by an error
//! (2025-11-25): each question in it is decided before any of them reaches the client.

use bailiwick_core::json::{Kind as Json, Text};

use super::offers::Offers;
use super::{Request, decide, refusal};
use crate::answer::Refusal;
use crate::caller::Caller;
use crate::gateway::Gateway;
use crate::mcp::envelope::Envelope;
use crate::mcp::session::Session;

/// Questions in one answer.
const MAX_QUESTIONS: usize = 16;
/// The error that sends a user to URLs (2025-11-25, `URLElicitationRequiredError`).
const URL_REQUIRED: &str = "-32042";

/// An answer that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asking {
    /// For input, to be sent with the request when it is made again; with the server's state, if it has one.
    Input(Option<String>),
    /// That the user goes to a URL.
    Url,
}

impl Asking {
    /// What an answer asks; none if it only answers.
    pub(crate) fn of(answer: &Envelope) -> Option<Self> {
        if let Some(result) = answer.result() {
            let kind = result.member("resultType")?.string()?;
            return (kind == "input_required").then(|| {
                let state = result.member("requestState");
                Self::Input(state.and_then(|state| Some(state.string()?.into_owned())))
            });
        }
        let error = answer.whole()?.member("error")?;
        (error.member("code")?.as_str() == URL_REQUIRED).then_some(Self::Url)
    }
}

/// Decides every question of an answer. The first that may not be asked refuses the whole.
pub(crate) async fn judge(
    gateway: &Gateway,
    session: &Session,
    caller: &Caller,
    offers: Offers,
    asking: &Asking,
    answer: &Envelope,
) -> Result<(), Refusal> {
    let base = Request {
        server: &session.server.name,
        caller,
        method: "elicitation/create",
        id: "null",
        params: None,
        offers,
    };
    let (ports, decider) = (&gateway.ports, &gateway.decider);
    let unread = || refusal("what it asks cannot be read");
    match asking {
        Asking::Url => {
            let error = answer.whole().and_then(|whole| whole.member("error"));
            let asked = error.and_then(|error| {
                error
                    .member("data")?
                    .member("elicitations")?
                    .elements()
                    .filter(|asked| (1..=MAX_QUESTIONS).contains(&asked.len()))
            });
            for params in asked.ok_or_else(unread)? {
                let named = params.member("mode").and_then(|mode| mode.string());
                if named.as_deref() != Some("url") {
                    return Err(unread());
                }
                let request = Request {
                    params: Some(&params),
                    ..base
                };
                decide(ports, decider, &request).await?;
            }
        }
        Asking::Input(_) => {
            let result = answer.result();
            let Some(asked) = result.and_then(|result| result.member("inputRequests")) else {
                // State alone: the client comes again with it, and nobody is asked.
                return Ok(());
            };
            let members = asked
                .members()
                .filter(|members| asked.kind() == Json::Object && members.len() <= MAX_QUESTIONS)
                .ok_or_else(unread)?;
            for member in members {
                let method = member.value.member("method").and_then(|name| name.string());
                let params = member.value.member("params");
                let key = serde_json::Value::from(member.key.as_ref()).to_string();
                let method = method.ok_or_else(unread)?;
                let request = Request {
                    method: &method,
                    id: &key,
                    params: params.as_ref(),
                    ..base
                };
                decide(ports, decider, &request).await?;
            }
        }
    }
    Ok(())
}

/// Whether params carry what only a request made again does: answers to questions, or a server's state.
pub(super) fn carries(params: &Text<'_>) -> bool {
    params.member("inputResponses").is_some() || params.member("requestState").is_some()
}
