//! One grant inside its transaction: fences, instance, task, resource, and how much of the task the token carries.

mod binding;
mod part;

use std::collections::BTreeSet;
use std::sync::Arc;

use bailiwick_core::chain::Chain;
use bailiwick_core::client::ClientId;
use bailiwick_core::event::{Action, AgentRef, ChainRef, ChangeRef, Event, EventType, TaskRef};
use bailiwick_core::fence::Subject;
use bailiwick_core::id::{EventId, TaskId, TokenId};
use bailiwick_core::instance::Instance;
use bailiwick_core::name::ServerName;
use bailiwick_core::risk::Risk;
use bailiwick_core::scope::Scope;
use bailiwick_core::task::Task;
use bailiwick_core::{Code, Timestamp};
use bailiwick_crypto::jwk::Thumbprint;
use bailiwick_crypto::token::task::Confirmation;
use bailiwick_store::{Journal, StoreError, TokenRow, Tx, facts};

use super::{TokenAsk, TokenRefusal};
use crate::authority::Lives;

/// A token in the making: everything that does not depend on the store.
pub(super) struct Grant {
    pub(super) ask: Arc<TokenAsk>,
    pub(super) target: Target,
    pub(super) jti: TokenId,
    pub(super) event: EventId,
    pub(super) now: Timestamp,
    pub(super) lives: Lives,
    pub(super) unbound_clients: Arc<BTreeSet<ClientId>>,
}

/// What a token is for.
pub(super) enum Target {
    /// A tool server.
    Server(ServerName),
    /// A connector, which is no row: the configuration names it.
    Connector(ServerName),
}

impl Target {
    fn name(&self) -> &ServerName {
        match self {
            Self::Server(name) | Self::Connector(name) => name,
        }
    }

    fn is_there(&self, tx: &dyn Tx) -> Result<bool, StoreError> {
        match self {
            Self::Server(name) => Ok(tx.server(name)?.is_some()),
            Self::Connector(_) => Ok(true),
        }
    }
}

/// What the rows grant.
pub(super) struct Granted {
    pub(super) task: Task,
    pub(super) chain: Chain,
    /// The OAuth client that asks, if it is one.
    pub(super) client: Option<ClientId>,
    /// What the token carries, if that is not the task's whole scope.
    pub(super) part: Option<Scope>,
    /// Whether what escalates was left out of it.
    pub(super) unescalated: bool,
    pub(super) exp: Timestamp,
    pub(super) seq: u64,
    pub(super) epoch: u64,
}

impl Granted {
    /// What the token carries.
    pub(super) fn scope(&self) -> &Scope {
        self.part.as_ref().unwrap_or(&self.task.scope)
    }
}

impl Grant {
    /// Checks everything, binds the task to the instance if it has none yet, and puts the token on record.
    pub(super) fn make(
        &self,
        tx: &mut dyn Tx,
        journal: &dyn Journal,
    ) -> Result<Granted, TokenRefusal> {
        let epoch = facts::epoch(tx)?;
        let instance = self.instance(tx)?;
        let mut task = self.task(tx)?;
        if let Some(from) = &self.ask.from {
            self.check_subject(from, &task, epoch)?;
        }
        self.check_binding(&instance, &task)?;
        let (part, unescalated) = self.part(&task)?;
        let scope = part.as_ref().unwrap_or(&task.scope);
        let name = self.target.name();
        if !self.target.is_there(tx)? || !scope.names_server(name.as_str()) {
            let message = format!(
                "task {} has no grant on a server or connector `{name}`",
                task.id
            );
            return Err(TokenRefusal::new(
                "invalid_target",
                Code::ResourceUnknown,
                message,
                "see `bailiwick task show`",
            ));
        }
        let bound = task.instance.replace(self.ask.client.instance);
        let chain = facts::chain(tx, &task).ok_or_else(|| {
            TokenRefusal::new(
                "invalid_grant",
                Code::Conflict,
                "the task's chain is not complete",
                "open a new task",
            )
        })?;
        if let Some(twice) = chain.repeats() {
            return Err(TokenRefusal::new(
                "invalid_request",
                Code::DelegationLoop,
                format!("instance {twice} already acts further up in this chain"),
                "a task is handed on to another process",
            ));
        }
        self.check_may_act(&task)?;
        self.check_fences(tx, &chain)?;
        if bound.is_none() {
            // What the process has read in earlier tasks it still knows.
            task.labels
                .join(&tx.instance_labels(self.ask.client.instance)?);
            task.version += 1;
            tx.put_task(&task)?;
        }
        let exp = self.end(&task);
        if exp.as_secs() <= self.now.as_secs() {
            return Err(TokenRefusal::new(
                self.unfit(),
                Code::TokenExpired,
                "less than a second is left",
                "ask for a new token",
            ));
        }
        let granted = Granted {
            exp,
            part,
            unescalated,
            chain,
            client: instance.client,
            seq: tx.head(),
            epoch,
            task,
        };
        tx.put_token(&TokenRow {
            jti: self.jti,
            task: granted.task.id,
            instance: self.ask.client.instance,
            jkt: self.key().map(ToString::to_string),
            x5t: match &self.ask.cnf {
                Some(Confirmation::Certificate(certificate)) => Some(certificate.to_string()),
                _ => None,
            },
            aud: self.ask.resource.clone(),
            issued_at: self.now,
            exp: granted.exp,
            seq: granted.seq,
            scope_digest: granted.task.scope_digest,
        })?;
        journal.push(tx, &self.event(&granted))?;
        Ok(granted)
    }

    /// The key that the token is bound to, if it is a key.
    fn key(&self) -> Option<&Thumbprint> {
        self.ask.cnf.as_ref().and_then(Confirmation::key)
    }

    fn instance(&self, tx: &dyn Tx) -> Result<Instance, TokenRefusal> {
        let client = &self.ask.client;
        let live = tx
            .instance(client.instance)?
            .filter(|row| row.is_live(self.now) && row.agent == client.agent);
        let enabled = tx.agent(&client.agent)?.is_some_and(|row| row.enabled);
        if let Some(instance) = live.filter(|_| enabled) {
            return Ok(instance);
        }
        let message = format!(
            "instance {} of agent {} is not live",
            client.instance, client.agent
        );
        Err(TokenRefusal::new(
            "invalid_client",
            Code::NoIdentity,
            message,
            "attest again",
        ))
    }

    /// The task, if it is open and the client's.
    fn task(&self, tx: &dyn Tx) -> Result<Task, TokenRefusal> {
        let (id, client) = (self.ask.task, &self.ask.client);
        let task = tx
            .task(id)?
            .filter(|task| task.agent == client.agent)
            .filter(|task| task.instance.is_none_or(|bound| bound == client.instance))
            .ok_or_else(|| self.not_yours(id))?;
        match task.refusal(self.now) {
            None => Ok(task),
            Some(code) => Err(TokenRefusal::new(
                self.unfit(),
                code,
                format!("task {id} is {}", task.state.as_str()),
                "open a new task",
            )),
        }
    }

    /// One answer for "no such task" and "not yours": ids are no oracle.
    fn not_yours(&self, id: TaskId) -> TokenRefusal {
        let message = format!(
            "there is no open task {id} for agent {}",
            self.ask.client.agent
        );
        TokenRefusal::new(
            self.unfit(),
            Code::NotFound,
            message,
            "open one: `bailiwick task open`",
        )
    }

    /// What an unfit task or fence is: the grant's fault, or the subject token's (RFC 8693 §2.2.2).
    fn unfit(&self) -> &'static str {
        match self.ask.from {
            Some(_) => "invalid_request",
            None => "invalid_grant",
        }
    }

    fn check_may_act(&self, task: &Task) -> Result<(), TokenRefusal> {
        let Some(next) = &self.ask.may_act else {
            return Ok(());
        };
        let trust_domain = self.ask.client.id.trust_domain();
        if next.trust_domain() != trust_domain || next.as_party().is_err() {
            return Err(TokenRefusal::new(
                "invalid_request",
                Code::InvalidInput,
                "`may_act` names no agent of this trust domain",
                &format!("spiffe://{trust_domain}/agent/NAME, or with /inst_… one process of it"),
            ));
        }
        if task.scope.depth() == 0 {
            return Err(TokenRefusal::new(
                "invalid_request",
                Code::DelegationDepth,
                format!("task {} may not be delegated", task.id),
                "do the work in it, or ask for a task with a depth",
            ));
        }
        Ok(())
    }

    fn check_fences(&self, tx: &dyn Tx, chain: &Chain) -> Result<(), TokenRefusal> {
        let mut subjects = chain.subjects();
        // What is asked for now is born now: a fence that was lifted does not reach it.
        let born = tx.head().saturating_add(1);
        subjects.push((Subject::Server(self.target.name().clone()), born));
        if let Some(key) = self.key() {
            subjects.push((Subject::Key(key.as_str().to_owned()), 0));
        }
        if let Some(from) = &self.ask.from {
            let lineage = from.subject.lineage().into_iter();
            subjects.extend(lineage.map(|subject| (subject, 0)));
            // What a lifted fence on the server left dead is not revived by being exchanged.
            let born = from.subject.seq().saturating_add(1);
            subjects.push((Subject::Server(self.target.name().clone()), born));
        }
        match facts::fenced(tx, &subjects)? {
            None => Ok(()),
            Some(fence) => Err(TokenRefusal::new(
                self.unfit(),
                Code::Revoked,
                format!("{} is revoked: {}", fence.subject, fence.reason),
                "see `bailiwick fence list`",
            )),
        }
    }

    fn end(&self, task: &Task) -> Timestamp {
        let life = if task.risk >= Risk::High {
            self.lives.high_risk
        } else {
            self.lives.task
        };
        let end = self.now.plus(life).min(task.expires_at);
        let end = self.ask.until.map_or(end, |until| end.min(until));
        let from = self.ask.from.as_ref();
        from.map_or(end, |from| end.min(from.subject.expires()))
    }

    fn event(&self, granted: &Granted) -> Event {
        let (task, chain) = (&granted.task, &granted.chain);
        let mut event = Event::new(self.event, EventType::TokenIssued);
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
            server: Some(self.target.name().clone()),
            ..Action::named("token.issue")
        });
        let from = self.ask.from.as_ref();
        event.change = Some(ChangeRef {
            kind: match self.ask.cnf {
                Some(_) => "token",
                None => "unbound token",
            }
            .to_owned(),
            id: self.jti.to_string(),
            before: from.map(|from| from.subject.id().to_string()),
            after: Some(task.scope_digest.to_string()),
        });
        event
    }
}
