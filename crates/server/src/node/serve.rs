//! What has to run as long as the node does: listeners, sockets, the gateway, and what looks after tasks, exits and keys. Each ends when
//! told to; one that ends before breaks the node.

use std::sync::Arc;
use std::time::Duration;

use bailiwick_control::Control;
use bailiwick_core::id::InstanceId;
use bailiwick_enforce::accept::Acceptor;
use bailiwick_identity::attest::Hashes;
use bailiwick_identity::authority::Authority;
use bailiwick_identity::exits;
use bailiwick_identity::workload::Workload;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Addresses;
use super::acceptors::Acceptors;
use super::ports::Judging;
use super::start::Listeners;
use crate::app::App;
use crate::http::listen;
use crate::routes;
use crate::sockets::launch::{self, Launchpad};
use crate::sockets::{mcp, workload};

/// How often it is looked whether something is due for a signing key.
const ROTATE_EVERY: Duration = Duration::from_mins(1);
/// How often it is looked whether the time of a remote instance has run out.
const LAPSE_EVERY: Duration = Duration::from_secs(1);
/// Exits that wait to be worked on.
const MAX_EXITS: usize = 1_024;

/// What serving takes.
pub(super) struct Serving<'a> {
    pub(super) tasks: &'a mut JoinSet<&'static str>,
    pub(super) listeners: Listeners,
    pub(super) acceptors: Acceptors,
    pub(super) app: Arc<App>,
    pub(super) addresses: Addresses,
    pub(super) identities: watch::Receiver<u64>,
    pub(super) connections: TaskTracker,
    pub(super) stop: CancellationToken,
}

/// Starts everything that has to run as long as the node does. Each ends when told to stop; one that ends before breaks the node.
pub(super) fn serve(serving: Serving<'_>) {
    let Serving {
        tasks,
        listeners,
        acceptors,
        app,
        addresses,
        identities,
        connections,
        stop,
    } = serving;
    let api = Api {
        console: (listeners.console, acceptors.console),
        mutual: listeners.mutual.map(|mutual| (mutual, acceptors.mutual)),
        admin: listeners.admin,
    };
    serve_api(tasks, api, &app, &connections, &stop);
    let gateway = Arc::clone(&app.gateway);
    let calls = Arc::clone(&gateway).serve(listeners.gateway, acceptors.gateway, stop.clone());
    tasks.spawn(async move {
        calls.await;
        "gateway listener"
    });
    let (maintained, until) = (Arc::clone(&gateway), stop.clone());
    tasks.spawn(async move {
        maintained.maintain(until).await;
        "gateway"
    });
    let (again, until) = (Arc::clone(&gateway), stop.clone());
    tasks.spawn(async move {
        again.reevaluate(until).await;
        "continuous evaluation of calls"
    });
    let (control, judge) = (app.control.clone(), Judging(Arc::clone(&gateway)));
    let (changes, until) = (app.replica.follow(), stop.clone());
    tasks.spawn(async move {
        control
            .reevaluate(&judge, changes, until.cancelled_owned())
            .await;
        "continuous evaluation"
    });
    tasks.spawn(Arc::clone(&app.witnesses).run(stop.clone()));
    tasks.spawn(Arc::clone(&app.index).run(stop.clone()));
    let (swept, until) = (app.control.clone(), stop.clone());
    tasks.spawn(async move {
        swept.sweep(until.cancelled_owned()).await;
        "sweeper"
    });
    tasks.spawn(monitor(Arc::clone(&app), stop.clone()));
    let (watch, watcher) = exits::channel();
    let hashes = Arc::new(Hashes::default());
    let (exited, exits) = mpsc::channel(MAX_EXITS);
    let (watching, until) = (Arc::clone(&app.authority), stop.clone());
    tasks.spawn(lapse(
        Arc::clone(&app.authority),
        exited.clone(),
        stop.clone(),
    ));
    tasks.spawn(async move {
        tokio::select! {
            () = until.cancelled() => {}
            () = watcher.run(watching, exited) => {}
        }
        "watcher of processes"
    });
    tasks.spawn(reap(app.control.clone(), exits, stop.clone()));
    tasks.spawn(rotate(Arc::clone(&app.authority), stop.clone()));
    tasks.spawn(sign_heads(Arc::clone(&app), stop.clone()));
    let service = Workload::new(
        Arc::clone(&app.authority),
        Arc::clone(&hashes),
        watch.clone(),
        Arc::clone(&app.launches),
        identities,
    );
    let identities = workload::serve(listeners.workload, service, stop.clone());
    watched(tasks, "Workload API", identities);
    let shim = mcp::Shim {
        control: app.control.clone(),
        authority: Arc::clone(&app.authority),
        hashes: Arc::clone(&hashes),
        watch,
        launches: Arc::clone(&app.launches),
        gateway,
    };
    let shims = mcp::serve(listeners.mcp, shim, connections.clone(), stop.clone());
    tasks.spawn(async move {
        shims.await;
        "mcp socket"
    });
    let pad = Launchpad::new(app, hashes, &addresses);
    let launches = launch::serve(listeners.launch, pad, connections, stop);
    tasks.spawn(async move {
        launches.await;
        "launch socket"
    });
}

/// Where the API is served.
struct Api {
    console: (TcpListener, Acceptor),
    mutual: Option<(TcpListener, Acceptor)>,
    admin: UnixListener,
}

fn serve_api(
    tasks: &mut JoinSet<&'static str>,
    api: Api,
    app: &Arc<App>,
    connections: &TaskTracker,
    stop: &CancellationToken,
) {
    let tcp = |(listener, acceptor), router| {
        listen::tcp(
            listener,
            acceptor,
            router,
            connections.clone(),
            stop.clone(),
        )
    };
    let (router, _) = routes::router(app);
    watched(tasks, "console listener", tcp(api.console, router.clone()));
    if let Some(mutual) = api.mutual {
        watched(
            tasks,
            "listener for SVIDs",
            tcp(mutual, routes::for_svids(app)),
        );
    }
    let admin = listen::unix(api.admin, router, connections.clone(), stop.clone());
    watched(tasks, "admin socket", admin);
}

fn watched<E: std::fmt::Display>(
    tasks: &mut JoinSet<&'static str>,
    name: &'static str,
    part: impl Future<Output = Result<(), E>> + Send + 'static,
) {
    tasks.spawn(async move {
        if let Err(error) = part.await {
            tracing::error!(%error, part = name, "a part of the node ended");
        }
        name
    });
}

/// Follows the record for what no task should do.
async fn monitor(app: Arc<App>, stop: CancellationToken) -> &'static str {
    let stopped = stop.cancelled_owned();
    app.control.monitor(&app.log, &app.monitors, stopped).await;
    "monitors"
}

/// Ends what exited processes were doing.
async fn reap(
    control: Control,
    mut exits: mpsc::Receiver<InstanceId>,
    stop: CancellationToken,
) -> &'static str {
    loop {
        let instance = tokio::select! {
            () = stop.cancelled() => return "reaper",
            next = exits.recv() => match next {
                Some(instance) => instance,
                // The watcher ends only with the node.
                None => return "reaper",
            },
        };
        if let Err(problem) = control.instance_exited(instance).await {
            tracing::error!(%instance, %problem, "the tasks of an exited process could not be ended yet");
        }
    }
}

/// Ends instances elsewhere whose time has run out. Wherever they are used they are refused before that.
async fn lapse(
    authority: Arc<Authority>,
    exited: mpsc::Sender<InstanceId>,
    stop: CancellationToken,
) -> &'static str {
    loop {
        tokio::select! {
            () = stop.cancelled() => return "end of remote instances",
            () = tokio::time::sleep(LAPSE_EVERY) => {}
        }
        match authority.end_lapsed().await {
            Ok(ended) => {
                for instance in ended {
                    tracing::info!(%instance, "instance ended: its time ran out");
                    // The receiver is gone only when the node stops.
                    let _ = exited.send(instance).await;
                }
            }
            Err(error) => tracing::error!(%error, "remote instances could not be ended yet"),
        }
    }
}

/// Has the feed sign with the key that is in use.
async fn sign_heads(app: Arc<App>, stop: CancellationToken) -> &'static str {
    let mut keys = app.authority.follow_keyring();
    loop {
        let keyring = Arc::clone(&keys.borrow_and_update());
        app.feed
            .sign_with(Arc::clone(keyring.head()), keyring.head_keys().to_vec());
        tokio::select! {
            () = stop.cancelled() => return "keys of the feed",
            // The authority outlives this.
            changed = keys.changed() => if changed.is_err() {
                return "keys of the feed";
            },
        }
    }
}

/// Does what is due for signing keys.
async fn rotate(authority: Arc<Authority>, stop: CancellationToken) -> &'static str {
    loop {
        tokio::select! {
            () = stop.cancelled() => return "key rotation",
            () = tokio::time::sleep(ROTATE_EVERY) => {}
        }
        if let Err(error) = authority.look_after_keys().await {
            tracing::error!(%error, "signing keys could not be looked after; the old ones go on");
        }
    }
}
