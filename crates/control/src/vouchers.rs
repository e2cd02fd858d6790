//! Redeeming codes and refresh tokens (RFC 6749 §4.1.3, §6; RFC 9700 §2.1.1, §4.14): each once, by whom it was given to, with what it was
//! bound to. The second use of one ends everything that came of it.

use bailiwick_core::client::ClientId;
use bailiwick_core::fence::Subject;
use bailiwick_core::id::{InstanceId, TaskId};
use bailiwick_core::name::AgentName;
use bailiwick_core::task::TaskState;
use bailiwick_core::{Code, Digest, Fault, Problem, Secret, Timestamp};
use bailiwick_crypto::hash::sha256;
use bailiwick_crypto::pkce;
use bailiwick_store::{StoreError, Tx, Voucher, VoucherForm};

use crate::revocation::Wait;
use crate::{Actor, Control};

/// What a client shows.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The code or refresh token.
    pub secret: Secret<String>,
    /// Who shows it.
    pub client: ClientId,
    /// What goes with it.
    pub with: With,
    /// The resource it wants a token for, if it says so.
    pub resource: Option<String>,
    /// Thumbprint of the key that its proof was made with, if it showed one.
    pub jkt: Option<String>,
}

/// What goes with a code or refresh token.
#[derive(Debug, Clone)]
pub enum With {
    /// With a code.
    Code {
        /// The redirect URI of its request.
        redirect_uri: String,
        /// The verifier of its challenge.
        verifier: Secret<String>,
    },
    /// With a refresh token: nothing.
    Refresh,
}

/// What was redeemed.
#[derive(Debug, Clone)]
pub struct Redeemed {
    /// The task.
    pub task: TaskId,
    /// The client's agent.
    pub agent: AgentName,
    /// What the client is in that task.
    pub instance: InstanceId,
    /// The resource that the token is for.
    pub resource: String,
    /// What the next token is fetched with.
    pub refresh: Secret<String>,
}

/// What a look at a voucher came to. All but the first end it.
enum Looked {
    Good(Redeemed),
    Bad(Problem),
    /// It was used before.
    Again(TaskId),
}

impl Control {
    /// Uses up a code or refresh token. Whatever is wrong with the attempt, it was the only one.
    pub async fn redeem(&self, shown: Shown) -> Result<Redeemed, Problem> {
        let refresh = pkce::fresh(&*self.parts.rng);
        let (now, next) = (self.now(), sha256(&[refresh.expose().as_bytes()]));
        let asked = shown.clone();
        let looked = self
            .parts
            .store
            .write(move |tx| asked.look(tx, now, next, &refresh))
            .await
            .map_err(|error: StoreError| error.problem())?;
        match looked {
            Looked::Good(redeemed) => Ok(redeemed),
            Looked::Bad(problem) => Err(problem),
            Looked::Again(task) => Err(self.replayed(&shown, task).await),
        }
    }

    /// Fences the task of a code or refresh token that came twice: one of the two came from a thief, and nobody knows which.
    async fn replayed(&self, shown: &Shown, task: TaskId) -> Problem {
        let what = shown.with.name();
        let reason = format!("its {what} was used twice");
        let order = self.order(&Actor::system(), vec![Subject::Task(task)], reason);
        if let Err(problem) = self.carry_out(order, Wait::None).await {
            return problem;
        }
        Problem::new(
            Code::Revoked,
            format!("that {what} was used before, so the task {task} that it was for is revoked"),
            "ask the user again",
        )
    }

    /// Takes back a refresh token for the client that has it (RFC 7009 §2.1), and with it its task. One that is none of the client's is as
    /// revoked as can be.
    pub async fn give_up(&self, secret: &Secret<String>, client: &ClientId) -> Result<(), Problem> {
        let digest = sha256(&[secret.expose().as_bytes()]);
        let known = self
            .parts
            .store
            .read(move |rows| rows.voucher(digest))
            .await;
        let known: Option<Voucher> = known.map_err(|error: StoreError| error.problem())?;
        let Some(voucher) = known.filter(|known| known.client == *client) else {
            return Ok(());
        };
        let (actor, reason) = (Actor::system(), "its client gave it back".to_owned());
        let order = self.order(&actor, vec![Subject::Task(voucher.task)], reason);
        self.carry_out(order, Wait::None).await.map(drop)
    }

    /// Ends the tasks whose code no client came for.
    pub(crate) async fn end_abandoned(&self) -> Result<(), Problem> {
        let now = self.now();
        let codes = self.parts.store.read(move |rows| rows.abandoned_codes(now));
        let codes: Vec<Voucher> = codes.await.map_err(|error: StoreError| error.problem())?;
        for code in codes {
            let system = Actor::system();
            let ended = self.end(&system, code.task, TaskState::Expired, "codes.expired");
            match ended.await {
                Err(problem) if problem.code != Code::TaskEnded => return Err(problem),
                _ => {}
            }
            let used = Voucher {
                used_at: Some(now),
                ..code
            };
            self.parts
                .store
                .write(move |tx| match tx.voucher(used.sha256)? {
                    Some(known) if known.used_at.is_none() => tx.put_voucher(&used),
                    _ => Ok(()),
                })
                .await
                .map_err(|error: StoreError| error.problem())?;
        }
        Ok(())
    }
}

impl Shown {
    fn look(
        &self,
        tx: &mut dyn Tx,
        now: Timestamp,
        next: Digest,
        refresh: &Secret<String>,
    ) -> Result<Looked, StoreError> {
        let digest = sha256(&[self.secret.expose().as_bytes()]);
        let Some(mut voucher) = tx.voucher(digest)? else {
            return Ok(Looked::Bad(
                self.unfit("is not one of this server, or is forgotten"),
            ));
        };
        if voucher.used_at.is_some() {
            return Ok(Looked::Again(voucher.task));
        }
        voucher.used_at = Some(now);
        tx.put_voucher(&voucher)?;
        if let Some(why) = self.flaw(&voucher, now) {
            return Ok(Looked::Bad(self.unfit(why)));
        }
        if self
            .resource
            .as_ref()
            .is_some_and(|asked| *asked != voucher.resource)
        {
            let message = "the user consented to another resource";
            let help = format!("ask for {}, or start again", voucher.resource);
            return Ok(Looked::Bad(Problem::new(
                Code::ResourceUnknown,
                message,
                help,
            )));
        }
        let open = tx.task(voucher.task)?;
        if open.is_none_or(|task| task.refusal(now).is_some()) {
            return Ok(Looked::Bad(self.unfit("is for a task that has ended")));
        }
        let agent = tx.instance(voucher.instance)?.map(|row| row.agent);
        let (Some(agent), Some(_)) = (agent, tx.oauth_client(&voucher.client)?) else {
            let why = "was given to a client that was removed";
            return Ok(Looked::Bad(self.unfit(why)));
        };
        tx.put_voucher(&Voucher {
            sha256: next,
            form: VoucherForm::Refresh,
            jkt: self.jkt.clone(),
            expires_at: voucher.keep_until,
            used_at: None,
            ..voucher.clone()
        })?;
        Ok(Looked::Good(Redeemed {
            task: voucher.task,
            agent,
            instance: voucher.instance,
            resource: voucher.resource,
            refresh: refresh.clone(),
        }))
    }

    /// What speaks against a voucher that was not used before.
    fn flaw(&self, voucher: &Voucher, now: Timestamp) -> Option<&'static str> {
        if now >= voucher.expires_at {
            return Some("is past its end");
        }
        if voucher.client != self.client {
            return Some("was given to another client");
        }
        // What was bound once stays bound to that key.
        if voucher.jkt.is_some() && voucher.jkt != self.jkt {
            return Some("is bound to another key");
        }
        match (&voucher.form, &self.with) {
            (VoucherForm::Refresh, With::Refresh) => None,
            (
                VoucherForm::Code {
                    redirect_uri,
                    challenge,
                },
                With::Code {
                    redirect_uri: shown,
                    verifier,
                },
            ) => {
                if redirect_uri != shown {
                    return Some("was sent to another redirect URI");
                }
                (!pkce::verifies(verifier.expose(), challenge))
                    .then_some("has a challenge that the verifier is not for")
            }
            _ => Some("is not of that kind"),
        }
    }

    fn unfit(&self, why: &str) -> Problem {
        let message = format!("the {} {why}", self.with.name());
        Problem::new(Code::TokenInvalid, message, "ask the user again")
    }
}

impl With {
    const fn name(&self) -> &'static str {
        match self {
            Self::Code { .. } => "code",
            Self::Refresh => "refresh token",
        }
    }
}
