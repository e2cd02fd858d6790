//! The way out of one launch: a listener of its own at which its processes reach connectors with a run token. It is there before the
//! program begins, and answers once the node has seen what has begun.

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use bailiwick_core::id::{InstanceId, TaskId};
use bailiwick_core::{Rng, Secret};
use bailiwick_enforce::Gateway;
use bailiwick_enforce::egress::{Run, RunToken};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Closed when it is dropped.
pub(super) struct WayOut {
    /// Until it is open.
    waiting: Mutex<Option<(TcpListener, Run)>>,
    stop: CancellationToken,
    _closes: DropGuard,
}

impl WayOut {
    /// A listener that answers nobody yet, where it is, and what opens it.
    pub(super) async fn bind(
        task: TaskId,
        instance: InstanceId,
        rng: &dyn Rng,
    ) -> io::Result<(Self, String, Secret<String>)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let listen = listener.local_addr()?;
        let (text, token) = RunToken::draw(rng);
        let run = Run {
            task,
            instance,
            token,
            listen,
        };
        let stop = CancellationToken::new();
        let way_out = Self {
            waiting: Mutex::new(Some((listener, run))),
            _closes: stop.clone().drop_guard(),
            stop,
        };
        Ok((way_out, format!("http://{listen}/p"), text))
    }

    /// From now on it answers.
    pub(super) fn open(&self, gateway: &Arc<Gateway>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((listener, run)) = waiting.take() {
            let serving = Arc::clone(gateway).serve_run(listener, run, self.stop.clone());
            tokio::spawn(serving);
        }
    }

    /// From now on nobody is let in.
    pub(super) fn close(&self) {
        self.stop.cancel();
    }
}
