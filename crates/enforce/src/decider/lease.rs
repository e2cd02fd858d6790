//! Whether a credential may be leased for a call: a built-in action of policy.

use std::sync::Arc;

use bailiwick_core::decision::{Decision, Versions};
use bailiwick_core::name::{CredentialName, ServerName};
use bailiwick_core::{Fault as _, Problem};
use bailiwick_policy::act::{Act, Told};

use super::LocalDecider;
use super::acts::{Doing, On};
use super::decided::Known;
use crate::replica::View;

impl LocalDecider {
    /// Whether the agent of a task may use this credential for a server now; for a connector, which is none, without one. `known` is what
    /// is known of the call that it is for, of which policy sees what is known of the caller.
    pub(crate) async fn lease(
        &self,
        view: &View,
        (server, credential): (Option<&ServerName>, &CredentialName),
        known: &Known,
    ) -> Result<Decision, Problem> {
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
        let on = On {
            bundle: &bundle,
            view,
            known,
            versions,
            rollout: &rollout,
        };
        Ok(self.decide_lease(&on, server, credential))
    }

    /// What policy says to it, as far as it is enforced.
    pub(super) fn decide_lease(
        &self,
        on: &On<'_>,
        server: Option<&ServerName>,
        credential: &CredentialName,
    ) -> Decision {
        let input = [("server", server.map_or(Told::NoServer, Told::Server))];
        let doing = Doing {
            act: Act::Lease,
            resource: credential.as_str(),
            input: &input,
            performs: &[],
            discharged: &[],
        };
        let known = on.known.of_caller();
        self.act(
            &On {
                known: &known,
                ..*on
            },
            &doing,
        )
    }
}
