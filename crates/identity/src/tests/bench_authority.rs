//! An authority on a private store. Processes are made up: attestation of real ones is tested beside it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bailiwick_core::agent::Agent;
use bailiwick_core::event::Event;
use bailiwick_core::fence::{Fence, Subject};
use bailiwick_core::id::{FenceId, RevocationId, TaskId};
use bailiwick_core::risk::Risk;
use bailiwick_core::scope::{Bounds, Draft};
use bailiwick_core::server::{Server, Transport, Trust};
use bailiwick_core::task::{Request, RequestSource, Task, TaskState};
use bailiwick_core::{Clock, Digest, Timestamp};
use bailiwick_crypto::hash::scope_digest;
use bailiwick_crypto::seal::Seal;
use bailiwick_crypto::system::SystemRng;
use bailiwick_store::{Journal, Settled, Store, StoreError, Tx};

use crate::attest::Found;
use crate::authority::{Authority, Lives, Parts};

pub(super) const ISSUER: &str = "http://127.0.0.1:8420";
pub(super) const GATEWAY: &str = "http://127.0.0.1:8421";

pub(super) struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.load(Ordering::SeqCst)).unwrap())
    }
}

/// Keeps what is pushed, and can be broken.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) events: Mutex<Vec<Event>>,
    pub(super) broken: std::sync::atomic::AtomicBool,
}

impl Journal for Kept {
    fn push(&self, _: &mut dyn Tx, event: &Event) -> Result<(), StoreError> {
        self.events.lock().unwrap().push(event.clone());
        Ok(())
    }

    fn settled(&self) -> Settled {
        let broken = self.broken.load(Ordering::SeqCst);
        Box::pin(async move {
            if broken {
                return Err(bailiwick_core::Problem::new(
                    bailiwick_core::Code::AuditUnavailable,
                    "no log",
                    "",
                ));
            }
            Ok(())
        })
    }
}

/// An OAuth client that may have unbound tokens.
pub(super) const UNBOUND: &str = "desk";

pub(super) struct Bench {
    pub(super) authority: Authority,
    pub(super) store: Store,
    pub(super) journal: Arc<Kept>,
    pub(super) clock: Arc<TestClock>,
    _dir: tempfile::TempDir,
}

pub(super) fn found(pid: u32) -> Found {
    Found {
        pid,
        pid_start: 77,
        digest: Digest([5; 32]),
        selectors: vec![
            "unix:uid=1000".parse().unwrap(),
            "unix:path=/usr/bin/coder".parse().unwrap(),
            format!("unix:sha256={}", Digest([5; 32]).to_hex())
                .parse()
                .unwrap(),
        ],
    }
}

impl Bench {
    pub(super) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(
            dir.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o700),
        )
        .unwrap();
        let store = Store::open(dir.path(), bailiwick_store::Options::default()).unwrap();
        let clock = Arc::new(TestClock(AtomicI64::new(1_800_000_000_000_000)));
        let journal = Arc::new(Kept::default());
        let authority = Authority::open(Parts {
            store: store.clone(),
            journal: Arc::clone(&journal) as Arc<dyn Journal>,
            seal: Arc::new(Seal::create(&dir.path().join("seal.key"), &SystemRng).unwrap()),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            rng: Arc::new(SystemRng),
            trust_domain: "example.org".parse().unwrap(),
            issuer: ISSUER.into(),
            gateway: GATEWAY.into(),
            connectors: ["paid-api".parse().unwrap()].into(),
            unbound_clients: Arc::new([UNBOUND.parse().unwrap()].into()),
            lives: Lives {
                x509: Duration::from_hours(1),
                jwt: Duration::from_mins(5),
                task: Duration::from_mins(5),
                high_risk: Duration::from_mins(1),
            },
        })
        .await
        .unwrap();
        let bench = Self {
            authority,
            store,
            journal,
            clock,
            _dir: dir,
        };
        bench.agent("coder", &["unix:path=/usr/bin/coder"]).await;
        bench
    }

    pub(super) fn later(&self, by: Duration) {
        self.clock
            .0
            .fetch_add(i64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }

    pub(super) async fn agent(&self, name: &str, selectors: &[&str]) {
        let ceiling: Draft = serde_json::from_str(
            r#"{"grants":[{"server":["files"],"tool":["*"],"effects":["read"]}]}"#,
        )
        .unwrap();
        let agent = Agent {
            name: name.parse().unwrap(),
            owner: "team-dev".parse().unwrap(),
            selectors: selectors
                .iter()
                .map(|selector| selector.parse().unwrap())
                .collect(),
            ceiling: ceiling.fill(&Bounds::WIDEST).unwrap(),
            base_risk: Risk::Low,
            launch_uids: Vec::new(),
            enabled: true,
            created_at: self.clock.wall(),
            version: 1,
        };
        let server = Server {
            name: "files".parse().unwrap(),
            transport: Transport::Http {
                url: "http://127.0.0.1:9/mcp".into(),
            },
            trust: Trust::Reviewed,
            credential: None,
            labels: bailiwick_core::label::Labels::untrusted(),
            created_at: self.clock.wall(),
            version: 1,
        };
        self.store
            .write(move |tx| {
                if tx.server(&server.name)?.is_none() {
                    tx.put_server(&server)?;
                }
                let version = tx.agent(&agent.name)?.map_or(1, |known| known.version + 1);
                tx.put_agent(&Agent {
                    version,
                    ..agent.clone()
                })
            })
            .await
            .unwrap();
    }

    pub(super) async fn task(&self, agent: &str, risk: Risk) -> Task {
        let rows = self.store.read({
            let agent = agent.parse().unwrap();
            move |rows| rows.agent(&agent)
        });
        let ceiling = rows.await.unwrap().unwrap().ceiling;
        let now = self.clock.wall();
        let task = Task {
            id: TaskId::new(&*self.clock, &SystemRng),
            parent: None,
            ancestors: Vec::new(),
            agent: agent.parse().unwrap(),
            instance: None,
            user: "user:local:alice".parse().unwrap(),
            user_pseudonym: "usr_1".into(),
            request: Request {
                text: "fix it".into(),
                source: RequestSource::User,
            },
            workflow: "default".parse().unwrap(),
            stage: "run".parse().unwrap(),
            scope_digest: scope_digest(&ceiling),
            scope: ceiling,
            risk,
            labels: bailiwick_core::label::Labels::default(),
            lineage: Vec::new(),
            created_at: now,
            expires_at: now.plus(Duration::from_hours(1)),
            state: TaskState::Open,
            born_seq: 0,
            version: 1,
        };
        self.store
            .write(move |tx| {
                let task = Task {
                    born_seq: tx.head() + 1,
                    ..task.clone()
                };
                tx.put_task(&task)?;
                Ok::<_, StoreError>(task)
            })
            .await
            .unwrap()
    }

    pub(super) async fn fence(&self, subject: &str) -> Fence {
        let fence = Fence {
            id: FenceId::new(&*self.clock, &SystemRng),
            subject: subject.parse::<Subject>().unwrap(),
            seq: 0,
            lifted_seq: None,
            revocation: RevocationId::from_bits(1),
            reason: "INC-4".into(),
            actor: "uid:0".into(),
            set_at: self.clock.wall(),
        };
        self.put_fence(move |head| Fence {
            seq: head + 1,
            ..fence.clone()
        })
        .await
    }

    pub(super) async fn lift(&self, fence: Fence) {
        self.put_fence(move |head| Fence {
            lifted_seq: Some(head + 1),
            ..fence.clone()
        })
        .await;
    }

    async fn put_fence(&self, fence: impl Fn(u64) -> Fence + Send + 'static) -> Fence {
        self.store
            .write(move |tx| {
                let fence = fence(tx.head());
                tx.put_fence(&fence)?;
                Ok::<_, StoreError>(fence)
            })
            .await
            .unwrap()
    }
}
