//! How often an agent may call a tool, where policy bounds that (`rate:<n>/<time>`). Counted exactly, in memory of this node: in no stretch of
//! that time are there more calls.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bailiwick_core::name::{AgentName, ToolRef};

/// Calls that are told apart; a bound above it is as if it were this.
const MAX_CALLS: usize = 10_000;
/// Agents with tools that are told apart; one more is refused.
const MAX_KEYS: usize = 16_384;

/// Calls by agent and tool.
#[derive(Debug, Default)]
pub struct Rates {
    calls: Mutex<HashMap<(AgentName, ToolRef), Calls>>,
}

#[derive(Debug, Default)]
struct Calls {
    /// When, on the monotonic clock.
    at: VecDeque<Duration>,
    /// The longest time that was asked about.
    window: Duration,
}

impl Rates {
    /// Counts a call, or says after what time it may be made: at most `most` in any stretch of `per`.
    pub fn take(
        &self,
        agent: &AgentName,
        tool: &ToolRef,
        (most, per): (u64, Duration),
        now: Duration,
    ) -> Result<(), Duration> {
        let most = usize::try_from(most).unwrap_or(MAX_CALLS).min(MAX_CALLS);
        let mut calls = self.lock();
        let key = (agent.clone(), tool.clone());
        if !calls.contains_key(&key) && calls.len() >= MAX_KEYS {
            return Err(per);
        }
        let own = calls.entry(key).or_default();
        own.window = own.window.max(per);
        own.forget(now);
        let recent = own
            .at
            .iter()
            .rev()
            .take_while(|at| now.saturating_sub(**at) < per);
        let earliest = recent.take(most).enumerate().last();
        match earliest {
            Some((count, at)) if count + 1 >= most => {
                Err(per.saturating_sub(now.saturating_sub(*at)))
            }
            None if most == 0 => Err(per),
            _ => {
                own.at.push_back(now);
                if own.at.len() > MAX_CALLS {
                    own.at.pop_front();
                }
                Ok(())
            }
        }
    }

    /// Forgets calls that no bound counts any more.
    pub fn sweep(&self, now: Duration) {
        self.lock().retain(|_, calls| {
            calls.forget(now);
            !calls.at.is_empty()
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(AgentName, ToolRef), Calls>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Calls {
    fn forget(&mut self, now: Duration) {
        while self
            .at
            .front()
            .is_some_and(|at| now.saturating_sub(*at) >= self.window)
        {
            self.at.pop_front();
        }
    }
}
