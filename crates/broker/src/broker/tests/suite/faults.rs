//! The server fails: it is away for a while, it is killed before or after it did what it was told, or it did so and its answer is lost.

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bailiwick_core::lease::{Deployment, LeaseState};
use bailiwick_core::{Code, Fault};

use super::Elsewhere;
use super::bench::{Bench, user, wanted};
use crate::backend::{
    Answer, Backend, BackendError, Description, Left, Made, Object, Order, Probe, StaticSecret,
    Stray, Target,
};
use crate::broker::LeasesOf;
use crate::steps::Step;

pub(crate) async fn a_backend_that_is_down_delays_no_revocation_and_is_cleaned_when_it_is_back<
    E: Elsewhere,
>() {
    let bench = Bench::<E>::new().await;
    let taken = bench.take().await;
    bench.server().kill();
    assert_eq!(bench.revoke(LeasesOf::Lease(taken.lease.id)).await, 0);
    let waiting = bench.lease(taken.lease.id).await;
    assert_eq!(waiting.state, LeaseState::Revoking);
    let refused = bench.world.broker.take(wanted(&bench.world)).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::BackendDown, "{refused}");
    bench.server().run();
    // It was put off; its time comes.
    bench.world.clock.advance(Duration::from_mins(19));
    assert_eq!(bench.take_away().await, 2);
    assert_eq!(bench.accounts(), Vec::<String>::new());
    let leases = bench.world.leases().await;
    let states: Vec<_> = leases.iter().map(|lease| lease.state).collect();
    assert_eq!(states, [LeaseState::Tombstone; 2]);
}

pub(crate) async fn a_server_killed_or_an_answer_lost_at_any_step_leaves_nothing_behind<
    E: Elsewhere,
>() {
    let plan = Arc::new(Plan::default());
    let told = Arc::clone(&plan);
    let faulty = move |dir: &Path, values: &Arc<StaticSecret>| {
        let inner = E::backend(dir, values);
        Arc::new(Faulty { inner, plan: told }) as _
    };
    let bench = Bench::<E>::at(E::start(), faulty).await;
    assert!(plan.kill.set(Box::new(bench.killer())).is_ok());
    // The first lease compares and marks; the faults come after that.
    bench.take().await;
    assert_eq!(bench.revoke(LeasesOf::Every).await, 1);
    for how in [How::Lost, How::KilledBefore, How::KilledAfter] {
        for step in [
            Step::Create,
            Step::Disable,
            Step::Kill,
            Step::Drop,
            Step::Verify,
        ] {
            let case = format!("{step:?} {how:?}");
            if step == Step::Create {
                plan.set(step, how);
                let refused = bench.world.broker.take(wanted(&bench.world)).await;
                assert_eq!(refused.unwrap_err().code(), Code::BackendDown, "{case}");
            } else {
                let taken = bench.take().await;
                let mut session = bench.server().session(user(&taken), taken.secret.expose());
                assert_eq!(session.ask(E::QUESTION).as_deref(), Some(E::ANSWER));
                plan.set(step, how);
                bench.revoke(LeasesOf::Every).await;
            }
            assert!(plan.is_over(), "{case}: the step was not reached");
            if how != How::Lost {
                bench.server().run();
            }
            // A connection that died unseen costs one more try.
            for _ in 0..3 {
                bench.world.clock.advance(Duration::from_secs(61));
                bench.take_away().await;
            }
            assert_eq!(bench.accounts(), Vec::<String>::new(), "{case}");
            assert_eq!(bench.server().foreign_sessions(), 0, "{case}");
            let leases = bench.world.leases().await;
            let dead = |lease: &bailiwick_core::lease::Lease| lease.state == LeaseState::Tombstone;
            assert!(leases.iter().all(dead), "{case}: {leases:?}");
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// It did it, and nobody heard.
    Lost,
    /// It is killed before it hears.
    KilledBefore,
    /// It is killed after it did it, and nobody heard.
    KilledAfter,
}

/// The one fault that comes next.
#[derive(Default)]
struct Plan {
    next: Mutex<Option<(Step, How)>>,
    kill: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Plan {
    fn set(&self, step: Step, how: How) {
        *self.next.lock().unwrap() = Some((step, how));
    }

    fn is_over(&self) -> bool {
        self.next.lock().unwrap().is_none()
    }

    async fn at<T>(&self, step: Step, doing: Answer<'_, T>) -> Result<T, BackendError> {
        let due = self.next.lock().unwrap().take_if(|(at, _)| *at == step);
        let Some((_, how)) = due else {
            return doing.await;
        };
        let kill = || self.kill.get().unwrap()();
        if how == How::KilledBefore {
            kill();
            return doing.await;
        }
        doing.await?;
        if how == How::KilledAfter {
            kill();
        }
        Err(BackendError::Transient("the answer is lost".to_owned()))
    }
}

/// A real backend, and what comes between.
struct Faulty {
    inner: Arc<dyn Backend>,
    plan: Arc<Plan>,
}

impl Backend for Faulty {
    fn describe(&self) -> Description {
        self.inner.describe()
    }

    fn probe<'a>(&'a self, ours: &'a Deployment) -> Answer<'a, Probe> {
        self.inner.probe(ours)
    }

    fn create<'a>(&'a self, order: &'a Order) -> Answer<'a, Made> {
        Box::pin(self.plan.at(Step::Create, self.inner.create(order)))
    }

    fn list<'a>(&'a self, ours: &'a Deployment) -> Answer<'a, Vec<Object>> {
        self.inner.list(ours)
    }

    fn strays<'a>(&'a self, ours: &'a Deployment) -> Answer<'a, Vec<Stray>> {
        self.inner.strays(ours)
    }

    fn disable<'a>(&'a self, slice: &'a mut [Target]) -> Answer<'a, ()> {
        Box::pin(self.plan.at(Step::Disable, self.inner.disable(slice)))
    }

    fn kill_sessions<'a>(&'a self, slice: &'a [Target]) -> Answer<'a, u64> {
        Box::pin(self.plan.at(Step::Kill, self.inner.kill_sessions(slice)))
    }

    fn remove<'a>(&'a self, slice: &'a [Target]) -> Answer<'a, ()> {
        Box::pin(self.plan.at(Step::Drop, self.inner.remove(slice)))
    }

    fn verify<'a>(&'a self, slice: &'a [Target]) -> Answer<'a, Vec<Left>> {
        Box::pin(self.plan.at(Step::Verify, self.inner.verify(slice)))
    }

    fn mark<'a>(&'a self, ours: &'a Deployment, generation: u64) -> Answer<'a, ()> {
        self.inner.mark(ours, generation)
    }
}
