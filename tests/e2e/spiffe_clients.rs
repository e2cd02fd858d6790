//! The SPIFFE Workload API with other people's clients: the Rust crate `spiffe`, and PyPI `spiffe` over gRPC C-core.

use std::process::Command;

use bailiwick_proto::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use bailiwick_proto::workload::{JwtsvidRequest, X509svidRequest};
use serde_json::Value;
use spiffe::workload_api::WorkloadApiError;
use spiffe::{TrustDomain, WorkloadApiClient};
use tonic::Code;

use crate::harness::agent::{self, runtime};
use crate::harness::{Agent, Node, deps, node};

const AUDIENCE: &str = "https://service.example";

#[test]
fn the_rust_client_gets_svids_and_bundles() {
    let node = Node::start();
    let agent = Agent::register(&node);
    let (id, token) = runtime().block_on(async {
        let client = WorkloadApiClient::connect_to(agent.endpoint())
            .await
            .unwrap();
        let domain = TrustDomain::new("e2e.internal").unwrap();
        let svid = client.fetch_x509_svid().await.unwrap();
        assert_eq!(svid.spiffe_id().trust_domain(), &domain);
        assert_eq!(svid.hint(), Some(agent::NAME));
        let bundles = client.fetch_x509_bundles().await.unwrap();
        assert_eq!(bundles.get(&domain).unwrap().authorities().len(), 1);

        let jwt = client.fetch_jwt_svid([AUDIENCE], None).await.unwrap();
        assert_eq!(jwt.spiffe_id(), svid.spiffe_id());
        assert_eq!(jwt.audience(), [AUDIENCE]);
        let keys = client.fetch_jwt_bundles().await.unwrap();
        assert!(
            keys.get(&domain)
                .unwrap()
                .find_jwt_authority(jwt.key_id())
                .is_some()
        );
        client
            .validate_jwt_token(AUDIENCE, jwt.token())
            .await
            .unwrap();
        let other = client
            .validate_jwt_token("https://other.example", jwt.token())
            .await;
        assert!(other.is_err(), "a token for another audience passed");
        (svid.spiffe_id().to_string(), jwt.token().to_owned())
    });
    let prefix = format!("spiffe://e2e.internal/agent/{}/inst_", agent::NAME);
    assert!(id.starts_with(&prefix), "{id}");

    let events = node.events();
    let seen = |kind: &str| {
        events
            .iter()
            .any(|event| event["type"] == kind && event["agent"]["id"] == agent::NAME)
    };
    assert!(
        seen("instance.attested") && seen("svid.issued"),
        "{events:#?}"
    );
    let issued = serde_json::to_string(&events).unwrap();
    assert!(!issued.contains(&token), "a token is in the record");
}

#[test]
fn a_process_that_is_not_registered_gets_nothing() {
    let node = Node::start();
    agent::register(&node, "somebody-else", "unix:path=/usr/bin/somebody-else");
    let agent = Agent::of(&node);
    runtime().block_on(async {
        let client = WorkloadApiClient::connect_to(agent.endpoint())
            .await
            .unwrap();
        let refused = client.fetch_x509_svid().await.unwrap_err();
        assert!(denied(&refused), "{refused:?}");
        let refused = client.fetch_jwt_svid([AUDIENCE], None).await.unwrap_err();
        assert!(denied(&refused), "{refused:?}");
    });
}

fn denied(error: &WorkloadApiError) -> bool {
    matches!(
        error,
        WorkloadApiError::NoIdentityIssued | WorkloadApiError::PermissionDenied(_)
    )
}

#[test]
fn a_call_without_the_header_or_an_audience_is_invalid() {
    let node = Node::start();
    let agent = Agent::register(&node);
    runtime().block_on(async {
        let channel = tonic::transport::Endpoint::try_from(agent.endpoint())
            .unwrap()
            .connect()
            .await
            .unwrap();
        let mut client = SpiffeWorkloadApiClient::new(channel);
        // Without it, a client that was tricked into sending a request elsewhere could reach the Workload API.
        let bare = client.fetch_x509svid(X509svidRequest {}).await.unwrap_err();
        assert_eq!(bare.code(), Code::InvalidArgument, "{bare:?}");
        let mut request = tonic::Request::new(JwtsvidRequest {
            audience: Vec::new(),
            spiffe_id: String::new(),
        });
        request
            .metadata_mut()
            .insert("workload.spiffe.io", "true".parse().unwrap());
        let nobody = client.fetch_jwtsvid(request).await.unwrap_err();
        assert_eq!(nobody.code(), Code::InvalidArgument, "{nobody:?}");
    });
}

#[test]
fn the_python_client_gets_and_validates_svids() {
    let node = Node::start();
    let python = deps::python_copy(node.home(), "snake");
    agent::register(&node, "snake", &format!("unix:path={}", python.display()));
    let mut command = Command::new(&python);
    command
        .arg(deps::script("identity.py"))
        .arg(node.ready("workload_socket"))
        .arg(AUDIENCE);
    let ran = node::run(&mut command, "");
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.stderr, node.log());
    let said: Value = ran.json();
    let id = said["id"].as_str().unwrap();
    assert!(
        id.starts_with("spiffe://e2e.internal/agent/snake/inst_"),
        "{said}"
    );
    assert_eq!(said["audience"], serde_json::json!([AUDIENCE]));
    assert!(
        said["refused"].as_str().is_some(),
        "a token for another audience passed: {said}"
    );
}

#[test]
fn each_process_is_an_instance_of_its_own() {
    let node = Node::start();
    let python = deps::python_copy(node.home(), "snake");
    agent::register(&node, "snake", &format!("unix:path={}", python.display()));
    let once = || {
        let mut command = Command::new(&python);
        command
            .arg(deps::script("identity.py"))
            .arg(node.ready("workload_socket"))
            .arg(AUDIENCE);
        let ran = node::run(&mut command, "");
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.json()["id"].as_str().unwrap().to_owned()
    };
    let (first, second) = (once(), once());
    assert_ne!(first, second);
    // Another copy of the same program is not the registered agent.
    let stranger = deps::python_copy(node.home(), "stranger");
    let mut command = Command::new(&stranger);
    command
        .arg(deps::script("identity.py"))
        .arg(node.ready("workload_socket"))
        .arg(AUDIENCE);
    let ran = node::run(&mut command, "");
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stderr.contains("no registered agent matches"),
        "{ran:?}"
    );
}
