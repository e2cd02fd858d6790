//! What a client offers to be asked, and what of that goes on to the server: a kind that policy denies is withheld (04 §12).

use bailiwick_core::json::{Kind as Json, Text};
use bytes::Bytes;

use super::{Kind, roots};
use crate::gateway::Gateway;
use crate::mcp::envelope::Envelope;
use crate::mcp::methods::Context;
use crate::mcp::revision::META_CAPABILITIES;
use crate::mcp::session::Session;
use crate::mcp::splice::{Splices, member_ranges};

/// The member of `inputResponses` that answers us and not the server.
pub(crate) const APPROVAL: &str = "bailiwick.approval";

/// A set of kinds of question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Offers(u8);

/// A request on its way: its bytes without what is not for the server.
pub(crate) struct Onward {
    pub(crate) raw: Bytes,
    /// What its client offers.
    pub(crate) declared: Offers,
    /// What of that the server may use.
    pub(crate) offers: Offers,
    /// What the user said to our own question, if the request brings it: whether they went to see.
    pub(crate) approval: Option<bool>,
}

impl Offers {
    /// Those of a `capabilities` object.
    pub(crate) fn read(capabilities: &Text<'_>) -> Self {
        let has = |name: &str| capabilities.member(name).is_some();
        let elicitation = capabilities.member("elicitation");
        let mode = |name: &str| elicitation.is_some_and(|modes| modes.member(name).is_some());
        let url = mode("url");
        // An empty object is forms (both revisions).
        let form = elicitation.is_some() && (mode("form") || !url);
        Self::default()
            .with(Kind::Sample, has("sampling"))
            .with(Kind::Form, form)
            .with(Kind::Url, url)
            .with(Kind::Roots, has("roots"))
    }

    pub(crate) const fn has(self, kind: Kind) -> bool {
        self.0 & Self::bit(kind) != 0
    }

    const fn with(self, kind: Kind, offered: bool) -> Self {
        Self(if offered {
            self.0 | Self::bit(kind)
        } else {
            self.0
        })
    }

    const fn bit(kind: Kind) -> u8 {
        match kind {
            Kind::Sample => 1,
            Kind::Form => 2,
            Kind::Url => 4,
            Kind::Roots => 8,
        }
    }
}

/// Takes out of a request what policy does not let its client offer, and the answer to our own question.
pub(crate) async fn onward(
    gateway: &Gateway,
    session: &Session,
    envelope: &Envelope,
    context: &Context,
) -> Onward {
    let unchanged = |declared| Onward {
        raw: envelope.raw().clone(),
        declared,
        offers: Offers::default(),
        approval: None,
    };
    if !context.stateless && envelope.method() != Some("initialize") {
        // What was said in the handshake goes on.
        let (declared, offers) = session.inbound.offers();
        return Onward {
            offers,
            ..unchanged(declared)
        };
    }
    let Some(params) = envelope.params() else {
        return unchanged(Offers::default());
    };
    let in_meta = params
        .member("_meta")
        .and_then(|meta| meta.member(META_CAPABILITIES));
    let shown: Vec<Text<'_>> = [params.member("capabilities"), in_meta]
        .into_iter()
        .flatten()
        .filter(|capabilities| capabilities.kind() == Json::Object)
        .collect();
    let (declared, offers) = match shown.first() {
        Some(capabilities) => {
            let declared = Offers::read(capabilities);
            let offers = permitted(gateway, session, context, declared).await;
            (declared, offers)
        }
        None => (Offers::default(), Offers::default()),
    };
    let mut splices = Splices::default();
    for capabilities in &shown {
        withhold(&mut splices, capabilities, offers);
    }
    let approval = take_approval(&mut splices, &params);
    if let Some(responses) = params.member("inputResponses") {
        let theirs = responses.members().unwrap_or_default();
        for response in theirs.iter().filter(|response| response.key != APPROVAL) {
            let caller = &context.caller;
            roots::within_scope(gateway, session, caller, &mut splices, &response.value).await;
        }
    }
    if splices.is_empty() {
        return Onward {
            offers,
            ..unchanged(declared)
        };
    }
    Onward {
        raw: Bytes::from(splices.apply(envelope.raw())),
        declared,
        offers,
        approval,
    }
}

/// What of this policy lets the server use.
async fn permitted(
    gateway: &Gateway,
    session: &Session,
    context: &Context,
    declared: Offers,
) -> Offers {
    let mut offers = Offers::default();
    for kind in [Kind::Sample, Kind::Form, Kind::Url, Kind::Roots] {
        let server = &session.server.name;
        let may = declared.has(kind)
            && gateway
                .decider
                .ask(&context.caller, server, kind)
                .await
                .allowed();
        offers = offers.with(kind, may);
    }
    offers
}

fn withhold(splices: &mut Splices, capabilities: &Text<'_>, offers: Offers) {
    let members = capabilities.members().unwrap_or_default();
    let keep = |index: usize| {
        members
            .get(index)
            .is_some_and(|member| match member.key.as_ref() {
                "sampling" => offers.has(Kind::Sample),
                "roots" => offers.has(Kind::Roots),
                "elicitation" => offers.has(Kind::Form) || offers.has(Kind::Url),
                "tasks" => false,
                _ => true,
            })
    };
    splices.retain(&member_ranges(capabilities), keep);
    let Some(elicitation) = capabilities
        .member("elicitation")
        .filter(|_| offers.has(Kind::Form) || offers.has(Kind::Url))
    else {
        return;
    };
    let modes = elicitation.members().unwrap_or_default();
    let keep = |index: usize| {
        modes
            .get(index)
            .is_some_and(|mode| match mode.key.as_ref() {
                "form" => offers.has(Kind::Form),
                "url" => offers.has(Kind::Url),
                _ => true,
            })
    };
    splices.retain(&member_ranges(&elicitation), keep);
}

/// Takes the answer to our own question out of `inputResponses`, and that member too if nothing else is in it.
fn take_approval(splices: &mut Splices, params: &Text<'_>) -> Option<bool> {
    let responses = params.member("inputResponses")?;
    let ours = responses.member(APPROVAL)?;
    let went = ours
        .member("action")
        .and_then(|action| action.string())
        .is_some_and(|action| action == "accept");
    let members = responses.members().unwrap_or_default();
    if members.len() > 1 {
        splices.retain(&member_ranges(&responses), |index| {
            members
                .get(index)
                .is_some_and(|member| member.key != APPROVAL)
        });
    } else {
        let members = params.members().unwrap_or_default();
        splices.retain(&member_ranges(params), |index| {
            members
                .get(index)
                .is_some_and(|member| member.key != "inputResponses")
        });
    }
    Some(went)
}
