//! Refusals on record, without letting whoever is refused fill the log: one a minute for each code and asker.

use std::time::Duration;

use bailiwick_core::event::{Action, Event, EventType, Evidence, Outcome, Status};
use bailiwick_core::id::EventId;
use bailiwick_core::{Code, Problem};
use bailiwick_store::StoreError;
use quick_cache::sync::Cache;

use crate::authority::Authority;
use crate::exchange::TokenRefusal;

/// The same refusal of the same asker is on record at most this often.
const EVERY: Duration = Duration::from_mins(1);
/// Askers remembered; one that was forgotten is on record again.
const REMEMBERED: usize = 1_024;

/// When which refusal was put on record last, in time since boot.
#[derive(Debug)]
pub(crate) struct Refusals(Cache<(Code, String), Duration>);

impl Default for Refusals {
    fn default() -> Self {
        Self(Cache::new(REMEMBERED))
    }
}

impl Refusals {
    fn is_due(&self, code: Code, asker: &str, now: Duration) -> bool {
        let key = (code, asker.to_owned());
        let due = self
            .0
            .get(&key)
            .is_none_or(|last| now.saturating_sub(last) >= EVERY);
        if due {
            self.0.insert(key, now);
        }
        due
    }
}

impl Authority {
    /// Puts on record that a person who came for a client could not be signed in.
    pub async fn sign_in_refused(&self, client: &str, problem: &Problem) {
        self.refused(EventType::LoginRefused, "login", client, problem)
            .await;
    }

    /// Puts on record that a code or refresh token was shown in vain.
    pub async fn voucher_refused(&self, client: &str, refusal: &TokenRefusal) {
        self.refused(
            EventType::TokenRefused,
            "voucher.redeem",
            client,
            &refusal.problem,
        )
        .await;
    }

    /// Puts a refusal on record. The answer does not wait for it: nothing is granted.
    pub async fn refused(&self, kind: EventType, op: &str, asker: &str, problem: &Problem) {
        let parts = &self.parts;
        if !self
            .refusals
            .is_due(problem.code, asker, parts.clock.monotonic())
        {
            return;
        }
        let mut event = Event::new(EventId::new(&*parts.clock, &*parts.rng), kind);
        event.actor = Some(asker.to_owned());
        event.action = Some(Action::named(op));
        event.outcome = Some(Outcome {
            status: Status::Refused,
            code: Some(problem.code.to_string()),
            us: 0,
            bytes: 0,
            evidence: Evidence::Observed,
        });
        let journal = std::sync::Arc::clone(&parts.journal);
        let kept = parts.store.write(move |tx| journal.push(tx, &event)).await;
        if let Err(error) = kept {
            let error: StoreError = error;
            tracing::warn!(%error, "a refusal could not be put on record");
        }
        drop(parts.journal.settled());
    }
}
