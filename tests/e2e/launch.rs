//! `bailiwick run`: programs that know nothing of us, started as agents. What they inherit, what they can do, and that nothing of it is left
//! when they end, however they end.

mod ends;
mod leased;
mod way_out;

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::agent::register;
use crate::harness::node::{Ran, run};
use crate::harness::world::{add_workspace, demo_policy, publish};
use crate::harness::{Node, Setup, Tools, deps};

/// A node with the demo's tool server and an agent that only a launcher starts. The test itself is no agent: those launch nobody.
struct Bench {
    node: Node,
    tools: Tools,
}

impl Bench {
    fn start() -> Self {
        Self::with(&Setup::default())
    }

    fn with(setup: &Setup) -> Self {
        let home = tempfile::tempdir().unwrap();
        let tools = Tools::start(home.path());
        let node = Node::at(home, setup);
        register(&node, "coder", "launcher:agent=coder");
        add_workspace(&node, &tools);
        publish(&node, &demo_policy());
        Self { node, tools }
    }

    /// `bailiwick run` with these words before the program's.
    fn command(&self, words: &[&str], program: &[&str]) -> Command {
        let line = [&["run"], words, &["--"], program].concat();
        self.node.command(&line)
    }

    fn run(&self, words: &[&str], program: &[&str]) -> Ran {
        run(&mut self.command(words, program), "")
    }

    /// The one task that was opened.
    fn task(&self) -> Value {
        let tasks = self.node.items("/v1/tasks");
        assert_eq!(tasks.len(), 1, "{tasks:?}");
        tasks[0].clone()
    }

    /// Waits until the one task has ended; it.
    fn ended(&self) -> Value {
        let mut tail = self.node.tail();
        loop {
            let task = self.task();
            if task["state"] != "open" {
                return task;
            }
            tail.next().expect("the record ends before the task does");
        }
    }
}

/// What a program finds that was started with descriptors left open and variables that are on no list.
fn look_around(bench: &Bench) -> Ran {
    let script = "env; echo; for n in 0 1 2 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$n ] && echo fd $n; done; \
                  grep NoNewPrivs /proc/$$/status; cat";
    let words = ["--task", "look around", "--env", "BUILD_ID"];
    let line = bench.command(&words, &["sh", "-c", script]);
    let mut leaky = Command::new("sh");
    leaky
        .args(["-c", "exec 7</etc/passwd 9</dev/null; exec \"$0\" \"$@\""])
        .arg(line.get_program())
        .args(line.get_args());
    for (name, value) in line.get_envs() {
        match value {
            Some(value) => leaky.env(name, value),
            None => leaky.env_remove(name),
        };
    }
    leaky
        .env("BUILD_ID", "17")
        .env("LD_LIBRARY_PATH", "/nowhere")
        .env("SSH_AUTH_SOCK", "/nowhere")
        .env("DB_PASSWORD", SECRET);
    let ran = run(&mut leaky, "from its standard input\n");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran
}

/// Made up.
const SECRET: &str = "vK9#mQ2xLp7wZr4t";

/// Variables that a launch keeps or sets, beside those of the shell itself.
const LISTED: &str = "PATH HOME USER LOGNAME SHELL PWD TERM COLORTERM LANG LANGUAGE TZ TMPDIR NO_COLOR FORCE_COLOR CI EDITOR \
                      VISUAL PAGER COLUMNS LINES BUILD_ID SPIFFE_ENDPOINT_SOCKET BAILIWICK_NODE BAILIWICK_API_URL \
                      BAILIWICK_MCP_URL BAILIWICK_AGENT BAILIWICK_INSTANCE BAILIWICK_TASK OLDPWD SHLVL _";

#[test]
fn a_program_inherits_what_is_on_the_list_and_nothing_else() {
    let bench = Bench::start();
    let ran = look_around(&bench);
    let (env, rest) = ran.stdout.split_once("\n\n").unwrap();
    let value = |name: &str| {
        let line = env
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("no {name} in {env}"))
    };
    let (node, task) = (&bench.node, bench.task());
    let workload = format!("unix://{}", node.ready("workload_socket"));
    let mcp = format!("{}/mcp", node.ready("gateway"));
    for (name, expected) in [
        ("BUILD_ID", "17"),
        ("PATH", &std::env::var("PATH").unwrap()),
        ("BAILIWICK_TASK", task["id"].as_str().unwrap()),
        ("BAILIWICK_INSTANCE", task["instance"].as_str().unwrap()),
        ("BAILIWICK_AGENT", "coder"),
        ("SPIFFE_ENDPOINT_SOCKET", &workload),
        ("BAILIWICK_MCP_URL", &mcp),
    ] {
        assert_eq!(value(name), expected);
    }
    for line in env.lines() {
        let name = line.split('=').next().unwrap();
        let listed = LISTED.split_whitespace().any(|known| known == name);
        assert!(listed || name.starts_with("LC_"), "{line}");
    }
    assert_eq!(
        rest, "fd 0\nfd 1\nfd 2\nNoNewPrivs:\t1\nfrom its standard input\n",
        "{ran:?}"
    );
}

#[test]
fn a_launch_says_what_it_left_out_and_is_on_record() {
    let bench = Bench::start();
    let ran = look_around(&bench);
    // The token of the test's account is among what is left out.
    for part in [
        "SSH_AUTH_SOCK",
        "LD_LIBRARY_PATH",
        "BAILIWICK_TOKEN",
        "DB_PASSWORD (",
        "bailiwick secret set db-password --from-env DB_PASSWORD",
        "over: 0 calls, 0 denied, 0 leases, 0 confirmed dead",
    ] {
        assert!(ran.stderr.contains(part), "{part}: {ran:?}");
    }
    assert!(!ran.stderr.contains(SECRET), "{ran:?}");
    let task = bench.task();
    assert_eq!(task["state"], "completed", "{task}");
    assert_eq!(
        (&task["request"]["text"], &task["request"]["source"]),
        (&json!("look around"), &json!("user"))
    );
    let events = bench.node.events();
    let launch = events
        .iter()
        .find(|event| event["change"]["kind"] == "launch");
    let said = launch.unwrap()["change"]["after"].as_str().unwrap();
    assert!(
        said.starts_with("sh; ") && said.ends_with("; kept BUILD_ID"),
        "{said}"
    );
    // What it became was looked at.
    let exec = events
        .iter()
        .find(|event| event["action"]["op"] == "launch.exec");
    assert!(exec.unwrap()["agent"]["code_digest"].is_string());
}

#[test]
fn exit_codes() {
    let bench = Bench::start();
    let plain = bench.node.home().join("plain");
    std::fs::write(&plain, "no program").unwrap();
    let cases: [(&[&str], i32); 6] = [
        (&["true"], 0),
        (&["sh", "-c", "exit 7"], 7),
        (&["sh", "-c", "exit 125"], 125),
        (&["sh", "-c", "kill -9 $$"], 137),
        (&["no-such-program-anywhere"], 127),
        (&[plain.to_str().unwrap()], 126),
    ];
    for (program, code) in cases {
        let ran = bench.run(&["--agent", "coder"], program);
        assert_eq!(ran.code, Some(code), "{program:?} {ran:?}");
    }
    // Ours: nobody of this name, a user without the right, no node.
    let ran = bench.run(&["--agent", "nobody"], &["true"]);
    assert_eq!(ran.code, Some(125), "{ran:?}");
    assert!(ran.stderr.contains("not_permitted"), "{ran:?}");
    register(&bench.node, "second", "launcher:agent=second");
    let ran = bench.run(&[], &["true"]);
    assert_eq!(ran.code, Some(125), "{ran:?}");
    assert!(ran.stderr.contains("coder, second"), "{ran:?}");
    let mut alone = bench.command(&["--agent", "coder"], &["true"]);
    alone.env("BAILIWICK_NODE", bench.node.home().join("none.sock"));
    let ran = run(&mut alone, "");
    assert_eq!(ran.code, Some(125), "{ran:?}");
    assert!(ran.stderr.contains("node_unreachable"), "{ran:?}");
    let left = bench.node.items("/v1/tasks?state=open");
    assert!(left.is_empty(), "{left:?}");
}

/// What tells the Python agent to start `bailiwick mcp`, as a client's configuration does.
fn told(node: &Node, words: &[&str], calls: &Value) -> String {
    let words: Vec<&str> = [&["mcp", "--server", "workspace"], words].concat();
    json!({
        "opening": "session",
        "command": env!("CARGO_BIN_EXE_bailiwick"),
        "args": words,
        "env": { "BAILIWICK_NODE": node.ready("admin_socket") },
        "calls": calls,
    })
    .to_string()
}

#[test]
fn a_client_that_is_not_ours_calls_tools_with_no_token_in_any_file() {
    let bench = Bench::start();
    let python = deps::python();
    let script = deps::script("agent.py");
    let calls = json!([
        { "tool": "read_file", "arguments": { "path": "notes/plan.md" } },
        { "tool": "read_file", "arguments": { "path": "secrets/prod.env" } },
    ]);
    // A task that the client asks for itself is the launch's all the same.
    for words in [&[][..], &["--task", "something else"]] {
        let told = told(&bench.node, words, &calls);
        let ran = bench.run(
            &["--agent", "coder", "--task", "read the plan"],
            &[
                python.to_str().unwrap(),
                "-B",
                script.to_str().unwrap(),
                &told,
            ],
        );
        assert_eq!(ran.code, Some(0), "{ran:?}\n{}", bench.node.log());
        let said: Vec<Value> = ran
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert!(
            said[2]["text"].as_str().unwrap().starts_with("# Plan"),
            "{said:?}"
        );
        let refused = &said[3]["meta"]["bailiwick/decision"]["code"];
        assert_eq!(refused, "forbidden", "{said:?}");
        assert!(
            ran.stderr
                .contains("over: 1 calls, 1 denied, 1 leases, 1 confirmed dead"),
            "{ran:?}"
        );
    }
    assert_eq!(bench.tools.ran("read_file").len(), 2);
    let tasks = bench.node.items("/v1/tasks");
    assert_eq!(tasks.len(), 2);
    for task in tasks {
        assert_eq!(
            (&task["state"], &task["request"]["text"]),
            (&json!("completed"), &json!("read the plan")),
            "{task}"
        );
    }
}

#[test]
fn every_process_of_a_launch_has_its_identity_and_gets_no_other() {
    let bench = Bench::start();
    // An agent that a program of the launch would be, were it not of the launch.
    let me = env!("CARGO_BIN_EXE_bailiwick");
    let real = std::fs::canonicalize(me).unwrap();
    register(
        &bench.node,
        "wide",
        &format!("unix:path={}", real.display()),
    );
    // A child of the program, and one of a session of its own whose parent has gone away.
    let fetch = format!("{me} --output json svid fetch --audience test");
    let script = format!("{fetch}; setsid --fork {fetch} | cat");
    let ran = bench.run(&["--agent", "coder"], &["sh", "-c", &script]);
    assert_eq!(ran.code, Some(0), "{ran:?}\n{}", bench.node.log());
    let instance = bench.task()["instance"].as_str().unwrap().to_owned();
    let own = format!("/agent/coder/{instance}");
    assert_eq!(ran.stdout.matches(&own).count(), 2, "{ran:?}");
    assert!(!ran.stdout.contains("/agent/wide/"), "{ran:?}");
}

#[test]
fn who_is_launched_launches_nobody_and_has_no_rights_of_its_user() {
    let bench = Bench::start();
    let me = env!("CARGO_BIN_EXE_bailiwick");
    for words in ["run --agent coder -- true", "task list", "agent list"] {
        // As a child, and as an orphan.
        for how in ["", "setsid --fork --wait "] {
            let script = format!("{how}{me} {words}");
            let ran = bench.run(&["--agent", "coder"], &["sh", "-c", &script]);
            assert!(ran.stderr.contains("peer_is_agent"), "{script}: {ran:?}");
        }
    }
}

#[test]
fn a_program_that_its_agent_is_not_registered_for_is_ended() {
    let bench = Bench::start();
    let agent = json!({
        "name": "editor",
        "owner": "team-e2e",
        "selectors": ["launcher:agent=editor", "unix:path=/usr/bin/no-such-editor"],
        "ceiling": { "grants": [{ "server": ["*"], "tool": ["*"], "effects": ["read"] }] },
        "launch_uids": [rustix::process::getuid().as_raw()],
    });
    bench.node.api("POST", "/v1/agents", Some(&agent));
    let me = env!("CARGO_BIN_EXE_bailiwick");
    let script = format!("{me} svid fetch --audience test; sleep 1000");
    let ran = bench.run(&["--agent", "editor"], &["sh", "-c", &script]);
    assert_eq!(ran.code, Some(125), "{ran:?}");
    assert!(ran.stderr.contains("no_identity"), "{ran:?}");
    assert!(!ran.stdout.contains("spiffe://"), "{ran:?}");
    let task = bench.ended();
    assert_eq!(task["state"], "cancelled", "{task}");
}
