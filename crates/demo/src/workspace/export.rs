//! `export_all`: a call that takes long enough to be cut, reports progress, and stops when it is told to.

use std::time::Duration;

use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::{Peer, RoleServer};
use serde_json::{Value, json};
use tokio::time::MissedTickBehavior;

use super::failure::ToolFailure;
use super::files::Files;
use super::orders::Orders;

/// How long `export_all` takes: `parts` times `every`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Progress notifications of one export.
    pub parts: u32,
    /// Time between two of them.
    pub every: Duration,
}

impl Default for Pace {
    /// 30 seconds, a notification each half second.
    fn default() -> Self {
        Self {
            parts: 60,
            every: Duration::from_millis(500),
        }
    }
}

/// Gathers everything, part by part, until done or cancelled.
pub(super) async fn export_all(
    files: &Files,
    orders: &Orders,
    pace: Pace,
    peer: &Peer<RoleServer>,
    token: Option<ProgressToken>,
    cancelled: impl Future<Output = ()>,
) -> Result<Value, ToolFailure> {
    tokio::select! {
        biased;
        () = cancelled => Err(ToolFailure::Cancelled),
        exported = gather(files, orders, pace, peer, token) => exported,
    }
}

async fn gather(
    files: &Files,
    orders: &Orders,
    pace: Pace,
    peer: &Peer<RoleServer>,
    token: Option<ProgressToken>,
) -> Result<Value, ToolFailure> {
    let paths = files.list().await?;
    let rows = orders.all().await?;
    let mut ticks = tokio::time::interval(pace.every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    for part in 1..=pace.parts {
        ticks.tick().await;
        if let Some(token) = &token {
            let progress = ProgressNotificationParam::new(token.clone(), f64::from(part))
                .with_total(f64::from(pace.parts))
                .with_message(format!("part {part} of {}", pace.parts));
            // A caller that does not listen is no reason to stop: cancellation is.
            if let Err(error) = peer.notify_progress(progress).await {
                tracing::debug!(%error, "progress was not delivered");
            }
        }
    }
    Ok(json!({"files": paths, "orders": rows}))
}
