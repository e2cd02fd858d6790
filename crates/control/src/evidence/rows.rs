//! Facts of the node's state, read in one transaction: agents, tools, tasks, leases, tokens and revocations.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use bailiwick_core::budget::Budget;
use bailiwick_core::definition::{Tool, ToolState};
use bailiwick_core::fence::Subject;
use bailiwick_core::finding::{Finding, FindingState};
use bailiwick_core::id::InstanceId;
use bailiwick_core::lease::{Lease, LeaseState};
use bailiwick_core::name::{AgentName, ToolRef};
use bailiwick_core::server::Server;
use bailiwick_core::task::Task;
use bailiwick_core::{Digest, Timestamp};
use bailiwick_posture::evidence::Measured;
use bailiwick_store::{
    FindingFilter, LeaseFilter, MAX_PAGE, Reads, RevocationRow, StoreError, TaskFilter,
};

use super::{Period, row};

/// Longest life of a lease that counts as just in time.
const SHORT: Duration = Duration::from_hours(1);
/// Longest time that taking a credential away may take.
const GRACE: Duration = Duration::from_mins(1);
/// Longest time from an order until every point has applied it, milliseconds.
const APPLIED_MS: u64 = 2_000;
/// Rows of one kind that are looked at; beyond it nothing counts as shown.
const MAX_ROWS: usize = 100_000;

/// What was found.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) measured: BTreeMap<String, Measured>,
    pub(super) agents_with_tasks: BTreeSet<String>,
    pub(super) attested: Vec<InstanceId>,
    pub(super) registered: Vec<AgentName>,
    pub(super) approved: Vec<(ToolRef, Digest)>,
    pub(super) complete: bool,
}

impl Rows {
    pub(super) fn read(
        view: &dyn Reads,
        period: Period,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let mut rows = Self {
            complete: true,
            ..Self::default()
        };
        rows.agents(view)?;
        rows.tools(view)?;
        rows.tasks(view, period)?;
        rows.leases(view, period, now)?;
        rows.revocations(view, period)?;
        rows.findings(view, period)?;
        rows.tokens(view, now)?;
        for instance in view.live_instances()? {
            if instance.client.is_none() {
                rows.attested.push(instance.id);
            }
        }
        Ok(rows)
    }

    fn put(&mut self, id: &str, measured: Measured) {
        self.measured.insert(id.to_owned(), measured);
    }

    /// F01 and F18.
    fn agents(&mut self, view: &dyn Reads) -> Result<(), StoreError> {
        let agents = view.agents()?;
        let revoked: Vec<_> = view
            .fences()?
            .into_iter()
            .filter(|fence| fence.lifted_seq.is_none())
            .filter_map(|fence| match fence.subject {
                Subject::Owner(owner) => Some(owner),
                _ => None,
            })
            .collect();
        let leases = view.live_leases()?;
        let (mut owned, mut retired) = (Measured::default(), Measured::default());
        for agent in &agents {
            if agent.enabled {
                let answers = !revoked.contains(&agent.owner);
                owned.count(answers, || row("agent", &agent.name));
            } else {
                let dead = view.open_tasks_of_agent(&agent.name)?.is_empty()
                    && view.live_instances_of_agent(&agent.name)?.is_empty()
                    && leases.iter().all(|lease| lease.agent != agent.name);
                retired.count(dead, || row("agent", &agent.name));
            }
        }
        self.registered = agents.into_iter().map(|agent| agent.name).collect();
        self.put("F01", owned);
        self.put("F18", retired);
        Ok(())
    }

    /// F08.
    fn tools(&mut self, view: &dyn Reads) -> Result<(), StoreError> {
        let servers = view.servers()?;
        let servers: HashMap<_, &Server> = servers
            .iter()
            .map(|server| (&server.name, server))
            .collect();
        let mut labelled = Measured::default();
        for tool in view.tools(None)? {
            if let Some(approved) = tool.approved {
                self.approved.push((tool.tool.clone(), approved));
            }
            if tool.state == ToolState::Approved {
                let server = servers.get(&tool.tool.server);
                let brings = brings_labels(&tool, server.copied());
                labelled.count(brings, || row("tool", &tool.tool));
            }
        }
        self.put("F08", labelled);
        Ok(())
    }

    /// F06 and F22.
    fn tasks(&mut self, view: &dyn Reads, period: Period) -> Result<(), StoreError> {
        let (mut narrowed, mut bounded) = (Measured::default(), Measured::default());
        let page = |after: Option<&Task>| {
            view.tasks(&TaskFilter::default(), after.map(|task| task.id), MAX_PAGE)
        };
        let complete = each(
            page,
            |task| task.created_at,
            period,
            |task| {
                self.agents_with_tasks.insert(task.agent.to_string());
                let bound = *task.scope.budget() != Budget::UNLIMITED;
                bounded.count(bound, || row("task", &task.id));
                if let Some(parent) = task.parent {
                    let parent: Option<Task> = view.task(parent)?;
                    let within =
                        parent.is_some_and(|parent| task.scope.within(&parent.scope).is_ok());
                    narrowed.count(within, || row("task", &task.id));
                }
                Ok(())
            },
        )?;
        self.complete &= complete;
        self.put("F06", narrowed);
        self.put("F22", bounded);
        Ok(())
    }

    /// F04.
    fn leases(
        &mut self,
        view: &dyn Reads,
        period: Period,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut short = Measured::default();
        let page = |after: Option<&Lease>| {
            view.leases(
                &LeaseFilter::default(),
                after.map(|lease| lease.id),
                MAX_PAGE,
            )
        };
        let complete = each(
            page,
            |lease| lease.created_at,
            period,
            |lease| {
                let task: Option<Task> = view.task(lease.task)?;
                let good = is_just_in_time(lease, task.as_ref(), now);
                short.count(good, || row("lease", &lease.id));
                Ok(())
            },
        )?;
        self.complete &= complete;
        self.put("F04", short);
        Ok(())
    }

    /// F05.
    fn revocations(&mut self, view: &dyn Reads, period: Period) -> Result<(), StoreError> {
        let mut carried_out = Measured::default();
        let page = |after: Option<&RevocationRow>| {
            view.revocations(after.map(|revocation| revocation.id), MAX_PAGE)
        };
        let complete = each(
            page,
            |revocation| revocation.created_at,
            period,
            |revocation| {
                let good = is_carried_out(revocation);
                carried_out.count(good, || row("revocation", &revocation.id));
                Ok(())
            },
        )?;
        self.complete &= complete;
        self.put("F05", carried_out);
        Ok(())
    }

    /// F17.
    fn findings(&mut self, view: &dyn Reads, period: Period) -> Result<(), StoreError> {
        let mut answered = Measured::default();
        let page = |after: Option<&Finding>| {
            view.findings(
                &FindingFilter::default(),
                after.map(|finding| finding.id),
                MAX_PAGE,
            )
        };
        // Old ones fall due late: all are looked at.
        let complete = each(
            page,
            |_| period.since,
            period,
            |finding| {
                let set_aside = matches!(
                    finding.state,
                    FindingState::Accepted | FindingState::Dismissed
                );
                if period.has(finding.due_at) && !set_aside {
                    let fixed = finding.fixed_at.is_some_and(|at| at <= finding.due_at);
                    let good = fixed && finding.state == FindingState::Fixed;
                    answered.count(good, || row("finding", &finding.id));
                }
                Ok(())
            },
        )?;
        self.complete &= complete;
        self.put("F17", answered);
        Ok(())
    }

    /// F20.
    fn tokens(&mut self, view: &dyn Reads, now: Timestamp) -> Result<(), StoreError> {
        let mut bound = Measured::default();
        for task in view.open_tasks()? {
            for token in view.tokens_of_task(task.id)? {
                if token.exp > now {
                    let good = token.jkt.is_some() || token.x5t.is_some();
                    bound.count(good, || row("token", &token.jti));
                }
            }
        }
        self.put("F20", bound);
        Ok(())
    }
}

/// Goes through rows from the newest to the first of the period; false if there were more than is looked at.
fn each<T>(
    page: impl Fn(Option<&T>) -> Result<Vec<T>, StoreError>,
    created: impl Fn(&T) -> Timestamp,
    period: Period,
    mut take: impl FnMut(&T) -> Result<(), StoreError>,
) -> Result<bool, StoreError> {
    let (mut last, mut seen): (Option<T>, usize) = (None, 0);
    while seen < MAX_ROWS {
        let mut rows = page(last.as_ref())?;
        for row in &rows {
            if created(row) < period.since {
                return Ok(true);
            }
            if period.has(created(row)) {
                take(row)?;
            }
        }
        if rows.len() < MAX_PAGE {
            return Ok(true);
        }
        seen += rows.len();
        last = rows.pop();
    }
    Ok(false)
}

/// What is labelled at all, whichever way.
fn brings_labels(tool: &Tool, server: Option<&Server>) -> bool {
    !tool.binding.labels.is_empty()
        || !tool.binding.paths.is_empty()
        || server.is_some_and(|server| !server.labels.is_empty())
}

/// Short, and gone when its task is.
fn is_just_in_time(lease: &Lease, task: Option<&Task>, now: Timestamp) -> bool {
    let short = lease.not_after.since(lease.created_at) <= SHORT;
    let needed = task.is_some_and(|task| task.refusal(now).is_none());
    let going = lease
        .revoked_at
        .is_some_and(|since| now.since(since) <= GRACE);
    short && (needed || going || lease.state == LeaseState::Tombstone)
}

fn is_carried_out(revocation: &RevocationRow) -> bool {
    revocation.reach.as_ref().is_some_and(|reach| {
        let in_time = |ms: u64| ms <= APPLIED_MS;
        let mut points = reach.points.iter();
        points.all(|point| in_time(point.applied_ms) && in_time(point.swept_ms))
            && reach.leases.pending == 0
    })
}
