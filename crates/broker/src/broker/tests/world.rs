//! A real store with one agent, its instance, a server and a task; time that the test moves; a journal that keeps what it is given.

use std::path::Path;
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

use crate::Broker;

pub(crate) const CANARY: &str = "canary-9d1f2b7c";
const START: Timestamp = Timestamp::from_secs(1_800_000_000);

#[derive(Default)]
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap();
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(START.as_micros() + self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.load(Ordering::SeqCst)).unwrap())
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
    pub(crate) dir: tempfile::TempDir,
    pub(crate) store: Store,
    pub(crate) seal: Arc<Seal>,
    pub(crate) journal: Arc<Kept>,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) rng: Arc<Counting>,
    pub(crate) broker: Broker,
    pub(crate) task: Task,
}

impl World {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let store = Store::open(&data, Options::default()).unwrap();
        let rng = Arc::new(Counting::default());
        let seal = Arc::new(Seal::create(&dir.path().join("seal.key"), &*rng).unwrap());
        let (journal, clock) = (Arc::new(Kept::default()), Arc::new(TestClock::default()));
        let broker = Broker::new(
            store.clone(),
            Arc::clone(&seal),
            journal.clone(),
            clock.clone(),
            rng.clone(),
        );
        let task = task(1);
        let world = Self {
            dir,
            store,
            seal,
            journal,
            clock,
            rng,
            broker,
            task,
        };
        world.populate().await;
        world
    }

    async fn populate(&self) {
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
        let task = task(number);
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
        self.dir.path()
    }
}

pub(crate) fn wanted(task: TaskId) -> Wanted {
    Wanted {
        server: "files".parse().unwrap(),
        credential: "files-token".parse().unwrap(),
        task,
        instance: InstanceId::from_bits(7),
        agent: "coder".parse().unwrap(),
        cause: None,
    }
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
        labels: bailiwick_core::label::Labels::untrusted(),
        created_at: START,
        version: 1,
    }
}

fn task(number: u128) -> Task {
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
        created_at: START,
        expires_at: START.plus(Duration::from_hours(1)),
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
