//! Points in this process, each with a connection of its own, and when each has applied a fence.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bailiwick_core::Clock as _;
use bailiwick_crypto::system::SystemClock;
use bailiwick_server::point::{self, News};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::harness::world::World;

/// No point takes longer for anything.
const DEADLINE: Duration = Duration::from_mins(1);

/// What was measured.
pub(crate) struct Applied {
    /// From the call to each point, each time.
    pub(crate) all: Vec<Duration>,
    /// From the call to its answer, which waits for the commit alone.
    pub(crate) durable: Vec<Duration>,
}

/// What points said.
#[derive(Default)]
struct Seen {
    inner: Mutex<Said>,
    more: Condvar,
}

#[derive(Default)]
struct Said {
    /// Names of those that can decide.
    open: HashSet<String>,
    /// When points had applied the fence of this change.
    fences: HashMap<u64, Vec<Duration>>,
}

impl Seen {
    fn told(&self, point: &str, news: &News) {
        let now = SystemClock.monotonic();
        let mut inner = self.inner.lock().unwrap();
        match news {
            News::Open(_) => {
                inner.open.insert(point.to_owned());
            }
            News::Closed { .. } => {
                inner.open.remove(point);
            }
            News::Fence(fence) => inner.fences.entry(fence.seq).or_default().push(now),
        }
        self.more.notify_all();
    }

    fn wait<T>(&self, mut until: impl FnMut(&mut Said) -> Option<T>) -> Result<T> {
        let mut inner = self.inner.lock().unwrap();
        loop {
            if let Some(found) = until(&mut inner) {
                return Ok(found);
            }
            let (again, timeout) = self.more.wait_timeout(inner, DEADLINE).unwrap();
            ensure!(!timeout.timed_out(), "points have fallen silent");
            inner = again;
        }
    }
}

/// Registers a point and runs it.
fn start(world: &World, runtime: &Runtime, name: &str, seen: &Arc<Seen>) -> Result<JoinHandle<()>> {
    let added = world
        .node
        .api("POST", "/v1/points", Some(&json!({ "name": name })));
    let point = point::open(added.to_string().as_bytes(), None)?;
    let (seen, name) = (Arc::clone(seen), name.to_owned());
    Ok(
        runtime.spawn(point::watch(point, std::future::pending(), move |news| {
            seen.told(&name, &news);
            true
        })),
    )
}

fn revoke(world: &World, subject: &str, wait: &str) -> (Duration, Value) {
    let order = json!({"subjects": [subject], "reason": "bench", "wait": wait});
    let before = SystemClock.monotonic();
    let report = world.node.api("POST", "/v1/revocations", Some(&order));
    (SystemClock.monotonic().saturating_sub(before), report)
}

/// Sets `rounds` fences under `many` points.
pub(crate) fn measure(world: &World, many: usize, rounds: usize) -> Result<Applied> {
    let runtime = Runtime::new()?;
    let seen = Arc::new(Seen::default());
    for at in 0..many {
        start(world, &runtime, &format!("point-{at}"), &seen)?;
    }
    seen.wait(|said| (said.open.len() == many).then_some(()))?;
    let mut applied = Applied {
        all: Vec::new(),
        durable: Vec::new(),
    };
    for round in 0..rounds {
        let before = SystemClock.monotonic();
        let (took, report) = revoke(world, &format!("owner/bench-{round}"), "none");
        let seq = report["seq"].as_u64().context("a sequence")?;
        let times = seen.wait(|said| {
            let all = said.fences.get(&seq).is_some_and(|all| all.len() == many);
            all.then(|| said.fences.remove(&seq)).flatten()
        })?;
        applied.durable.push(took);
        let times = times.into_iter().map(|time| time.saturating_sub(before));
        applied.all.extend(times);
    }
    // They fall silent, and soon their leases are over: then each is taken out at once.
    runtime.shutdown_background();
    for at in 0..many {
        let path = format!("/v1/points/point-{at}");
        world.node.request("DELETE", &path, None).expect(204);
    }
    Ok(applied)
}

/// The longest that an order took which waited for a point that had just died.
pub(crate) fn with_a_dead_one(world: &World, rounds: usize) -> Result<Duration> {
    let runtime = Runtime::new()?;
    let mut longest = Duration::ZERO;
    for round in 0..rounds {
        let seen = Arc::new(Seen::default());
        let name = format!("dead-{round}");
        let running = start(world, &runtime, &name, &seen)?;
        seen.wait(|said| (said.open.len() == 1).then_some(()))?;
        running.abort();
        let (took, report) = revoke(world, &format!("owner/dead-{round}"), "all");
        let point = &report["points"][1];
        ensure!(
            point["how"] == "lapsed" && point["id"] == name.as_str(),
            "the dead point was not waited for: {report}"
        );
        longest = longest.max(took);
        world
            .node
            .request("DELETE", &format!("/v1/points/{name}"), None)
            .expect(204);
    }
    Ok(longest)
}
