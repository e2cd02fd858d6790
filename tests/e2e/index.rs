//! Events are found through the command line by whatever is known of them, and the index by which they are can go and come back.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

use crate::audit_chain::{files, find, log_of};
use crate::harness::node::{bailiwick, run};
use crate::harness::{Node, World, deps};

const PATH: &str = "notes/plan.md";

/// Ids of the events that a search finds once all of them are in the index.
fn search(node: &Node, conditions: &[&str]) -> BTreeSet<String> {
    let mut arguments = vec!["audit", "search", "--wait", "--limit", "1000"];
    arguments.extend(conditions);
    let found = node.cli(&arguments);
    assert_eq!(found["index_behind"], Value::Null, "{found}");
    assert_eq!(found["next"], Value::Null, "{found}");
    let items = found["items"].as_array().unwrap();
    items.iter().map(|item| id(&item["leaf"])).collect()
}

fn id(leaf: &Value) -> String {
    leaf["id"].as_str().unwrap().to_owned()
}

/// The same straight from the files, leaf by leaf.
fn scan(node: &Node, conditions: &[&str]) -> BTreeSet<String> {
    let mut arguments = vec!["audit", "search", "--output", "json", "--limit", "1000"];
    arguments.extend(conditions);
    let mut command = bailiwick(&arguments);
    let ran = run(command.arg("--dir").arg(log_of(node)), "");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let body = ran.json();
    let found = body.as_array().unwrap().iter();
    found.map(|item| id(&item["leaf"])).collect()
}

#[test]
fn events_are_found_by_each_key_and_the_index_comes_back() {
    let mut world = World::start();
    let node = &world.node;
    let (task, client) = world.session();
    client.ok("read_file", &json!({ "path": PATH }).to_string());
    client.refused("read_file", r#"{"path":"secrets/prod.env"}"#);
    let events = node.events();
    let of = |kind: &str| {
        let mut all = events.iter();
        all.find(|event| event["type"] == kind)
            .unwrap_or_else(|| panic!("no {kind}"))
    };
    let (intent, result) = (of("tool.intent"), of("tool.result"));
    let refused = of("tool.refused");
    let text = |value: &Value| {
        value
            .as_str()
            .unwrap_or_else(|| panic!("{value}"))
            .to_owned()
    };
    let by = [
        ("--type", "tool".to_owned(), intent),
        ("--task", task.clone(), refused),
        ("--agent", text(&intent["agent"]["id"]), result),
        ("--instance", text(&intent["agent"]["instance"]), result),
        ("--user", text(&intent["user"]), refused),
        ("--server", "workspace".to_owned(), intent),
        ("--tool", "read_file".to_owned(), result),
        ("--effect", "read".to_owned(), intent),
        ("--decision", text(&refused["decision"]["effect"]), refused),
        ("--code", text(&refused["outcome"]["code"]), refused),
        (
            "--lease",
            text(&of("lease.active")["lease"]["id"]),
            of("lease.active"),
        ),
        ("--cause", id(intent), result),
        ("--text", "workspace READ file".to_owned(), intent),
        ("--since", "2020-01-01".to_owned(), of("log.opened")),
        (
            "--until",
            "9000-01-01T00:00:00Z".to_owned(),
            of("log.opened"),
        ),
    ];
    for (flag, value, wanted) in &by {
        let found = search(node, &[flag, value]);
        assert!(found.contains(&id(wanted)), "{flag} {value}: {found:?}");
        if !matches!(*flag, "--since" | "--until") {
            assert!(
                found.len() < events.len(),
                "{flag} {value} finds everything"
            );
        }
    }
    // What arguments name is in no leaf: only the index knows, and only what was asked for.
    let named = search(node, &["--resource", PATH]);
    assert_eq!(named, BTreeSet::from([id(intent)]));
    assert!(search(node, &["--resource", "notes"]).is_empty());
    assert!(search(node, &["--label", "nobody-has-it"]).is_empty());
    assert!(search(node, &["node=elsewhere"]).is_empty());
    let both = search(
        node,
        &[
            "--tool",
            "read_file",
            "decision=allow",
            "--type",
            "tool.intent",
        ],
    );
    assert_eq!(both, BTreeSet::from([id(intent)]));

    refuses_bad_filters(node);
    a_stream_goes_on(node);
    comes_back(&mut world, events.len());
    let node = &world.node;
    assert_eq!(search(node, &["--resource", PATH]), named);
    // The index answers as the leaves do, for every key that is in them.
    for (flag, value, _) in &by {
        let until = ["--until", "2020-01-01"];
        assert!(search(node, &until).is_empty() && scan(node, &until).is_empty());
        if *flag == "--until" || *flag == "--since" {
            continue;
        }
        let before: BTreeSet<String> = events.iter().map(id).collect();
        let of_before = |found: BTreeSet<String>| -> BTreeSet<String> {
            found.intersection(&before).cloned().collect()
        };
        assert_eq!(
            of_before(search(node, &[flag, value])),
            of_before(scan(node, &[flag, value])),
            "{flag} {value}"
        );
    }
    let sealed = bailiwick(&["audit", "search", "--output", "json", "--resource", PATH])
        .arg("--dir")
        .arg(log_of(node))
        .output()
        .unwrap();
    assert_eq!(sealed.status.code(), Some(2));
}

fn refuses_bad_filters(node: &Node) {
    for (condition, message) in [
        (vec!["colour=red"], "condition 1: `colour`"),
        (
            vec!["--agent", "a", "agent=b"],
            "condition 2: `agent` is given twice",
        ),
        (vec!["--decision", "perhaps"], "condition 1: `perhaps`"),
        (vec!["agent"], "`agent` is not KEY=VALUE"),
    ] {
        let mut arguments = vec!["audit", "search"];
        arguments.extend(condition);
        let ran = node.run(&arguments);
        let problem = ran.problem();
        assert_eq!(
            (ran.code, &problem["code"]),
            (Some(2), &json!("bad_filter"))
        );
        assert!(
            problem["message"].as_str().unwrap().starts_with(message),
            "{problem}"
        );
    }
}

/// Behind the id of an event of it.
fn a_stream_goes_on(node: &Node) {
    let origin = node.cli(&["audit", "log"])["origin"]
        .as_str()
        .unwrap()
        .to_owned();
    let name = origin.rsplit('/').next().unwrap();
    let path = format!("/v1/audit/tail?type=tool&after={name}:0");
    let first = node.request("GET", &path, None).events().next().unwrap();
    let path = format!("/v1/audit/tail?type=tool&after={name}:{}", first["index"]);
    let second = node.request("GET", &path, None).events().next().unwrap();
    assert!(second["index"].as_u64() > first["index"].as_u64());
}

/// Made anew while the node runs, and while it does not.
fn comes_back(world: &mut World, events: usize) {
    let node = &world.node;
    let named = search(node, &["--resource", PATH]);
    node.cli(&["audit", "reindex"]);
    assert_eq!(search(node, &["--resource", PATH]), named);
    let busy = node.run(&["audit", "reindex", "--offline"]);
    assert_eq!(
        (busy.code, &busy.problem()["code"]),
        (Some(3), &json!("data_dir"))
    );
    world.node.stop();
    let index = log_of(&world.node).join("index");
    std::fs::remove_dir_all(&index).unwrap();
    let made = world.node.cli(&["audit", "reindex", "--offline"]);
    assert!(made["indexed"].as_u64() >= Some(events as u64), "{made}");
    let kept = files(&index);
    assert!(kept.len() >= 2, "{kept:?}");
    for file in kept {
        let bytes = std::fs::read(&file).unwrap();
        for words in [PATH, "secrets/prod.env", "look after the orders"] {
            assert_eq!(
                find(&bytes, words.as_bytes()),
                None,
                "{words} is in {}",
                file.display()
            );
        }
    }
    world.node.start_again();
}

/// What a curious operator with the files and SQLite may do to a day's file.
const TRICKS: [&str; 3] = [
    "DELETE FROM event WHERE decision > 1",
    "UPDATE event SET task = NULL, agent = NULL",
    "UPDATE term SET value = 'task_0000000000000000000000000x' WHERE kind = 'task'",
];

#[test]
fn rows_altered_behind_the_nodes_back_hide_nothing() {
    let mut world = World::start();
    let (task, client) = world.session();
    client.ok("read_file", &json!({ "path": PATH }).to_string());
    client.refused("read_file", r#"{"path":"secrets/prod.env"}"#);
    let node = &world.node;
    node.cli(&["task", "complete", &task]);
    search(node, &["--task", &task]);
    let (story, narrow) = (told(node, &task), exported(node, &task));
    assert!(story.contains(&"tool.refused".to_owned()), "{story:?}");

    for (at, trick) in TRICKS.iter().enumerate() {
        // While the node runs, and while it does not.
        if at > 0 {
            world.node.stop();
        }
        assert!(altered(&world.node, trick) > 0, "{trick}");
        if at > 0 {
            world.node.start_again();
        }
        let node = &world.node;
        assert_eq!(told(node, &task), story, "{trick}");
        assert_eq!(exported(node, &task), narrow, "{trick}");
        let radius = node.cli(&["audit", "blast-radius", "task", &task]);
        assert_eq!(
            (&radius["complete"], &radius["counts"]["refused"]),
            (&json!(true), &json!(1)),
            "{trick}: {radius}"
        );
        // It is made again, and answers by itself.
        let denied = search(node, &["--task", &task, "--decision", "deny"]);
        assert!(
            !denied.is_empty(),
            "{trick}: {} {}",
            node.cli(&["audit", "search", "--limit", "1000"]),
            node.cli(&["audit", "search", "--wait", "--task", &task]),
        );
    }
}

/// The types of a task's events, if the node says that these are all.
fn told(node: &Node, task: &str) -> Vec<String> {
    let story = node.cli(&["audit", "task", task]);
    assert_eq!(story["whole"]["complete"], json!(true), "{story}");
    assert_eq!(story["logs"][0]["lookup"], json!("index"), "{story}");
    let events = story["events"].as_array().unwrap();
    let kinds = events.iter().map(|event| event["leaf"]["type"].as_str());
    kinds.map(|kind| kind.unwrap().to_owned()).collect()
}

fn exported(node: &Node, task: &str) -> usize {
    let file = node.home().join("task.jsonl");
    let to = file.to_str().unwrap();
    node.cli(&["audit", "export", "jsonl", "--task", task, "-o", to]);
    std::fs::read_to_string(file).unwrap().lines().count()
}

/// Rows that a statement changes in the files of the days.
fn altered(node: &Node, statement: &str) -> u64 {
    let script = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1], timeout=30)\n\
        n = c.execute(sys.argv[2]).rowcount\nc.commit()\nc.close()\nprint(n)";
    let days = files(&log_of(node).join("index")).into_iter();
    let days = days.filter(|file| {
        file.extension().is_some_and(|end| end == "db") && !file.ends_with("catalog.db")
    });
    days.map(|day| {
        let mut python = Command::new(deps::python());
        let ran = run(python.args(["-c", script]).arg(day).arg(statement), "");
        let count: u64 = ran
            .stdout
            .trim()
            .parse()
            .unwrap_or_else(|_| panic!("{ran:?}"));
        count
    })
    .sum()
}
