//! X.509-SVIDs in the hands of a TLS client: the test process's own, and forged ones.

use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::Clock as _;
use bailiwick_core::spiffe_id::SpiffeId;
use bailiwick_crypto::ca::Authority;
use bailiwick_crypto::system::{SystemClock, SystemRng};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};

use crate::harness::agent::{escape, runtime};
use crate::harness::http::{self, Place, Response};
use crate::harness::mcp::OPENING;
use crate::harness::{Agent, Node, pki};

/// An X.509-SVID and its key.
pub(super) struct Svid {
    /// The SPIFFE ID.
    pub(super) id: String,
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

impl Svid {
    /// The next one of the test process: each is another certificate.
    pub(super) fn next(agent: &Agent) -> Self {
        let context = runtime().block_on(async {
            let client = spiffe::WorkloadApiClient::connect_to(agent.endpoint()).await?;
            client.fetch_x509_context().await
        });
        let context = context.expect("no SVID");
        let svid = context.default_svid().unwrap();
        let chain = svid.cert_chain().iter();
        Self {
            id: svid.spiffe_id().to_string(),
            chain: chain
                .map(|der| CertificateDer::from(der.as_bytes().to_vec()))
                .collect(),
            key: svid.private_key().as_bytes().to_vec(),
        }
    }

    /// One of the same name by somebody else's authority.
    pub(super) fn forged(id: &str) -> Self {
        let id: SpiffeId = id.parse().unwrap();
        let now = SystemClock.wall();
        let life = Duration::from_hours(1);
        let authority = Authority::create(id.trust_domain(), now, life, &SystemRng).unwrap();
        let svid = authority.issue(&id, now, life, &SystemRng).unwrap();
        Self {
            id: id.to_string(),
            chain: vec![CertificateDer::from(svid.chain().to_vec())],
            key: svid.pkcs8().expose().clone(),
        }
    }

    /// A TLS client that shows it.
    pub(super) fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        for der in pki::authority().roots() {
            roots.add(der).unwrap();
        }
        let key = PrivateKeyDer::Pkcs8(self.key.clone().into());
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_client_auth_cert(self.chain.clone(), key);
        Arc::new(config.unwrap())
    }

    /// A request for a token of a task.
    pub(super) fn form(&self, node: &Node, task: &str) -> String {
        let details = json!([{ "type": "agent_task", "task_id": task }]).to_string();
        let resource = node.mcp("workspace");
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &self.id),
            ("authorization_details", &details),
            ("resource", &resource),
        ];
        let form = form.map(|(name, value)| format!("{name}={}", escape(value)));
        form.join("&")
    }

    /// What the endpoint for SVIDs answers to a form; none if there is no connection.
    pub(super) fn post(&self, node: &Node, path: &str, form: &str) -> Option<(u16, Value)> {
        let place = Place::with(node.ready("mtls"), self.client());
        let answer = http::send(&place, "POST", path, &FORM, Some(form.as_bytes())).ok()?;
        Some((answer.status, answer.json()))
    }

    /// The token of a task, bound to its certificate.
    pub(super) fn token(&self, node: &Node, task: &str) -> String {
        let (status, answer) = self
            .post(node, "/oauth/token", &self.form(node, task))
            .unwrap();
        assert_eq!(
            (status, &answer["token_type"]),
            (200, &json!("Bearer")),
            "{answer}"
        );
        answer["access_token"].as_str().unwrap().to_owned()
    }

    /// Opens an MCP session at the gateway with these credentials, over a connection that shows the certificate.
    pub(super) fn opens(&self, node: &Node, headers: &[(&str, &str)]) -> std::io::Result<Response> {
        opens(&Place::with(node.ready("gateway"), self.client()), headers)
    }
}

/// How forms are sent.
pub(super) const FORM: [(&str, &str); 1] = [("Content-Type", "application/x-www-form-urlencoded")];

/// Opens an MCP session at the gateway with these credentials.
pub(super) fn opens(place: &Place, headers: &[(&str, &str)]) -> std::io::Result<Response> {
    let kind = [
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
    ];
    let headers = [&kind, headers].concat();
    http::send(place, "POST", "/mcp/workspace", &headers, Some(OPENING))
}
