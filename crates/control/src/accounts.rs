//! Accounts of people and services, and the short-lived tokens they use the API with.

use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::account::{Account, Role};
use bailiwick_core::event::{ChangeRef, EventType};
use bailiwick_core::fence::Subject;
use bailiwick_core::name::{AccountName, UserId};
use bailiwick_core::{Code, Digest, Fault, Problem, Secret, Timestamp};
use bailiwick_crypto::hash::sha256;
use bailiwick_crypto::system::random;
use bailiwick_store::{ApiToken, StoreError, Tx};

use crate::revocation::Wait;
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

    /// Changes an account's roles, or whether it can do anything. One that is disabled has no token and no session any more, and what goes on
    /// for its person is revoked; disabling it again carries out what a stop kept from being carried out.
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
            if !account.enabled {
                tx.remove_api_tokens_of(account.id)?;
                tx.remove_login_codes_of(account.id)?;
                for session in tx.sessions_of(account.id)? {
                    tx.remove_session(session.id)?;
                }
            }
            let mut event = event.clone();
            control.void_answers_of(tx, &who, account.name.as_str(), event.id)?;
            event.change = Some(ChangeRef {
                kind: "account".to_owned(),
                id: account.id.to_string(),
                before: Some(before),
                after: Some(in_words(&account)),
            });
            control.parts.journal.push(tx, &event)?;
            Ok::<_, Refusal>(account)
        });
        let account = written.await.map_err(Refusal::problem)?;
        // Taking away waits for nothing but its own commit.
        if !account.enabled {
            self.ends_for(actor, &account).await?;
        }
        self.settled().await?;
        Ok(account)
    }

    /// Revokes what goes on for the person of an account.
    async fn ends_for(&self, actor: &Actor, account: &Account) -> Result<(), Problem> {
        let user = format!("user:local:{}", account.name).parse();
        let user: UserId = user.map_err(|_| unknown(&account.name).problem())?;
        let reason = format!("the account {} was disabled", account.name);
        let order = self.order(actor, vec![Subject::User(user)], reason);
        self.carry_out(order, Wait::None).await.map(drop)
    }

    /// Revokes what still goes on for people whose accounts are disabled: a stop may have come between the two.
    pub(crate) async fn end_for_disabled(&self) -> Result<(), Problem> {
        let found = self.parts.store.read(|rows| {
            let tasks = rows.open_tasks()?;
            let mut accounts = rows.accounts()?;
            accounts.retain(|account| {
                let user = format!("user:local:{}", account.name);
                !account.enabled && tasks.iter().any(|task| task.user.as_str() == user)
            });
            Ok::<_, StoreError>(accounts)
        });
        for account in found.await.map_err(|error| error.problem())? {
            self.ends_for(&Actor::system(), &account).await?;
        }
        Ok(())
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
