//! The command line as scripts and people under stress use it: help with examples, one exit code per error, clean streams, and nothing
//! that a tool server wrote reaches the terminal as it is.

use std::collections::BTreeSet;
use std::fs::File;
use std::process::Stdio;

use serde_json::json;

use crate::harness::node::{bailiwick, run};
use crate::harness::{Node, deps};

/// Every command with no commands below it, found by reading the help as a person does.
fn verbs(path: &[String], found: &mut Vec<Vec<String>>) {
    let help = run(bailiwick(path).arg("--help"), "");
    assert_eq!(help.code, Some(0), "{path:?}: {help:?}");
    let below: BTreeSet<String> = match help.stdout.split_once("\nCommands:\n") {
        None => BTreeSet::new(),
        Some((_, list)) => {
            let names = list.lines().take_while(|line| !line.trim().is_empty());
            let names = names.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
            names
                .filter_map(|line| line.split_whitespace().next())
                .map(str::to_owned)
                .collect()
        }
    };
    if below.is_empty() {
        let shows = ["Example: bailiwick ", "Examples:\n  bailiwick "];
        assert!(
            shows.iter().any(|shown| help.stdout.contains(shown)),
            "{path:?} shows no example:\n{}",
            help.stdout
        );
        found.push(path.to_vec());
    }
    for name in below {
        verbs(&[path, &[name]].concat(), found);
    }
}

#[test]
fn every_verb_shows_an_example() {
    let mut found = Vec::new();
    verbs(&[], &mut found);
    let names: Vec<String> = found.iter().map(|path| path.join(" ")).collect();
    for expected in [
        "serve",
        "init",
        "mcp",
        "revoke",
        "task open",
        "agent add",
        "approval approve",
        "audit verify",
        "policy publish",
    ] {
        assert!(
            names.iter().any(|name| name == expected),
            "{expected} is missing: {names:?}"
        );
    }
}

#[test]
fn each_kind_of_failure_has_its_exit_code_and_one_object_on_standard_error() {
    let node = Node::start();
    let nowhere = node.home().join("nowhere.sock");
    let cases: [(&[&str], bool, i32, &str); 8] = [
        (&["task"], true, 2, "invalid_input"),
        (&["task", "show", "no-id"], true, 2, "invalid_input"),
        (&["agent", "list", "--limit", "0"], true, 2, "invalid_input"),
        (&["agent", "list"], false, 4, "node_unreachable"),
        (&["agent", "show", "nobody"], true, 6, "not_found"),
        (
            &["task", "show", "task_00000000000000000000000000"],
            true,
            6,
            "not_found",
        ),
        (
            &["revoke", "agent", "nobody", "--reason", "x"],
            true,
            2,
            "invalid_input",
        ),
        (
            &["policy", "check", "/nonexistent"],
            true,
            3,
            "config_invalid",
        ),
    ];
    for (arguments, reachable, code, name) in cases {
        let mut command = node.command(arguments);
        command.args(["--output", "json"]);
        if !reachable {
            command.env("BAILIWICK_NODE", &nowhere);
        }
        let ran = run(&mut command, "");
        assert_eq!(ran.code, Some(code), "{arguments:?}: {ran:?}");
        assert_eq!(ran.stdout, "", "{arguments:?}: {ran:?}");
        // What was to be revoked is said before the question that nobody answers.
        if arguments[0] == "revoke" {
            assert!(ran.stderr.contains("--yes"), "{ran:?}");
            continue;
        }
        let problem = ran.problem();
        assert_eq!(problem["code"], name, "{arguments:?}: {problem}");
        for member in ["message", "help"] {
            assert!(
                problem[member]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{arguments:?}: no {member}: {problem}"
            );
        }
    }
}

/// A directory that was mistyped is not a log in which nothing happened.
#[test]
fn a_directory_without_a_log_is_no_empty_log() {
    let home = tempfile::tempdir().unwrap();
    let to = home.path().join("export").display().to_string();
    let missing = home.path().join("missing").display().to_string();
    let other = home.path().display().to_string();
    let (task, event) = (
        "task_00000000000000000000000000",
        "evt_00000000000000000000000000",
    );
    for dir in [missing.as_str(), other.as_str()] {
        let cases: [&[&str]; 5] = [
            &["task", task],
            &["search", "type=tool.intent"],
            &["prove", event],
            &["export", "jsonl", "--to", &to],
            &["export", "evidence", "--to", &to],
        ];
        for arguments in cases {
            let mut command = bailiwick(&["audit"]);
            command.args(arguments).args(["--dir", dir]);
            let ran = run(command.args(["--output", "json"]), "");
            let problem = ran.problem();
            assert_eq!(
                (ran.code, &problem["code"], ran.stdout.as_str()),
                (Some(6), &json!("not_found"), ""),
                "{arguments:?}: {ran:?}"
            );
            let message = problem["message"].as_str().unwrap();
            assert_eq!(message, format!("there is no log in {dir}"));
        }
    }
}

#[test]
fn lists_are_tables_for_people_and_the_api_body_for_scripts() {
    let node = Node::start();
    node.cli(&[
        "agent",
        "add",
        "coder",
        "--owner",
        "team-dev",
        "--selector",
        "unix:path=/usr/bin/coder",
        "--allow",
        "files/*:read",
    ]);
    let listed = node.cli(&["agent", "list"]);
    assert_eq!(listed["items"][0]["name"], "coder", "{listed}");
    assert_eq!(listed, node.api("GET", "/v1/agents", None));
    let table = run(&mut node.command(&["agent", "list"]), "");
    assert_eq!(table.code, Some(0));
    assert!(
        table.stdout.contains("NAME") && table.stdout.contains("coder"),
        "{}",
        table.stdout
    );
    assert!(!table.stdout.contains('\u{1b}'), "colour in a pipe");
}

#[test]
fn a_closed_pipe_is_no_panic() {
    let node = Node::start();
    for arguments in [
        vec!["--help"],
        vec!["audit", "search", "--limit", "1000"],
        vec!["agent", "list"],
        vec!["completion", "bash"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let log = node.home().join("closed.log");
        let status = node
            .command(&arguments)
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(File::create(&log).unwrap())
            .status()
            .unwrap();
        let said = std::fs::read_to_string(&log).unwrap();
        assert!(
            !said.contains("panicked") && status.code() != Some(101),
            "{arguments:?}: {status} {said}"
        );
    }
}

#[test]
fn what_a_tool_server_wrote_is_shown_visibly() {
    let node = Node::start();
    let server = json!({
        "name": "hostile",
        "transport": {
            "kind": "stdio",
            "command": [deps::python(), deps::script("hostile_server.py")],
        },
    });
    node.api("POST", "/v1/servers", Some(&server));
    for arguments in [
        vec!["tool", "show", "hostile/innocent"],
        vec!["tool", "list", "--server", "hostile"],
    ] {
        let ran = run(&mut node.command(&arguments), "");
        assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}\n{}", node.log());
        let hidden = |letter: char| {
            matches!(letter, '\u{202e}' | '\u{200b}' | '\u{9b}')
                || (letter.is_control() && letter != '\n')
        };
        assert!(
            !ran.stdout.contains(hidden),
            "{arguments:?}: {:?}",
            ran.stdout
        );
        if arguments[1] == "show" {
            for shown in ["⟦U+202E⟧", "⟦U+200B⟧"] {
                assert!(
                    ran.stdout.contains(shown),
                    "{shown} is not shown: {}",
                    ran.stdout
                );
            }
        }
    }
    // For scripts it is the same value, in escapes.
    let body = node.run(&["tool", "show", "hostile/innocent"]);
    assert!(!body.stdout.contains('\u{202e}'), "{}", body.stdout);
    assert!(
        body.json()["definition"]
            .as_str()
            .unwrap()
            .contains('\u{202e}')
            || body.stdout.contains("202e"),
        "{}",
        body.stdout
    );
}

#[test]
fn init_makes_a_configuration_that_serves() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("fresh");
    let made = run(bailiwick(&["init", "--output", "json"]).arg(&data), "");
    assert_eq!(made.code, Some(0), "{made:?}");
    let config = data.join("bailiwick.toml");
    assert_eq!(made.json()["config"], json!(config), "{made:?}");
    let checked = run(bailiwick(&["config", "check", "--config"]).arg(&config), "");
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let before = std::fs::read(&config).unwrap();
    let again = run(bailiwick(&["init", "--output", "json"]).arg(&data), "");
    assert_eq!(
        (again.code, &again.problem()["code"]),
        (Some(6), &json!("already_exists")),
        "{again:?}"
    );
    assert_eq!(std::fs::read(&config).unwrap(), before);
}
