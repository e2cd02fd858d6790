//! A user lets an OAuth client act: what is offered to them, their answer, and the task with the code that come of it (02 §6). One
//! consent is one task, one instance of the client's agent, and one code.

use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::budget::Budget;
use bailiwick_core::client::{ClientId, OAuthClient};
use bailiwick_core::event::{Action, ChangeRef, Event, EventType};
use bailiwick_core::id::InstanceId;
use bailiwick_core::instance::{Instance, InstanceState, Place};
use bailiwick_core::name::{ServerName, UserId};
use bailiwick_core::scope::{Draft, Grant, Scope};
use bailiwick_core::task::{DEFAULT_LIFE, Request, RequestSource, Task};
use bailiwick_core::{Code, Digest, Fault, Problem, Secret, Timestamp};
use bailiwick_crypto::hash::{scope_digest, sha256};
use bailiwick_crypto::pkce;
use bailiwick_store::{StoreError, Tx, Voucher, VoucherForm};

use crate::Control;
use crate::clients::keep_published;
use crate::tasks::{OpenTask, Opened, Opening, about, root_scope, sealed_request};
use crate::tools::Refusal;

/// Life of an authorization code (RFC 6749 §4.1.2 asks for 10 minutes at most).
pub const CODE_LIFE: Duration = Duration::from_mins(1);

/// What a client asks its user for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The client.
    pub client: OAuthClient,
    /// The one tool server.
    pub server: ServerName,
    /// How much of it, as the words of its request say.
    pub words: Vec<Grant>,
}

/// What the user would let it do.
#[derive(Debug, Clone)]
pub struct Offer {
    /// What the words reach within the ceiling of the client's agent.
    pub scope: Scope,
    /// The name that what the user saw is known by when they answer.
    pub digest: Digest,
    /// When it would end at the latest.
    pub until: Timestamp,
}

/// A user's yes.
#[derive(Debug, Clone)]
pub struct Consent {
    /// What was asked for.
    pub wanted: Wanted,
    /// Who said yes.
    pub user: UserId,
    /// The digest of the offer that was shown.
    pub shown: Digest,
    /// The resource that tokens will be for.
    pub resource: String,
    /// Where the code is sent to.
    pub redirect_uri: String,
    /// Whose verifier has to be shown with it.
    pub challenge: String,
    /// The key that its tokens have to be bound to, if the client said so already (RFC 9449 §10).
    pub jkt: Option<String>,
}

impl Control {
    /// What a user would let a client do.
    pub async fn offer(&self, wanted: &Wanted) -> Result<Offer, Problem> {
        let name = wanted.client.agent.clone();
        let server = wanted.server.clone();
        let rows = self
            .parts
            .store
            .read(move |rows| Ok::<_, StoreError>((rows.agent(&name)?, rows.server(&server)?)));
        let (agent, server) = rows.await.map_err(|error| error.problem())?;
        if server.is_none() {
            let message = format!("there is no tool server `{}` here", wanted.server);
            return Err(Problem::new(
                Code::ResourceUnknown,
                message,
                "`bailiwick server list`",
            ));
        }
        let agent = agent.filter(|agent| agent.enabled).ok_or_else(|| {
            let message = format!("agent {} is not there or disabled", wanted.client.agent);
            Problem::new(Code::Conflict, message, "`bailiwick agent list`")
        })?;
        let scope = root_scope(&agent, Some(&wanted.draft()))?;
        Ok(Offer {
            digest: scope_digest(&scope),
            until: self.now().plus(DEFAULT_LIFE).min(scope.deadline()),
            scope,
        })
    }

    /// Puts on record that a user signed in for a client, before they are shown anything.
    pub async fn signed_in(&self, user: &UserId, client: &ClientId) -> Result<(), Problem> {
        self.told_of(EventType::LoginAccepted, "login", user, client)
            .await
    }

    /// Puts on record that a user said no.
    pub async fn declined(&self, user: &UserId, client: &ClientId) -> Result<(), Problem> {
        self.told_of(EventType::ConsentRefused, "consents.answer", user, client)
            .await
    }

    /// Opens the task that a user consented to, and gives the code that the client fetches its token with.
    pub async fn consent(&self, given: Consent) -> Result<Secret<String>, Problem> {
        let (workflow, stage) = self.first_stage(None).await?;
        let opening = Opening {
            id: self.id(),
            life: DEFAULT_LIFE,
            workflow,
            stage,
            now: self.now(),
            policy: self.parts.policy.current().await?,
            max_depth: self.parts.max_depth,
            cap: None,
            open: given.task(),
        };
        let code = pkce::fresh(&*self.parts.rng);
        let making = Making {
            instance: self.id(),
            code: sha256(&[code.expose().as_bytes()]),
            events: [EventType::TaskOpened, EventType::ConsentGranted].map(|kind| {
                let mut event = Event::new(self.id(), kind);
                event.action = Some(Action::named("consents.answer"));
                event
            }),
            pseudonym: self.pseudonym(),
            now: self.now(),
            given,
        };
        let journal = Arc::clone(&self.parts.journal);
        self.parts
            .store
            .write(move |tx| {
                let (task, instance) = making.open(tx, &opening)?;
                tx.put_voucher(&making.voucher(&task, instance))?;
                for event in &making.events {
                    let told = making.told(event, tx, &task);
                    journal.push(tx, &told)?;
                }
                Ok::<_, Refusal>(())
            })
            .await
            .map_err(Refusal::problem)?;
        self.settled().await?;
        Ok(code)
    }

    async fn told_of(
        &self,
        kind: EventType,
        op: &str,
        user: &UserId,
        client: &ClientId,
    ) -> Result<(), Problem> {
        let mut event = Event::new(self.id(), kind);
        event.action = Some(Action::named(op));
        event.change = Some(ChangeRef {
            kind: "client".to_owned(),
            id: client.to_string(),
            before: None,
            after: None,
        });
        let (journal, candidate) = (Arc::clone(&self.parts.journal), self.pseudonym());
        let user = user.clone();
        self.parts
            .store
            .write(move |tx| {
                let mut event = event.clone();
                event.user = Some(tx.pseudonym_or(&user, &candidate)?);
                journal.push(tx, &event)
            })
            .await
            .map_err(|error: StoreError| error.problem())?;
        self.settled().await
    }
}

impl Wanted {
    fn draft(&self) -> Draft {
        Draft {
            grants: self.words.clone(),
            budget: Budget::default(),
            deadline: None,
            // What a person lets a client do, it does itself.
            depth: Some(0),
        }
    }
}

impl Consent {
    fn task(&self) -> OpenTask {
        OpenTask {
            agent: self.wanted.client.agent.clone(),
            user: self.user.clone(),
            request: Request {
                text: format!(
                    "Let the client {} use the tool server {}.",
                    self.wanted.client.id, self.wanted.server
                ),
                source: RequestSource::User,
            },
            workflow: None,
            scope: Some(self.wanted.draft()),
            ttl: None,
            parent: None,
        }
    }
}

/// A consent on its way into the store: everything drawn before the transaction, so that a retried one writes the same.
struct Making {
    given: Consent,
    instance: InstanceId,
    code: Digest,
    events: [Event; 2],
    pseudonym: String,
    now: Timestamp,
}

impl Making {
    /// The task, bound to an instance that is this client for this user alone.
    fn open(&self, tx: &mut dyn Tx, opening: &Opening) -> Result<(Task, InstanceId), Refusal> {
        let client = &self.given.wanted.client;
        if client.id.url().is_some() {
            keep_published(tx, client)?;
        } else if tx.oauth_client(&client.id)?.as_ref() != Some(client) {
            return Err(changed("the client was changed or removed meanwhile").into());
        }
        let Opened { mut task, .. } = opening.task(tx, &self.pseudonym)?;
        if task.scope_digest != self.given.shown {
            let what = "the agent's ceiling changed, so it would be another scope than you saw";
            return Err(changed(what).into());
        }
        let born_seq = tx.head() + 1;
        let instance = Instance {
            id: self.instance,
            agent: client.agent.clone(),
            selectors: Vec::new(),
            place: Place::Process {
                pid: 0,
                pid_start: born_seq,
            },
            state: InstanceState::Live,
            born_seq,
            attested_at: self.now,
            client: Some(client.id.clone()),
        };
        tx.put_instance(&instance)?;
        task.instance = Some(instance.id);
        task.born_seq = tx.head() + 1;
        tx.put_task(&task)?;
        Ok((task, instance.id))
    }

    fn voucher(&self, task: &Task, instance: InstanceId) -> Voucher {
        let given = &self.given;
        Voucher {
            sha256: self.code,
            form: VoucherForm::Code {
                redirect_uri: given.redirect_uri.clone(),
                challenge: given.challenge.clone(),
            },
            client: given.wanted.client.id.clone(),
            task: task.id,
            instance,
            resource: given.resource.clone(),
            jkt: given.jkt.clone(),
            expires_at: self.now.plus(CODE_LIFE).min(task.expires_at),
            keep_until: task.expires_at,
            used_at: None,
        }
    }

    fn told(&self, event: &Event, tx: &dyn Tx, task: &Task) -> Event {
        let granted = event.kind == EventType::ConsentGranted;
        let mut event = about(event.clone(), tx, task);
        event.change = Some(ChangeRef {
            kind: if granted { "consent" } else { "task" }.to_owned(),
            id: task.id.to_string(),
            before: granted.then(|| self.given.wanted.client.id.to_string()),
            after: Some(format!("{} until {}", task.scope_digest, task.expires_at)),
        });
        if !granted {
            event.sealed.push(sealed_request(task));
        }
        event
    }
}

fn changed(what: &str) -> Problem {
    Problem::new(Code::Conflict, what, "start again from the client")
}
