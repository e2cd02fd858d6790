//! The token endpoint's work: a live instance proves itself with a JWT-SVID and gets a token for one task and one resource,
//! bound to its key (RFC 6749 §4.4, RFC 7523 §2.2, RFC 9068, RFC 9396, RFC 9449).

use std::sync::Arc;

use bailiwick_core::chain::Chain;
use bailiwick_core::event::{Action, AgentRef, ChainRef, ChangeRef, Event, EventType, TaskRef};
use bailiwick_core::id::{EventId, TaskId, TokenId};
use bailiwick_core::instance::InstanceState;
use bailiwick_core::name::ServerName;
use bailiwick_core::risk::Risk;
use bailiwick_core::spiffe_id::SpiffeId;
use bailiwick_core::task::Task;
use bailiwick_core::{Code, Fault, Problem, Secret, Timestamp};
use bailiwick_crypto::jwk::Thumbprint;
use bailiwick_crypto::token::Verifier;
use bailiwick_crypto::token::jwt_svid::ClientAssertion;
use bailiwick_crypto::token::task::{
    Actor, AgentTask, AgentTaskKind, Confirmation, Profile, Provenance, TaskClaims, TaskSubject,
    TaskToken, VERSION,
};
use bailiwick_store::{StoreError, TokenRow, Tx};

use crate::authority::Authority;
use bailiwick_store::facts;

/// A request for a task token whose DPoP proof has been checked.
#[derive(Debug, Clone)]
pub struct TokenAsk {
    /// The client assertion: a JWT-SVID for this issuer alone.
    pub assertion: String,
    /// The task.
    pub task: TaskId,
    /// The resource: `<gateway>/mcp/<server>`.
    pub resource: String,
    /// Thumbprint of the key that made the DPoP proof.
    pub jkt: Thumbprint,
}

/// A task token and what the answer says about it.
#[derive(Debug)]
pub struct Issued {
    /// The token.
    pub token: Secret<String>,
    /// Seconds it lives.
    pub expires_in: i64,
    /// OAuth scope.
    pub scope: String,
    /// The task it is for.
    pub details: AgentTask,
}

/// A refusal at the token endpoint: the RFC's error with our code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct TokenRefusal {
    /// `invalid_client`, `invalid_grant`, `invalid_target`, `invalid_request` or `server_error` (RFC 6749 §5.2, RFC 8707 §2).
    pub error: &'static str,
    /// Code, message and help.
    pub problem: Problem,
}

impl TokenRefusal {
    fn new(error: &'static str, code: Code, message: impl Into<String>, help: &str) -> Self {
        Self {
            error,
            problem: Problem::new(code, message, help),
        }
    }
}

impl From<StoreError> for TokenRefusal {
    fn from(error: StoreError) -> Self {
        Self {
            error: "server_error",
            problem: error.problem(),
        }
    }
}

impl Authority {
    /// Issues a task token, or says why not. The event is durable before this resolves.
    pub async fn issue_task_token(&self, ask: TokenAsk) -> Result<Issued, TokenRefusal> {
        let task = ask.task.to_string();
        let issued = self.issue(ask).await;
        if let Err(refusal) = &issued {
            let kind = EventType::TokenRefused;
            self.refused(kind, "token.issue", &task, &refusal.problem)
                .await;
        }
        issued
    }

    async fn issue(&self, ask: TokenAsk) -> Result<Issued, TokenRefusal> {
        let parts = &self.parts;
        let keyring = self.keyring();
        let now = parts.clock.wall();
        let presenter = self.presenter(&ask.assertion, now)?;
        let server = self.server_of(&ask.resource)?;
        let (jti, event) = (
            TokenId::new(&*parts.clock, &*parts.rng),
            EventId::new(&*parts.clock, &*parts.rng),
        );
        let journal = Arc::clone(&parts.journal);
        let lives = parts.lives;
        let grant = Grant {
            presenter: presenter.clone(),
            server,
            jti,
            now,
        };
        let row_ask = ask.clone();
        let (task, chain, exp, seq, epoch) = parts
            .store
            .write(move |tx| {
                let (task, chain) = grant.admit(tx, row_ask.task)?;
                let life = if task.risk >= Risk::High {
                    lives.high_risk
                } else {
                    lives.task
                };
                let exp = now.plus(life).min(task.expires_at);
                let seq = tx.head();
                tx.put_token(&TokenRow {
                    jti,
                    task: task.id,
                    instance: task.instance.ok_or_else(|| unbound(task.id))?,
                    jkt: row_ask.jkt.to_string(),
                    aud: row_ask.resource.clone(),
                    issued_at: now,
                    exp,
                    seq,
                    scope_digest: task.scope_digest,
                })?;
                journal.push(tx, &grant.event(event, &task, &chain))?;
                let epoch = tx
                    .meta("epoch")?
                    .and_then(|epoch| epoch.parse().ok())
                    .unwrap_or(1);
                Ok::<_, TokenRefusal>((task, chain, exp, seq, epoch))
            })
            .await?;
        parts
            .journal
            .settled()
            .await
            .map_err(|problem| TokenRefusal {
                error: "server_error",
                problem,
            })?;
        let scope = task.scope.to_oauth();
        let details = details(&task);
        let claims = TaskClaims {
            iss: parts.issuer.clone(),
            sub: TaskSubject::User(task.user.clone()),
            aud: ask.resource,
            client_id: presenter.to_string(),
            iat: now.as_secs(),
            exp: exp.as_secs(),
            jti,
            scope: scope.clone(),
            cnf: Confirmation { jkt: ask.jkt },
            act: self.actors(&chain)?,
            may_act: None,
            authorization_details: vec![details.clone()],
            bailiwick: Provenance {
                v: VERSION,
                epoch,
                seq,
                parents: Vec::new(),
            },
        };
        let token = TaskToken::issue(keyring.task(), &claims).map_err(|error| TokenRefusal {
            error: "server_error",
            problem: error.problem(),
        })?;
        Ok(Issued {
            token,
            expires_in: exp.as_secs() - now.as_secs(),
            scope,
            details,
        })
    }

    /// Who asks, by a client assertion: a JWT-SVID for this issuer alone.
    fn presenter(&self, assertion: &str, now: Timestamp) -> Result<SpiffeId, TokenRefusal> {
        let keys = self.keyring().svid_keys().clone();
        let trust_domain = self.parts.trust_domain.clone();
        Verifier::<ClientAssertion>::new(keys, self.svid_issuer(), trust_domain)
            .verify(assertion, &self.parts.issuer, now)
            .map(|verified| verified.claims().sub.clone())
            .map_err(|error| TokenRefusal {
                error: "invalid_client",
                problem: error.problem(),
            })
    }

    fn server_of(&self, resource: &str) -> Result<ServerName, TokenRefusal> {
        let name = resource
            .strip_prefix(&self.parts.gateway)
            .and_then(|rest| rest.strip_prefix("/mcp/"));
        name.and_then(|name| name.parse().ok()).ok_or_else(|| {
            let help = format!("ask for {}/mcp/<server>", self.parts.gateway);
            TokenRefusal::new(
                "invalid_target",
                Code::ResourceUnknown,
                "that resource is not this node's",
                &help,
            )
        })
    }

    /// RFC 8693 §4.1: the presenter outermost.
    fn actors(&self, chain: &Chain) -> Result<Actor, TokenRefusal> {
        let domain = &self.parts.trust_domain;
        let id = |link: &bailiwick_core::chain::Link| match link.instance {
            Some(instance) => domain.instance(&link.agent, instance),
            None => domain.agent(&link.agent),
        };
        let mut actor: Option<Actor> = None;
        for link in chain.links.iter().rev() {
            actor = Some(Actor {
                sub: id(link),
                iss: self.parts.issuer.clone(),
                sub_profile: Profile::AiAgent,
                act: actor.map(Box::new),
            });
        }
        actor.ok_or_else(|| {
            TokenRefusal::new("server_error", Code::Internal, "the task has no chain", "")
        })
    }
}

/// One grant inside its transaction.
struct Grant {
    presenter: SpiffeId,
    server: ServerName,
    jti: TokenId,
    now: Timestamp,
}

impl Grant {
    /// Fences, instance, task, resource; binds the task to the instance if it has none yet.
    fn admit(&self, tx: &mut dyn Tx, id: TaskId) -> Result<(Task, Chain), TokenRefusal> {
        let (agent, instance) = self.presenter.as_instance().map_err(|_| {
            TokenRefusal::new(
                "invalid_client",
                Code::NoIdentity,
                "the assertion names no agent instance",
                "",
            )
        })?;
        let live = tx
            .instance(instance)?
            .is_some_and(|row| row.state == InstanceState::Live && row.agent == agent);
        let enabled = tx.agent(&agent)?.is_some_and(|row| row.enabled);
        if !live || !enabled {
            let message = format!("instance {instance} of agent {agent} is not live");
            return Err(TokenRefusal::new(
                "invalid_client",
                Code::NoIdentity,
                message,
                "attest again",
            ));
        }
        // One answer for "no such task" and "not yours": ids are no oracle.
        let not_yours = || {
            let message = format!("there is no open task {id} for agent {agent}");
            TokenRefusal::new(
                "invalid_grant",
                Code::NotFound,
                message,
                "open one: `bailiwick task open`",
            )
        };
        let mut task = tx
            .task(id)?
            .filter(|task| task.agent == agent)
            .ok_or_else(not_yours)?;
        if task.instance.is_some_and(|bound| bound != instance) {
            return Err(not_yours());
        }
        if let Some(code) = task.refusal(self.now) {
            let message = format!("task {id} is {}", task.state.as_str());
            return Err(TokenRefusal::new(
                "invalid_grant",
                code,
                message,
                "open a new task",
            ));
        }
        if tx.server(&self.server)?.is_none() || !task.scope.names_server(self.server.as_str()) {
            let message = format!("task {id} has no grant on a server `{}`", self.server);
            return Err(TokenRefusal::new(
                "invalid_target",
                Code::ResourceUnknown,
                message,
                "see `bailiwick task show`",
            ));
        }
        if task.instance.is_none() {
            task.instance = Some(instance);
            task.version += 1;
            tx.put_task(&task)?;
        }
        let chain = facts::chain(tx, &task).ok_or_else(|| {
            TokenRefusal::new(
                "invalid_grant",
                Code::Conflict,
                "the task's chain is not complete",
                "open a new task",
            )
        })?;
        let mut subjects = chain.subjects();
        subjects.push((
            bailiwick_core::fence::Subject::Server(self.server.clone()),
            tx.head(),
        ));
        if let Some(fence) = facts::fenced(tx, &subjects)? {
            let message = format!("{} is revoked: {}", fence.subject, fence.reason);
            return Err(TokenRefusal::new(
                "invalid_grant",
                Code::Revoked,
                message,
                "see `bailiwick fence list`",
            ));
        }
        Ok((task, chain))
    }

    fn event(&self, id: EventId, task: &Task, chain: &Chain) -> Event {
        let mut event = Event::new(id, EventType::TokenIssued);
        event.agent = chain.presenter().map(|link| AgentRef {
            id: link.agent.clone(),
            instance: link.instance,
            code_digest: None,
        });
        event.owner = chain.presenter().map(|link| link.owner.clone());
        event.user = Some(task.user_pseudonym.clone());
        event.task = Some(TaskRef::of(task));
        event.chain = ChainRef::list(chain, Some(self.jti));
        event.action = Some(Action {
            server: Some(self.server.clone()),
            ..Action::named("token.issue")
        });
        event.change = Some(ChangeRef {
            kind: "token".to_owned(),
            id: self.jti.to_string(),
            before: None,
            after: Some(task.scope_digest.to_string()),
        });
        event
    }
}

fn details(task: &Task) -> AgentTask {
    AgentTask {
        kind: AgentTaskKind::AgentTask,
        task_id: task.id,
        scope_digest: task.scope_digest,
        deadline: task.expires_at.as_secs(),
        depth: task.scope.depth(),
        // The digest says which scope; the rows say what is in it.
        grants: None,
    }
}

fn unbound(task: TaskId) -> TokenRefusal {
    TokenRefusal::new(
        "server_error",
        Code::Internal,
        format!("task {task} is bound to no instance"),
        "",
    )
}
