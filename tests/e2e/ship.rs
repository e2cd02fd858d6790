//! The record leaves the node while it runs: to a bucket, to a collector, into files. A lost node does not take it along.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use serde_json::Value;

use crate::audit_chain::files;
use crate::harness::http::{Place, send};
use crate::harness::node::{Ran, Setup, bailiwick, run};
use crate::harness::{Node, Process, World, deps};

/// Asked for this often, a tenth of a second apart, before a test gives up.
const PATIENCE: usize = 600;

pub(crate) fn script(name: &str, arguments: &[&str], log: &Path) -> (Process, String) {
    let mut command = Command::new(deps::exports("python"));
    command.arg(deps::script(name)).args(arguments);
    let mut process = Process::start(name, &mut command, log);
    let url = process.line();
    (process, url)
}

/// A metric of a node; 0 while it is not there.
pub(crate) fn metric(node: &Node, name: &str) -> u64 {
    let text = node.request("GET", "/metrics", None).text();
    let line = text
        .lines()
        .find(|line| line.starts_with(name) && !line.starts_with('#'));
    let value = line.and_then(|line| line.rsplit(' ').next());
    value.and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// Durable events of a node.
fn size(node: &Node) -> u64 {
    node.cli(&["audit", "log"])["size"].as_u64().unwrap()
}

/// Waits until it holds.
pub(crate) fn until(what: &str, node: &Node, holds: impl Fn() -> bool) {
    let (_never, pause) = sync_channel::<()>(1);
    for _ in 0..PATIENCE {
        if holds() {
            return;
        }
        let _ = pause.recv_timeout(Duration::from_millis(100));
    }
    panic!("{what}: not in time\n{}", node.log());
}

/// What a node and a reader need to reach the bucket.
fn environment(url: &str) -> Vec<(String, String)> {
    let pairs = [
        ("AWS_ENDPOINT_URL", url),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "canary-aws-secret"),
    ];
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

fn audit(environment: &[(String, String)], arguments: &[&str]) -> Ran {
    let mut command = bailiwick(&[&["audit"], arguments, &["--output", "json"]].concat());
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    run(&mut command, "")
}

#[test]
fn ship_and_restore() {
    let home = tempfile::tempdir().unwrap();
    let (_server, url) = script("s3_server.py", &["records"], &home.path().join("s3.log"));
    let environment = environment(&url);
    let mut world = World::with(&Setup {
        audit: r#"ship = { url = "s3://records/nodes/one", every = "1s" }"#.to_owned(),
        environment: environment.clone(),
        ..Setup::default()
    });
    let (task, client) = world.session();
    for _ in 0..130 {
        client.ok("list_files", "{}");
    }
    let node = &world.node;
    node.cli(&["task", "complete", &task]);
    let (vkey, recorded) = (node.ready("log_vkey").to_owned(), size(node));
    assert!(recorded > 256, "{recorded}");
    until("shipped", node, || {
        metric(node, "bailiwick_shipped_size") >= recorded
    });
    let told = node.cli(&[
        "audit",
        "search",
        &format!("task={task}"),
        "--limit",
        "1000",
    ]);
    let told = told["items"].as_array().map(Vec::len).unwrap();
    assert!(!node.log().contains("canary-aws-secret"));

    // The node is lost, with everything it had.
    world.node.kill_nine();
    std::fs::remove_dir_all(world.node.data()).unwrap();

    let verified = audit(
        &environment,
        &["verify", "s3://records/nodes/one", "--vkey", &vkey],
    );
    assert_eq!(verified.code, Some(0), "{verified:?}");
    assert!(verified.json()["size"].as_u64().unwrap() >= recorded);
    let restored = home.path().join("restored");
    let text = restored.to_str().unwrap();
    let from = [
        "restore",
        "--from",
        "s3://records/nodes/one",
        text,
        "--vkey",
        &vkey,
    ];
    let ran = audit(&environment, &from);
    assert_eq!(
        (ran.code, &ran.json()["verdict"]),
        (Some(0), &"proven".into()),
        "{ran:?}"
    );
    assert_eq!(ran.json()["missing"], Value::Array(Vec::new()));
    assert!(
        !files(&restored.join("payload")).is_empty() && !files(&restored.join("keys")).is_empty()
    );
    let condition = format!("task={task}");
    let found = audit(
        &[],
        &["search", &condition, "--limit", "1000", "--dir", text],
    );
    assert_eq!(
        found.json().as_array().map(Vec::len),
        Some(told),
        "{found:?}"
    );
    let go = Command::new(deps::go_verifier())
        .arg(&restored)
        .arg(&vkey)
        .output()
        .unwrap();
    assert!(go.status.success(), "{go:?}");
    let aics = deps::tlog_verify(&restored, &vkey).output().unwrap();
    assert!(aics.status.success(), "{aics:?}");
    // What is there already is not written over.
    assert_eq!(audit(&environment, &from).code, Some(2));

    // Somebody changes an object in the bucket.
    let bundle = restored.join("tile/entries/000");
    let mut bytes = std::fs::read(&bundle).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&bundle, bytes).unwrap();
    overwrite(&environment, "nodes/one/tile/entries/000", &bundle);
    let altered = audit(
        &environment,
        &["verify", "s3://records/nodes/one", "--vkey", &vkey],
    );
    assert_eq!(altered.code, Some(1), "{altered:?}");
    assert_eq!(altered.json()["file"], "tile/entries/000");
}

/// Puts a file in the place of an object, with somebody else's client.
fn overwrite(environment: &[(String, String)], key: &str, file: &Path) {
    let script = "import boto3, sys; boto3.client('s3').put_object(Bucket='records', Key=sys.argv[1], Body=open(sys.argv[2], 'rb'))";
    let mut command = Command::new(deps::exports("python"));
    command.args(["-c", script, key]).arg(file);
    command.env("AWS_DEFAULT_REGION", "us-east-1");
    let ran = command
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
}

#[test]
fn nothing_is_shipped_over_another_history() {
    let place = tempfile::tempdir().unwrap();
    let url = format!("file://{}", place.path().display());
    let setup = Setup {
        audit: format!(r#"ship = {{ url = "{url}", every = "1s" }}"#),
        ..Setup::default()
    };
    let mut first = Node::with(&setup);
    until("shipped", &first, || {
        metric(&first, "bailiwick_shipped_size") > 0
    });
    first.stop();
    let shipped = files(place.path());
    let before: Vec<_> = shipped
        .iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect();
    let vkey = first.ready("log_vkey").to_owned();

    // A node of the same name with a log of its own.
    let second = Node::with(&setup);
    until("a failure", &second, || {
        metric(&second, "bailiwick_ship_failures") >= 2
    });
    assert!(
        second.log().contains("nothing is shipped over it"),
        "{}",
        second.log()
    );
    assert_eq!(files(place.path()), shipped);
    for (file, before) in shipped.iter().zip(before) {
        assert_eq!(std::fs::read(file).unwrap(), before, "{}", file.display());
    }
    let verified = audit(&[], &["verify", &url, "--vkey", &vkey]);
    assert_eq!(verified.code, Some(0), "{verified:?}");

    // A node's log over HTTP: the checkpoint is for everybody, tiles are for viewers.
    let served = format!("{}/log/node-1", second.ready("console"));
    let key = second.ready("log_vkey");
    let arguments = ["audit", "verify", &served, "--vkey", key];
    let reader = second.run(&arguments);
    assert_eq!(
        (reader.code, &reader.json()["verdict"]),
        (Some(0), &"proven".into()),
        "{reader:?}"
    );
    let stranger = audit(&[], &["verify", &served, "--vkey", key]);
    assert_eq!(stranger.code, Some(6), "{stranger:?}");
    let console = Place::of(second.ready("console"));
    let checkpoint = send(&console, "GET", "/log/node-1/checkpoint", &[], None).unwrap();
    assert_eq!(checkpoint.status, 200);
    let tile = send(&console, "GET", "/log/node-1/tile/0/000.p/1", &[], None).unwrap();
    assert_eq!(tile.status, 401);
    assert_eq!(
        second
            .request("GET", "/log/node-1/tile/..%2f..%2fstate.json", None)
            .status,
        404
    );
}

#[test]
fn a_collector_and_files_follow_the_record() {
    let home = tempfile::tempdir().unwrap();
    let (mut collector, url) = script("otlp_receiver.py", &["2"], &home.path().join("otlp.log"));
    let parquet = home.path().join("parquet");
    let mut world = World::with(&Setup {
        audit: format!(
            "export.otlp = {{ endpoint = \"{url}\" }}\nexport.parquet = {{ dir = \"{}\", every = \"1s\" }}",
            parquet.display()
        ),
        ..Setup::default()
    });
    let mut received: Vec<u64> = Vec::new();
    let mut follow = |until: u64, received: &mut Vec<u64>| {
        while received.last().is_none_or(|last| last + 1 < until) {
            let line: Value = serde_json::from_str(&collector.line()).unwrap();
            let indexes = line["indexes"].as_array().unwrap().iter();
            received.extend(indexes.map(|index| index.as_u64().unwrap()));
        }
    };
    let (_, client) = world.session();
    for _ in 0..5 {
        client.ok("list_files", "{}");
    }
    let first = size(&world.node);
    follow(first, &mut received);
    world.node.stop();
    world.node.start_again();
    let second = size(&world.node);
    follow(second, &mut received);
    // In order and without a gap; what a stop cut off may come twice.
    let mut once = received.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once, (0..=*once.last().unwrap()).collect::<Vec<_>>());
    let node = &world.node;
    assert!(metric(node, "bailiwick_export_failures_total{shape=\"otlp\"}") <= 1);

    until("written", node, || {
        metric(node, "bailiwick_exported_size{shape=\"parquet\"}") >= second
    });
    let rows = rows(&parquet);
    assert!(rows >= second, "{rows} of {second}");
}

/// Rows of all files, if each index is there once.
fn rows(dir: &Path) -> u64 {
    let query = format!(
        "import duckdb; n, d, m = duckdb.connect().execute(\"SELECT count(*), count(DISTINCT idx), max(idx) FROM read_parquet('{}/*/*/*.parquet', hive_partitioning = true)\").fetchone(); assert n == d == m + 1, (n, d, m); print(n)",
        dir.display()
    );
    let python: PathBuf = deps::exports("python");
    let ran = Command::new(python).args(["-c", &query]).output().unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    String::from_utf8(ran.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}
