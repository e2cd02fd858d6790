//! The scrubber: verifies all files of a running log from time to time and opens what is kept, in slices with rests between them, so that damage is found while
//! there are copies to restore from. It changes nothing.

use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bailiwick_core::Timestamp;
use bailiwick_crypto::note::NoteVerifier;

use crate::seal::Kek;
use crate::verify::{self, Verdict};

mod values;

/// Time between two looks at everything.
pub const EVERY: Duration = Duration::from_hours(7 * 24);
/// Bundles of 256 events that are verified at a time: some milliseconds' work.
const SLICE: u32 = 16;
/// Rest after each.
const REST: Duration = Duration::from_millis(100);

/// What the last look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scrubbed {
    /// When it ended.
    pub at: Timestamp,
    /// What it found.
    pub verdict: Verdict,
}

/// What the scrubber verifies and opens with; asked for at each look, since keys are replaced.
pub(crate) struct Keys {
    /// Those that sign checkpoints.
    pub(crate) log: Box<dyn Fn() -> Vec<NoteVerifier> + Send>,
    /// Those that wrap the keys of events.
    pub(crate) values: Box<dyn Fn() -> Vec<Kek> + Send + Sync>,
}

/// The thread's side and that of who orders.
#[derive(Debug, Default)]
pub(crate) struct Scrub {
    order: Mutex<Order>,
    changed: Condvar,
}

#[derive(Debug, Default)]
enum Order {
    #[default]
    None,
    Wanted,
    Done(Verdict),
    Stop,
}

impl Scrub {
    /// Looks whenever it is ordered, until told to stop. `told` is called after each.
    pub(crate) fn run(&self, dir: &Path, keys: &Keys, told: &dyn Fn()) {
        while self.wait_for_order() {
            let mut bundles = 0;
            let mut go_on = || {
                bundles += 1;
                bundles % SLICE != 0 || self.rest()
            };
            let Some(mut verdict) = verify::paced(dir, &(keys.log)(), &mut go_on) else {
                return;
            };
            if let Verdict::Proven(report) = &verdict {
                let lost = values::first_lost(dir, &*keys.values, report, &mut go_on);
                verdict = lost.map_or(verdict, Verdict::Altered);
            }
            let mut order = self.lock();
            if matches!(*order, Order::Stop) {
                return;
            }
            *order = Order::Done(verdict);
            drop(order);
            told();
        }
    }

    /// Look at everything; false if that is under way.
    pub(crate) fn order(&self) -> bool {
        let mut order = self.lock();
        if !matches!(*order, Order::None) {
            return false;
        }
        *order = Order::Wanted;
        self.changed.notify_all();
        true
    }

    /// What the last look found, once.
    pub(crate) fn take(&self) -> Option<Verdict> {
        let mut order = self.lock();
        match std::mem::take(&mut *order) {
            Order::Done(verdict) => Some(verdict),
            other => {
                *order = other;
                None
            }
        }
    }

    /// End, whatever is under way.
    pub(crate) fn stop(&self) {
        *self.lock() = Order::Stop;
        self.changed.notify_all();
    }

    fn wait_for_order(&self) -> bool {
        let mut order = self.lock();
        loop {
            match *order {
                Order::Wanted => return true,
                Order::Stop => return false,
                Order::None | Order::Done(_) => {}
            }
            order = self
                .changed
                .wait(order)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Rests; false if told to stop.
    fn rest(&self) -> bool {
        let order = self.lock();
        let (order, _) = self
            .changed
            .wait_timeout_while(order, REST, |order| !matches!(order, Order::Stop))
            .unwrap_or_else(PoisonError::into_inner);
        !matches!(*order, Order::Stop)
    }

    fn lock(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
