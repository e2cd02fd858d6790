//! A hundred rotations of SVIDs, streamed to each client of the Workload API that others wrote, and checked with what it checks with: the
//! crates `spiffe` and `spiffe-rustls`, and PyPI `spiffe`, `spiffe-tls` and `spiffe-defakto`.

use std::collections::HashSet;
use std::future::Future;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};
use serde_json::Value;
use spiffe::{TrustDomain, WorkloadApiClient, X509Source};
use spiffe_rustls::{TrustDomainPolicy, authorizer, mtls_client, mtls_server};

use crate::harness::agent::{self, runtime};
use crate::harness::{Agent, Mcp, Node, Process, Setup, World, deps};

/// Streams that are open at once, and rotations that each sees: a hundred together.
const STREAMS: usize = 25;
const ROTATIONS: usize = 4;
/// SVIDs live for six seconds and are renewed at half of that: the net is wide because machines are slow.
const PATIENCE: Duration = Duration::from_mins(3);

fn brief() -> Setup {
    Setup {
        identity: r#"x509_ttl = "6s""#.to_owned(),
        ..Setup::default()
    }
}

fn node() -> Node {
    Node::with(&brief())
}

/// Every SVID of a hundred rotations is on record, and no gap was on any stream: a client whose stream broke off has failed before.
fn on_record(node: &Node, agent: &str) {
    let issued = node
        .events()
        .into_iter()
        .filter(|event| event["type"] == "svid.issued" && event["agent"]["id"] == agent)
        .filter(|event| event["change"]["kind"] == "x509-svid")
        .count();
    assert!(issued >= STREAMS * (ROTATIONS + 1), "{issued} on record");
}

fn python_client(package: &str) {
    let node = node();
    let python = deps::spiffe_python_copy(node.home(), "snake");
    agent::register(&node, "snake", &format!("unix:path={}", python.display()));
    let mut command = Command::new(&python);
    command
        .arg(deps::script("rotations.py"))
        .args([package, node.ready("workload_socket")])
        .args([STREAMS, ROTATIONS].map(|number| number.to_string()));
    let log = node.home().join("rotations.log");
    let mut snake = Process::start(package, &mut command, &log);
    let said = snake.line_within(PATIENCE);
    let said = said.unwrap_or_else(|error| panic!("{error}\n{}\n{}", snake.log(), node.log()));
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["rotations"], STREAMS * ROTATIONS, "{said}");
    let id = said["id"].as_str().unwrap_or_default();
    let prefix = "spiffe://e2e.internal/agent/snake/inst_";
    assert!(id.starts_with(prefix), "{said}");
    on_record(&node, "snake");
}

#[test]
fn a_hundred_rotations_reach_pypi_spiffe() {
    python_client("spiffe");
}

#[test]
fn a_hundred_rotations_reach_pypi_spiffe_tls_and_each_makes_a_connection() {
    python_client("spiffe-tls");
}

#[test]
fn a_hundred_rotations_reach_pypi_spiffe_defakto() {
    python_client("spiffe-defakto");
}

/// The process's SVIDs are rotated a hundred times while it works: no call fails, and what is bound to its own key outlives every SVID.
#[test]
fn trap_07_rotation_and_binding() {
    let world = World::with(&brief());
    let (task, first) = world.session();
    let endpoint = world.agent.endpoint();
    let rotations = thread::spawn(move || runtime().block_on(in_time(streamed(endpoint))));
    let mut calls = 0;
    while !rotations.is_finished() {
        first.ok("list_files", "{}");
        // By a JWT-SVID of this moment.
        let fresh = world.agent.token(&task, "workspace");
        fresh.unwrap_or_else(|refused| panic!("no token: {refused:?}"));
        calls += 1;
    }
    let leaves = rotations.join().unwrap();
    assert_eq!(leaves.len(), STREAMS * (ROTATIONS + 1), "a stream ended");
    assert!(calls >= 10, "{calls} calls");
    first.ok("list_files", "{}");
    Mcp::open(&world.agent, "workspace", &task).ok("list_files", "{}");
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, what).await;
    done.expect("rotations do not come")
}

#[test]
fn a_hundred_rotations_reach_crate_spiffe() {
    let node = node();
    let agent = Agent::register(&node);
    let leaves = runtime().block_on(in_time(streamed(agent.endpoint())));
    assert_eq!(leaves.len(), STREAMS * (ROTATIONS + 1), "a stream ended");
    let different: HashSet<_> = leaves.into_iter().collect();
    assert_eq!(different.len(), STREAMS * (ROTATIONS + 1));
    on_record(&node, agent::NAME);
}

/// The certificates that come on all streams.
async fn streamed(endpoint: String) -> Vec<Vec<u8>> {
    let domain = TrustDomain::new("e2e.internal").unwrap();
    let client = WorkloadApiClient::connect_to(endpoint).await.unwrap();
    let streams = (0..STREAMS).map(|_| async {
        let stream = client.stream_x509_contexts().await.unwrap();
        let contexts = stream.take(ROTATIONS + 1).map(|context| {
            let context = context.expect("the stream broke off");
            let svid = context.default_svid().unwrap();
            let name = svid.spiffe_id().to_string();
            assert!(name.contains("/agent/tester/inst_"), "{name}");
            let bundle = context.bundle_set().get(&domain).unwrap();
            assert!(!bundle.authorities().is_empty());
            svid.leaf().as_bytes().to_vec()
        });
        contexts.collect::<Vec<_>>().await
    });
    join_all(streams).await.concat()
}

#[test]
fn a_hundred_rotations_reach_crate_spiffe_rustls_and_each_makes_a_connection() {
    let node = node();
    let agent = Agent::register(&node);
    let shown: Vec<Vec<u8>> = runtime().block_on(in_time(async {
        join_all((0..STREAMS).map(|_| greets(agent.endpoint())))
            .await
            .concat()
    }));
    let different: HashSet<_> = shown.into_iter().collect();
    assert_eq!(different.len(), STREAMS * (ROTATIONS + 1));
    on_record(&node, agent::NAME);
}

/// Connects a source's client with its server whenever there is a new SVID, always by the same configurations; the certificates shown.
async fn greets(endpoint: String) -> Vec<Vec<u8>> {
    let source = X509Source::builder().endpoint(endpoint);
    let source = source.build().await.unwrap();
    let own = source.svid().unwrap().spiffe_id().to_string();
    let only = || authorizer::exact([own.as_str()]).unwrap();
    let domain = || TrustDomainPolicy::LocalOnly("e2e.internal".try_into().unwrap());
    let client = mtls_client(source.clone()).authorize(only());
    let (client, mut ours) = client
        .trust_domain_policy(domain())
        .build_with_status()
        .unwrap();
    let server = mtls_server(source.clone()).authorize(only());
    let (server, mut theirs) = server
        .trust_domain_policy(domain())
        .build_with_status()
        .unwrap();
    let (client, server) = (Arc::new(client), Arc::new(server));
    let mut shown: Vec<Vec<u8>> = Vec::new();
    let mut updates = source.updated();
    loop {
        while !ours.current().available {
            ours.changed().await.unwrap();
        }
        while !theirs.current().available {
            theirs.changed().await.unwrap();
        }
        let leaf = shake_hands(&client, &server);
        if shown.last() != Some(&leaf) {
            shown.push(leaf);
        }
        if shown.len() > ROTATIONS {
            return shown;
        }
        updates.changed().await.expect("the source was closed");
    }
}

/// Both ends in memory. The certificate that the client saw, which is the one that the server saw.
fn shake_hands(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> Vec<u8> {
    let name = ServerName::try_from("service.internal").unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets().unwrap();
        let mut wire = Vec::new();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets().unwrap();
    }
    let seen = client.peer_certificates().unwrap()[0].to_vec();
    assert!(!server.peer_certificates().unwrap().is_empty());
    seen
}
