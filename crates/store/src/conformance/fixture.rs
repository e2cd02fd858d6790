//! Things to store, and short ways to write and read them.

use std::sync::{Arc, Mutex};

use bailiwick_core::account::{Account, Role};
use bailiwick_core::agent::Agent;
use bailiwick_core::approval::{Approval, ApprovalState};
use bailiwick_core::binding::Binding;
use bailiwick_core::change::Change;
use bailiwick_core::definition::{Tool, ToolState};
use bailiwick_core::effect::Effect;
use bailiwick_core::fence::{Fence, Subject};
use bailiwick_core::id::{Id, Kind};
use bailiwick_core::instance::{Instance, InstanceState};
use bailiwick_core::item::{Item, ItemKey};
use bailiwick_core::label::Labels;
use bailiwick_core::lease::{Lease, LeaseState};
use bailiwick_core::risk::Risk;
use bailiwick_core::scope::Scope;
use bailiwick_core::server::{Server, Transport, Trust};
use bailiwick_core::task::{Request, RequestSource, Task, TaskState};
use bailiwick_core::{Digest, Timestamp};

use crate::{Observer, Reads, Store, StoreError, Tx};

pub(crate) async fn write<T: Send + 'static>(
    store: &Store,
    closure: impl Fn(&mut dyn Tx) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    store.write(closure).await
}

pub(crate) async fn read<T: Send + 'static>(
    store: &Store,
    closure: impl FnOnce(&dyn Reads) -> Result<T, StoreError> + Send + 'static,
) -> T {
    store.read(closure).await.unwrap()
}

/// An id with these bits.
pub(crate) fn id<K: Kind>(bits: u128) -> Id<K> {
    Id::from_bits(bits)
}

pub(crate) fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

pub(crate) fn digest(byte: u8) -> Digest {
    Digest([byte; 32])
}

pub(crate) fn scope() -> Scope {
    serde_json::from_str(
        r#"{"grants":[{"server":["github"],"tool":["get_*"],"effects":["read"]}],
            "budget":{"calls":9007199254740993},"deadline":"2030-01-01T00:00:00Z","depth":2}"#,
    )
    .unwrap()
}

pub(crate) fn agent(name: &str, version: u64) -> Agent {
    Agent {
        name: name.parse().unwrap(),
        owner: "team".parse().unwrap(),
        selectors: vec![
            "unix:uid=1000".parse().unwrap(),
            "unix:path=/usr/bin/ü".parse().unwrap(),
        ],
        ceiling: scope(),
        base_risk: Risk::Low,
        launch_uids: vec![1000],
        enabled: true,
        created_at: at(1),
        version,
    }
}

pub(crate) fn instance(bits: u128, pid: u32, born_seq: u64) -> Instance {
    Instance {
        id: id(bits),
        agent: "coder".parse().unwrap(),
        selectors: vec!["unix:uid=1000".parse().unwrap()],
        place: bailiwick_core::instance::Place::Process { pid, pid_start: 77 },
        state: InstanceState::Live,
        born_seq,
        attested_at: at(2),
        client: None,
    }
}

/// A root task.
pub(crate) fn task(bits: u128) -> Task {
    Task {
        id: id(bits),
        parent: None,
        ancestors: Vec::new(),
        agent: "coder".parse().unwrap(),
        instance: None,
        user: "user:local:alice".parse().unwrap(),
        user_pseudonym: "usr_1".to_owned(),
        request: Request {
            text: "Fix \"12\"\u{0}\u{1f512}".to_owned(),
            source: RequestSource::User,
        },
        workflow: "default".parse().unwrap(),
        stage: "run".parse().unwrap(),
        scope: scope(),
        scope_digest: digest(1),
        risk: Risk::Medium,
        labels: serde_json::from_str(r#"["pii","untrusted"]"#).unwrap(),
        lineage: Vec::new(),
        created_at: at(3),
        expires_at: at(1_000),
        state: TaskState::Open,
        born_seq: 0,
        version: 1,
    }
}

/// A task delegated from `parent`.
pub(crate) fn child(bits: u128, parent: &Task) -> Task {
    let ancestors = parent
        .ancestors
        .iter()
        .copied()
        .chain([parent.id])
        .collect();
    Task {
        parent: Some(parent.id),
        ancestors,
        agent: "helper".parse().unwrap(),
        ..task(bits)
    }
}

pub(crate) fn server(name: &str, version: u64) -> Server {
    Server {
        name: name.parse().unwrap(),
        transport: Transport::Http {
            url: "http://127.0.0.1:9/mcp".to_owned(),
        },
        trust: Trust::Reviewed,
        credential: Some("api".parse().unwrap()),
        labels: Labels::default(),
        created_at: at(4),
        version,
    }
}

pub(crate) fn tool(name: &str, version: u64) -> Tool {
    Tool {
        tool: name.parse().unwrap(),
        state: ToolState::New,
        seen: digest(2),
        approved: None,
        definition: r#"{"name":"x"}"#.to_owned(),
        candidate: None,
        effect: Effect::Write,
        decided_by: None,
        binding: Binding::default(),
        seen_at: at(5),
        version,
    }
}

pub(crate) fn approval(bits: u128, call: u8, task: u128) -> Approval {
    Approval {
        id: id(bits),
        call_digest: digest(call),
        task: id(task),
        agent: "coder".parse().unwrap(),
        user: "user:local:alice".parse().unwrap(),
        opened_by: Some("alice".to_owned()),
        tool: "github/merge".parse().unwrap(),
        effect: Effect::Escalate,
        definition: digest(3),
        arguments: "{\"n\":1.0e400}".to_owned(),
        reasons: Vec::new(),
        discharges: vec!["approval:owner".to_owned()],
        risk: Risk::High,
        quorum: 2,
        votes: Vec::new(),
        state: ApprovalState::Pending,
        requested_at: at(6),
        expires_at: at(600),
        valid_s: 300,
        standing_at_most: 0,
        standing: None,
        under: None,
        version: 1,
    }
}

pub(crate) fn lease(bits: u128, task: u128) -> Lease {
    Lease {
        id: id(bits),
        credential: "api".parse().unwrap(),
        server: Some("github".parse().unwrap()),
        task: id(task),
        instance: Some(id(8)),
        agent: "coder".parse().unwrap(),
        delivery: bailiwick_core::lease::Delivery::Inject,
        class: bailiwick_core::lease::LeaseClass::R0,
        remote: None,
        lineage: Vec::new(),
        idempotency_key: None,
        replaces: None,
        issued_at: None,
        acknowledged: true,
        revoked_at: None,
        evidence: None,
        state: LeaseState::Intent,
        created_at: at(7),
        not_after: at(70),
        cause: None,
        verified_at: None,
        version: 1,
    }
}

pub(crate) fn fence(bits: u128, subject: &str, seq: u64) -> Fence {
    Fence {
        id: id(bits),
        subject: subject.parse::<Subject>().unwrap(),
        seq,
        lifted_seq: None,
        revocation: id(9),
        reason: "test".to_owned(),
        actor: "system".to_owned(),
        set_at: at(8),
    }
}

pub(crate) fn account(bits: u128, name: &str) -> Account {
    Account {
        id: id(bits),
        name: name.parse().unwrap(),
        roles: vec![Role::Operator, Role::Admin],
        enabled: true,
        created_at: at(9),
    }
}

/// Keeps what it is told, one entry per commit.
#[derive(Default)]
pub(crate) struct Witness {
    commits: Mutex<Vec<Vec<Change>>>,
}

impl Witness {
    /// One that watches `store` from now on.
    pub(crate) fn of(store: &Store) -> Arc<Self> {
        let witness = Arc::new(Self::default());
        store.observe(witness.clone());
        witness
    }

    pub(crate) fn commits(&self) -> Vec<Vec<Change>> {
        self.commits.lock().unwrap().clone()
    }

    pub(crate) fn changes(&self) -> Vec<Change> {
        self.commits().into_iter().flatten().collect()
    }
}

impl Observer for Witness {
    fn committed(&self, changes: &[Change]) {
        self.commits.lock().unwrap().push(changes.to_vec());
    }
}

pub(crate) fn item(server: &str, byte: u8, version: u64) -> Item {
    Item {
        key: ItemKey {
            server: server.parse().unwrap(),
            kind: "entity".parse().unwrap(),
            id: digest(byte),
        },
        labels: Labels::untrusted(),
        task: id(1),
        event: id(2),
        changed_at: at(7),
        version,
    }
}
