//! A real store with one agent, its instance, a server and a task; time that the test moves; a journal that keeps what it is given.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bailiwick_core::agent::Agent;
use bailiwick_core::budget::Budget;
use bailiwick_core::event::Event;
use bailiwick_core::fence::{Fence, Subject};
use bailiwick_core::id::{FenceId, InstanceId, RevocationId, TaskId};
use bailiwick_core::instance::{Instance, InstanceState};
use bailiwick_core::label::Labels;
use bailiwick_core::lease::Lease;
use bailiwick_core::risk::Risk;
use bailiwick_core::scope::{Bounds, Draft};
use bailiwick_core::selector::Selector;
use bailiwick_core::server::{Server, Transport, Trust};
use bailiwick_core::task::{Request, RequestSource, Task, TaskState};
use bailiwick_core::{Clock, Code, Digest, Problem, Rng, Secret, Timestamp};
use bailiwick_crypto::seal::Seal;
use bailiwick_store::{Journal, Options, Settled, Store, StoreError, Tx};

use bailiwick_core::lease::Wanted;

use bailiwick_crypto::system::{SystemClock, SystemRng};

use crate::{Backends, Broker, Parts};

pub(crate) const CANARY: &str = "canary-9d1f2b7c";
const START: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Time that the test moves: from a fixed start, or ahead of the machine's own.
#[derive(Default)]
pub(crate) struct TestClock {
    moved: AtomicI64,
    real: bool,
}

impl TestClock {
    pub(crate) fn real() -> Self {
        Self {
            real: true,
            ..Self::default()
        }
    }

    pub(crate) fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap();
        self.moved.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn wall(&self) -> Timestamp {
        let start = if self.real { SystemClock.wall() } else { START };
        Timestamp::from_micros(start.as_micros() + self.moved.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        let moved = u64::try_from(self.moved.load(Ordering::SeqCst)).unwrap();
        let start = if self.real {
            SystemClock.monotonic()
        } else {
            Duration::ZERO
        };
        start + Duration::from_micros(moved)
    }
}

#[derive(Default)]
pub(crate) struct Counting(AtomicU64);

impl Rng for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        for byte in buffer {
            *byte = self.0.fetch_add(41, Ordering::SeqCst).to_be_bytes()[7];
        }
        // Ids have 74 random bits; the counter alone would repeat after 256 bytes.
        self.0.fetch_add(7, Ordering::SeqCst);
    }
}

#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) events: Mutex<Vec<Event>>,
    pub(crate) full: AtomicBool,
}

impl Journal for Kept {
    fn push(&self, tx: &mut dyn Tx, event: &Event) -> Result<(), StoreError> {
        tx.outbox_push(event.id, &serde_json::to_vec(event).unwrap())?;
        self.events.lock().unwrap().push(event.clone());
        Ok(())
    }

    fn settled(&self) -> Settled {
        let full = self.full.load(Ordering::SeqCst);
        let problem = Problem::new(Code::AuditUnavailable, "the log is full", "");
        Box::pin(std::future::ready(if full { Err(problem) } else { Ok(()) }))
    }
}

pub(crate) struct World {
    dir: PathBuf,
    /// Removed with it, if it is the world's own.
    own: Option<tempfile::TempDir>,
    pub(crate) store: Store,
    pub(crate) seal: Arc<Seal>,
    pub(crate) journal: Arc<Kept>,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) broker: Broker,
    pub(crate) task: Task,
}

impl World {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let rng = Arc::new(Counting::default());
        let clock = TestClock::default();
        let mut world = Self::open(dir.path(), clock, rng, |_, _| Backends::default());
        world.own = Some(dir);
        world.populate().await;
        world
    }

    /// In the machine's time, with backends that may open its sealed values; what the directory has is kept.
    pub(crate) fn real(dir: &Path, backends: impl FnOnce(&Store, &Arc<Seal>) -> Backends) -> Self {
        Self::open(dir, TestClock::real(), Arc::new(SystemRng), backends)
    }

    fn open(
        dir: &Path,
        clock: TestClock,
        rng: Arc<dyn Rng>,
        backends: impl FnOnce(&Store, &Arc<Seal>) -> Backends,
    ) -> Self {
        let data = dir.join("data");
        let store = Store::open(&data, Options::default()).unwrap();
        let seal = Seal::open_or_create(&dir.join("seal.key"), &*rng).unwrap();
        let (seal, clock) = (Arc::new(seal), Arc::new(clock));
        let journal = Arc::new(Kept::default());
        let broker = Broker::new(Parts {
            store: store.clone(),
            seal: Arc::clone(&seal),
            journal: journal.clone(),
            backends: backends(&store, &seal),
            clock: clock.clone(),
            rng: Arc::clone(&rng),
        });
        let task = task(1, clock.wall());
        Self {
            dir: dir.to_owned(),
            own: None,
            store,
            seal,
            journal,
            clock,
            rng,
            broker,
            task,
        }
    }

    pub(crate) async fn populate(&self) {
        let (task, broker) = (self.task.clone(), self.broker.clone());
        self.store
            .write(move |tx| {
                tx.put_agent(&agent())?;
                tx.put_instance(&instance(tx.head() + 1))?;
                tx.put_server(&server())?;
                tx.put_task(&task)?;
                let value = Secret::new(CANARY.as_bytes().to_vec());
                broker
                    .seal_secret(tx, &"files-token".parse().unwrap(), &value)
                    .unwrap();
                Ok::<_, StoreError>(())
            })
            .await
            .unwrap();
    }

    pub(crate) fn wanted(&self) -> Wanted {
        wanted(self.task.id)
    }

    pub(crate) async fn add_task(&self, number: u128) -> TaskId {
        let task = task(number, self.clock.wall());
        let id = task.id;
        let write = self.store.write(move |tx| tx.put_task(&task));
        write.await.unwrap();
        id
    }

    pub(crate) async fn end_task(&self) {
        let mut task = self.task.clone();
        task.end(TaskState::Completed).unwrap();
        let write = self.store.write(move |tx| tx.put_task(&task));
        write.await.unwrap();
    }

    pub(crate) async fn fence(&self, subject: Subject) {
        let write = self.store.write(move |tx| {
            let seq = tx.head() + 1;
            tx.put_fence(&fence(subject.clone(), seq))
        });
        write.await.unwrap();
    }

    pub(crate) async fn leases(&self) -> Vec<Lease> {
        let read = self
            .store
            .read(|rows| rows.leases(&bailiwick_store::LeaseFilter::default(), None, 100));
        read.await
            .unwrap_or_else(|error: StoreError| panic!("{error}"))
    }

    pub(crate) fn steps(&self) -> Vec<&'static str> {
        let events = self.journal.events.lock().unwrap();
        events.iter().map(|event| event.kind.as_str()).collect()
    }

    pub(crate) fn data(&self) -> &Path {
        &self.dir
    }
}

pub(crate) fn wanted(task: TaskId) -> Wanted {
    Wanted::injected(
        "files".parse().unwrap(),
        "files-token".parse().unwrap(),
        task,
        InstanceId::from_bits(7),
        "coder".parse().unwrap(),
        None,
    )
}

pub(crate) fn fence(subject: Subject, seq: u64) -> Fence {
    Fence {
        id: FenceId::from_bits(u128::from(seq)),
        subject,
        seq,
        lifted_seq: None,
        revocation: RevocationId::from_bits(1),
        reason: "INC-4".to_owned(),
        actor: "anna".to_owned(),
        set_at: START,
    }
}

fn agent() -> Agent {
    Agent {
        name: "coder".parse().unwrap(),
        owner: "team-dev".parse().unwrap(),
        selectors: vec!["unix:uid=1000".parse::<Selector>().unwrap()],
        ceiling: scope(),
        base_risk: Risk::Low,
        launch_uids: Vec::new(),
        enabled: true,
        created_at: START,
        version: 1,
    }
}

fn instance(born_seq: u64) -> Instance {
    Instance {
        id: InstanceId::from_bits(7),
        agent: "coder".parse().unwrap(),
        selectors: Vec::new(),
        place: bailiwick_core::instance::Place::Process {
            pid: 4_242,
            pid_start: 1,
        },
        state: InstanceState::Live,
        born_seq,
        attested_at: START,
        client: None,
    }
}

fn server() -> Server {
    Server {
        name: "files".parse().unwrap(),
        transport: Transport::Http {
            url: "http://127.0.0.1:1/mcp".to_owned(),
        },
        trust: Trust::Reviewed,
        credential: Some("files-token".parse().unwrap()),
        labels: Labels::untrusted(),
        created_at: START,
        version: 1,
    }
}

fn task(number: u128, now: Timestamp) -> Task {
    Task {
        id: TaskId::from_bits(number),
        parent: None,
        ancestors: Vec::new(),
        agent: "coder".parse().unwrap(),
        instance: Some(InstanceId::from_bits(7)),
        user: "user:local:anna".parse().unwrap(),
        user_pseudonym: "usr_1".to_owned(),
        request: Request {
            text: "fix issue 12".to_owned(),
            source: RequestSource::User,
        },
        workflow: "default".parse().unwrap(),
        stage: "work".parse().unwrap(),
        scope: scope(),
        scope_digest: Digest([0; 32]),
        risk: Risk::Low,
        labels: Labels::default(),
        lineage: Vec::new(),
        created_at: now,
        expires_at: now.plus(Duration::from_hours(1)),
        state: TaskState::Open,
        born_seq: 1,
        version: 1,
    }
}

fn scope() -> bailiwick_core::scope::Scope {
    let draft = br#"{"grants":[{"server":["files"],"tool":["*"],"effects":["read"]}]}"#;
    let bounds = Bounds {
        budget: Budget::UNLIMITED,
        ..Bounds::WIDEST
    };
    Draft::from_json(draft).unwrap().fill(&bounds).unwrap()
}
