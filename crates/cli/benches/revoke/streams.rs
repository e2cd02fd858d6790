//! Standing MCP streams through the gateway, each of a task and session of its own, and when its client sees it end.

use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bailiwick_core::Clock as _;
use bailiwick_crypto::system::SystemClock;
use serde_json::json;

use crate::harness::world::World;

/// Opens `many` streams and revokes their server, `rounds` times; from the call to the end of each stream.
pub(crate) fn measure(world: &World, many: usize, rounds: usize) -> Result<Vec<Duration>> {
    let mut cut = Vec::new();
    for _ in 0..rounds {
        let mut streams: Vec<JoinHandle<Duration>> = Vec::new();
        for _ in 0..many {
            let (_, session) = world.session();
            let stream = session.listen().expect(200);
            streams.push(std::thread::spawn(move || {
                // What comes before the end is nothing to wait for.
                stream.events().for_each(drop);
                SystemClock.monotonic()
            }));
        }
        let ended = streams.iter().filter(|stream| stream.is_finished()).count();
        ensure!(ended == 0, "{ended} streams ended by themselves");
        let order = json!({"subjects": ["server/workspace"], "reason": "bench", "wait": "none"});
        let before = SystemClock.monotonic();
        let report = world.node.api("POST", "/v1/revocations", Some(&order));
        for stream in streams {
            let end = stream.join().ok().context("a client failed")?;
            cut.push(end.saturating_sub(before));
        }
        let fence = report["fences"][0]["id"].as_str().context("a fence")?;
        let path = format!("/v1/fences/{fence}/lift");
        let reason = json!({"reason": "bench"});
        world.node.api("POST", &path, Some(&reason));
    }
    Ok(cut)
}
