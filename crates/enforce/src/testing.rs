//! A gateway on a replica of one task, with ports that tests can look into and a tool server that keeps a journal.

mod pipe;
mod ports;
mod server;

use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::agent::Agent;
use bailiwick_core::binding::Binding;
use bailiwick_core::change::{Change, ChangeBody};
use bailiwick_core::definition::{Tool, ToolState};
use bailiwick_core::fence::{Fence, Subject};
use bailiwick_core::id::{EventId, FenceId, InstanceId, RevocationId, TaskId};
use bailiwick_core::instance::{Instance, InstanceState};
use bailiwick_core::json::{Limits, check};
use bailiwick_core::label::Labels;
use bailiwick_core::name::ServerName;
use bailiwick_core::risk::Risk;
use bailiwick_core::scope::Scope;
use bailiwick_core::server::{Server, Transport, Trust};
use bailiwick_core::task::{Request, RequestSource, Task, TaskState};
use bailiwick_core::{Clock, Digest, Effect, Timestamp};
use bailiwick_crypto::hash::domain_digest;
use bailiwick_crypto::keys::SigningKey;
use bailiwick_crypto::system::{SystemClock, SystemRng};
use serde_json::json;

use crate::catalogue::{seen_prompt, seen_tool};
use crate::gateway::{Gateway, Settings};
use crate::policies::Policies;
use crate::{Budgets, Caller, Live, Ports, Replica};

pub(crate) use pipe::Pipe;
pub(crate) use ports::{
    FakeApprover, FakeCataloguer, FakeLabeller, FakeLeaser, FakeRecorder, NOTHING,
};
pub(crate) use server::{ToolServer, definition, prompt};

pub(crate) const TASK: TaskId = TaskId::from_bits(1);
pub(crate) const INSTANCE: InstanceId = InstanceId::from_bits(2);
pub(crate) const URL: &str = "http://127.0.0.1:8421";
pub(crate) const ISSUER: &str = "http://127.0.0.1:8420";

/// Everything of one test.
pub(crate) struct World {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) replica: Arc<Replica>,
    pub(crate) recorder: Arc<FakeRecorder>,
    pub(crate) approver: Arc<FakeApprover>,
    pub(crate) cataloguer: Arc<FakeCataloguer>,
    pub(crate) labeller: Arc<FakeLabeller>,
    pub(crate) leaser: Arc<FakeLeaser>,
    pub(crate) tools: Arc<ToolServer>,
    pub(crate) signer: SigningKey,
}

impl World {
    /// A task that may read with `get`, `slow` and `ask`, and write with `put` once a person agrees (the base policy).
    pub(crate) async fn new() -> Self {
        Self::with(json!({ "calls": 50 })).await
    }

    pub(crate) async fn with(budget: serde_json::Value) -> Self {
        Self::set_up(budget, |_| {}).await
    }

    /// With a budget, and with the gateway set up in another way.
    pub(crate) async fn set_up(
        budget: serde_json::Value,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        bailiwick_crypto::tls::install_default_provider();
        let tools = ToolServer::start().await;
        let signer = SigningKey::generate().unwrap();
        let replica = Arc::new(Replica::new(Arc::new(Live::default())));
        let (recorder, approver) = (
            Arc::new(FakeRecorder::default()),
            Arc::new(FakeApprover::default()),
        );
        let cataloguer = Arc::new(FakeCataloguer::default());
        let leaser = Arc::new(FakeLeaser::default());
        let labeller = Arc::new(FakeLabeller::new(replica.clone()));
        let ports = Ports {
            approver: approver.clone(),
            leaser: leaser.clone(),
            cataloguer: cataloguer.clone(),
            upstreams: Arc::new(ports::NoUpstreams),
            labeller: labeller.clone(),
            policies: Arc::new(Policies::new(Arc::new(ports::BasePolicy))),
            recorder: recorder.clone(),
            clock: Arc::new(SystemClock),
            rng: Arc::new(SystemRng),
        };
        let mut settings = Settings {
            approval_wait: Duration::from_secs(20),
            ..Settings::new(
                URL,
                "127.0.0.1:8421".parse().unwrap(),
                ISSUER,
                "test.example".parse().unwrap(),
            )
        };
        change(&mut settings);
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let gateway = Gateway::new(
            settings,
            replica.clone(),
            Arc::new(Budgets::default()),
            ports,
            http,
        )
        .unwrap();
        let world = Self {
            gateway,
            replica,
            recorder,
            approver,
            cataloguer,
            labeller,
            leaser,
            tools,
            signer,
        };
        world.replica.load(world.snapshot(&budget), 10);
        world
    }

    pub(crate) fn caller() -> Caller {
        Caller::attested(TASK, INSTANCE)
    }

    pub(crate) fn server() -> ServerName {
        "tools".parse().unwrap()
    }

    /// Commits one more change.
    pub(crate) fn commit(&self, body: ChangeBody) {
        let seq = self.replica.applied() + 1;
        self.told(seq, body, None);
    }

    /// Commits one more change that an event tells of, and has what it concerns decided again; how many things that cut.
    pub(crate) async fn decided_again(&self, body: ChangeBody, event: EventId) -> usize {
        self.told(self.replica.applied() + 1, body, Some(event));
        self.gateway.decide_again().await
    }

    fn told(&self, seq: u64, body: ChangeBody, event: Option<EventId>) {
        let change = Change { seq, body, event };
        self.replica.apply(std::slice::from_ref(&change));
        self.gateway.backlog().add(&[change]);
        // There is no control plane here that would have to work it off.
        self.gateway.control_done(seq);
    }

    /// Puts a label on the task.
    pub(crate) fn label(&self, label: &str) {
        let task = self.task();
        self.commit(ChangeBody::Task(Task {
            labels: [label.parse().unwrap()].into_iter().collect(),
            version: task.version + 1,
            ..task
        }));
    }

    pub(crate) fn fence(&self, subject: Subject) -> Fence {
        Fence {
            id: FenceId::new(&SystemClock, &SystemRng),
            subject,
            seq: self.replica.applied() + 1,
            lifted_seq: None,
            revocation: RevocationId::from_bits(9),
            reason: "a test says so".to_owned(),
            actor: "system".to_owned(),
            set_at: SystemClock.wall(),
        }
    }

    pub(crate) fn task(&self) -> Task {
        self.replica
            .view(|state| Task::clone(state.task(TASK).unwrap()))
            .unwrap()
    }

    /// The process that acts.
    pub(crate) fn instance(&self) -> Instance {
        let view = self.replica.view(|state| state.caller(TASK, INSTANCE));
        Instance::clone(&view.unwrap().unwrap().instance)
    }

    pub(crate) fn tool(name: &str, effect: Effect, state: ToolState) -> Tool {
        let definition = definition(name);
        let seen = seen_tool(&check(definition.as_bytes(), &Limits::ENVELOPE).unwrap()).unwrap();
        Tool {
            tool: format!("tools/{name}").parse().unwrap(),
            state,
            seen: seen.digest,
            approved: (state == ToolState::Approved).then_some(seen.digest),
            definition,
            candidate: None,
            effect,
            decided_by: None,
            binding: Binding::default(),
            seen_at: Timestamp::default(),
            version: 1,
        }
    }

    /// A prompt, which is pinned as a tool is.
    pub(crate) fn prompt(name: &str, state: ToolState) -> Tool {
        let definition = prompt(name);
        let text = check(definition.as_bytes(), &Limits::ENVELOPE).unwrap();
        let seen = seen_prompt(&text).unwrap();
        Tool {
            tool: format!("tools/{}", seen.name).parse().unwrap(),
            seen: seen.digest,
            approved: (state == ToolState::Approved).then_some(seen.digest),
            definition,
            ..Self::tool("get", Effect::Write, state)
        }
    }

    fn snapshot(&self, budget: &serde_json::Value) -> Vec<ChangeBody> {
        let now = SystemClock.wall();
        let scope: Scope = serde_json::from_value(json!({
            "grants": [
                { "server": ["tools"], "tool": ["get"], "effects": ["read"], "args": { "/path": { "paths": ["docs/*"], "optional": true } } },
                { "server": ["tools"], "tool": ["slow", "ask", "new", "interview"], "effects": ["read"] },
                { "server": ["tools"], "tool": ["put"], "effects": ["write"] },
                { "server": ["tools"], "tool": ["prompts/get"], "effects": ["read"] },
                { "server": ["tools"], "tool": ["resources/read"], "effects": ["read"], "args": { "/uri": { "strings": ["docs://*", "secret://*"] } } },
            ],
            "budget": budget,
            "deadline": now.plus(Duration::from_hours(1)),
            "depth": 2,
        }))
        .unwrap();
        let agent = Agent {
            name: "coder".parse().unwrap(),
            owner: "team".parse().unwrap(),
            selectors: Vec::new(),
            ceiling: scope.clone(),
            base_risk: Risk::Low,
            launch_uids: Vec::new(),
            enabled: true,
            created_at: now,
            version: 1,
        };
        let instance = Instance {
            id: INSTANCE,
            agent: agent.name.clone(),
            selectors: Vec::new(),
            place: bailiwick_core::instance::Place::Process {
                pid: 1,
                pid_start: 1,
            },
            state: InstanceState::Live,
            born_seq: 3,
            attested_at: now,
            client: None,
        };
        let task = Task {
            id: TASK,
            parent: None,
            ancestors: Vec::new(),
            agent: agent.name.clone(),
            instance: Some(INSTANCE),
            user: "user:local:alice".parse().unwrap(),
            user_pseudonym: "usr_1".to_owned(),
            request: Request {
                text: "read the docs".to_owned(),
                source: RequestSource::User,
            },
            workflow: "default".parse().unwrap(),
            stage: "run".parse().unwrap(),
            scope_digest: digest_of(&scope),
            scope,
            risk: Risk::Low,
            labels: Labels::default(),
            lineage: Vec::new(),
            created_at: now,
            expires_at: now.plus(Duration::from_hours(1)),
            state: TaskState::Open,
            born_seq: 4,
            version: 1,
        };
        let server = Server {
            name: Self::server(),
            transport: Transport::Http {
                url: self.tools.url(),
            },
            trust: Trust::Reviewed,
            credential: Some("tools-key".parse().unwrap()),
            labels: Labels::default(),
            created_at: now,
            version: 1,
        };
        let keys = json!({ "keys": [self.signer.jwk()] }).to_string();
        vec![
            ChangeBody::Agent(agent),
            ChangeBody::Instance(instance),
            ChangeBody::Task(task),
            ChangeBody::Server(server),
            ChangeBody::Tool(Self::tool("get", Effect::Read, ToolState::Approved)),
            ChangeBody::Tool(Self::tool("slow", Effect::Read, ToolState::Approved)),
            ChangeBody::Tool(Self::tool("ask", Effect::Read, ToolState::Approved)),
            ChangeBody::Tool(Self::tool("interview", Effect::Read, ToolState::Approved)),
            ChangeBody::Tool(Self::tool("put", Effect::Write, ToolState::Approved)),
            ChangeBody::Tool(Self::tool("new", Effect::Read, ToolState::New)),
            ChangeBody::Tool(Self::prompt("greet", ToolState::Approved)),
            ChangeBody::Tool(Self::prompt("new", ToolState::New)),
            ChangeBody::Policy(Digest([7; 32])),
            ChangeBody::TokenKeys(keys),
        ]
    }
}

fn digest_of(scope: &Scope) -> Digest {
    domain_digest("bailiwick/scope/v1", &scope.canonical())
}
