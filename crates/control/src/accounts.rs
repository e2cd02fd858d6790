//! Accounts of people and services, and the short-lived tokens they use the API with.

use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::account::{Account, Role};
use bailiwick_core::event::{ChangeRef, EventType};
use bailiwick_core::name::{AccountName, UserId};
use bailiwick_core::task::TaskState;
use bailiwick_core::{Code, Digest, Fault, Problem, Secret, Timestamp};
use bailiwick_crypto::hash::sha256;
use bailiwick_crypto::system::random;
use bailiwick_store::{ApiToken, StoreError, Tx};

use crate::tasks::Ended;
use crate::tools::Refusal;
use crate::{Actor, Control, Operation};

/// A token lives at most this long.
pub const MAX_TOKEN_LIFE: Duration = Duration::from_hours(12);
/// Prefix of every API token, so that scanners find it.
const PREFIX: &str = "bwa_";

/// What becomes of an account; what is not named stays.
#[derive(Debug, Clone, Default)]
pub struct ChangeAccount {
    /// Its roles.
    pub roles: Option<Vec<Role>>,
    /// Whether it can do anything.
    pub enabled: Option<bool>,
}

impl Control {
    /// Makes an account.
    pub async fn add_account(
        &self,
        actor: &Actor,
        name: AccountName,
        roles: Vec<Role>,
    ) -> Result<Account, Problem> {
        actor.may(Operation::WriteAccounts)?;
        let mut roles = roles;
        roles.sort();
        roles.dedup();
        if roles.is_empty() {
            return Err(no_role());
        }
        let account = Account {
            id: self.id(),
            name,
            roles,
            enabled: true,
            created_at: self.now(),
        };
        let mut event = self.change_event(
            EventType::AdminChanged,
            actor,
            "accounts.add",
            "account",
            &account.id,
        );
        if let Some(change) = &mut event.change {
            change.after = Some(format!("{:?}", account.roles).to_lowercase());
        }
        let (journal, row) = (Arc::clone(&self.parts.journal), account.clone());
        self.parts
            .store
            .write(move |tx| {
                if tx.account_named(&row.name)?.is_some() {
                    return Err(StoreError::AlreadyExists {
                        kind: "account",
                        key: row.name.to_string(),
                    });
                }
                tx.put_account(&row)?;
                journal.push(tx, &event)
            })
            .await
            .map_err(|error| error.problem())?;
        self.settled().await?;
        Ok(account)
    }

    /// Changes an account's roles, or whether it can do anything. When one is disabled, its tokens, its sessions and every task of its
    /// person end in the same transaction; enabling it brings nothing back.
    pub async fn change_account(
        &self,
        actor: &Actor,
        name: AccountName,
        change: ChangeAccount,
    ) -> Result<Account, Problem> {
        actor.may(Operation::WriteAccounts)?;
        if change.roles.as_ref().is_some_and(Vec::is_empty) {
            return Err(no_role());
        }
        let event = self.event(EventType::AdminChanged, actor, "accounts.change");
        let ending = self.ending(actor, "accounts.disabled").caused_by(event.id);
        let (control, who) = (self.clone(), actor.clone());
        let written = self.parts.store.write(move |tx| {
            let mut account = tx.account_named(&name)?.ok_or_else(|| unknown(&name))?;
            let before = in_words(&account);
            if let Some(mut roles) = change.roles.clone() {
                roles.sort();
                roles.dedup();
                account.roles = roles;
            }
            account.enabled = change.enabled.unwrap_or(account.enabled);
            tx.put_account(&account)?;
            let mut event = event.clone();
            event.change = Some(ChangeRef {
                kind: "account".to_owned(),
                id: account.id.to_string(),
                before: Some(before),
                after: Some(in_words(&account)),
            });
            control.parts.journal.push(tx, &event)?;
            control.void_answers_of(tx, &who, account.name.as_str(), event.id)?;
            let mut ended = Ended::default();
            if !account.enabled {
                shut_out(tx, &account)?;
                for task in tx.open_tasks_of_user(&UserId::of_account(&account.name))? {
                    ending.tree(tx, task.id, TaskState::Revoked, &mut ended)?;
                }
            }
            Ok::<_, Refusal>((account, ended))
        });
        let (account, ended) = written.await.map_err(Refusal::problem)?;
        // Taking away waits for nothing but its own commit.
        self.ended(&ended).await;
        self.settled().await?;
        Ok(account)
    }

    /// All accounts, by name.
    pub async fn accounts(&self, actor: &Actor) -> Result<Vec<Account>, Problem> {
        actor.may(Operation::Read)?;
        self.parts
            .store
            .read(|rows| rows.accounts())
            .await
            .map_err(|error: StoreError| error.problem())
    }

    /// Mints a token for an account. It is shown once; only its digest is kept.
    pub async fn mint_token(
        &self,
        actor: &Actor,
        name: AccountName,
        life: Duration,
    ) -> Result<(Secret<String>, Timestamp), Problem> {
        actor.may(Operation::WriteAccounts)?;
        if life.is_zero() || life > MAX_TOKEN_LIFE {
            return Err(Problem::new(
                Code::InvalidInput,
                "an API token lives more than 0 s and at most 12 h",
                "",
            ));
        }
        let token = format!(
            "{PREFIX}{}",
            Digest(random::<32>(&*self.parts.rng)).to_hex()
        );
        let (sha256, expires_at) = (sha256(&[token.as_bytes()]), self.now().plus(life));
        let minted_by = actor.name.clone();
        let event = self.event(EventType::AdminChanged, actor, "accounts.token");
        let journal = Arc::clone(&self.parts.journal);
        self.parts
            .store
            .write(move |tx| {
                let account = usable(tx, &name)?;
                tx.put_api_token(&ApiToken {
                    sha256,
                    account: account.id,
                    expires_at,
                    minted_by: minted_by.clone(),
                })?;
                let mut event = event.clone();
                event.change = Some(ChangeRef {
                    kind: "api-token".to_owned(),
                    id: account.id.to_string(),
                    before: None,
                    after: Some(expires_at.to_string()),
                });
                journal.push(tx, &event)
            })
            .await
            .map_err(|error| error.problem())?;
        self.settled().await?;
        Ok((Secret::new(token), expires_at))
    }

    /// The account that a bearer token stands for; none if it is unknown, expired or its account disabled.
    pub async fn authenticate(&self, bearer: &str) -> Result<Option<Actor>, Problem> {
        if !bearer.starts_with(PREFIX) || bearer.len() > 256 {
            return Ok(None);
        }
        // Looked up by digest: the comparison tells nothing about the token.
        let (digest, now) = (sha256(&[bearer.as_bytes()]), self.now());
        let found = self.parts.store.read(move |rows| {
            let Some(token) = rows
                .api_token(digest)?
                .filter(|token| now < token.expires_at)
            else {
                return Ok(None);
            };
            rows.account(token.account)
        });
        let account = found
            .await
            .map_err(|error: StoreError| error.problem())?
            .filter(|account| account.enabled);
        Ok(account.map(|account| Actor {
            name: account.name.to_string(),
            roles: account.roles,
            account: Some(account.id),
            uid: None,
        }))
    }
}

/// An account that can do something.
pub(crate) fn usable(tx: &dyn Tx, name: &AccountName) -> Result<Account, StoreError> {
    let account = tx.account_named(name)?;
    account
        .filter(|account| account.enabled)
        .ok_or_else(|| StoreError::NotFound {
            kind: "enabled account",
            key: name.to_string(),
        })
}

/// Nothing that an account was given before lets anybody in.
fn shut_out(tx: &mut dyn Tx, account: &Account) -> Result<(), StoreError> {
    tx.remove_api_tokens_of(account.id)?;
    tx.remove_login_codes_of(account.id)?;
    for session in tx.sessions_of(account.id)? {
        tx.remove_session(session.id)?;
    }
    Ok(())
}

/// Whether the person of a task may be worked for: where they have an account here, while it is not disabled.
pub(crate) fn may_be_worked_for(tx: &dyn Tx, user: &UserId) -> Result<(), Refusal> {
    let account = user.account().map(|name| tx.account_named(&name));
    match account.transpose()?.flatten() {
        Some(account) if !account.enabled => {
            let message = format!("the account of {user} is disabled");
            let help = format!(
                "nothing is done for this person until an admin enables it: `bailiwick account enable {}`",
                account.name
            );
            Err(Problem::new(Code::Conflict, message, help).into())
        }
        _ => Ok(()),
    }
}

fn no_role() -> Problem {
    Problem::new(
        Code::InvalidInput,
        "an account needs a role",
        "viewer, approver, operator or admin",
    )
}

fn unknown(name: &AccountName) -> StoreError {
    StoreError::NotFound {
        kind: "account",
        key: name.to_string(),
    }
}

fn in_words(account: &Account) -> String {
    let state = if account.enabled {
        "enabled"
    } else {
        "disabled"
    };
    let roles: Vec<&str> = account.roles.iter().map(|role| role.as_str()).collect();
    format!("{state} {}", roles.join(","))
}
