//! Budget usage after a restart: the calls of open tasks that the record says were allowed, counted again on the task and on every
//! ancestor.

use std::collections::HashMap;

use bailiwick_audit::Log;
use bailiwick_audit::read::ReadError;
use bailiwick_core::Timestamp;
use bailiwick_core::budget::Usage;
use bailiwick_core::decision::Outcome;
use bailiwick_core::id::TaskId;
use bailiwick_enforce::Budgets;

/// What the types of intents end in.
const INTENT: &[u8] = b".intent";

/// Restores the counters of these tasks. Reads the whole record: call it where blocking is allowed.
pub(super) fn restore(log: &Log, open: &[TaskId], budgets: &Budgets) -> Result<(), ReadError> {
    let mut used: HashMap<TaskId, (Usage, Timestamp)> = HashMap::new();
    if open.is_empty() {
        return Ok(());
    }
    for entry in log.read(0) {
        let entry = entry?;
        // Most leaves are of other types; only those that mention this one are parsed.
        if !entry
            .leaf
            .windows(INTENT.len())
            .any(|bytes| bytes == INTENT)
        {
            continue;
        }
        let leaf = entry.parse()?;
        let event = &leaf.event;
        let allowed = event
            .decision
            .as_ref()
            .is_some_and(|decision| decision.effect == Outcome::Allow);
        let effect = event.action.as_ref().and_then(|action| action.effect);
        let intent = event.kind.result().is_some();
        let (true, true, Some(effect)) = (intent, allowed, effect) else {
            continue;
        };
        for link in &event.chain {
            let first = (Usage::default(), leaf.ts);
            used.entry(link.task).or_insert(first).0.count(effect);
        }
    }
    for task in open {
        if let Some((usage, first)) = used.get(task) {
            budgets.restore(*task, *usage, *first);
        }
    }
    Ok(())
}
