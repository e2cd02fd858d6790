//! Whether a credential may be leased for a call: a built-in action of policy.

use std::sync::Arc;

use bailiwick_core::decision::{Decision, Versions};
use bailiwick_core::name::{CredentialName, ServerName};
use bailiwick_core::rollout::Rollout;
use bailiwick_core::{Fault as _, Problem};
use bailiwick_policy::act::{self, Act, Told};
use bailiwick_policy::{Bundle, NO_FACTS};

use super::LocalDecider;
use super::observed::observed;
use crate::replica::View;

impl LocalDecider {
    /// Whether the agent of a task may use this credential for a server now; for a connector, which is none, without one.
    pub async fn lease(
        &self,
        view: &View,
        server: Option<&ServerName>,
        credential: &CredentialName,
    ) -> Result<(), Problem> {
        let bundle = self.policies.for_acts(&self.replica).await?;
        let stands = self.replica.view(|state| {
            let versions = Versions {
                bundle: state.policy().0,
                task: view.task.version,
                fence_seq: state.fences().seq(),
                replica_seq: state.seq,
            };
            (versions, Arc::clone(state.rollout()))
        });
        let (versions, rollout) = stands.map_err(|behind| behind.problem())?;
        let decision = self.decide_lease(&bundle, view, (server, credential), versions, &rollout);
        act::refusal(&decision).map_or(Ok(()), Err)
    }

    /// What policy says to it, as far as it is enforced.
    pub(super) fn decide_lease(
        &self,
        bundle: &Bundle,
        view: &View,
        (server, credential): (Option<&ServerName>, &CredentialName),
        versions: Versions,
        rollout: &Rollout,
    ) -> Decision {
        let now = self.clock.wall();
        let decision = bundle.decide_act(&act::Asked {
            act: Act::Lease,
            principal: view.agent.name.as_str(),
            resource: credential.as_str(),
            input: &[("server", server.map_or(Told::NoServer, Told::Server))],
            task: &view.task,
            chain: &view.chain,
            usage: &self.budgets.usage(view.task.id),
            now,
            performs: &[],
            facts: &NO_FACTS,
            versions,
        });
        if rollout.observes(now) {
            observed(decision)
        } else {
            decision
        }
    }
}
