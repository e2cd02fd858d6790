//! Scans as people run them: what is found and where, exit codes, SARIF, and no secret anywhere.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::harness::node::{bailiwick, run};

/// A password that is in no file of the repository as a whole.
fn planted() -> String {
    ["blue", "42", "horse!", "tail"].concat()
}

#[test]
fn scans_say_what_they_found_and_not_the_secret() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    for arguments in [
        ["init", "-q"].as_slice(),
        &["config", "user.email", "a@acme.net"],
        &["config", "user.name", "a"],
    ] {
        assert!(
            Command::new("git")
                .args(arguments)
                .current_dir(path)
                .status()
                .unwrap()
                .success()
        );
    }
    let scan = |arguments: &[&str]| {
        let mut all = vec![
            "scan".to_owned(),
            "repo".to_owned(),
            path.display().to_string(),
        ];
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        run(&mut bailiwick(&all), "")
    };
    let clean = scan(&["--strict"]);
    assert_eq!(clean.code, Some(0), "{clean:?}");
    assert!(clean.stdout.contains("no secret found"), "{clean:?}");

    fs::write(path.join("app.env"), format!("DB_PASSWORD={}\n", planted())).unwrap();
    assert!(
        Command::new("git")
            .args(["add", "-A"])
            .current_dir(path)
            .status()
            .unwrap()
            .success()
    );
    assert!(
        Command::new("git")
            .args(["commit", "-q", "-m", "x"])
            .current_dir(path)
            .status()
            .unwrap()
            .success()
    );
    fs::remove_file(path.join("app.env")).unwrap();

    let found = scan(&[]);
    assert_eq!(found.code, Some(1), "{found:?}");
    assert!(
        found.stdout.contains("app.env:1:13  since commit "),
        "{found:?}"
    );
    assert_eq!(scan(&["--fail-on", "critical"]).code, Some(0));

    let sarif = path.join("out.sarif");
    let json = scan(&["--json", "--report", sarif.to_str().unwrap()]);
    let body: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(body["secrets"][0]["check"], "named-password");
    assert_eq!(body["secrets"][0]["link"], "unlinked");
    let written = fs::read_to_string(&sarif).unwrap();
    let document: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(
        document["runs"][0]["results"][0]["ruleId"],
        "named-password"
    );
    fs::remove_file(&sarif).unwrap();
    for text in [&found.stdout, &found.stderr, &json.stdout, &written] {
        assert!(!text.contains("42horse"), "{text}");
    }

    let rules = path.join("site.toml");
    fs::write(&rules, "[[rules]]\nid = \"x\"\npath = \"y\"\n").unwrap();
    let strict = scan(&[
        "--rules",
        rules.to_str().unwrap(),
        "--strict",
        "--fail-on",
        "never",
    ]);
    assert_eq!(strict.code, Some(3), "{strict:?}");
    assert!(strict.stderr.contains("rule `x`"), "{strict:?}");
    let none = run(
        &mut bailiwick(&[
            "scan".to_owned(),
            "repo".to_owned(),
            path.join("none").display().to_string(),
        ]),
        "",
    );
    assert_eq!(none.code, Some(3), "{none:?}");
}
