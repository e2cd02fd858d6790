//! Ports that remember what they were asked.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bailiwick_audit::record::Recording;
use bailiwick_audit::record::Unavailable;
use bailiwick_audit::{Class, Receipt, RecordError, Recorder};
use bailiwick_core::approval::{Approval, ApprovalState};
use bailiwick_core::change::{Change, ChangeBody};
use bailiwick_core::event::{Event, EventType, Status};
use bailiwick_core::id::{ApprovalId, EventId, LeaseId, TaskId};
use bailiwick_core::item::{Item, ItemKey};
use bailiwick_core::label::Labels;
use bailiwick_core::task::Task;
use bailiwick_core::{Clock, Code, Digest, Fault, Problem, Secret, Timestamp};
use bailiwick_crypto::system::SystemClock;
use bailiwick_policy::{BundleSource, starter};
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::Replica;
use crate::egress::Connector;
use crate::ports::{
    Approver, Cataloguer, Labeller, Leased, Leaser, Listing, Outgoing, PolicySource, Question,
    Upstream, UpstreamError, Upstreams, Wanted,
};

/// A record in memory.
#[derive(Default)]
pub(crate) struct FakeRecorder {
    pub(crate) events: Mutex<Vec<Event>>,
    pub(crate) full: AtomicBool,
}

impl FakeRecorder {
    pub(crate) fn kinds(&self) -> Vec<EventType> {
        self.events
            .lock()
            .unwrap()
            .iter()
            .map(|event| event.kind)
            .collect()
    }

    /// The operations of events of this type.
    pub(crate) fn operations(&self, kind: EventType) -> Vec<String> {
        let events = self.events.lock().unwrap();
        let of_kind = events.iter().filter(|event| event.kind == kind);
        of_kind
            .filter_map(|event| Some(event.action.as_ref()?.op.clone()))
            .collect()
    }

    /// How each call that was let through ended.
    pub(crate) fn outcomes(&self) -> Vec<Status> {
        let events = self.events.lock().unwrap();
        let results = events
            .iter()
            .filter(|event| event.kind == EventType::ToolResult);
        results
            .filter_map(|event| Some(event.outcome.as_ref()?.status))
            .collect()
    }
}

impl Recorder for FakeRecorder {
    fn record(&self, event: Event, class: Class) -> Recording {
        if self.full.load(Ordering::SeqCst) && class == Class::Grant {
            return Box::pin(async { Err(RecordError::Unavailable(Unavailable::Degraded)) });
        }
        let mut events = self.events.lock().unwrap();
        let receipt = Receipt {
            origin: Arc::from("test.example/node"),
            index: events.len() as u64,
            leaf_hash: Digest([0; 32]),
            batch: 0,
            event: event.id,
        };
        events.push(event);
        Box::pin(async { Ok(receipt) })
    }
}

/// People who answer when the test says so.
pub(crate) struct FakeApprover {
    pub(crate) current: watch::Sender<Option<Approval>>,
}

impl Default for FakeApprover {
    fn default() -> Self {
        Self {
            current: watch::Sender::new(None),
        }
    }
}

impl FakeApprover {
    /// Answers the approval that is pending, once there is one.
    pub(crate) async fn answer(&self, state: ApprovalState) {
        let mut current = self.current.subscribe();
        current.wait_for(Option::is_some).await.unwrap();
        self.current
            .send_modify(|approval| approval.as_mut().unwrap().state = state);
    }
}

impl Approver for FakeApprover {
    fn ask(&self, question: Question) -> BoxFuture<'_, Result<Approval, Problem>> {
        self.current.send_if_modified(|current| {
            let joins = current
                .as_ref()
                .is_some_and(|known| known.call_digest == question.call_digest);
            if !joins {
                *current = Some(approval(&question));
            }
            !joins
        });
        let asked = self.current.borrow().clone().unwrap();
        Box::pin(async { Ok(asked) })
    }

    fn settled(&self, _: ApprovalId) -> BoxFuture<'_, Result<Approval, Problem>> {
        let mut current = self.current.subscribe();
        Box::pin(async move {
            let settled = |known: &Option<Approval>| {
                known
                    .as_ref()
                    .is_some_and(|known| known.state != ApprovalState::Pending)
            };
            Ok(current.wait_for(settled).await.unwrap().clone().unwrap())
        })
    }

    fn consume(
        &self,
        _: ApprovalId,
        call_digest: Digest,
    ) -> BoxFuture<'_, Result<Approval, Problem>> {
        let mut result = None;
        self.current.send_modify(|current| {
            let approval = current.as_mut().unwrap();
            result = Some(
                approval
                    .consume(call_digest, SystemClock.wall())
                    .map(|()| approval.clone()),
            );
        });
        Box::pin(async { result.unwrap().map_err(|error| error.problem()) })
    }

    fn url(&self, id: ApprovalId) -> String {
        format!("http://127.0.0.1:8420/approvals/{id}")
    }
}

fn approval(question: &Question) -> Approval {
    let now = SystemClock.wall();
    Approval {
        id: ApprovalId::from_bits(5),
        call_digest: question.call_digest,
        task: question.task,
        agent: question.agent.clone(),
        user: question.user.clone(),
        opened_by: None,
        tool: question.tool.clone(),
        effect: question.effect,
        definition: question.definition,
        arguments: question.arguments.clone(),
        reasons: question.reasons.clone(),
        discharges: question
            .needs
            .all_of
            .iter()
            .chain(question.needs.any_of.first())
            .cloned()
            .collect(),
        risk: question.risk,
        quorum: question.needs.quorum,
        votes: Vec::new(),
        state: ApprovalState::Pending,
        requested_at: now,
        expires_at: now.plus(std::time::Duration::from_mins(5)),
        valid_s: 300,
        standing_at_most: 0,
        standing: None,
        under: None,
        version: 1,
    }
}

/// Gives one secret, and keeps what it was asked for.
#[derive(Default)]
pub(crate) struct FakeLeaser {
    pub(crate) wanted: Mutex<Vec<Wanted>>,
}

impl Leaser for FakeLeaser {
    fn lease(&self, want: Wanted) -> BoxFuture<'_, Result<Leased, Problem>> {
        self.wanted.lock().unwrap().push(want.clone());
        let bearer = Secret::new("leased-secret".to_owned());
        Box::pin(async {
            Ok(Leased {
                id: LeaseId::from_bits(6),
                credential: want.credential,
                bearer,
            })
        })
    }

    fn end(&self, _: LeaseId, _: &'static str) -> BoxFuture<'_, Result<(), Problem>> {
        Box::pin(async { Ok(()) })
    }
}

/// No connector is reached.
pub(crate) struct NoUpstreams;

impl Upstreams for NoUpstreams {
    fn send<'a>(
        &'a self,
        _: &'a Connector,
        _: Outgoing,
    ) -> BoxFuture<'a, Result<Upstream, UpstreamError>> {
        Box::pin(async { Err(UpstreamError::Timeout) })
    }
}

/// Keeps what servers showed.
#[derive(Default)]
pub(crate) struct FakeCataloguer {
    pub(crate) listings: Mutex<Vec<Listing>>,
}

impl Cataloguer for FakeCataloguer {
    fn seen(&self, listing: Listing) -> BoxFuture<'_, Result<(), Problem>> {
        self.listings.lock().unwrap().push(listing);
        Box::pin(async { Ok(()) })
    }
}

/// Keeps labels as the store does, and tells the replica.
pub(crate) struct FakeLabeller {
    pub(crate) replica: Arc<Replica>,
    /// What it was asked to do, in order.
    pub(crate) asked: Mutex<Vec<String>>,
    /// Nothing can be made durable.
    pub(crate) full: AtomicBool,
    /// Nothing is durable before this is false.
    pub(crate) held: watch::Sender<bool>,
}

impl FakeLabeller {
    pub(crate) fn new(replica: Arc<Replica>) -> Self {
        Self {
            replica,
            asked: Mutex::default(),
            full: AtomicBool::new(false),
            held: watch::Sender::new(false),
        }
    }

    async fn commit(&self, asked: String, bodies: Vec<ChangeBody>) -> Result<(), Problem> {
        if self.full.load(Ordering::SeqCst) {
            return Err(Problem::new(Code::AuditUnavailable, "no space is left", ""));
        }
        self.asked.lock().unwrap().push(asked);
        self.held.subscribe().wait_for(|held| !held).await.unwrap();
        for body in bodies {
            let seq = self.replica.applied() + 1;
            self.replica.apply(&[Change {
                seq,
                body,
                event: None,
            }]);
        }
        Ok(())
    }
}

impl Labeller for FakeLabeller {
    fn task(&self, task: TaskId, labels: Labels, _: EventId) -> BoxFuture<'_, Result<(), Problem>> {
        let row = self
            .replica
            .view(|state| Task::clone(state.task(task).unwrap()));
        let mut row = row.unwrap();
        row.labels.join(&labels);
        row.version += 1;
        Box::pin(self.commit(format!("task {labels}"), vec![ChangeBody::Task(row)]))
    }

    fn items(
        &self,
        task: TaskId,
        keys: Vec<ItemKey>,
        labels: Labels,
        event: EventId,
    ) -> BoxFuture<'_, Result<(), Problem>> {
        let asked = format!("{} items {labels}", keys.len());
        let items = keys.into_iter().map(|key| {
            let before = self.replica.view(|state| state.items().of(&key));
            let mut all = before.unwrap();
            all.join(&labels);
            ChangeBody::Item(Item {
                key,
                labels: all,
                task,
                event,
                changed_at: Timestamp::default(),
                version: 1,
            })
        });
        Box::pin(self.commit(asked, items.collect()))
    }
}

/// The policy of a new node.
pub(crate) struct BasePolicy;

/// The version of that policy which forbids everything.
pub(crate) const NOTHING: Digest = Digest([8; 32]);

/// A workflow whose first stage has no use for `put`.
const STAGED: &str = r#"
name = "staged"

[[stage]]
name = "plan"
cap = { grants = [{ server = ["tools"], tool = ["get"], effects = ["read"] }] }

[[stage]]
name = "execute"
"#;

/// A task with the label `no-lease` gets no credential.
const NO_LEASE: &str = r#"
@id("test/no-lease")
@reason("This task gets no credential.")
forbid (principal, action == Bailiwick::Action::"lease", resource == Bailiwick::Credential::"tools-key")
when { context.bw.task.labels.contains("no-lease") && context.input.server == Bailiwick::Server::"tools" };
"#;

/// What calls are about: one note is closed to all, and a task with the label `no-pii` is kept from what holds such data.
const ABOUT: &str = r#"
@id("test/closed") @reason("This note is closed.")
forbid (principal, action in Bailiwick::Action::"use", resource)
when { context.bw has items && context.bw.items.names.contains(Bailiwick::Item::"tools/note/closed") };
@id("test/no-pii") @reason("No personal data.")
forbid (principal, action in Bailiwick::Action::"use", resource)
when { context.bw.task.labels.contains("no-pii") && context.bw has items && context.bw.items.labels.contains("pii") };
"#;

/// With the label `scanned`, nothing runs in which a scan found something of high severity.
const SCANNED: &str = r#"
@id("test/scanned")
@reason("This code was not found clean.")
forbid (principal, action in Bailiwick::Action::"use", resource)
when { context.bw.task.labels.contains("scanned") }
unless { context.bw has evidence && context.bw.evidence.open_high == 0 };
"#;

/// With the label `far`, what policy knows of a caller keeps it from resources.
const FAR: &str = r#"
@id("test/far")
@reason("This caller reads no resources.")
forbid (principal, action == Bailiwick::Action::"resource_read", resource)
when {
  context.bw.task.labels.contains("far") &&
  context.bw has session && context.bw.session == {binding: "peer", network: "loopback"} &&
  context.bw has attested && context.bw.attested.age_s >= 0 &&
  context.bw has budget_left && context.bw.budget_left.calls == 50 &&
  context.bw has history && context.bw.history.refused == 0 &&
  context.bw.task has denied && context.bw.task.denied == 0
};
"#;

/// Who has the label `asks` may be asked; nobody else.
const ASKS: &str = r#"
@id("test/asks")
@reason("This task's user answers questions.")
permit (principal, action in [Bailiwick::Action::"sample", Bailiwick::Action::"elicit"], resource == Bailiwick::Server::"tools")
when { context.bw.task.labels.contains("asks") };
"#;

/// What is secret is no resource for agents.
const NO_SECRETS: &str = r#"
@id("test/fetch")
@reason("Agents may take prompts and read resources.")
permit (principal, action in [Bailiwick::Action::"prompt", Bailiwick::Action::"resource_read"], resource);

@id("test/no-secrets")
@reason("Secrets are for people.")
@fix("Ask for what you need.")
forbid (principal, action == Bailiwick::Action::"resource_read", resource == Bailiwick::Server::"tools")
when { context.input.uri like "secret://*" };
"#;

/// What a task's labels say its calls of `get` owe.
const DUTIES: &str = r#"
@id("test/rate") @reason("Not so often.") @duty("rate:2/1h")
forbid (principal, action == Bailiwick::Action::"tools/get", resource) when { context.bw.task.labels.contains("rated") };
@id("test/notify") @reason("The team wants to know.") @duty("notify:team")
forbid (principal, action == Bailiwick::Action::"tools/get", resource) when { context.bw.task.labels.contains("told") };
@id("test/redact") @reason("No personal data.") @duty("redact:pii")
forbid (principal, action == Bailiwick::Action::"tools/get", resource) when { context.bw.task.labels.contains("redacted") };
@id("test/label") @reason("Ours.") @duty("label:internal")
forbid (principal, action == Bailiwick::Action::"tools/get", resource) when { context.bw.task.labels.contains("marked") };
@id("test/weak") @reason("Nothing stands behind it.") @step_up("approval:approver")
forbid (principal, action, resource)
when { context.bw.task.labels.contains("judged") && context.bw has provenance && !context.bw.provenance.weak.isEmpty() };
@id("test/again") @reason("It was refused.")
forbid (principal, action, resource)
when { context.bw has provenance && !context.bw.provenance.refused.isEmpty() };
"#;

impl PolicySource for BasePolicy {
    fn tried(&self, version: Digest) -> BoxFuture<'_, Result<BundleSource, Problem>> {
        self.active(version)
    }

    fn active(&self, version: Digest) -> BoxFuture<'_, Result<BundleSource, Problem>> {
        let mut source = starter::base();
        if version == NOTHING {
            let nothing = r#"@id("test/nothing") @reason("Not today.") forbid (principal, action, resource);"#;
            source
                .files
                .insert("nothing.cedar".to_owned(), nothing.to_owned());
        }
        source
            .files
            .insert("workflows/staged.toml".to_owned(), STAGED.to_owned());
        source
            .files
            .insert("leases.cedar".to_owned(), NO_LEASE.to_owned());
        source
            .files
            .insert("secrets.cedar".to_owned(), NO_SECRETS.to_owned());
        source
            .files
            .insert("asks.cedar".to_owned(), ASKS.to_owned());
        source.files.insert("far.cedar".to_owned(), FAR.to_owned());
        source
            .files
            .insert("scanned.cedar".to_owned(), SCANNED.to_owned());
        source
            .files
            .insert("about.cedar".to_owned(), ABOUT.to_owned());
        source
            .files
            .insert("duties.cedar".to_owned(), DUTIES.to_owned());
        Box::pin(async { Ok(source) })
    }
}
