//! Requests that a server answers in rounds (2026-07-28): a request made again is decided again, and goes on only with a state that this
//! caller was given for exactly this request. It keeps its approval, and is one call of the budget (04 §12).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bailiwick_core::approval::Approval;
use bailiwick_core::json::{Limits, Numbers, check};
use bailiwick_core::{Code, Digest};
use bailiwick_crypto::hash::domain_digest;

use super::refusal;
use super::required::{Asking, carries};
use crate::answer::Refusal;
use crate::mcp::envelope::Envelope;
use crate::mcp::splice::without_members;

/// Rounds of one request.
pub(crate) const MAX_ROUNDS: u8 = 8;
/// How long a client may take for one.
const LIFE: Duration = Duration::from_mins(10);
/// Open rounds of one session; the oldest goes first.
const MAX_OPEN: usize = 64;

/// Open rounds of one session.
#[derive(Default)]
pub(crate) struct Rounds(Mutex<Vec<Round>>);

struct Round {
    request: Digest,
    state: Option<String>,
    number: u8,
    approval: Option<Approval>,
    /// Whether it was gone on with already. Whoever comes again then has no credit left.
    used: bool,
    until: Duration,
}

/// A request as far as it has come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Resumed {
    number: u8,
    /// The approval that it has: of an earlier round, or of this one.
    pub(crate) approval: Option<Approval>,
    /// Whether its call was counted in an earlier round.
    pub(crate) counted: bool,
}

impl Resumed {
    /// Whether it is made for the first time.
    pub(crate) const fn begins(&self) -> bool {
        self.number == 0
    }
}

impl Rounds {
    /// Where a request stands: at its beginning, or in the round that it carries the state of.
    pub(crate) fn resume(&self, envelope: &Envelope, now: Duration) -> Result<Resumed, Refusal> {
        let Some(params) = envelope.params().filter(carries) else {
            return Ok(Resumed::default());
        };
        let request = request(envelope);
        let state = match params.member("requestState") {
            None => None,
            Some(state) => Some(state.string().ok_or_else(unknown)?.into_owned()),
        };
        let mut open = self.lock();
        open.retain(|round| round.until > now);
        let found = open
            .iter_mut()
            .rev()
            .find(|round| Some(round.request) == request && round.state == state);
        match found {
            Some(round) => {
                let used = std::mem::replace(&mut round.used, true);
                Ok(Resumed {
                    number: round.number,
                    approval: round.approval.clone().filter(|_| !used),
                    counted: !used,
                })
            }
            // Answers without a state give no credit; a state that nobody was given is somebody else's, or made up.
            None if state.is_none() => Ok(Resumed::default()),
            None => Err(unknown()),
        }
    }

    /// Notes that a request was answered with questions.
    pub(crate) fn add(
        &self,
        envelope: &Envelope,
        resumed: &Resumed,
        asking: &Asking,
        now: Duration,
    ) -> Result<(), Refusal> {
        let (Some(request), Asking::Input(state)) = (request(envelope), asking) else {
            return Ok(());
        };
        let number = resumed.number.saturating_add(1);
        if number > MAX_ROUNDS {
            let why = format!("the tool server asked in more than {MAX_ROUNDS} rounds");
            return Err(refusal(&why));
        }
        let mut open = self.lock();
        open.retain(|round| round.until > now);
        // Asked again and again without a state, a request has one round.
        open.retain(|round| state.is_some() || round.request != request || round.state.is_some());
        if open.len() >= MAX_OPEN {
            open.remove(0);
        }
        open.push(Round {
            request,
            state: state.clone(),
            number,
            approval: resumed.approval.clone(),
            used: false,
            until: now.saturating_add(LIFE),
        });
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Round>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a request is about: method and params, without what differs from round to round.
fn request(envelope: &Envelope) -> Option<Digest> {
    let params = envelope.params()?;
    let bare = without_members(&params, |name| {
        matches!(name, "_meta" | "inputResponses" | "requestState")
    });
    let canonical = check(&bare, &Limits::ENVELOPE)
        .ok()?
        .canonical(Numbers::AsWritten)
        .ok()?;
    let mut text = envelope.method()?.as_bytes().to_vec();
    text.push(0);
    text.extend(canonical);
    Some(domain_digest("bailiwick/request/v1", &text))
}

fn unknown() -> Refusal {
    let message = "the requestState is none that this caller was given for this request";
    let help = "make the request without requestState and inputResponses; that begins anew";
    Refusal::new(Code::EnvelopeInvalid, message, help)
}
