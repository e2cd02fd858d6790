//! Built-in actions of an agent, as policy decides them (03): what is no tool call.

use bailiwick_core::decision::{Decision, Versions};
use bailiwick_core::rollout::Rollout;
use bailiwick_policy::Bundle;
use bailiwick_policy::act::{self, Act, Told};

use super::LocalDecider;
use super::decided::Known;
use super::observed::enforced;
use super::rows::Rows;
use crate::replica::View;

/// Kinds of duty that are performed where no tool is called.
const PERFORMS: &[&str] = &["deliver", "max_bytes"];

/// What an agent is about to do.
pub(super) struct Doing<'a> {
    pub(super) act: Act,
    pub(super) resource: &'a str,
    pub(super) input: &'a [(&'static str, Told<'a>)],
    /// Kinds of duty that are performed for it.
    pub(super) performs: &'a [&'a str],
    /// Tokens that an approval at hand discharges.
    pub(super) discharged: &'a [String],
}

impl<'a> Doing<'a> {
    /// At a server, by nobody's leave.
    pub(super) fn at(server: &'a str, act: Act, input: &'a [(&'static str, Told<'a>)]) -> Self {
        Self {
            act,
            resource: server,
            input,
            performs: PERFORMS,
            discharged: &[],
        }
    }
}

/// What it is decided on.
#[derive(Clone, Copy)]
pub(super) struct On<'a> {
    pub(super) bundle: &'a Bundle,
    pub(super) view: &'a View,
    pub(super) known: &'a Known,
    pub(super) versions: Versions,
    pub(super) rollout: &'a Rollout,
}

impl<'a> On<'a> {
    pub(super) fn rows(rows: &'a Rows, bundle: &'a Bundle, known: &'a Known) -> Self {
        Self {
            bundle,
            view: &rows.view,
            known,
            versions: rows.versions,
            rollout: &rows.rollout,
        }
    }
}

impl LocalDecider {
    /// What policy says to it, as far as it is enforced.
    pub(super) fn act(&self, on: &On<'_>, doing: &Doing<'_>) -> Decision {
        let now = self.clock.wall();
        let asked = act::Asked {
            act: doing.act,
            principal: on.view.agent.name.as_str(),
            resource: doing.resource,
            input: doing.input,
            task: &on.view.task,
            chain: &on.view.chain,
            usage: &on.known.usage,
            now,
            performs: doing.performs,
            facts: &on.known.facts,
            versions: on.versions,
        };
        let decision = on.bundle.decide_approved_act(&asked, doing.discharged);
        enforced(decision, on.rollout, now)
    }
}
