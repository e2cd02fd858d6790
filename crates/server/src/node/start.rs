//! Starting a node, in order: addresses, directories, seal, store, log, replica, authority, broker, control, gateway, listeners.

mod addresses;
mod broker;
mod point;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_audit::{Log, Recorder};
use bailiwick_broker::Broker;
use bailiwick_control::outbox::Outbox;
use bailiwick_control::points::Points;
use bailiwick_control::policies::Publications;
use bailiwick_control::revocation::Receipts;
use bailiwick_control::{Control, Parts as ControlParts};
use bailiwick_core::{Clock, Rng};
use bailiwick_crypto::dpop::Guard;
use bailiwick_crypto::dsse::PublicKey;
use bailiwick_crypto::note::NoteSigner;
use bailiwick_crypto::pop::{Authorities, Challenges};
use bailiwick_crypto::seal::Seal;
use bailiwick_crypto::system::{SystemClock, SystemRng};
use bailiwick_enforce::policies::Policies;
use bailiwick_enforce::{Gateway, Ports, Settings};
use bailiwick_identity::authority::{Authority, Lives, Parts as AuthorityParts};
use bailiwick_posture::artefact::Signer;
use bailiwick_store::{Store, StoreError};
use prometheus_client::metrics::info::Info;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::acceptors::Acceptors;
use super::certificates::Certificates;
use super::directories::{self, Paths};
use super::log_keys::LogKeys;
use super::log_metrics::LogMetrics;
use super::ports::{Bundles, Compiled, Credentials, Definitions, Here, Marks, People, Triggers};
use super::serve::{Serving, serve};
use super::{Addresses, Node, StartError, connectors, elsewhere, keys, log, restored, store};
use crate::app::{App, MAX_EXPORTS, MAX_FOLLOWERS, MAX_REQUESTS};
use crate::config::{Config, SignerAt};
use crate::discovery::Discovery;
use crate::egress::Ways;
use crate::erasures::Waiting;
use crate::indexer::{self, Indexer};
use crate::issuers::Issuers;
use crate::login::Login;
use crate::published_clients::PublishedClients;
use crate::sign_ins::SignIns;
use crate::telemetry::Metrics;
use crate::witnesses::Witnesses;
use addresses::{addresses, names, origins};
use broker::broker;
use point::{Point, follow};

/// What listens.
pub(super) struct Listeners {
    pub(super) console: TcpListener,
    pub(super) gateway: TcpListener,
    pub(super) mutual: Option<TcpListener>,
    pub(super) admin: UnixListener,
    pub(super) workload: UnixListener,
    pub(super) mcp: UnixListener,
    pub(super) launch: UnixListener,
    paths: Paths,
}

/// What the node keeps.
pub(super) struct State {
    store: Store,
    seal: Arc<Seal>,
    pub(super) log: Arc<Log>,
    evidence: Arc<NoteSigner>,
    epoch: u64,
    pub(super) clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
}

#[expect(
    clippy::too_many_lines,
    reason = "the one list of what a node is made of"
)]
pub(super) async fn start(config: Config) -> Result<Node, StartError> {
    let listeners = listen(&config).await?;
    let http = client()?;
    let state = open(&config, &http).await?;
    let mut tasks = JoinSet::new();
    let (stop, drained) = (CancellationToken::new(), CancellationToken::new());
    let point = follow(&config, &state, &mut tasks, &stop).await?;
    let connections = TaskTracker::new();
    let outbox = outbox(&state, &mut tasks, drained.clone());
    let addresses = addresses(&config, &listeners, &state)?;
    let certificates = Certificates::open(&config, &addresses, state.clock.wall())?;
    let broker = broker(&config, &state, &outbox, &mut tasks, &stop).await?;
    let (publications, policies) = policy(&config, &state).await?;
    let authority = authority(&config, &state, &outbox, &addresses).await?;
    let control = Control::new(ControlParts {
        store: state.store.clone(),
        journal: outbox.clone(),
        broker: broker.clone(),
        blobs: state.log.directory().blobs(),
        publications,
        policy: Compiled::of(&policies, &point.replica),
        cutter: Arc::new(Here(Arc::clone(&point.replica))),
        point: state.log.origin().to_owned(),
        points: Arc::clone(&point.feed) as Arc<dyn Points>,
        receipts: Arc::clone(&authority) as Arc<dyn Receipts>,
        clock: Arc::clone(&state.clock),
        rng: Arc::clone(&state.rng),
        max_depth: config.oauth.max_depth,
        sessions: config.sessions,
        signers: signers(&config)?,
    });
    control.recheck_artefacts().await?;
    restored::end_the_past(&state.store, &control, &authority).await?;
    let gateway = gateway(
        &config,
        &addresses,
        &listeners,
        &state,
        &point,
        &control,
        &broker,
        policies,
        http.clone(),
    )?;
    let witnesses = witnesses(&config, &state, &http);
    let index = index(&config, &state).await?;
    let metrics = metrics(&config, &state, &gateway, &witnesses, &index, &certificates);
    elsewhere::start(
        &config, &state, &http, &addresses, &metrics, &mut tasks, &stop,
    )?;
    let app = Arc::new(App {
        control: control.clone(),
        authority: Arc::clone(&authority),
        replica: Arc::clone(&point.replica),
        launches: Arc::default(),
        feed: point.feed,
        issuers: issuers(&config, &addresses, &state)?,
        pop_authorities: pop_authorities(&config)?,
        pop_challenges: Challenges::new(&*state.rng),
        gateway,
        sign_ins: sign_ins(&config, &addresses, &state)?,
        published_clients: published_clients(&config, &state)?,
        monitors: config.monitors.clone(),
        discovery: Discovery::new(http, broker, listeners.paths.scratch.clone()),
        store: state.store.clone(),
        log: Arc::clone(&state.log),
        index: Arc::clone(&index),
        log_keys: log_keys(&state, &outbox),
        evidence_vkey: state.evidence.verifier()?.vkey(),
        evidence: Arc::clone(&state.evidence),
        witnesses: Arc::clone(&witnesses),
        erasures: Waiting::default(),
        dpop: Guard::new(&*state.rng),
        metrics,
        node: config.node.name.clone(),
        console_url: addresses.console_url.clone(),
        hosts: names(&addresses),
        mtls_url: addresses.mtls_url.clone(),
        origins: origins(&config, &addresses),
        admin_uids: admins(&config),
        clock: Arc::clone(&state.clock),
        rng: Arc::clone(&state.rng),
        requests: Semaphore::new(MAX_REQUESTS),
        followers: Arc::new(Semaphore::new(MAX_FOLLOWERS)),
        exports: Arc::new(Semaphore::new(MAX_EXPORTS)),
        stop: stop.clone(),
    });
    serve(Serving {
        tasks: &mut tasks,
        listeners,
        acceptors: Acceptors::of(&certificates, &authority, config.mtls.is_some()),
        app: Arc::clone(&app),
        addresses: addresses.clone(),
        identities: point.identities,
        connections: connections.clone(),
        stop: stop.clone(),
    });
    tasks.spawn(certificates.watch(Arc::clone(&app.clock), stop.clone()));
    tasks.spawn(keys::renew_keks(Arc::clone(&state.seal), Arc::clone(&app)));
    Ok(Node {
        addresses,
        app,
        log: state.log,
        tasks,
        connections,
        stop,
        drained,
    })
}

/// Outside issuers whose tokens are evidence, as the configuration names them.
fn issuers(config: &Config, addresses: &Addresses, state: &State) -> Result<Issuers, StartError> {
    Ok(Issuers::new(
        &config.identity.issuers,
        &issuer(config, addresses),
        Arc::clone(&state.clock),
    )?)
}

/// Clients that publish themselves, as far as the configuration lets their hosts in.
fn published_clients(config: &Config, state: &State) -> Result<PublishedClients, StartError> {
    let (oauth, clock) = (&config.oauth, Arc::clone(&state.clock));
    let hosts = oauth.client_hosts.clone();
    PublishedClients::new(hosts, &oauth.private_hosts, clock)
}

/// Authorities whose certificates are evidence, as the configuration names them.
fn pop_authorities(config: &Config) -> Result<Option<Authorities>, StartError> {
    let Some(file) = &config.identity.x509pop_ca else {
        return Ok(None);
    };
    let pem = std::fs::read(file).map_err(|source| StartError::Authorities {
        path: file.clone(),
        source,
    })?;
    Ok(Some(Authorities::from_pem(&pem)?))
}

/// Whose signatures count on reports about code.
fn signers(config: &Config) -> Result<Vec<Signer>, StartError> {
    let signer = |at: &SignerAt| {
        let unfit = |why: String| StartError::Signer {
            name: at.name.clone(),
            path: at.key_file.clone(),
            why,
        };
        let pem = std::fs::read(&at.key_file).map_err(|error| unfit(error.to_string()))?;
        let key = PublicKey::from_pem(&pem).map_err(|error| unfit(error.to_string()))?;
        Ok(Signer {
            name: at.name.clone(),
            key,
            builder: at.builder.clone(),
        })
    };
    config.signers.iter().map(signer).collect()
}

/// The outbox, carried into the log until nothing fills it any more.
fn outbox(
    state: &State,
    tasks: &mut JoinSet<&'static str>,
    drained: CancellationToken,
) -> Arc<Outbox> {
    let recorder: Arc<dyn Recorder> = Arc::new(Arc::clone(&state.log));
    let outbox = Outbox::new(
        state.store.clone(),
        recorder,
        Arc::clone(&state.seal),
        Arc::clone(&state.rng),
    );
    let carrying = Arc::clone(&outbox);
    tasks.spawn(async move {
        carrying.run(drained.cancelled_owned()).await;
        "outbox"
    });
    outbox
}

/// What is published, and what the gateway makes of it.
async fn policy(
    config: &Config,
    state: &State,
) -> Result<(Publications, Arc<Policies>), StartError> {
    let key = keys::policy_key(&state.store, &state.seal, state.clock.wall(), &*state.rng).await?;
    let name = format!(
        "{}/{}/policy",
        config.identity.trust_domain, config.node.name
    );
    let publications = Publications::new(state.store.clone(), NoteSigner::new(&name, key)?)?;
    let active = state.store.read(|rows| rows.active_policy()).await;
    if let Some(active) = active.map_err(|error: StoreError| error)?
        && let Err(problem) = publications.active(active.digest).await
    {
        tracing::error!(%problem, help = problem.help, "nothing is permitted until policy is published again");
    }
    let policies = Policies::new(Arc::new(Bundles(publications.clone())));
    Ok((publications, Arc::new(policies)))
}

pub(super) fn tell(addresses: &Addresses) {
    if !bailiwick_identity::peer::pins_peers() {
        tracing::warn!(
            "this kernel (before Linux 6.5) does not pin processes that connect; see docs/threat-model.md"
        );
    }
    let Addresses {
        console,
        gateway,
        log_vkey,
        ..
    } = addresses;
    tracing::info!(%console, %gateway, log = log_vkey, "the node is ready");
}

async fn listen(config: &Config) -> Result<Listeners, StartError> {
    bailiwick_crypto::tls::install_default_provider();
    directories::ensure_private(&config.node.data_dir)?;
    directories::ensure_runtime(&config.node.runtime_dir)?;
    let paths = Paths::of(&config.node.runtime_dir);
    directories::ensure_private(&paths.scratch)?;
    let console = directories::tcp("console.listen", config.console.listen).await?;
    let gateway = directories::tcp("gateway.listen", config.gateway.listener.listen).await?;
    let mutual = match &config.mtls {
        Some(mtls) => Some(directories::tcp("oauth.mtls_listen", mtls.listen).await?),
        None => None,
    };
    Ok(Listeners {
        console,
        gateway,
        mutual,
        admin: directories::socket(&paths.admin, 0o600)?,
        // Who may reach these is the directory's matter; what a peer is, the kernel says.
        workload: directories::socket(&paths.workload, 0o666)?,
        mcp: directories::socket(&paths.mcp, 0o666)?,
        launch: directories::socket(&paths.launch, 0o666)?,
        paths,
    })
}

async fn open(config: &Config, http: &reqwest::Client) -> Result<State, StartError> {
    let (clock, rng): (Arc<dyn Clock>, Arc<dyn Rng>) = (Arc::new(SystemClock), Arc::new(SystemRng));
    let (store, seal) = store::open(config, &clock, &rng).await?;
    connectors::check_names(config, &store).await?;
    if config.audit.retention < SIX_MONTHS {
        tracing::warn!(
            "[audit] retention is under 183 days: the EU AI Act (articles 19 and 26) asks for six months of logs"
        );
    }
    let epoch = restored::epoch(config, &store).await?;
    let origin = log::origin(config);
    let evidence = keys::evidence_key(&store, &seal, clock.wall(), &*rng).await?;
    let evidence = Arc::new(NoteSigner::new(&format!("{origin}/evidence"), evidence)?);
    let time = (Arc::clone(&clock), Arc::clone(&rng));
    let options = log::options(config, &store, &seal, http, time).await?;
    let log = Arc::new(blocking(move || Log::open(options)).await??);
    Ok(State {
        store,
        seal,
        log,
        evidence,
        epoch,
        clock,
        rng,
    })
}

/// What articles 19 and 26 of the EU AI Act call at least six months.
const SIX_MONTHS: Duration = Duration::from_hours(183 * 24);

async fn authority(
    config: &Config,
    state: &State,
    outbox: &Arc<Outbox>,
    addresses: &Addresses,
) -> Result<Arc<Authority>, StartError> {
    let authority = Authority::open(AuthorityParts {
        store: state.store.clone(),
        journal: outbox.clone(),
        seal: Arc::clone(&state.seal),
        clock: Arc::clone(&state.clock),
        rng: Arc::clone(&state.rng),
        trust_domain: config.identity.trust_domain.clone(),
        issuer: issuer(config, addresses),
        gateway: addresses.gateway_url.clone(),
        connectors: connectors::by_name(config).into_keys().collect(),
        unbound_clients: Arc::new(config.oauth.unbound_clients.clone()),
        lives: Lives {
            x509: config.identity.x509_ttl,
            jwt: config.identity.jwt_ttl,
            task: config.oauth.task_ttl,
            high_risk: config.oauth.high_risk_ttl,
        },
    });
    Ok(Arc::new(authority.await?))
}

#[expect(
    clippy::too_many_arguments,
    reason = "the one place where everything meets"
)]
fn gateway(
    config: &Config,
    addresses: &Addresses,
    listeners: &Listeners,
    state: &State,
    point: &Point,
    control: &Control,
    broker: &Broker,
    policies: Arc<Policies>,
    http: reqwest::Client,
) -> Result<Arc<Gateway>, StartError> {
    let settings = Settings {
        origins: config.gateway.origins.clone(),
        connectors: Arc::new(connectors::by_name(config)),
        unbound_clients: Arc::new(config.oauth.unbound_clients.clone()),
        epoch: state.epoch,
        approval_wait: config.approval_wait,
        scratch: listeners.paths.scratch.clone(),
        mutual: config.mtls.is_some(),
        ..Settings::new(
            addresses.gateway_url.clone(),
            addresses.gateway,
            issuer(config, addresses),
            config.identity.trust_domain.clone(),
        )
    };
    let own = [addresses.console, addresses.gateway].into_iter();
    let own = own.chain(addresses.mtls);
    let ports = Ports {
        approver: Arc::new(People {
            control: control.clone(),
            console_url: addresses.console_url.clone(),
        }),
        leaser: Arc::new(Credentials(broker.clone())),
        cataloguer: Arc::new(Definitions(control.clone())),
        upstreams: Arc::new(Ways::new(&config.connectors, &own.collect::<Vec<_>>())?),
        labeller: Arc::new(Marks(control.clone())),
        policies,
        recorder: Arc::new(Arc::clone(&state.log)),
        clock: Arc::clone(&state.clock),
        rng: Arc::clone(&state.rng),
    };
    let (replica, budgets) = (Arc::clone(&point.replica), Arc::clone(&point.budgets));
    let gateway = Gateway::new(settings, replica, budgets, ports, http)?;
    // After the replica, so that what is decided again is decided on what changed.
    state
        .store
        .observe(Arc::new(Triggers(Arc::clone(gateway.backlog()))));
    Ok(gateway)
}

fn issuer(config: &Config, addresses: &Addresses) -> String {
    let issuer = config.oauth.issuer.clone();
    issuer.unwrap_or_else(|| addresses.console_url.clone())
}

fn sign_ins(
    config: &Config,
    addresses: &Addresses,
    state: &State,
) -> Result<Option<SignIns>, StartError> {
    let Some(at) = config.oauth.login.clone() else {
        return Ok(None);
    };
    let url = &addresses.console_url;
    let (clock, domain) = (Arc::clone(&state.clock), &config.identity.trust_domain);
    let hosts = &config.oauth.private_hosts;
    let login = Login::open(at, url, hosts, clock, domain.clone())?;
    Ok(Some(SignIns::new(login, url, &*state.rng)))
}

/// Root and the node's own user always may: they could read the store itself.
fn admins(config: &Config) -> HashSet<u32> {
    let own = rustix::process::geteuid().as_raw();
    config.admin_uids.iter().copied().chain([0, own]).collect()
}

fn witnesses(config: &Config, state: &State, http: &reqwest::Client) -> Arc<Witnesses> {
    Arc::new(Witnesses::new(
        &config.audit.witnesses,
        config.audit.quorum,
        Arc::clone(&state.log),
        http,
        Arc::clone(&state.clock),
    ))
}

fn log_keys(state: &State, outbox: &Arc<Outbox>) -> Arc<LogKeys> {
    Arc::new(LogKeys::new(
        state.store.clone(),
        Arc::clone(&state.seal),
        outbox.clone(),
        Arc::clone(&state.log),
        (Arc::clone(&state.clock), Arc::clone(&state.rng)),
    ))
}

async fn index(config: &Config, state: &State) -> Result<Arc<Indexer>, StartError> {
    let key = keys::index_key(&state.store, &state.seal, &*state.rng).await?;
    let dir = indexer::directory_of(&config.node.data_dir);
    Ok(Arc::new(Indexer::new(Arc::clone(&state.log), key, dir)))
}

fn metrics(
    config: &Config,
    state: &State,
    gateway: &Gateway,
    witnesses: &Witnesses,
    index: &Indexer,
    certificates: &Certificates,
) -> Metrics {
    let metrics = Metrics::default();
    let info = Info::new(vec![
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("node", config.node.name.to_string()),
        ("trust_domain", config.identity.trust_domain.to_string()),
    ]);
    metrics.add(|registry| {
        registry.register("bailiwick_node", "The node", info);
        gateway.register(registry);
        witnesses.register(registry);
        index.metrics().register(registry);
        registry.register(
            "bailiwick_tls_certificate_not_after_seconds",
            "When the certificate of a listener ends, seconds since the epoch",
            certificates.ends(),
        );
        registry.register_collector(Box::new(LogMetrics(Arc::clone(&state.log))));
    });
    metrics
}

/// The client for tool servers: an answer that points elsewhere is an answer, not an order.
pub(super) fn client() -> Result<reqwest::Client, StartError> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .map_err(|error| StartError::Defect(format!("the HTTP client cannot be built: {error}")))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StartError> {
    spawn_blocking(work)
        .await
        .map_err(|error| StartError::Defect(format!("starting broke off: {error}")))
}
