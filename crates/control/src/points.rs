//! Enforcement points in other processes: an admin adds one, and gets the token and keys that it follows the feed with.

use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::event::EventType;
use bailiwick_core::name::PointName;
use bailiwick_core::point::{MAX_POINTS, PREFIX, Registration};
use bailiwick_core::receipt::Point;
use bailiwick_core::{Code, Digest, Fault, Problem, Secret};
use bailiwick_crypto::hash::sha256;
use bailiwick_crypto::system::random;
use bailiwick_store::StoreError;
use futures_util::future::BoxFuture;

use crate::tools::Refusal;
use crate::{Actor, Control, Operation};

/// Points, as the record names them.
const KIND: &str = "point";

/// The points that follow the feed of this node.
pub trait Points: Send + Sync {
    /// Resolves when every registered point is closed to what was fenced up to `seq`, with how each was: it said so, or its lease ran out. At
    /// the latest [`bailiwick_core::feed::CLOSED_AFTER`] after `durable`, a reading of the clock that never steps.
    fn closed(&self, seq: u64, durable: Duration) -> BoxFuture<'_, Vec<Point>>;

    /// From now on this point may follow.
    fn add(&self, point: &Registration, sha256: Digest);

    /// From now on it may not; resolves when its lease has run out.
    fn leave(&self, name: &PointName) -> BoxFuture<'_, ()>;

    /// Where it stands.
    fn standing(&self, name: &PointName) -> Standing;

    /// The public keys that heads are signed with.
    fn keys(&self) -> Vec<String>;
}

/// Where a point stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// The newest change that it said it has applied, since this node started.
    pub applied: Option<u64>,
    /// How long ago it was heard.
    pub heard: Option<Duration>,
    /// Whether it can hold a lease now.
    pub open: bool,
}

impl Control {
    /// Registers a point. Its token is shown once; only its digest is kept.
    pub async fn add_point(
        &self,
        actor: &Actor,
        name: PointName,
    ) -> Result<(Secret<String>, Registration), Problem> {
        actor.may(Operation::WritePoints)?;
        let secret = format!(
            "{PREFIX}{}",
            Digest(random::<32>(&*self.parts.rng)).to_hex()
        );
        let digest = sha256(&[secret.as_bytes()]);
        let point = Registration {
            name,
            made_by: actor.on_record(),
            made_at: self.now(),
        };
        let event = self.change_event(
            EventType::AdminChanged,
            actor,
            "points.add",
            KIND,
            &point.name,
        );
        let (journal, row) = (Arc::clone(&self.parts.journal), point.clone());
        self.parts
            .store
            .write(move |tx| {
                if tx.points()?.len() >= MAX_POINTS {
                    return Err(Refusal::Problem(Problem::new(
                        Code::Overloaded,
                        format!("{MAX_POINTS} points are registered already"),
                        "remove some: `bailiwick point list`",
                    )));
                }
                tx.put_point(&row, digest)?;
                journal.push(tx, &event)?;
                Ok::<_, Refusal>(())
            })
            .await
            .map_err(Refusal::problem)?;
        self.settled().await?;
        self.parts.points.add(&point, digest);
        Ok((Secret::new(secret), point))
    }

    /// The registered points by name, and where each stands.
    pub async fn points(&self, actor: &Actor) -> Result<Vec<(Registration, Standing)>, Problem> {
        actor.may(Operation::Read)?;
        let all = self.parts.store.read(|rows| rows.points());
        let all = all.await.map_err(|error: StoreError| error.problem())?;
        let standing = |(point, _): (Registration, Digest)| {
            let standing = self.parts.points.standing(&point.name);
            (point, standing)
        };
        Ok(all.into_iter().map(standing).collect())
    }

    /// Takes a point out. Its token is refused at once; the answer comes when its lease has run out, so that a revocation which no longer
    /// names it needs not to.
    pub async fn remove_point(&self, actor: &Actor, name: PointName) -> Result<(), Problem> {
        actor.may(Operation::WritePoints)?;
        let event = self.change_event(EventType::AdminChanged, actor, "points.remove", KIND, &name);
        self.parts.points.leave(&name).await;
        let journal = Arc::clone(&self.parts.journal);
        self.parts
            .store
            .write(move |tx| {
                tx.remove_point(&name)?;
                journal.push(tx, &event)
            })
            .await
            .map_err(|error: StoreError| error.problem())?;
        self.carry();
        Ok(())
    }

    /// The public keys that heads of the feed are signed with, as a point has to know them.
    pub fn head_keys(&self) -> Vec<String> {
        self.parts.points.keys()
    }
}
