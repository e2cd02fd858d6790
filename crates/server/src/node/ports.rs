//! The gateway's ports, in one process: people, credentials, tools and policy as control and broker have them; and the other way round,
//! fences into the replica.

use std::sync::Arc;

use bailiwick_broker::{Broker, LeasesOf};
use bailiwick_control::policies::Publications;
use bailiwick_control::reevaluate::Judge;
use bailiwick_control::tools::Seen;
use bailiwick_control::{ActivePolicy, Control, Cutter};
use bailiwick_core::approval::Approval;
use bailiwick_core::change::Change;
use bailiwick_core::fence::{Fence, Subject};
use bailiwick_core::id::{ApprovalId, EventId, LeaseId, TaskId};
use bailiwick_core::item::ItemKey;
use bailiwick_core::label::Labels;
use bailiwick_core::{Digest, Fault, Problem};
use bailiwick_enforce::policies::Policies;
use bailiwick_enforce::ports::{
    Approver, Cataloguer, Labeller, Leased, Leaser, Listing, PolicySource, Question, Wanted,
};
use bailiwick_enforce::reevaluate::Backlog;
use bailiwick_enforce::{Gateway, Replica};
use bailiwick_policy::{Bundle, BundleSource};
use bailiwick_store::Observer;
use futures_util::future::BoxFuture;

/// People answer through control.
pub(super) struct People {
    pub(super) control: Control,
    pub(super) console_url: String,
}

impl Approver for People {
    fn ask(&self, question: Question) -> BoxFuture<'_, Result<Approval, Problem>> {
        Box::pin(self.control.ask(question))
    }

    fn settled(&self, id: ApprovalId) -> BoxFuture<'_, Result<Approval, Problem>> {
        Box::pin(self.control.settled_approval(id))
    }

    fn consume(
        &self,
        id: ApprovalId,
        call_digest: Digest,
    ) -> BoxFuture<'_, Result<Approval, Problem>> {
        Box::pin(self.control.consume(id, call_digest))
    }

    fn url(&self, id: ApprovalId) -> String {
        format!("{}/approvals/{id}", self.console_url)
    }
}

/// Credentials come from the broker.
pub(super) struct Credentials(pub(super) Broker);

impl Leaser for Credentials {
    fn lease(&self, want: Wanted) -> BoxFuture<'_, Result<Leased, Problem>> {
        Box::pin(async move {
            let credential = want.credential.clone();
            let leased = self.0.lease(want).await;
            let leased = leased.map_err(|error| error.problem())?;
            Ok(Leased {
                id: leased.id,
                credential,
                bearer: leased.bearer,
            })
        })
    }

    fn end(&self, lease: LeaseId, cause: &'static str) -> BoxFuture<'_, Result<(), Problem>> {
        Box::pin(async move {
            let ended = self.0.end_leases(&[LeasesOf::Lease(lease)], cause).await;
            ended.map(drop).map_err(|error| error.problem())
        })
    }
}

/// Definitions go to control.
pub(super) struct Definitions(pub(super) Control);

impl Cataloguer for Definitions {
    fn seen(&self, listing: Listing) -> BoxFuture<'_, Result<(), Problem>> {
        let seen = listing.tools.into_iter().map(|tool| Seen {
            name: tool.name,
            digest: tool.digest,
            definition: tool.definition,
        });
        let seen = seen.collect();
        Box::pin(self.0.seen(listing.server, seen))
    }
}

/// Labels go through control.
pub(super) struct Marks(pub(super) Control);

impl Labeller for Marks {
    fn task(
        &self,
        task: TaskId,
        labels: Labels,
        cause: EventId,
    ) -> BoxFuture<'_, Result<(), Problem>> {
        Box::pin(self.0.label_task(task, labels, cause))
    }

    fn items(
        &self,
        task: TaskId,
        keys: Vec<ItemKey>,
        labels: Labels,
        cause: EventId,
    ) -> BoxFuture<'_, Result<(), Problem>> {
        Box::pin(self.0.label_items(task, keys, labels, cause))
    }
}

/// Bundles come from the store, as they were published and signed.
pub(super) struct Bundles(pub(super) Publications);

impl PolicySource for Bundles {
    fn active(&self, version: Digest) -> BoxFuture<'_, Result<BundleSource, Problem>> {
        Box::pin(self.0.active(version))
    }

    fn tried(&self, version: Digest) -> BoxFuture<'_, Result<BundleSource, Problem>> {
        Box::pin(self.0.text(version))
    }
}

/// What control decides by is what the gateway compiled.
pub(super) struct Compiled {
    policies: Arc<Policies>,
    replica: Arc<Replica>,
}

impl Compiled {
    pub(super) fn of(policies: &Arc<Policies>, replica: &Arc<Replica>) -> Arc<Self> {
        Arc::new(Self {
            policies: Arc::clone(policies),
            replica: Arc::clone(replica),
        })
    }
}

impl ActivePolicy for Compiled {
    fn current(&self) -> BoxFuture<'_, Result<Arc<Bundle>, Problem>> {
        Box::pin(self.policies.for_acts(&self.replica))
    }
}

/// What people are asked about is judged where calls are decided.
pub(super) struct Judging(pub(super) Arc<Gateway>);

impl Judge for Judging {
    fn still_asks<'a>(&'a self, approval: &'a Approval) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(self.0.still_asks(approval))
    }

    fn worked_off(&self, seq: u64) {
        self.0.control_done(seq);
    }
}

/// What changes concern is decided again. The store keeps this: it must not lead back to it.
pub(super) struct Triggers(pub(super) Arc<Backlog>);

impl Observer for Triggers {
    fn committed(&self, changes: &[Change]) {
        self.0.add(changes);
    }
}

/// Fences cut what runs in this process.
pub(super) struct Here(pub(super) Arc<Replica>);

impl Cutter for Here {
    fn fence(&self, fences: &[Fence]) -> usize {
        self.0.fence_now(fences)
    }

    fn cut(&self, subjects: &[Subject]) -> usize {
        let live = self.0.live();
        subjects
            .iter()
            .map(|subject| live.end(subject, "it ended"))
            .sum()
    }

    fn outlived(&self) -> Vec<(u64, TaskId)> {
        self.0.outlived()
    }
}
