//! Holders of certified keys: a site's own authority stands behind them, and they sign a challenge of the node.

use std::process::Command;

use bailiwick_crypto::csr::CertificateRequest;
use bailiwick_crypto::pop::message;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::REQUEST;
use crate::harness::http::{self, Place};
use crate::harness::{Node, Setup, deps, node};

/// A site's own authority, on a node that takes its certificates as proof.
struct Site {
    node: Node,
    dir: std::path::PathBuf,
}

impl Site {
    fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("site");
        std::fs::create_dir(&dir).unwrap();
        let mut make = Command::new(deps::python());
        make.arg(deps::script("pop.py")).arg("make").arg(&dir);
        let ran = node::run(&mut make, "");
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let setup = Setup {
            identity: r#"x509pop_ca = "site/root.pem""#.to_owned(),
            ..Setup::default()
        };
        let node = Node::at(home, &setup);
        let mut digest = Command::new("sha256sum");
        let root = std::fs::read_to_string(dir.join("root.pem")).unwrap();
        let der: String = root.lines().filter(|line| !line.starts_with('-')).collect();
        let der = STANDARD.decode(der).unwrap();
        std::fs::write(dir.join("root.der"), der).unwrap();
        let told = node::run(digest.arg(dir.join("root.der")), "");
        let ca = told.stdout.split(' ').next().unwrap().to_owned();
        let agent = json!({
            "name": "builder",
            "owner": "team-e2e",
            "selectors": [format!("x509pop:ca={ca}"), "x509pop:san=dns:build.site.example"],
            "ceiling": { "grants": [{ "server": ["*"], "tool": ["*"], "effects": ["read"] }] },
        });
        node.api("POST", "/v1/agents", Some(&agent));
        Self { node, dir }
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let headers = [("Content-Type", "application/json")];
        let place = Place::of(self.node.ready("console"));
        let body = body.to_string();
        let answer = http::send(&place, "POST", path, &headers, Some(body.as_bytes()));
        let answer = answer.unwrap();
        (answer.status, answer.json())
    }

    fn challenge(&self) -> String {
        let (status, answer) = self.post("/v1/attest", &json!({}));
        assert_eq!(status, 401, "{answer}");
        answer["challenge"].as_str().unwrap().to_owned()
    }

    /// What the key of this name signs.
    fn signature(&self, name: &str, text: &str) -> String {
        let mut sign = Command::new(deps::python());
        sign.arg(deps::script("pop.py")).arg("sign");
        let said = node::run(sign.arg(&self.dir).arg(name), text);
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        said.stdout.trim().to_owned()
    }

    /// An attestation with this chain; `key` signs `text`.
    fn proof(&self, chain: &str, key: &str, challenge: &str, text: &str) -> Value {
        let chain = std::fs::read_to_string(self.dir.join(format!("{chain}.pem"))).unwrap();
        let evidence = json!({
            "chain": chain,
            "challenge": challenge,
            "signature": self.signature(key, text),
        });
        json!({ "kind": "x509pop", "evidence": evidence, "csr": REQUEST })
    }

    fn attest(&self, proof: &Value) -> (u16, String) {
        let (status, answer) = self.post("/v1/attest", proof);
        let code = answer["code"].as_str().unwrap_or_default();
        (status, code.to_owned())
    }
}

#[test]
fn the_holder_of_a_certified_key_is_who_it_says() {
    let mut site = Site::start();
    let request = CertificateRequest::from_pem(REQUEST).unwrap();
    let refused = (401, "token_invalid".to_owned());
    let challenge = site.challenge();
    let text = message(&challenge, &request);
    let good = site.proof("good", "good", &challenge, &text);
    for (case, proof) in [
        (
            "another root",
            site.proof("stranger", "stranger", &challenge, &text),
        ),
        (
            "an authority as leaf",
            site.proof("authority", "authority", &challenge, &text),
        ),
        (
            "expired",
            site.proof("expired", "expired", &challenge, &text),
        ),
        (
            "another key",
            site.proof("good", "stranger", &challenge, &text),
        ),
        (
            "nothing of ours",
            site.proof("good", "good", &challenge, &challenge),
        ),
        ("another's challenge", {
            let theirs = site.challenge();
            site.proof("good", "good", &theirs, &text)
        }),
        ("a challenge of its own", {
            let own = "A".repeat(43);
            site.proof("good", "good", &own, &message(&own, &request))
        }),
    ] {
        assert_eq!(site.attest(&proof), refused, "{case}");
    }
    // None of that used the challenge up; one use does, and so does a restart.
    let (status, joined) = site.post("/v1/attest", &good);
    assert_eq!(status, 201, "{joined}");
    assert!(
        joined["spiffe_id"]
            .as_str()
            .unwrap()
            .contains("/agent/builder/")
    );
    assert_eq!(site.attest(&good), refused, "the same proof again");
    let challenge = site.challenge();
    let late = site.proof("good", "good", &challenge, &message(&challenge, &request));
    site.node.kill_nine();
    site.node.start_again();
    assert_eq!(
        site.attest(&late),
        refused,
        "a challenge from before the restart"
    );
}
