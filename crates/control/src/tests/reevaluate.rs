//! What control keeps while something above it changes.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use bailiwick_core::Code;
use bailiwick_core::agent::Agent;
use bailiwick_core::approval::{Approval, ApprovalState};
use bailiwick_core::event::{Event, EventType};
use bailiwick_core::id::{InstanceId, LeaseId};
use bailiwick_core::lease::{Delivery, Lease, LeaseClass, LeaseState, Wanted};
use bailiwick_core::risk::Risk;
use bailiwick_core::task::{Task, TaskState};
use bailiwick_policy::BundleSource;
use bailiwick_store::StoreError;
use futures_util::future::BoxFuture;

use super::bench_node::{Bench, admin, open, question};
use crate::leases::Holder;
use crate::reevaluate::{Judge, MAX_BEHIND, Reevaluated};
use crate::tasks::OpenTask;

/// An enforcement point that says of every question the same.
#[derive(Default)]
struct Point {
    falls: bool,
    judged: Mutex<Vec<Approval>>,
    upto: AtomicU64,
}

impl Judge for Point {
    fn still_asks<'a>(&'a self, approval: &'a Approval) -> BoxFuture<'a, Result<(), String>> {
        self.judged.lock().unwrap().push(approval.clone());
        let falls = self.falls;
        Box::pin(async move {
            if falls {
                Err("it changed".to_owned())
            } else {
                Ok(())
            }
        })
    }

    fn worked_off(&self, seq: u64) {
        self.upto.store(seq, Ordering::SeqCst);
    }
}

impl Bench {
    /// Works off what waits, as a node does that has just started.
    async fn again(&self, point: &Point) -> Reevaluated {
        let done = self.control.reevaluate_after(point, None).await.unwrap();
        assert_eq!(point.upto.load(Ordering::SeqCst), done.upto);
        done
    }

    async fn settle(&self) {
        self.again(&Point::default()).await;
    }

    /// The newest event of a type.
    pub(super) async fn newest(&self, kind: EventType) -> Event {
        let leaves = self.leaves().await;
        let mut events = leaves.into_iter().rev().map(|leaf| leaf.event);
        events.find(|event| event.kind == kind).unwrap()
    }

    async fn policy(&self, text: &str) {
        let files = [("bundle.toml", "name = \"site\"\n"), ("main.cedar", text)];
        let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
        let source = BundleSource::from_dir(files).unwrap();
        let published = self.control.publish_policy(&admin(), source, None).await;
        published.unwrap();
    }

    /// An active lease of a task for server `files`.
    pub(super) async fn leased(&self, task: &Task, number: u128) -> LeaseId {
        let lease = Lease {
            id: LeaseId::from_bits(number),
            credential: "files-key".parse().unwrap(),
            server: Some("files".parse().unwrap()),
            task: task.id,
            instance: Some(InstanceId::from_bits(9)),
            agent: task.agent.clone(),
            delivery: Delivery::Inject,
            class: LeaseClass::R0,
            remote: None,
            lineage: Vec::new(),
            idempotency_key: None,
            replaces: None,
            issued_at: None,
            acknowledged: false,
            revoked_at: None,
            evidence: None,
            state: LeaseState::Active,
            created_at: task.created_at,
            not_after: task.expires_at,
            cause: None,
            verified_at: None,
            version: 1,
        };
        let id = lease.id;
        let put = self.store.write(move |tx| tx.put_lease(&lease));
        put.await.unwrap();
        id
    }

    pub(super) async fn lease_state(&self, id: LeaseId) -> (LeaseState, Option<String>) {
        let lease = self.store.read(move |rows| rows.lease(id)).await;
        let lease: Option<Lease> = lease.map_err(|error: StoreError| error).unwrap();
        lease.map(|lease| (lease.state, lease.cause)).unwrap()
    }

    pub(super) async fn task_state(&self, task: &Task) -> TaskState {
        self.control.task(&admin(), task.id).await.unwrap().state
    }

    async fn risk(&self, task: &Task, risk: Risk) {
        let (id, reason) = (task.id, "odd".to_owned());
        self.control
            .set_risk(&admin(), id, risk, reason)
            .await
            .unwrap();
    }

    async fn change_agent(&self, change: impl Fn(&mut Agent) + Send + 'static) {
        let write = self.store.write(move |tx| {
            let mut agent = tx.agent(&"coder".parse().unwrap())?.unwrap();
            agent.version += 1;
            change(&mut agent);
            tx.put_agent(&agent)
        });
        write.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_agent_loses_its_tasks_and_their_leases_once_and_with_its_cause() {
    let bench = Bench::new().await;
    let task = bench.task().await;
    let lease = bench.leased(&task, 1).await;
    bench.settle().await;
    let coder = "coder".parse().unwrap();
    bench
        .control
        .set_agent_enabled(&admin(), coder, false)
        .await
        .unwrap();
    // The node stopped here: what it did not get to is done when it starts.
    let done = bench.again(&Point::default()).await;
    assert_eq!((done.tasks, done.leases), (1, 1));
    assert_eq!(bench.task_state(&task).await, TaskState::Revoked);
    let (state, cause) = bench.lease_state(lease).await;
    assert!(matches!(
        state,
        LeaseState::Revoking | LeaseState::Tombstone
    ));
    assert_eq!(cause.as_deref(), Some("no_longer_allowed"));
    let disabled = bench.newest(EventType::AgentChanged).await.id;
    for kind in [EventType::TaskEnded, EventType::LeaseRevoking] {
        assert_eq!(bench.newest(kind).await.cause, Some(disabled), "{kind:?}");
    }
    let once = bench.again(&Point::default()).await;
    assert_eq!((once.tasks, once.leases), (0, 0));
    // Enabling it again revives nothing.
    let coder = "coder".parse().unwrap();
    bench
        .control
        .set_agent_enabled(&admin(), coder, true)
        .await
        .unwrap();
    bench.settle().await;
    assert_eq!(bench.task_state(&task).await, TaskState::Revoked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ceiling_that_narrows_ends_what_goes_beyond_it_and_nothing_else() {
    let bench = Bench::new().await;
    let wide = bench.task().await;
    let reads = r#"{"grants":[{"server":["files"],"tool":["read_file"],"effects":["read"]}]}"#;
    let narrow = OpenTask {
        scope: Some(serde_json::from_str(reads).unwrap()),
        ..open("coder")
    };
    let narrow = bench.control.open_task(&admin(), narrow).await.unwrap();
    bench.settle().await;
    // Another change of the agent ends nothing.
    bench
        .change_agent(|agent| agent.base_risk = Risk::High)
        .await;
    assert_eq!(bench.again(&Point::default()).await.tasks, 0);
    bench
        .change_agent(|agent| {
            let reads = r#"[{"server":["files"],"tool":["read_*"],"effects":["read"]}]"#;
            let grants = serde_json::from_str(reads).unwrap();
            agent.ceiling = agent.ceiling.with_grants(grants).unwrap();
        })
        .await;
    assert_eq!(bench.again(&Point::default()).await.tasks, 1);
    assert_eq!(bench.task_state(&wide).await, TaskState::Revoked);
    assert_eq!(bench.task_state(&narrow).await, TaskState::Open);
}

const LOW_ONLY: &str = r#"
@id("lease/low") @reason("Only at low risk.")
forbid (principal, action == Bailiwick::Action::"lease", resource) when { context.bw.task.risk >= 2 };
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_falls_with_its_permission_and_its_task_goes_on() {
    let bench = Bench::new().await;
    let (task, other) = (bench.task().await, bench.task().await);
    let (lease, others) = (bench.leased(&task, 1).await, bench.leased(&other, 2).await);
    bench.policy(LOW_ONLY).await;
    assert_eq!(bench.again(&Point::default()).await.leases, 0);
    bench.risk(&task, Risk::High).await;
    let done = bench.again(&Point::default()).await;
    assert_eq!((done.leases, done.tasks), (1, 0));
    assert_ne!(bench.lease_state(lease).await.0, LeaseState::Active);
    assert_eq!(bench.lease_state(others).await.0, LeaseState::Active);
    let (raised, revoked) = (
        bench.newest(EventType::TaskChanged).await,
        bench.newest(EventType::LeaseRevoking).await,
    );
    assert_eq!(revoked.cause, Some(raised.id));
    // Policy that permits nothing of the kind takes the other one.
    bench
        .policy(&LOW_ONLY.replace("risk >= 2", "risk >= 0"))
        .await;
    assert_eq!(bench.again(&Point::default()).await.leases, 1);
    let revoked = bench.newest(EventType::LeaseRevoking).await;
    let published = bench.newest(EventType::PolicyPublished).await;
    assert_eq!(revoked.cause, Some(published.id));
}

/// Between the decision and the lease something changes: whoever works changes off has looked before there was a lease.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_was_decided_before_a_change_is_decided_once_more() {
    let bench = Bench::new().await;
    let task = bench.task().await;
    bench.policy(LOW_ONLY).await;
    let by = Holder {
        task: task.id,
        instance: InstanceId::from_bits(1),
        token: None,
    };
    let want = Wanted {
        server: Some("files".parse().unwrap()),
        credential: "files-key".parse().unwrap(),
        task: task.id,
        instance: by.instance,
        agent: task.agent.clone(),
        cause: None,
        delivery: Delivery::Inject,
        ttl: None,
        idempotency_key: None,
        lineage: Vec::new(),
        decision: None,
    };
    let head = || bench.store.read(|rows| Ok::<_, StoreError>(rows.head()));
    let decided = head().await.unwrap();
    let lease = bench.leased(&task, 1).await;
    let again = bench.control.still_leased(&by, &want, decided, lease).await;
    again.unwrap();
    bench.risk(&task, Risk::High).await;
    let again = bench.control.still_leased(&by, &want, decided, lease).await;
    assert_eq!(again.unwrap_err().code, Code::Forbidden);
    assert_ne!(bench.lease_state(lease).await.0, LeaseState::Active);
}

/// What would need a person by now is not asked about: it ends (decision 29).
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_would_need_a_person_by_now_ends() {
    let bench = Bench::new().await;
    let task = bench.task().await;
    bench.leased(&task, 1).await;
    bench.settle().await;
    let asks = LOW_ONLY.replace("@reason(", "@step_up(\"approval:approver\") @reason(");
    bench.policy(&asks.replace("risk >= 2", "risk >= 0")).await;
    assert_eq!(bench.again(&Point::default()).await.leases, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_would_not_be_asked_any_more_is_void() {
    let bench = Bench::new().await;
    let (task, other) = (bench.task().await, bench.task().await);
    let asked = bench.control.ask(question(&task, 1)).await.unwrap();
    bench.settle().await;
    bench.risk(&other, Risk::High).await;
    let falls = Point {
        falls: true,
        ..Point::default()
    };
    assert_eq!(bench.again(&falls).await.approvals, 0, "another task's");
    bench.risk(&task, Risk::High).await;
    let stands = Point::default();
    assert_eq!(bench.again(&stands).await.approvals, 0);
    assert_eq!(stands.judged.lock().unwrap()[0].id, asked.id);
    bench.risk(&task, Risk::Critical).await;
    assert_eq!(bench.again(&falls).await.approvals, 1);
    let known = bench.control.approval(&admin(), asked.id).await.unwrap();
    assert_eq!(known.approval.state, ApprovalState::Void);
    let (closed, changed) = (
        bench.newest(EventType::ApprovalClosed).await,
        bench.newest(EventType::TaskChanged).await,
    );
    assert_eq!(closed.cause, Some(changed.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_handed_on_falls_when_its_giver_could_not_hand_it_on_any_more() {
    let bench = Bench::new().await;
    let parent = bench.task().await;
    let child = OpenTask {
        parent: Some(parent.id),
        ..open("coder")
    };
    let child = bench.control.open_task(&admin(), child).await.unwrap();
    let below = OpenTask {
        parent: Some(child.id),
        ..open("coder")
    };
    // The agent's ceiling is two deep.
    let below = bench.control.open_task(&admin(), below).await.unwrap();
    bench.policy(r#"@id("d") @reason("At low risk alone.") forbid (principal, action == Bailiwick::Action::"delegate", resource) when { context.bw.task.risk >= 2 };"#).await;
    assert_eq!(bench.again(&Point::default()).await.tasks, 0);
    bench.risk(&parent, Risk::High).await;
    assert_eq!(bench.again(&Point::default()).await.tasks, 2);
    assert_eq!(bench.task_state(&parent).await, TaskState::Open);
    for task in [&child, &below] {
        assert_eq!(bench.task_state(task).await, TaskState::Revoked);
    }
    let raised = bench.newest(EventType::TaskChanged).await;
    assert_eq!(
        bench.newest(EventType::TaskEnded).await.cause,
        Some(raised.id)
    );
}

/// A node that is far behind decides everything again, and is not behind after that.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_far_behind_decides_everything_again() {
    let bench = Bench::new().await;
    let task = bench.task().await;
    bench.settle().await;
    bench.change_agent(|agent| agent.enabled = false).await;
    let many = bench.store.write(|tx| {
        for version in 0..MAX_BEHIND as u64 {
            let mut task = tx.task(tx.open_tasks()?[0].id)?.unwrap();
            task.version += 1;
            task.risk = if version % 2 == 0 {
                Risk::High
            } else {
                Risk::Low
            };
            tx.put_task(&task)?;
        }
        Ok::<_, StoreError>(())
    });
    many.await.unwrap();
    let done = bench.again(&Point::default()).await;
    assert_eq!((done.tasks, done.upto), (1, bench.store.head() - 1));
    assert_eq!(bench.task_state(&task).await, TaskState::Revoked);
}
