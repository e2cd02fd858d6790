//! What a point asks and what it makes of the answer, without clock, socket or task of its own: each step is a function of what it is
//! given.

use std::time::Duration;

use bailiwick_core::Rng;
use bailiwick_core::change::{Change, ChangeBody};
use bailiwick_core::feed::{Applied, Ask, Content, Head, LEASE, MAX_HEAD_KEYS};
use bailiwick_core::name::PointName;
use bailiwick_crypto::head::{self, HeadError, HeadKey};
use bailiwick_crypto::system::random;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;

use crate::replica::{Replica, Status};

/// A point's side of the feed.
#[derive(Debug)]
pub struct Follower {
    name: PointName,
    session: String,
    keys: Vec<HeadKey>,
    asked: Option<Asked>,
    /// The epoch that the replica is of.
    epoch: Option<u64>,
    /// The highest head ever seen. A node that is behind it has lost something.
    highest: Option<Applied>,
}

/// The question that is open.
#[derive(Debug)]
struct Asked {
    nonce: String,
    at: Duration,
}

/// An answer that counts for nothing.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Nothing was asked that this could answer: late, repeated, or for somebody else.
    #[error("an answer to a question that is not open")]
    Unasked,
    /// Not the node's.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The node names no usable keys for what follows.
    #[error("a head names no usable keys")]
    Keys,
    /// What the head covers cannot be read: a newer node, or a defect.
    #[error("what follows the head cannot be read: {0}")]
    Content(String),
    /// Changes of another epoch than the replica, or with a gap.
    #[error("the answer does not continue what this point has")]
    Step,
    /// The node knows less than it did.
    #[error(
        "the node is at {now:?} and was at {was:?}: its store is an older copy that nobody adopted"
    )]
    Regressed {
        /// What it says now.
        now: Applied,
        /// What this point has seen.
        was: Applied,
    },
}

/// What a head means to a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// What follows may be applied; with everything up to the head applied, the lease counts from the question.
    Take,
    /// Everything has to be read anew, and until then everything is denied.
    Anew,
    /// The node knows less than it did then. Everything is denied.
    Regressed(Applied),
}

/// Judges a head by what the point has applied and by the highest head that it ever took.
pub fn judge(
    has: Option<Applied>,
    highest: Option<Applied>,
    now: Applied,
    content: Content,
) -> Judgement {
    if let Some(was) = highest.filter(|was| now < *was) {
        return Judgement::Regressed(was);
    }
    let continues = has.is_some_and(|has| has.epoch == now.epoch);
    match content {
        Content::Changes if !continues => Judgement::Anew,
        _ => Judgement::Take,
    }
}

impl Follower {
    /// One that has heard nothing.
    pub fn new(name: PointName, keys: Vec<HeadKey>, rng: &dyn Rng) -> Self {
        Self {
            name,
            session: draw(rng),
            keys,
            asked: None,
            epoch: None,
            highest: None,
        }
    }

    /// What the replica has applied; none while it is closed.
    pub fn applied(&self, replica: &Replica) -> Option<Applied> {
        let epoch = self.epoch?;
        (replica.status() == Status::Open).then(|| Applied {
            epoch,
            seq: replica.applied(),
        })
    }

    /// The next question, asked now. An answer to any before it counts for nothing any more.
    pub fn ask(&mut self, replica: &Replica, now: Duration, rng: &dyn Rng) -> Ask {
        let nonce = draw(rng);
        self.asked = Some(Asked {
            nonce: nonce.clone(),
            at: now,
        });
        Ask {
            session: self.session.clone(),
            nonce,
            applied: self.applied(replica),
        }
    }

    /// Takes an answer: applies what it brings, and if the replica is then in step, prolongs its lease, counted from the question.
    pub fn hear(&mut self, answer: &[u8], replica: &Replica) -> Result<(), Refusal> {
        let (head, content) = head::open(&self.keys, answer)?;
        let mine = |asked: &mut Asked| asked.nonce == head.nonce && head.point == self.name;
        let asked = self.asked.take_if(mine).ok_or(Refusal::Unasked)?;
        let now = Applied {
            epoch: head.epoch,
            seq: head.seq,
        };
        match judge(self.applied(replica), self.highest, now, head.content) {
            Judgement::Regressed(was) => {
                replica.close("the node knows less than it did");
                return Err(Refusal::Regressed { now, was });
            }
            Judgement::Anew => {
                replica.close("the feed began anew");
                return Err(Refusal::Step);
            }
            Judgement::Take => {}
        }
        let keys = keys(&head)?;
        self.apply(&head, content, replica)?;
        self.highest = Some(now);
        self.keys = keys;
        if replica.applied() >= head.seq {
            replica.hold(asked.at.saturating_add(LEASE));
        }
        Ok(())
    }

    fn apply(&mut self, head: &Head, content: &[u8], replica: &Replica) -> Result<(), Refusal> {
        match head.content {
            Content::Changes => {
                let changes: Vec<Change> = lines(content)?;
                replica.apply(&changes);
                match replica.status() {
                    Status::Open => Ok(()),
                    _ => Err(Refusal::Step),
                }
            }
            Content::Snapshot { upto } => {
                let bodies: Vec<ChangeBody> = lines(content)?;
                if replica.status() == Status::Open {
                    replica.close("everything is read anew");
                }
                replica.load(bodies, upto);
                self.epoch = Some(head.epoch);
                Ok(())
            }
        }
    }
}

fn keys(head: &Head) -> Result<Vec<HeadKey>, Refusal> {
    if head.keys.is_empty() || head.keys.len() > MAX_HEAD_KEYS {
        return Err(Refusal::Keys);
    }
    let keys: Result<Vec<HeadKey>, HeadError> =
        head.keys.iter().map(|text| HeadKey::parse(text)).collect();
    keys.map_err(|_| Refusal::Keys)
}

fn lines<T: DeserializeOwned>(content: &[u8]) -> Result<Vec<T>, Refusal> {
    content
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            serde_json::from_slice(line).map_err(|error| Refusal::Content(error.to_string()))
        })
        .collect()
}

/// 128 random bits.
fn draw(rng: &dyn Rng) -> String {
    URL_SAFE_NO_PAD.encode(random::<16>(rng))
}
