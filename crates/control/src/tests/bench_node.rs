//! A control plane on a private directory, with a clock that tests move.

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bailiwick_audit::seal::Kek;
use bailiwick_audit::{Leaf, Log, Options, Recorder};
use bailiwick_broker::Broker;
use bailiwick_core::approval::Question;
use bailiwick_core::decision::Needs;
use bailiwick_core::event::EventType;
use bailiwick_core::fence::{Fence, Subject};
use bailiwick_core::id::EventId;
use bailiwick_core::name::PointName;
use bailiwick_core::point::Registration;
use bailiwick_core::receipt::{self as receipts, Receipt};
use bailiwick_core::risk::Risk;
use bailiwick_core::task::{Request, RequestSource, Task};
use bailiwick_core::{Clock, Digest, Effect, Problem, Secret, Timestamp};
use bailiwick_crypto::keys::{Ed25519Key, SigningKey};
use bailiwick_crypto::note::NoteSigner;
use bailiwick_crypto::seal::Seal;
use bailiwick_crypto::system::SystemRng;
use bailiwick_crypto::token::{TokenError, receipt};
use bailiwick_policy::{Bundle, Registry, starter};
use bailiwick_store::{Journal, Store, StoreError};
use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;

use crate::agents::NewAgent;
use crate::outbox::Outbox;
use crate::points::{Points, Standing};
use crate::policies::Publications;
use crate::revocation::Receipts;
use crate::servers::NewServer;
use crate::sessions::SessionLives;
use crate::tasks::OpenTask;
use crate::tools::Seen;
use crate::{ActivePolicy, Actor, Control, Cutter, Parts};

pub(super) struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.load(Ordering::SeqCst)).unwrap())
    }
}

/// Stands for the enforcement point: remembers what it was told, in order.
#[derive(Default)]
pub(super) struct Point(
    pub(super) Mutex<Vec<String>>,
    /// What it says to have outlived its task.
    pub(super) Mutex<Vec<(u64, bailiwick_core::id::TaskId)>>,
);

impl Cutter for Point {
    fn fence(&self, fences: &[Fence]) -> usize {
        self.0.lock().unwrap().extend(
            fences
                .iter()
                .map(|fence| format!("fence {}", fence.subject)),
        );
        0
    }

    fn cut(&self, subjects: &[Subject]) -> usize {
        self.0
            .lock()
            .unwrap()
            .extend(subjects.iter().map(|subject| format!("cut {subject}")));
        subjects.len()
    }

    fn outlived(&self) -> Vec<(u64, bailiwick_core::id::TaskId)> {
        self.1.lock().unwrap().clone()
    }
}

/// The active bundle, compiled each time it is asked for.
struct Fresh {
    store: Store,
    publications: Publications,
}

impl ActivePolicy for Fresh {
    fn current(&self) -> BoxFuture<'_, Result<Arc<Bundle>, Problem>> {
        Box::pin(async {
            let read = self.store.read(|rows| {
                let registry = Registry {
                    agents: rows.agents()?,
                    servers: rows.servers()?,
                    tools: rows.tools(None)?,
                };
                Ok::<_, StoreError>((rows.active_policy()?, registry))
            });
            let (active, registry) = read.await.unwrap();
            let (digest, source) = match active {
                Some(active) => (
                    active.digest,
                    self.publications.active(active.digest).await?,
                ),
                None => (Digest([0; 32]), starter::none()),
            };
            Ok(Arc::new(
                Bundle::compile_lenient(&source, digest, &registry).unwrap(),
            ))
        })
    }
}

/// There are none elsewhere.
struct NoPoints;

impl Points for NoPoints {
    fn closed(&self, _: u64, _: Duration) -> BoxFuture<'_, Vec<receipts::Point>> {
        Box::pin(async { Vec::new() })
    }

    fn add(&self, _: &Registration, _: Digest) {}

    fn leave(&self, _: &PointName) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    fn standing(&self, _: &PointName) -> Standing {
        Standing::default()
    }

    fn keys(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Signs receipts with a key of its own.
pub(super) struct TestReceipts(pub(super) SigningKey);

impl Receipts for TestReceipts {
    fn issuer(&self) -> &'static str {
        "https://bailiwick.example"
    }

    fn sign(&self, receipt: &Receipt) -> Result<String, TokenError> {
        receipt::issue(&self.0, receipt)
    }
}

pub(super) struct Bench {
    pub(super) control: Control,
    pub(super) store: Store,
    pub(super) point: Arc<Point>,
    pub(super) publications: Publications,
    pub(super) receipts: Arc<TestReceipts>,
    pub(super) log: Arc<Log>,
    pub(super) clock: Arc<TestClock>,
    outbox: JoinHandle<()>,
    _dir: tempfile::TempDir,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.outbox.abort();
    }
}

pub(super) fn admin() -> Actor {
    Actor::unix(0)
}

pub(super) fn person(name: &str, roles: &[bailiwick_core::account::Role]) -> Actor {
    Actor {
        name: name.to_owned(),
        roles: roles.to_vec(),
        account: None,
        uid: None,
    }
}

pub(super) fn open(agent: &str) -> OpenTask {
    OpenTask {
        agent: agent.parse().unwrap(),
        user: "user:local:alice".parse().unwrap(),
        request: Request {
            text: "fix issue 12".into(),
            source: RequestSource::User,
        },
        workflow: None,
        scope: None,
        ttl: None,
        parent: None,
    }
}

/// The digest of the call that [`question`] is about.
pub(super) const CALL: Digest = Digest([9; 32]);

/// A call of a task that needs people.
pub(super) fn question(task: &Task, quorum: u32) -> Question {
    Question {
        call_digest: CALL,
        task: task.id,
        agent: task.agent.clone(),
        user: task.user.clone(),
        tool: "files/write_file".parse().unwrap(),
        effect: Effect::Write,
        definition: Digest([2; 32]),
        arguments: r#"{"path":"a"}"#.into(),
        reasons: Vec::new(),
        needs: Needs {
            all_of: vec!["approval:approver".into()],
            any_of: Vec::new(),
            quorum,
            valid_s: 60,
            standing: 0,
        },
        risk: Risk::Low,
        cause: EventId::from_bits(1),
    }
}

fn log(dir: &Path, clock: Arc<TestClock>) -> Arc<Log> {
    let signer = NoteSigner::new("example.org/node-1", Ed25519Key::generate().unwrap()).unwrap();
    let kek = Kek {
        id: 1,
        key: Secret::new([7; 32]),
    };
    let mut options = Options::new(
        dir.join("audit"),
        "node-1".into(),
        signer,
        kek,
        clock,
        Arc::new(SystemRng),
    );
    options.segment_size = 2 << 20;
    options.min_free = 0;
    Arc::new(Log::open(options).unwrap())
}

impl Bench {
    /// A node with agent `coder` (owner `team-dev`), server `files` and its approved tools `read_file` and `write_file`.
    pub(super) async fn new() -> Self {
        Self::on(|data| Store::open(data, bailiwick_store::Options::default()).unwrap()).await
    }

    /// The same on a store of the caller's.
    pub(super) async fn on(open: impl FnOnce(&Path) -> Store) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock(AtomicI64::new(1_800_000_000_000_000)));
        let data = dir.path().join("data");
        std::fs::create_dir(&data).unwrap();
        std::fs::set_permissions(&data, std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .unwrap();
        let store = open(&data);
        let seal = Arc::new(Seal::create(&data.join("seal.key"), &SystemRng).unwrap());
        let log = log(&data, Arc::clone(&clock));
        let recorder: Arc<dyn Recorder> = Arc::new(Arc::clone(&log));
        let outbox = Outbox::new(
            store.clone(),
            recorder,
            Arc::clone(&seal),
            Arc::new(SystemRng),
        );
        let journal: Arc<dyn Journal> = Arc::clone(&outbox) as Arc<dyn Journal>;
        let broker = Broker::new(bailiwick_broker::Parts {
            store: store.clone(),
            seal,
            journal: Arc::clone(&journal),
            backends: bailiwick_broker::Backends::default(),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            rng: Arc::new(SystemRng),
        });
        let point = Arc::new(Point::default());
        let signer = NoteSigner::new("example.org/node-1/policy", Ed25519Key::generate().unwrap());
        let publications = Publications::new(store.clone(), signer.unwrap()).unwrap();
        let receipts = Arc::new(TestReceipts(SigningKey::generate().unwrap()));
        let control = Control::new(Parts {
            store: store.clone(),
            journal,
            broker,
            blobs: log.directory().blobs(),
            publications: publications.clone(),
            policy: Arc::new(Fresh {
                store: store.clone(),
                publications: publications.clone(),
            }),
            cutter: Arc::clone(&point) as Arc<dyn Cutter>,
            point: log.origin().to_owned(),
            points: Arc::new(NoPoints),
            receipts: Arc::clone(&receipts) as Arc<dyn Receipts>,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            rng: Arc::new(SystemRng),
            max_depth: 4,
            sessions: SessionLives {
                idle: Duration::from_mins(30),
                absolute: Duration::from_hours(12),
            },
            signers: Vec::new(),
        });
        let running = tokio::spawn(async move { outbox.run(std::future::pending()).await });
        let bench = Self {
            control,
            store,
            point,
            publications,
            receipts,
            log,
            clock,
            outbox: running,
            _dir: dir,
        };
        bench.furnish().await;
        bench
    }

    async fn furnish(&self) {
        self.agent("coder").await;
        let server = NewServer {
            name: "files".parse().unwrap(),
            transport: bailiwick_core::server::Transport::Http {
                url: "http://127.0.0.1:9/mcp".into(),
            },
            trust: bailiwick_core::server::Trust::FirstParty,
            credential: None,
            labels: bailiwick_core::label::Labels::untrusted(),
        };
        self.control.add_server(&admin(), server).await.unwrap();
        self.control
            .seen(
                "files".parse().unwrap(),
                vec![seen("read_file", 1), seen("write_file", 2)],
            )
            .await
            .unwrap();
        for (tool, effect) in [
            ("files/read_file", Effect::Read),
            ("files/write_file", Effect::Write),
        ] {
            self.control
                .accept_tool(&admin(), tool.parse().unwrap(), Some(effect), None)
                .await
                .unwrap();
        }
    }

    pub(super) async fn agent(&self, name: &str) {
        let agent = new_agent(name);
        self.control.register(&admin(), agent).await.unwrap();
    }

    pub(super) async fn task(&self) -> Task {
        self.control
            .open_task(&admin(), open("coder"))
            .await
            .unwrap()
    }

    pub(super) fn later(&self, by: Duration) {
        self.clock
            .0
            .fetch_add(i64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }

    /// Everything on the log once what was written so far is on it.
    pub(super) async fn leaves(&self) -> Vec<Leaf> {
        self.control.settled().await.unwrap();
        self.log
            .read(0)
            .map(|entry| entry.unwrap().parse().unwrap())
            .collect()
    }

    pub(super) async fn recorded(&self, kind: EventType) -> usize {
        self.leaves()
            .await
            .iter()
            .filter(|leaf| leaf.event.kind == kind)
            .count()
    }
}

pub(super) fn new_agent(name: &str) -> NewAgent {
    NewAgent {
        name: name.parse().unwrap(),
        owner: "team-dev".parse().unwrap(),
        selectors: vec!["unix:uid=1000".parse().unwrap()],
        ceiling: serde_json::from_str(
            r#"{"grants":[{"server":["files"],"tool":["*"],"effects":["read","write"]}],"depth":2}"#,
        )
        .unwrap(),
        base_risk: Risk::Low,
        launch_uids: vec![1000],
    }
}

pub(super) fn seen(name: &str, digest: u8) -> Seen {
    Seen {
        name: name.parse().unwrap(),
        digest: Digest([digest; 32]),
        definition: format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#),
    }
}
