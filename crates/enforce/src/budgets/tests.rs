//! Budgets under parallel calls and along a chain.

use std::sync::Arc;
use std::thread;

use bailiwick_core::budget::{Budget, Usage};
use bailiwick_core::id::TaskId;
use bailiwick_core::{Effect, Timestamp};

use super::Budgets;

const PARENT: TaskId = TaskId::from_bits(1);
const CHILD: TaskId = TaskId::from_bits(2);

fn calls(calls: u64) -> Budget {
    Budget {
        calls: Some(calls),
        ..Budget::UNLIMITED
    }
}

#[test]
fn of_a_thousand_parallel_calls_exactly_as_many_pass_as_the_budget_has() {
    let budgets = Arc::new(Budgets::default());
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let budgets = Arc::clone(&budgets);
            let reserve = move || {
                budgets
                    .reserve(&[(PARENT, calls(100))], Effect::Read, Timestamp::default())
                    .is_ok()
            };
            thread::spawn(move || (0..125).filter(|_| reserve()).count())
        })
        .collect();
    let passed: usize = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    assert_eq!(passed, 100);
    assert_eq!(budgets.usage(PARENT).calls, 100);
}

#[test]
fn a_childs_calls_count_on_its_ancestors_all_or_nothing() {
    let budgets = Budgets::default();
    let now = Timestamp::default();
    let chain = [(CHILD, calls(10)), (PARENT, calls(3))];
    for _ in 0..3 {
        budgets.reserve(&chain, Effect::Write, now).unwrap();
    }
    let refused = budgets.reserve(&chain, Effect::Write, now).unwrap_err();
    assert_eq!((refused.task, refused.bound), (PARENT, "calls"));
    // What the parent refused was not counted on the child either.
    assert_eq!(
        budgets.usage(CHILD),
        Usage {
            calls: 3,
            writes: 3,
            escalations: 0
        }
    );
}

#[test]
fn looking_ahead_counts_nothing_and_restored_counts_hold() {
    let budgets = Budgets::default();
    let now = Timestamp::default();
    let chain = [(PARENT, calls(1))];
    budgets.fits(&chain, Effect::Read, now).unwrap();
    budgets.fits(&chain, Effect::Read, now).unwrap();
    budgets.restore(
        PARENT,
        Usage {
            calls: 1,
            ..Usage::default()
        },
        now,
    );
    assert!(budgets.fits(&chain, Effect::Read, now).is_err());
}

#[test]
fn wall_time_runs_from_the_first_call() {
    let budgets = Budgets::default();
    let chain = [(
        PARENT,
        Budget {
            wall_time: Some(60),
            ..Budget::UNLIMITED
        },
    )];
    budgets
        .reserve(&chain, Effect::Read, Timestamp::from_secs(1_000))
        .unwrap();
    budgets
        .reserve(&chain, Effect::Read, Timestamp::from_secs(1_059))
        .unwrap();
    assert_eq!(
        budgets
            .reserve(&chain, Effect::Read, Timestamp::from_secs(1_060))
            .unwrap_err()
            .bound,
        "wall_time"
    );
}
