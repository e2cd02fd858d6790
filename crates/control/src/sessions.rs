//! Signing in at the console: an admin makes a code for an account, whoever shows it gets a session in two halves, and both halves are
//! needed from then on.

use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::account::Account;
use bailiwick_core::event::{ChangeRef, EventType};
use bailiwick_core::id::ConsoleSessionId;
use bailiwick_core::name::AccountName;
use bailiwick_core::session::{CODE_LIFE, LoginCode, MAX_OF_ACCOUNT, Session};
use bailiwick_core::{Code, Digest, Fault, Problem, Secret, Timestamp};
use bailiwick_crypto::hash::sha256;
use bailiwick_crypto::system::random;
use bailiwick_store::StoreError;

use crate::accounts::usable;
use crate::tools::Refusal;
use crate::{Actor, Control, Operation};

/// Prefix of every sign-in code, so that scanners find it.
const CODE_PREFIX: &str = "bwl_";
/// Prefix of both halves of a session.
const HALF_PREFIX: &str = "bws_";
/// Longest code or half that is looked at.
const MAX_SECRET: usize = 128;
/// A session's idle end is moved on at most so many times while it would run down: not every request is a write.
const MOVES: u32 = 8;

/// How long sessions last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLives {
    /// Without a request of the person.
    pub idle: Duration,
    /// At most.
    pub absolute: Duration,
}

/// A session that has begun. Its halves are shown once.
pub struct SignedIn {
    /// The session.
    pub session: Session,
    /// Whose.
    pub account: Account,
    /// For the browser to keep out of the page's reach.
    pub cookie: Secret<String>,
    /// For the page.
    pub page: Secret<String>,
}

impl Control {
    /// Makes a code that lets somebody in as an account, once, within ten minutes. It is shown once; only its digest is kept.
    pub async fn mint_login_code(
        &self,
        actor: &Actor,
        name: AccountName,
    ) -> Result<(Secret<String>, Timestamp), Problem> {
        actor.may(Operation::WriteAccounts)?;
        let (code, digest) = self.secret(CODE_PREFIX);
        let (now, expires_at) = (self.now(), self.now().plus(CODE_LIFE));
        let minted_by = actor.on_record();
        let event = self.event(EventType::AdminChanged, actor, "accounts.link");
        let journal = Arc::clone(&self.parts.journal);
        let minted = self.parts.store.write(move |tx| {
            let account = usable(tx, &name)?;
            tx.prune_sessions(now)?;
            let code = LoginCode {
                account: account.id,
                minted_by: minted_by.clone(),
                expires_at,
            };
            tx.put_login_code(&code, digest)?;
            let mut event = event.clone();
            event.change = Some(ChangeRef {
                kind: "login-code".to_owned(),
                id: account.id.to_string(),
                before: None,
                after: Some(expires_at.to_string()),
            });
            journal.push(tx, &event)
        });
        minted.await.map_err(|error: StoreError| error.problem())?;
        self.settled().await?;
        Ok((code, expires_at))
    }

    /// Begins a session for who shows a code. On record before the halves are given away.
    pub async fn sign_in(&self, code: &str) -> Result<SignedIn, Problem> {
        if !code.starts_with(CODE_PREFIX) || code.len() > MAX_SECRET {
            return Err(no_code());
        }
        // Looked up by digest: the comparison tells nothing about the code.
        let (code, now) = (sha256(&[code.as_bytes()]), self.now());
        let ((cookie, cookie_digest), (page, page_digest)) =
            (self.secret(HALF_PREFIX), self.secret(HALF_PREFIX));
        let lives = self.parts.sessions;
        let id: ConsoleSessionId = self.id();
        let event = self.event(EventType::LoginAccepted, &Actor::system(), "sessions.open");
        let journal = Arc::clone(&self.parts.journal);
        let begun = self.parts.store.write(move |tx| {
            tx.prune_sessions(now)?;
            let code = tx.take_login_code(code)?;
            let code = code.ok_or_else(|| Refusal::Problem(no_code()))?;
            let account = tx
                .account(code.account)?
                .filter(|account| account.enabled)
                .ok_or_else(|| Refusal::Problem(no_code()))?;
            if tx.sessions_of(account.id)?.len() >= MAX_OF_ACCOUNT {
                return Err(Refusal::Problem(Problem::new(
                    Code::Overloaded,
                    format!("{} is signed in {MAX_OF_ACCOUNT} times", account.name),
                    "sign out somewhere, or wait until a session has ended",
                )));
            }
            let session = Session {
                id,
                account: account.id,
                minted_by: code.minted_by,
                cookie: cookie_digest,
                page: page_digest,
                started_at: now,
                idle_until: now.plus(lives.idle),
                ends_at: now.plus(lives.absolute),
            };
            tx.put_session(&session)?;
            let mut event = event.clone();
            event.actor = Some(account.id.to_string());
            event.change = Some(ChangeRef {
                kind: "session".to_owned(),
                id: id.to_string(),
                before: Some(session.minted_by.clone()),
                after: Some(session.ends_at.to_string()),
            });
            journal.push(tx, &event)?;
            Ok::<_, Refusal>((session, account))
        });
        let (session, account) = begun.await.map_err(Refusal::problem)?;
        self.settled().await?;
        Ok(SignedIn {
            session,
            account,
            cookie,
            page,
        })
    }

    /// Whom two halves of a session stand for; none if they do not belong together, or the session or its account has ended. What a
    /// person does (`active`) puts the idle end off; what a page asks by itself does not.
    pub async fn session_actor(
        &self,
        cookie: &str,
        page: &str,
        active: bool,
    ) -> Result<Option<(Actor, Session)>, Problem> {
        if cookie.len() > MAX_SECRET || page.len() > MAX_SECRET {
            return Ok(None);
        }
        let (cookie, page) = (sha256(&[cookie.as_bytes()]), sha256(&[page.as_bytes()]));
        let now = self.now();
        let found = self.parts.store.read(move |rows| {
            let session = rows.session_with(cookie)?;
            let Some(session) =
                session.filter(|session| session.page == page && !session.is_over(now))
            else {
                return Ok(None);
            };
            let account = rows.account(session.account)?;
            Ok(account
                .filter(|account| account.enabled)
                .map(|account| (session, account)))
        });
        let found = found.await.map_err(|error: StoreError| error.problem())?;
        let Some((mut session, account)) = found else {
            return Ok(None);
        };
        let idle = self.parts.sessions.idle;
        let next = now.plus(idle);
        if active && session.idle_until.plus(idle / MOVES) <= next {
            session.idle_until = next;
            self.move_on(session.id, next).await?;
        }
        let actor = Actor {
            name: account.name.to_string(),
            roles: account.roles,
            account: Some(account.id),
            uid: None,
        };
        Ok(Some((actor, session)))
    }

    /// Whether a session still stands for an account that may use the API: what a stream asks again and again.
    pub async fn session_lives(&self, id: ConsoleSessionId) -> Result<bool, Problem> {
        let now = self.now();
        let lives = self.parts.store.read(move |rows| {
            let session = rows.session(id)?.filter(|session| !session.is_over(now));
            let Some(session) = session else {
                return Ok(false);
            };
            let account = rows.account(session.account)?;
            Ok(account.is_some_and(|account| account.enabled))
        });
        lives.await.map_err(|error: StoreError| error.problem())
    }

    /// Ends a session.
    pub async fn sign_out(&self, actor: &Actor, id: ConsoleSessionId) -> Result<(), Problem> {
        let event = self.change_event(
            EventType::AdminChanged,
            actor,
            "sessions.close",
            "session",
            &id,
        );
        let journal = Arc::clone(&self.parts.journal);
        let ended = self.parts.store.write(move |tx| {
            match tx.remove_session(id) {
                // It ended by itself meanwhile.
                Err(StoreError::NotFound { .. }) => Ok(()),
                other => other.and_then(|()| journal.push(tx, &event)),
            }
        });
        ended.await.map_err(|error: StoreError| error.problem())?;
        self.carry();
        Ok(())
    }

    /// A session that was ended meanwhile stays ended.
    async fn move_on(&self, id: ConsoleSessionId, idle_until: Timestamp) -> Result<(), Problem> {
        let moved = self.parts.store.write(move |tx| {
            let Some(mut session) = tx.session(id)? else {
                return Ok(());
            };
            session.idle_until = session.idle_until.max(idle_until);
            tx.put_session(&session)
        });
        moved.await.map_err(|error: StoreError| error.problem())
    }

    fn secret(&self, prefix: &str) -> (Secret<String>, Digest) {
        let text = format!(
            "{prefix}{}",
            Digest(random::<32>(&*self.parts.rng)).to_hex()
        );
        let digest = sha256(&[text.as_bytes()]);
        (Secret::new(text), digest)
    }
}

fn no_code() -> Problem {
    Problem::new(
        Code::NotSignedIn,
        "this sign-in code is not good: it was used, it is older than ten minutes, or it never was one",
        "an admin makes one: `bailiwick account link NAME`",
    )
}
