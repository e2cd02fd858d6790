//! The process that `cargo xtask chaos broker` kills: a broker on a store of its own, and workers that lease roles of a PostgreSQL server and
//! end them as fast as they can. What it starts with it puts in order first and says `clean`; then it waits for a line, and every role that
//! a worker holds is told as `lease NAME SECRET`.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bailiwick_broker::backend::{Postgres, RoleOf, ServerAt, StaticSecret};
use bailiwick_broker::{Backends, Broker, LeasesOf, Parts, Template};
use bailiwick_core::agent::Agent;
use bailiwick_core::budget::Budget;
use bailiwick_core::event::Event;
use bailiwick_core::id::{InstanceId, TaskId};
use bailiwick_core::instance::{Instance, InstanceState, Place};
use bailiwick_core::label::Labels;
use bailiwick_core::lease::{Delivery, Wanted};
use bailiwick_core::risk::Risk;
use bailiwick_core::scope::{Bounds, Draft, Scope};
use bailiwick_core::task::{Request, RequestSource, Task, TaskState};
use bailiwick_core::{Clock, Digest, Secret, Timestamp};
use bailiwick_crypto::seal::Seal;
use bailiwick_crypto::system::{SystemClock, SystemRng};
use bailiwick_store::{Journal, Options, Settled, Store, StoreError, Tx};

type Failed = Box<dyn Error + Send + Sync>;

/// Leases of one task; then it ends, with what is live of it.
const PER_TASK: usize = 6;
/// Time between two looks at what is still live.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what: &str| arguments.next().ok_or_else(|| format!("no {what}"));
    let home = PathBuf::from(next("directory")?);
    let server = PathBuf::from(next("directory of the server")?);
    let workers: u32 = next("number of workers")?.parse()?;
    let store = Store::open(&home.join("data"), Options::default())?;
    let seal = Arc::new(Seal::open_or_create(&home.join("seal.key"), &SystemRng)?);
    let broker = Broker::new(Parts {
        store: store.clone(),
        seal: Arc::clone(&seal),
        journal: Arc::new(Kept),
        backends: backends(&store, &seal, &server)?,
        clock: Arc::new(SystemClock),
        rng: Arc::new(SystemRng),
    });
    populate(&store, &broker, &server).await?;
    broker.recover().await?;
    let running = broker.clone();
    tokio::spawn(async move { running.run(std::future::pending()).await });
    broker.end_leases(&[LeasesOf::Every], "restart").await?;
    while store
        .read(|rows| Ok::<_, StoreError>(!rows.live_leases()?.is_empty()))
        .await?
    {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    say("clean")?;
    let line = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
    line.await??;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..workers {
        let (store, broker) = (store.clone(), broker.clone());
        tasks.spawn(async move { work(&store, &broker).await });
    }
    // A worker that ends has failed.
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

async fn work(store: &Store, broker: &Broker) -> Result<(), Failed> {
    loop {
        let task = task();
        let id = task.id;
        let write = store.write(move |tx| tx.put_task(&task));
        write.await.map_err(|error: StoreError| error)?;
        for number in 0..PER_TASK {
            let taken = broker.take(wanted(id)).await?;
            broker.acknowledge(taken.lease.id, instance()).await?;
            let name = taken.access.get("username").map_or("", String::as_str);
            say(&format!("lease {name} {}", taken.secret.expose()))?;
            if number % 2 == 0 {
                broker
                    .end_leases(&[LeasesOf::Lease(taken.lease.id)], "done")
                    .await?;
            }
        }
        broker
            .end_leases(&[LeasesOf::Task(id)], "task_ended")
            .await?;
    }
}

fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

fn backends(store: &Store, seal: &Arc<Seal>, server: &Path) -> Result<Backends, Failed> {
    let directory = server.display().to_string().replace('/', "%2F");
    let at = ServerAt {
        url: format!("postgresql://bw_broker@{directory}:5432/postgres"),
        secret: Some("admin".parse()?),
        ca_file: None,
    };
    let role = RoleOf {
        group: "app_ro".to_owned(),
        owner: None,
        connections: 4,
        database: "postgres".to_owned(),
    };
    let template = Template {
        backend: "pg".parse()?,
        ttl: Duration::from_mins(10),
        max_live: 10_000,
        delivery: vec![Delivery::Api],
    };
    let values = Arc::new(StaticSecret::new(store.clone(), Arc::clone(seal)));
    let postgres = Postgres::new(&at, BTreeMap::from([("ro".parse()?, role)]), &values)?;
    Ok(Backends {
        credentials: BTreeMap::from([("ro".parse()?, template)]),
        remotes: BTreeMap::from([("pg".parse()?, Arc::new(postgres) as _)]),
    })
}

async fn populate(store: &Store, broker: &Broker, server: &Path) -> Result<(), Failed> {
    let password = Secret::new(std::fs::read(server.join("password"))?);
    let (broker, name) = (broker.clone(), "admin".parse()?);
    let agent = Agent {
        name: "coder".parse()?,
        owner: "team".parse()?,
        selectors: vec!["unix:uid=1000".parse()?],
        ceiling: scope(),
        base_risk: Risk::Low,
        launch_uids: Vec::new(),
        enabled: true,
        created_at: SystemClock.wall(),
        version: 1,
    };
    let write = store.write(move |tx| {
        if tx.agent(&agent.name)?.is_some() {
            return Ok(());
        }
        tx.put_agent(&agent)?;
        tx.put_instance(&Instance {
            id: instance(),
            agent: agent.name.clone(),
            selectors: Vec::new(),
            place: Place::Process {
                pid: 4_242,
                pid_start: 1,
            },
            state: InstanceState::Live,
            born_seq: tx.head() + 1,
            attested_at: agent.created_at,
            client: None,
        })?;
        let sealed = broker.seal_secret(tx, &name, &password);
        sealed
            .map(drop)
            .map_err(|error| StoreError::Unavailable(error.to_string()))
    });
    Ok(write.await?)
}

fn wanted(task: TaskId) -> Wanted {
    Wanted {
        server: None,
        credential: name("ro"),
        task,
        instance: instance(),
        agent: name("coder"),
        cause: None,
        delivery: Delivery::Api,
        ttl: None,
        idempotency_key: None,
        lineage: Vec::new(),
        decision: None,
    }
}

fn instance() -> InstanceId {
    InstanceId::from_bits(7)
}

fn task() -> Task {
    let now = SystemClock.wall();
    Task {
        id: TaskId::new(&SystemClock, &SystemRng),
        parent: None,
        ancestors: Vec::new(),
        agent: name("coder"),
        instance: Some(instance()),
        user: name("user:local:anna"),
        user_pseudonym: "usr_1".to_owned(),
        request: Request {
            text: "storm".to_owned(),
            source: RequestSource::User,
        },
        workflow: name("default"),
        stage: name("work"),
        scope: scope(),
        scope_digest: Digest([0; 32]),
        risk: Risk::Low,
        labels: Labels::default(),
        lineage: Vec::new(),
        created_at: now,
        expires_at: end_of(now),
        state: TaskState::Open,
        born_seq: 1,
        version: 1,
    }
}

fn end_of(now: Timestamp) -> Timestamp {
    now.plus(Duration::from_hours(1))
}

#[expect(clippy::expect_used, reason = "the names are written above")]
fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a name")
}

#[expect(clippy::expect_used, reason = "the scope is written here")]
fn scope() -> Scope {
    let draft = br#"{"grants":[{"server":["none"],"tool":["*"],"effects":["read"]}]}"#;
    let bounds = Bounds {
        budget: Budget::UNLIMITED,
        ..Bounds::WIDEST
    };
    let draft = Draft::from_json(draft).expect("a draft");
    draft.fill(&bounds).expect("a scope")
}

/// Events stay in the store: what becomes of them is another test's matter.
struct Kept;

impl Journal for Kept {
    fn push(&self, tx: &mut dyn Tx, event: &Event) -> Result<(), StoreError> {
        tx.outbox_push(event.id, event.kind.as_str().as_bytes())
    }

    fn settled(&self) -> Settled {
        Box::pin(std::future::ready(Ok(())))
    }
}
