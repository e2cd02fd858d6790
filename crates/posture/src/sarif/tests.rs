//! The SARIF 2.1.0 document of a scan.

use bailiwick_crypto::system::SystemRng;

use super::document;
use crate::coverage::Coverage;
use crate::report::{Exposure, Fold, Place, Report};
use crate::secrets::{Digest, Find, FingerprintKey, Severity};

#[test]
fn a_document_names_places_and_no_secret() {
    let secret = "blue42horse!tail";
    let mut fold = Fold::default();
    fold.add(
        Find {
            check: "named-password".into(),
            severity: Severity::High,
            offset: 0,
            line: 3,
            column: 7,
            key: Some("DB_PASSWORD".to_owned()),
            length: secret.len(),
            digest: Digest::of(secret.as_bytes()),
            public: Vec::new(),
            wrapped: Vec::new(),
            remedy: "replace it".into(),
        },
        Place {
            line: Some(3),
            column: Some(7),
            commit: Some("c0ffee".to_owned()),
            ..Place::named("a dir/ä.env")
        },
    );
    let (secrets, more_secrets) = fold.finish(&FingerprintKey::of_run(&SystemRng));
    let mut coverage = Coverage::default();
    coverage.missed("fd 9", "a pipe");
    let report = Report {
        kind: "process",
        target: "pid 7".to_owned(),
        secrets,
        more_secrets,
        exposures: vec![Exposure {
            check: "runtime-socket",
            severity: Severity::Critical,
            what: "a socket".to_owned(),
            place: "pid 7 (x)".to_owned(),
        }],
        coverage,
    };
    let sarif = document(&report, "0.1.0");
    assert_eq!(sarif["version"], "2.1.0");
    let run = &sarif["runs"][0];
    let result = &run["results"][0];
    assert_eq!(result["ruleId"], "named-password");
    assert_eq!(result["level"], "error");
    let print = result["partialFingerprints"]["bailiwickSecret/v1"]
        .as_str()
        .unwrap();
    assert!(print.starts_with("fpl_"));
    let place = &result["locations"][0];
    assert_eq!(
        place["physicalLocation"]["artifactLocation"]["uri"],
        "a%20dir/%C3%A4.env"
    );
    assert_eq!(place["physicalLocation"]["region"]["startLine"], 3);
    assert_eq!(place["logicalLocations"][0]["name"], "c0ffee");
    assert_eq!(run["results"][1]["ruleId"], "runtime-socket");
    assert_eq!(run["invocations"][0]["properties"]["complete"], false);
    let said = run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]
        .as_str()
        .unwrap();
    assert!(said.starts_with("not read: fd 9"), "{said}");
    assert_eq!(run["tool"]["driver"]["rules"].as_array().unwrap().len(), 2);
    assert!(!sarif.to_string().contains("42horse"));
}
