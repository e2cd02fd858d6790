//! What is known of the code that an agent runs, from other people's tools: bandit scans, securesystemslib signs. It takes authority away and, when the
//! code is better, lets policy give back what it forbade; it never gives any.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::node::Ran;
use crate::harness::world::{demo_policy, publish};
use crate::harness::{Node, Setup, World, deps};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const BUILDER: &str = "https://ci.example/builder@v1";
const READ: (&str, &str) = ("read_file", r#"{"path":"notes/plan.md"}"#);

/// Code that was not built by the pipeline, or in which a scan of the last day found something bad, reads nothing.
const CLEAN: &str = r#"
@id("site/clean-code")
@reason("This code was not built and scanned as it has to be.")
@fix("Have it built by the pipeline, and scanned.")
forbid (principal, action in Bailiwick::Action::"use", resource)
unless {
  context.bw has evidence && context.bw.evidence.provenance == "signed"
  && context.bw.evidence.open_critical == 0 && context.bw.evidence.open_high == 0
  && context.bw.evidence has scan_age_s && context.bw.evidence.scan_age_s < 86400
};
"#;

const BAD: &str =
    "import subprocess\n\n\ndef run(words):\n    subprocess.call(words, shell=True)\n";
const GOOD: &str = "def run(words):\n    return [word.strip() for word in words]\n";

/// The pipeline: keys, statements and scans in one directory.
struct Pipeline(PathBuf);

impl Pipeline {
    fn at(home: &Path) -> Self {
        let directory = home.join("pipeline");
        std::fs::create_dir(&directory).unwrap();
        let pipeline = Self(directory);
        for name in ["p256", "ed25519"] {
            Pipeline::signer(&["key", &pipeline.path(""), name]);
        }
        pipeline
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    fn signer(words: &[&str]) -> Vec<u8> {
        let made = Command::new(deps::artefacts("python"))
            .arg(deps::script("provenance.py"))
            .args(words)
            .output()
            .unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        made.stdout
    }

    /// What bandit writes of this code.
    fn scanned(&self, name: &str, code: &str) -> String {
        let source = self.0.join("agent.py");
        std::fs::write(&source, code).unwrap();
        let report = self.path(name);
        let ran = Command::new(deps::artefacts("bandit"))
            .args(["--quiet", "--format", "sarif", "--output", &report])
            .arg(&source)
            .output()
            .unwrap();
        assert!(matches!(ran.status.code(), Some(0 | 1)), "{ran:?}");
        report
    }

    /// Provenance of an executable, signed with the key of this name.
    fn provenance(&self, digest: &str, key: &str) -> String {
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": "agent", "digest": {"sha256": digest.strip_prefix("sha256:").unwrap()}}],
            "predicateType": "https://slsa.dev/provenance/v1",
            "predicate": {
                "buildDefinition": {
                    "buildType": "https://ci.example/type/v1",
                    "externalParameters": {},
                    "resolvedDependencies": [{"uri": "git+https://git.example/agent", "digest": {"gitCommit": COMMIT}}],
                },
                "runDetails": {"builder": {"id": BUILDER}},
            },
        });
        let plain = self.path("statement.json");
        std::fs::write(&plain, statement.to_string()).unwrap();
        let envelope = self.path(if key == "p256" {
            "signed.json"
        } else {
            "forged.json"
        });
        let signed = Self::signer(&["sign", &self.path(""), key, &plain]);
        std::fs::write(&envelope, signed).unwrap();
        envelope
    }
}

fn add(node: &Node, file: &str, subject: &str) -> Ran {
    node.run(&["artefact", "add", file, "--subject", subject])
}

fn setup(key: &str) -> Setup {
    Setup {
        audit: format!(
            "\n[[posture.signers]]\nname = \"ci\"\nkey_file = \"{key}\"\nbuilder = \"{BUILDER}\"\n"
        ),
        ..Setup::default()
    }
}

/// The digest that the test process is attested with.
fn attested(node: &Node) -> String {
    let events = node.events();
    let mut digests = events
        .iter()
        .filter_map(|event| event["agent"]["code_digest"].as_str());
    digests.next_back().unwrap().to_owned()
}

#[test]
fn code_that_was_not_found_clean_does_nothing_until_it_is() {
    let home = tempfile::tempdir().unwrap();
    let pipeline = Pipeline::at(home.path());
    let world = World::at(home, &setup(&pipeline.path("p256.pub")));
    let node = &world.node;
    let mut files = demo_policy();
    files["clean.cedar"] = json!(CLEAN);
    publish(node, &files);
    let (_, client) = world.session();
    let code = attested(node);
    let commit = format!("git:{COMMIT}");
    let denied = || {
        let denied = client.refused(READ.0, READ.1);
        assert_eq!(denied["code"], "forbidden", "{denied}");
        assert_eq!(
            denied["help"],
            "Have it built by the pipeline, and scanned."
        );
    };
    denied();

    // A scan of the source, and a provenance that somebody else signed: it leads nowhere.
    let bad = pipeline.scanned("bad.sarif", BAD);
    let added = add(node, &bad, &commit);
    assert_eq!(added.code, Some(0), "{added:?}");
    let report = &added.json()["reports"][0];
    assert_eq!(
        (&report["tool"], &report["open"]["high"]),
        (&json!("Bandit"), &json!(1)),
        "{report}"
    );
    let forged = add(node, &pipeline.provenance(&code, "ed25519"), &code);
    assert_eq!(forged.code, Some(1), "{forged:?}");
    assert!(
        forged.stderr.contains("not signed: none of its signatures"),
        "{forged:?}"
    );
    assert_eq!(forged.json()["evidence"]["provenance"], "submitted");
    denied();
    // The pipeline's own: now the scan of the commit is one of the executable, and it is bad.
    let signed = add(node, &pipeline.provenance(&code, "p256"), &code);
    assert_eq!(signed.code, Some(0), "{signed:?}");
    let evidence = &signed.json()["evidence"];
    assert_eq!(
        (&evidence["provenance"], &evidence["open"]["high"]),
        (&json!("signed"), &json!(1)),
        "{evidence}"
    );
    denied();
    // The code is mended and scanned again.
    let good = pipeline.scanned("good.sarif", GOOD);
    assert_eq!(add(node, &good, &commit).code, Some(0));
    client.ok(READ.0, READ.1);
    // And worse again.
    assert_eq!(
        add(node, &pipeline.scanned("worse.sarif", BAD), &commit).code,
        Some(0)
    );
    denied();
    let shown = node.cli(&["artefact", "show", &commit]);
    assert_eq!(shown["built"], json!([code]), "{shown}");
    let listed = node.items("/v1/artefacts");
    assert_eq!(listed.len(), 2, "{listed:?}");

    // What is refused changes nothing.
    let garbage = pipeline.path("garbage.json");
    std::fs::write(&garbage, "{\"version\": \"2.1.0\", \"runs\": [").unwrap();
    let other = format!("sha256:{}", "0".repeat(64));
    for (file, subject, words) in [
        (&garbage, code.as_str(), "it is no SARIF"),
        (
            &pipeline.path("signed.json"),
            other.as_str(),
            "it is about `agent`",
        ),
        (&good, "git:main", "is no subject"),
    ] {
        let refused = add(node, file, subject);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains(words), "{refused:?}");
    }
    assert_eq!(node.items("/v1/artefacts"), listed);
    // On record: each report with what it said, nothing of what was refused.
    let events = node.events();
    let recorded: Vec<&Value> = events
        .iter()
        .filter(|event| event["type"] == "artefact.recorded")
        .collect();
    assert_eq!(recorded.len(), 5);
    let words = recorded[0]["change"]["after"].as_str().unwrap();
    assert!(
        words.ends_with("sarif Bandit: 0 critical, 1 high"),
        "{words}"
    );
}

/// A key that the configuration names no more vouches for nothing that it signed before.
#[test]
fn a_signer_that_is_named_no_more_vouches_for_nothing() {
    let home = tempfile::tempdir().unwrap();
    let pipeline = Pipeline::at(home.path());
    let mut node = Node::at(home, &setup(&pipeline.path("p256.pub")));
    let code = format!("sha256:{}", "7".repeat(64));
    let provenance = pipeline.provenance(&code, "p256");
    assert_eq!(add(&node, &provenance, &code).code, Some(0));
    let known =
        |node: &Node| node.cli(&["artefact", "show", &code])["evidence"]["provenance"].clone();
    assert_eq!(known(&node), "signed");
    node.stop();
    let config = crate::harness::node::config_of(node.home());
    let written = std::fs::read_to_string(&config).unwrap();
    // Another key under the same name.
    let replaced = written.replace("p256.pub", "ed25519.pub");
    assert_ne!(written, replaced);
    std::fs::write(&config, replaced).unwrap();
    node.start_again();
    assert_eq!(known(&node), "submitted");
    node.stop();
    std::fs::write(&config, written).unwrap();
    node.start_again();
    assert_eq!(known(&node), "signed");
}
