//! How findings stand together: how many wait, how many for too long, and how long it took to remediate the others. Open ones are never
//! left out.

use bailiwick_core::finding::{Finding, FindingState};
use bailiwick_core::{Fault, Problem, Timestamp};
use bailiwick_store::{FindingFilter, MAX_PAGE, StoreError};
use serde::Serialize;

use super::linked::linked;
use crate::{Actor, Control, Operation};

/// How findings stand together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Waiting for somebody.
    pub open: usize,
    /// Of these, past their due date.
    pub overdue: usize,
    /// Fixed.
    pub fixed: usize,
    /// Of all whose due date has passed: fixed before it.
    pub in_time: usize,
    /// All whose due date has passed, but for those accepted or dismissed.
    pub due: usize,
    /// Half of those that were fixed took at most so many seconds.
    pub median_s: Option<u64>,
    /// Nine in ten did.
    pub p90_s: Option<u64>,
}

impl Control {
    /// How findings stand together.
    pub async fn finding_standing(&self, actor: &Actor) -> Result<Standing, Problem> {
        actor.may(Operation::Read)?;
        let now = self.now();
        let standing = self
            .parts
            .store
            .read(move |rows| {
                let mut all = Vec::new();
                let mut after = None;
                loop {
                    let page = rows.findings(&FindingFilter::default(), after, MAX_PAGE)?;
                    after = page.last().map(|finding| finding.id);
                    let whole = page.len() < MAX_PAGE;
                    for finding in page {
                        all.push(linked(rows, finding, now)?.finding);
                    }
                    if whole {
                        return Ok::<_, StoreError>(Standing::of(&all, now));
                    }
                }
            })
            .await;
        standing.map_err(|error: StoreError| error.problem())
    }
}

impl Standing {
    fn of(all: &[Finding], now: Timestamp) -> Self {
        let count = |holds: &dyn Fn(&Finding) -> bool| all.iter().filter(|it| holds(it)).count();
        let fixed = |it: &Finding| it.state == FindingState::Fixed;
        let ended = |it: &Finding| {
            let set_aside = it.state == FindingState::Dismissed
                || (it.state == FindingState::Accepted && !it.is_open(now));
            !set_aside && it.due_at < now
        };
        let in_time = |it: &Finding| fixed(it) && it.fixed_at.is_some_and(|at| at <= it.due_at);
        let mut took: Vec<u64> = all
            .iter()
            .filter_map(Finding::time_to_remediate)
            .map(|time| time.as_secs())
            .collect();
        took.sort_unstable();
        let nth = |hundredths: usize| {
            let at = (took.len() * hundredths).div_ceil(100).checked_sub(1)?;
            took.get(at).copied()
        };
        Self {
            open: count(&|it| it.is_open(now)),
            overdue: count(&|it| it.is_overdue(now)),
            fixed: count(&fixed),
            in_time: count(&|it| ended(it) && in_time(it)),
            due: count(&ended),
            median_s: nth(50),
            p90_s: nth(90),
        }
    }
}
