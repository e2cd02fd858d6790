//! What the connection says of a request: where its peer is, and which certificate it shows.

use bailiwick_crypto::keys::SigningKey;
use bailiwick_crypto::token::task::Confirmation;
use hyper::Request;
use serde_json::json;

use super::{Agent, CALL, RESOURCE, send};
use crate::accept::{Connection, Network};
use crate::testing::World;

#[tokio::test]
async fn policy_is_told_where_a_caller_is() {
    let world = World::new().await;
    let agent = Agent::new(&world);
    for (network, told) in [(Network::Loopback, "loopback"), (Network::Remote, "remote")] {
        let request = Request::post("/mcp/tools")
            .header("authorization", format!("DPoP {}", agent.token.expose()))
            .header("dpop", agent.proof("POST", Some(&agent.nonce())))
            .extension(Connection {
                network,
                ..Connection::LOCAL
            });
        let (head, ()) = request.body(()).unwrap().into_parts();
        let gateway = &world.gateway;
        let caller = gateway
            .authenticator
            .authenticate(gateway, &head, (RESOURCE, RESOURCE))
            .await
            .unwrap();
        let server = World::server();
        let view = gateway.decider.admit(&caller, &server).unwrap();
        let session = gateway.decider.known(&view, &caller).facts.session.unwrap();
        assert_eq!(
            (session.network.as_str(), session.binding.as_str()),
            (told, "dpop")
        );
    }
}

#[tokio::test]
async fn a_token_of_a_certificate_is_nothing_without_it() {
    let world = World::new().await;
    let certificate = SigningKey::generate().unwrap().thumbprint().clone();
    let agent = Agent::with(&world, |claims| {
        claims.cnf = Some(Confirmation::Certificate(certificate));
    });
    let bearer = format!("Bearer {}", agent.token.expose());
    let alone = [("authorization", bearer.as_str())];
    let alone = send(&world, "POST", "/mcp/tools", CALL, &alone).await;
    assert_eq!(
        (alone.status.as_u16(), &alone.json()["code"]),
        (401, &json!("token_unbound"))
    );
    let proven = agent.send("POST", CALL, &[]).await;
    assert_eq!(
        (proven.status.as_u16(), &proven.json()["code"]),
        (401, &json!("token_invalid"))
    );
}
