//! Reports of others as they come: SARIF 2.1.0, in-toto statements, bills of materials, and what only looks like one.

use bailiwick_crypto::dsse::pae;
use bailiwick_crypto::keys::Ed25519Key;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const BUILDER: &str = "https://ci.example/builder@v1";

fn code() -> ArtefactSubject {
    ArtefactSubject::Code(Digest([7; 32]))
}

fn commit() -> ArtefactSubject {
    ArtefactSubject::Commit(COMMIT.to_owned())
}

fn take(document: &Value, subject: &ArtefactSubject) -> Result<Document, Unfit> {
    read(document.to_string().as_bytes(), subject, &[])
}

fn says(document: &Value) -> Says {
    let mut says = take(document, &code()).unwrap().says;
    assert_eq!(says.len(), 1);
    says.remove(0)
}

/// A log of one run of one scanner with these results and rules.
fn sarif(results: &Value, rules: &Value) -> Value {
    json!({"version": "2.1.0", "runs": [{
        "tool": {"driver": {"name": "scanner", "rules": rules}},
        "invocations": [{"executionSuccessful": true, "endTimeUtc": "2026-11-23T10:00:00Z"}],
        "results": results,
    }]})
}

fn counts(results: &Value, rules: &Value) -> ([u64; 4], u64) {
    let says = says(&sarif(results, rules));
    let Open {
        critical,
        high,
        medium,
        low,
    } = says.open;
    ([critical, high, medium, low], says.accepted)
}

#[test]
fn levels_and_scores_are_severities() {
    let level = |level: &str| json!({"ruleId": "r", "level": level});
    let results =
        json!([level("error"), level("warning"), level("note"), level("none"), {"ruleId": "r"}]);
    assert_eq!(counts(&results, &json!([])).0, [0, 1, 2, 2]);
    // The rule says what the result does not, by place or by id.
    let rules = json!([{"id": "a", "defaultConfiguration": {"level": "note"}},
        {"id": "b", "properties": {"security-severity": "9.8"}},
        {"id": "c", "properties": {"security-severity": 7}, "defaultConfiguration": {"level": "note"}}]);
    let results = json!([{"ruleIndex": 0}, {"ruleId": "b", "level": "note"}, {"rule": {"id": "c"}}, {"rule": {"index": 2}}]);
    assert_eq!(counts(&results, &rules).0, [1, 2, 0, 1]);
    // Of both scores the worse; what is no score is as bad as can be.
    let scored = |score: Value| json!({"ruleId": "b", "properties": {"security-severity": score}});
    let results = json!([scored(json!("1.0")), scored(json!("high"))]);
    assert_eq!(counts(&results, &rules).0, [2, 0, 0, 0]);
    let results = json!([{"ruleId": "a", "properties": {"security-severity": "4.0"}}, {"ruleId": "a", "properties": {"security-severity": "3.9"}}]);
    assert_eq!(counts(&results, &rules).0, [0, 0, 1, 1]);
}

#[test]
fn a_rule_of_an_extension_is_found_there() {
    let mut log = sarif(
        &json!([{"rule": {"index": 0, "toolComponent": {"index": 0}}}]),
        &json!([{"id": "x"}]),
    );
    log["runs"][0]["tool"]["extensions"] =
        json!([{"name": "pack", "rules": [{"id": "y", "properties": {"security-severity": "9"}}]}]);
    assert_eq!(says(&log).open.critical, 1);
}

#[test]
fn what_passed_was_fixed_or_was_accepted_is_not_open() {
    let suppressed = |status: &[Option<&str>]| {
        let all: Vec<Value> = status
            .iter()
            .map(|status| json!({"kind": "external", "status": status}))
            .collect();
        json!({"level": "error", "suppressions": all})
    };
    let results = json!([
        {"level": "error", "kind": "pass"},
        {"level": "error", "baselineState": "absent"},
        suppressed(&[None]),
        suppressed(&[Some("accepted")]),
    ]);
    assert_eq!(counts(&results, &json!([])), ([0; 4], 2));
    // A suppression that is under review, or was rejected, is none; nor is an empty list.
    let results = json!([
        suppressed(&[Some("underReview")]),
        suppressed(&[Some("accepted"), Some("rejected")]),
        suppressed(&[]),
        {"level": "error", "baselineState": "unchanged", "kind": "fail"},
    ]);
    assert_eq!(counts(&results, &json!([])), ([0, 4, 0, 0], 0));
}

#[test]
fn a_scan_that_did_not_succeed_says_nothing() {
    let mut log = sarif(&json!([]), &json!([]));
    log["runs"][0]["invocations"] =
        json!([{"executionSuccessful": true}, {"executionSuccessful": false}]);
    assert_eq!(
        take(&log, &code()),
        Err(Unfit::Failed("scanner".to_owned()))
    );
    let mut log = sarif(&json!([]), &json!([]));
    log["runs"][0]["results"] = Value::Null;
    assert_eq!(
        take(&log, &code()),
        Err(Unfit::Failed("scanner".to_owned()))
    );
    let mut log = sarif(&json!([]), &json!([]));
    log["runs"][0]["invocations"][0]["endTimeUtc"] = json!("yesterday");
    assert!(matches!(take(&log, &code()), Err(Unfit::Time(_))));
}

#[test]
fn runs_of_one_scanner_are_one_report_and_as_old_as_the_oldest() {
    let mut log = sarif(&json!([{"level": "error"}]), &json!([]));
    let mut second = log["runs"][0].clone();
    second["invocations"][0]["endTimeUtc"] = json!("2026-11-22T10:00:00Z");
    let mut other = second.clone();
    other["tool"]["driver"]["name"] = json!("other");
    log["runs"].as_array_mut().unwrap().extend([second, other]);
    let says = take(&log, &code()).unwrap().says;
    let told: Vec<_> = says
        .iter()
        .map(|one| {
            (
                one.tool.as_str(),
                one.open.high,
                one.ended.unwrap().to_string(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("other", 1, "2026-11-22T10:00:00.000000Z".to_owned()),
            ("scanner", 2, "2026-11-22T10:00:00.000000Z".to_owned()),
        ]
    );
}

#[test]
fn a_scan_of_another_revision_is_not_taken() {
    let mut log = sarif(&json!([]), &json!([]));
    log["runs"][0]["versionControlProvenance"] =
        json!([{"repositoryUri": "https://git.example/a", "revisionId": COMMIT}]);
    assert!(take(&log, &commit()).is_ok());
    log["runs"][0]["versionControlProvenance"][0]["revisionId"] = json!("f".repeat(40));
    assert!(matches!(take(&log, &commit()), Err(Unfit::Other(_))));
}

fn provenance(subject: &str, algorithm: &str) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "agent", "digest": {algorithm: subject}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {"buildType": "https://ci.example/type", "externalParameters": {}, "resolvedDependencies": [
                {"uri": "git+https://git.example/agent", "digest": {"gitCommit": COMMIT}},
                {"uri": "git+https://git.example/lib", "digest": {"sha1": "f".repeat(40)}},
                {"uri": "pkg:npm/left-pad@1.0.0", "digest": {"sha1": "e".repeat(40)}},
            ]},
            "runDetails": {"builder": {"id": BUILDER}},
        },
    })
}

#[test]
fn provenance_names_its_builder_and_commits() {
    let hex = Digest([7; 32]).to_hex();
    let says = says(&provenance(&hex, "sha256"));
    assert_eq!((says.kind, says.tool.as_str()), (ReportKind::Slsa, BUILDER));
    assert_eq!(says.commits, [COMMIT.to_owned(), "f".repeat(40)]);
    // About something else.
    let other = provenance(&"0".repeat(64), "sha256");
    assert_eq!(
        take(&other, &code()),
        Err(Unfit::Other("`agent`".to_owned()))
    );
    // The right digits under another algorithm.
    let other = provenance(&hex, "sha512_256");
    assert!(matches!(take(&other, &code()), Err(Unfit::Other(_))));
    let mut older = provenance(&hex, "sha256");
    older["predicateType"] = json!("https://slsa.dev/provenance/v0.2");
    assert!(matches!(take(&older, &code()), Err(Unfit::Predicate(_))));
}

#[test]
fn bills_of_materials_are_known_by_their_form() {
    let kind = |document: Value| take(&document, &code()).map(|one| one.says[0].tool.clone());
    let cyclone =
        |version: &str| json!({"bomFormat": "CycloneDX", "specVersion": version, "version": 1});
    assert_eq!(kind(cyclone("1.4")).unwrap(), "CycloneDX");
    assert_eq!(kind(cyclone("1.10")).unwrap(), "CycloneDX");
    assert!(kind(cyclone("1.3")).is_err());
    assert_eq!(kind(json!({"spdxVersion": "SPDX-2.3"})).unwrap(), "SPDX");
    assert!(kind(json!({"spdxVersion": "SPDX-2.2"})).is_err());
}

struct Ci(Ed25519Key);

impl Ci {
    fn new() -> Self {
        Self(Ed25519Key::generate().unwrap())
    }

    fn signer(&self, builder: Option<&str>) -> Signer {
        // RFC 8410: the one DER of an Ed25519 key.
        let head = [48, 42, 48, 5, 6, 3, 43, 101, 112, 3, 33, 0];
        let der = [head.as_slice(), self.0.public()].concat();
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            STANDARD.encode(der)
        );
        Signer {
            name: "ci".to_owned(),
            key: PublicKey::from_pem(pem.as_bytes()).unwrap(),
            builder: builder.map(str::to_owned),
        }
    }

    fn envelope(&self, statement: &Value) -> Vec<u8> {
        let payload = statement.to_string().into_bytes();
        let signature = self.0.sign(&pae(IN_TOTO, &payload)).unwrap();
        let envelope = Envelope::of(
            &payload,
            IN_TOTO,
            vec![("ci".to_owned(), signature.to_vec())],
        );
        serde_json::to_vec(&envelope).unwrap()
    }
}

#[test]
fn a_configured_key_signs_and_nobody_else_does() {
    let (ci, thief) = (Ci::new(), Ci::new());
    let statement = provenance(&Digest([7; 32]).to_hex(), "sha256");
    let signers = [ci.signer(Some(BUILDER))];
    let good = read(&ci.envelope(&statement), &code(), &signers).unwrap();
    assert_eq!(good.signer.unwrap().name, "ci");
    assert_eq!(good.unsigned, None);
    // Somebody else's key under the same name.
    let forged = read(&thief.envelope(&statement), &code(), &signers).unwrap();
    assert_eq!(forged.signer, None);
    assert!(forged.unsigned.unwrap().contains("[[posture.signers]]"));
    // The right key for another builder.
    let elsewhere = [ci.signer(Some("https://other.example"))];
    let foreign = read(&ci.envelope(&statement), &code(), &elsewhere).unwrap();
    assert_eq!(foreign.signer, None);
    assert!(foreign.unsigned.unwrap().contains(BUILDER));
    // A statement without envelope, and one in an envelope about something else.
    let bare = read(statement.to_string().as_bytes(), &code(), &signers).unwrap();
    assert_eq!((bare.signer, bare.unsigned), (None, None));
    let other = ArtefactSubject::Code(Digest([8; 32]));
    assert!(matches!(
        read(&ci.envelope(&statement), &other, &signers),
        Err(Unfit::Other(_))
    ));
    // A scan inside a statement.
    let mut scan = statement;
    scan["predicateType"] = json!("https://scans.example/sarif");
    scan["predicate"] = sarif(&json!([{"level": "error"}]), &json!([]));
    let scanned = read(&ci.envelope(&scan), &code(), &signers).unwrap();
    assert!(scanned.signer.is_some());
    assert_eq!(scanned.says[0].open.high, 1);
}

#[test]
fn what_is_none_of_these_is_refused_and_never_a_panic() {
    for text in [
        "",
        "{",
        "[]",
        "null",
        "1",
        "{}",
        r#"{"version":"2.1.0"}"#,
        r#"{"version":"2.1.0","runs":[]}"#,
        r#"{"version":"2.0.0","runs":[]}"#,
        r#"{"version":"2.1.0","runs":[{}]}"#,
        r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":""}},"results":[]}]}"#,
        r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"a"}},"results":[],"results":[]}]}"#,
        r#"{"_type":"https://in-toto.io/Statement/v1"}"#,
        r#"{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[]}"#,
        r#"{"payloadType":"text/plain","payload":"e30=","signatures":[]}"#,
    ] {
        assert!(read(text.as_bytes(), &code(), &[]).is_err(), "{text}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep = format!(r#"{{"version":"2.1.0","runs":{deep}}}"#);
    assert!(read(deep.as_bytes(), &code(), &[]).is_err());
    assert_eq!(
        read(&vec![b' '; MAX_DOCUMENT + 1], &code(), &[]),
        Err(Unfit::Long)
    );
    let many = json!({"version": "2.1.0", "runs": vec![sarif(&json!([]), &json!([]))["runs"][0].clone(); 65]});
    assert_eq!(take(&many, &code()), Err(Unfit::Many("64 runs")));
    let mut long = sarif(&json!([]), &json!([]));
    long["runs"][0]["tool"]["driver"]["name"] = json!("a".repeat(257));
    assert_eq!(take(&long, &code()), Err(Unfit::Tool));
    long["runs"][0]["tool"]["driver"]["name"] = json!("a\u{1b}[2J");
    assert_eq!(take(&long, &code()), Err(Unfit::Tool));
    // Places that are none.
    let odd =
        json!([{"ruleIndex": -1, "level": "error"}, {"ruleIndex": 1_000_000, "level": "error"}]);
    assert_eq!(counts(&odd, &json!([])).0, [0, 2, 0, 0]);
}
