//! A real child process, written in shell: what it inherits, what of its output counts, and that nothing of it stays.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bailiwick_core::change::ChangeBody;
use bailiwick_core::fence::Subject;
use bailiwick_core::server::{Server, Transport};
use serde_json::Value;

use crate::testing::{Pipe, TASK, World, definition};

/// Answers by method. A call of `get` shows the environment (but `TOOLS`, which has quotes); one of `slow` starts a process of its own and never answers.
const SCRIPT: &str = r#"
echo 'starting up, this is no JSON'
while read -r line; do
  id=$(printf '%s' "$line" | sed 's/.*"id":\([^,}]*\).*/\1/')
  case "$line" in
    *tools/list*) printf '{"jsonrpc":"2.0","id":%s,"result":{"tools":[%s]}}\n' "$id" "$TOOLS" ;;
    *'"slow"'*) sleep 600 & printf '{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"%s"}}\n' "$!" ;;
    *'"get"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"%s"}]}}\n' "$id" "$(env -u TOOLS | sort | tr '\n' ';')" ;;
    *) printf '{"jsonrpc":"2.0","id":%s,"result":{}}\n' "$id" ;;
  esac
done
"#;

async fn world() -> World {
    let world = World::new().await;
    let server = world
        .replica
        .view(|state| Server::clone(state.server(&World::server()).unwrap()))
        .unwrap();
    let tools = ["get", "slow"].map(definition).join(",");
    world.commit(ChangeBody::Server(Server {
        transport: Transport::Stdio {
            command: vec!["sh".to_owned(), "-c".to_owned(), SCRIPT.to_owned()],
            env: BTreeMap::from([("TOOLS".to_owned(), tools)]),
            pass_env: vec!["PATH".to_owned()],
        },
        version: 2,
        ..server
    }));
    world
}

fn call(tool: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}"}}}}"#)
}

/// Starts a call that leaves a process behind; gives its `/proc` directory.
async fn background(pipe: &mut Pipe) -> String {
    let note: Value = pipe.ask(&call("slow")).await;
    let directory = format!("/proc/{}", note["params"]["data"].as_str().unwrap());
    assert!(Path::new(&directory).exists());
    directory
}

async fn gone(path: &str) {
    let there = async {
        // A killed process that nobody has waited for yet is a zombie: it runs nothing.
        while std::fs::read_to_string(format!("{path}/stat"))
            .is_ok_and(|stat| !stat.contains(") Z "))
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), there)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_child_gets_named_variables_and_a_home_of_its_own() {
    let world = world().await;
    let answer = Pipe::open(&world).ask(&call("get")).await;
    let text = answer["result"]["content"][0]["text"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"));
    let variables: BTreeMap<&str, &str> = text
        .split(';')
        .filter_map(|pair| pair.split_once('='))
        .collect();
    // `sh` itself adds PWD, OLDPWD, SHLVL and `_`.
    let given: Vec<&str> = variables
        .keys()
        .copied()
        .filter(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name))
        .collect();
    assert_eq!(given, ["HOME", "PATH", "TMPDIR"], "{text}");
    assert!(variables["HOME"].contains("/bailiwick-") && variables["HOME"] == variables["TMPDIR"]);
    // No credential reaches a child: those of HTTP servers are leased, and this transport takes none.
    assert!(!text.contains("leased-secret"));
}

#[tokio::test]
async fn what_a_child_started_goes_with_its_session() {
    let world = world().await;
    let mut pipe = Pipe::open(&world);
    let left = background(&mut pipe).await;
    drop(pipe);
    gone(&left).await;
}

#[tokio::test]
async fn a_fence_kills_the_child_and_what_it_started() {
    let world = world().await;
    let mut pipe = Pipe::open(&world);
    let left = background(&mut pipe).await;
    world.replica.fence_now(&[world.fence(Subject::Task(TASK))]);
    gone(&left).await;
}
