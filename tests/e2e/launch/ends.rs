//! L2: the task ends with the program or the launcher, however they end, and nothing that was left running has authority.

use std::io::{Read as _, Write as _};

use rustix::process::{Pid, Signal, test_kill_process};
use serde_json::json;

use super::Bench;
use crate::harness::Process;

/// A launch that runs until the test ends it.
fn start(bench: &Bench, script: &str) -> Process {
    let mut command = bench.command(&["--agent", "coder"], &["sh", "-c", script]);
    Process::start(
        "the launch",
        &mut command,
        &bench.node.home().join("launch.log"),
    )
}

fn alive(pid: &str) -> bool {
    // A zombie still has its number: it waits for its parent, and runs nothing.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
    let running = !stat
        .rsplit_once(") ")
        .is_none_or(|(_, rest)| rest.starts_with('Z'));
    running && test_kill_process(pid).is_ok()
}

#[test]
fn what_a_program_leaves_running_ends_with_it() {
    let bench = Bench::start();
    let ran = bench.run(
        &["--agent", "coder"],
        &["sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!"],
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!alive(ran.stdout.trim()), "{ran:?}");
    assert_eq!(bench.task()["state"], "completed");
}

#[test]
fn a_killed_launcher_takes_the_program_and_all_authority_with_it() {
    let bench = Bench::start();
    let home = bench.node.home();
    let (go, told) = (home.join("go"), home.join("told"));
    for pipe in [&go, &told] {
        let made = std::process::Command::new("mkfifo").arg(pipe).status();
        assert!(made.unwrap().success());
    }
    let me = env!("CARGO_BIN_EXE_bailiwick");
    let (go_path, told_path) = (go.display(), told.display());
    // One that forks away, and asks for the gateway once the launcher is dead.
    let stray = format!(
        "read word <{go_path}; {me} --output json mcp --server workspace --task x </dev/null >{told_path} 2>&1"
    );
    let script = format!("setsid sh -c '{stray}' & echo $$; cat");
    let mut launch = start(&bench, &script);
    let program = launch.line();
    assert!(alive(&program));
    assert_eq!(bench.task()["state"], "open");
    launch.signal(Signal::KILL);
    launch.wait();
    let task = bench.ended();
    assert_eq!(task["state"], "cancelled", "{task}");
    std::fs::File::options()
        .write(true)
        .open(&go)
        .unwrap()
        .write_all(b"go\n")
        .unwrap();
    let mut said = String::new();
    std::fs::File::open(&told)
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(said.contains("no_identity"), "{said}");
    assert!(!alive(&program));
    assert_eq!(bench.tools.calls(), 0);
}

#[test]
fn a_program_that_ignores_sigterm_is_killed_when_its_task_is_revoked() {
    let bench = Bench::start();
    let mut launch = start(
        &bench,
        "trap '' TERM; setsid sleep 1000 >/dev/null & echo $$ $!; while :; do sleep 0.1; done",
    );
    let line = launch.line();
    let task = bench.task();
    let order = json!({
        "subjects": [format!("task/{}", task["id"].as_str().unwrap())],
        "reason": "INC-17",
    });
    bench.node.api("POST", "/v1/revocations", Some(&order));
    assert_eq!(launch.wait().code(), Some(125), "{}", launch.log());
    assert!(launch.log().contains("INC-17"), "{}", launch.log());
    for pid in line.split(' ') {
        assert!(!alive(pid), "{line}");
    }
    assert_eq!(bench.task()["state"], "revoked");
}

#[test]
fn a_signal_reaches_the_program_and_its_task_is_cancelled() {
    let bench = Bench::start();
    let mut launch = start(
        &bench,
        "trap 'exit 3' TERM; echo up; while :; do sleep 0.1; done",
    );
    launch.line();
    launch.signal(Signal::TERM);
    assert_eq!(launch.wait().code(), Some(3), "{}", launch.log());
    assert_eq!(bench.task()["state"], "cancelled");
}

#[test]
fn the_end_of_the_node_is_the_end_of_its_launches() {
    let mut bench = Bench::start();
    let mut launch = start(&bench, "echo $$; exec cat");
    let program = launch.line();
    bench.node.kill_nine();
    assert_eq!(launch.wait().code(), Some(125), "{}", launch.log());
    assert!(
        launch.log().contains("node_unreachable"),
        "{}",
        launch.log()
    );
    assert!(!alive(&program));
    bench.node.start_again();
    let task = bench.ended();
    assert_eq!(task["state"], "cancelled", "{task}");
}
