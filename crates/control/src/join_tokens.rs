//! Join tokens: an operator makes one for an agent, and whoever shows it first becomes an instance of that agent.

use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::event::EventType;
use bailiwick_core::id::JoinTokenId;
use bailiwick_core::join_token::{JoinToken, MAX_KEPT, MAX_LIFE, PREFIX};
use bailiwick_core::name::AgentName;
use bailiwick_core::selector::Selector;
use bailiwick_core::{Code, Digest, Fault, Problem, Secret};
use bailiwick_crypto::hash::sha256;
use bailiwick_crypto::system::random;
use bailiwick_store::{StoreError, Tx};

use crate::agents::unknown;
use crate::tools::Refusal;
use crate::{Actor, Control, Operation};

/// What an operator does with join tokens, as the record names it.
const KIND: &str = "join-token";

impl Control {
    /// Makes a join token for an agent that is registered to join by one. It is shown once; only its digest is kept.
    pub async fn make_join_token(
        &self,
        actor: &Actor,
        agent: AgentName,
        life: Duration,
    ) -> Result<(Secret<String>, JoinToken), Problem> {
        actor.may(Operation::WriteAgents)?;
        if life.is_zero() || life > MAX_LIFE {
            return Err(Problem::new(
                Code::InvalidInput,
                "a join token lives more than 0 s and at most 1 h",
                "make it when the machine that uses it is about to start",
            ));
        }
        let secret = format!(
            "{PREFIX}{}",
            Digest(random::<32>(&*self.parts.rng)).to_hex()
        );
        let digest = sha256(&[secret.as_bytes()]);
        let now = self.now();
        let token = JoinToken {
            id: self.id(),
            agent,
            made_by: actor.on_record(),
            made_at: now,
            expires_at: now.plus(life),
            used: None,
        };
        let mut event = self.change_event(
            EventType::AgentChanged,
            actor,
            "join_tokens.add",
            KIND,
            &token.id,
        );
        if let Some(change) = &mut event.change {
            change.after = Some(format!("agent {} until {}", token.agent, token.expires_at));
        }
        let (journal, row) = (Arc::clone(&self.parts.journal), token.clone());
        self.parts
            .store
            .write(move |tx| {
                joins_by_token(tx, &row.agent)?;
                tx.prune_join_tokens(now)?;
                if tx.join_tokens()?.len() >= MAX_KEPT {
                    return Err(Refusal::Problem(Problem::new(
                        Code::Overloaded,
                        format!("{MAX_KEPT} join tokens are there already"),
                        "remove some: `bailiwick join-token list`, or wait until they expire",
                    )));
                }
                tx.put_join_token(&row, digest)?;
                journal.push(tx, &event)?;
                Ok::<_, Refusal>(())
            })
            .await
            .map_err(Refusal::problem)?;
        self.settled().await?;
        Ok((Secret::new(secret), token))
    }

    /// The join tokens that have not expired, oldest first; used ones too.
    pub async fn join_tokens(&self, actor: &Actor) -> Result<Vec<JoinToken>, Problem> {
        actor.may(Operation::Read)?;
        let now = self.now();
        let all = self.parts.store.read(|rows| rows.join_tokens());
        let mut tokens = all.await.map_err(|error: StoreError| error.problem())?;
        tokens.retain(|token| now < token.expires_at);
        Ok(tokens)
    }

    /// Takes a join token back. An instance that it made lives on.
    pub async fn remove_join_token(&self, actor: &Actor, id: JoinTokenId) -> Result<(), Problem> {
        actor.may(Operation::WriteAgents)?;
        let event = self.change_event(
            EventType::AgentChanged,
            actor,
            "join_tokens.remove",
            KIND,
            &id,
        );
        let journal = Arc::clone(&self.parts.journal);
        self.parts
            .store
            .write(move |tx| {
                tx.remove_join_token(id)?;
                journal.push(tx, &event)
            })
            .await
            .map_err(|error: StoreError| error.problem())?;
        self.carry();
        Ok(())
    }
}

/// An agent that is known by more than a token, its program say, must not become joinable by the token alone.
fn joins_by_token(tx: &dyn Tx, name: &AgentName) -> Result<(), Refusal> {
    let agent = tx.agent(name)?.ok_or_else(|| unknown(name))?;
    let own = Selector::JoinAgent(name.clone());
    if agent.enabled && agent.selectors == [own.clone()] {
        return Ok(());
    }
    let message = if agent.enabled {
        format!("agent {name} is not registered to join by token")
    } else {
        format!("agent {name} is disabled")
    };
    Err(Refusal::Problem(Problem::new(
        Code::Conflict,
        message,
        format!("register one with --selector {own} and no other selector"),
    )))
}
