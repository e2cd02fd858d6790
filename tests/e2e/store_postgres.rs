//! A node whose state is in PostgreSQL: the main path with a person and a revocation, a kill in between, and a database that goes away.

use std::time::Instant;

use serde_json::json;

use crate::harness::mcp::message;
use crate::harness::tools::BEARER;
use crate::harness::{Agent, DEADLINE, Mcp, Node, Setup, World};
use crate::postgres::{self, Server, url};
use crate::step_up::{SHIP, next_asked, while_waiting};

#[path = "../servers/postgres_stores.rs"]
mod postgres_stores;

struct Bench {
    world: World,
    server: Server,
}

impl Bench {
    fn start() -> Self {
        let server = Server::bare();
        server.create_store();
        let home = tempfile::tempdir().unwrap();
        let store = format!(
            "\n[store]\nurl = {:?}\npassword_file = {:?}\n",
            url(&server.dir(), "bailiwick", "bailiwick"),
            server.private_password(home.path()),
        );
        let setup = Setup {
            audit: store,
            ..Setup::default()
        };
        Self {
            world: World::at(home, &setup),
            server,
        }
    }

    fn sql(&self, text: &str) -> String {
        self.server
            .sql_in("bailiwick", &format!("SET search_path = bailiwick; {text}"))
    }
}

#[test]
fn a_node_on_postgres_calls_asks_survives_a_kill_and_revokes() {
    let mut bench = Bench::start();
    let (task, client) = bench.world.session();
    client.ok("list_files", "{}");
    let node = &bench.world.node;
    let mut tail = node.tail();
    let (answer, ()) = while_waiting(&client, SHIP, || {
        let id = next_asked(&mut tail);
        node.cli(&["approval", "approve", &id, "--reason", "as agreed", "--yes"]);
    });
    assert_eq!(answer["result"]["isError"], json!(false), "{answer}");
    assert_eq!(bench.world.tools.ran("update_order"), [SHIP]);
    assert!(!node.data().join("store.db").exists());
    // The state is there, and the value of the credential is not to be read in it.
    let states = bench.sql("SELECT state FROM approval");
    assert_eq!(states, "consumed");
    let sealed = "SELECT count(*), count(*) FILTER (WHERE position(convert_to('BEARER', 'UTF8') IN sealed) > 0) FROM secret";
    assert_eq!(bench.sql(&sealed.replace("BEARER", BEARER)), "1|0");

    drop(client);
    let before = node.events().len();
    bench.world.node.kill_nine();
    bench.world.node.start_again();
    let node = &bench.world.node;
    assert!(node.events().len() >= before, "events were lost");
    assert_eq!(
        node.api("GET", &format!("/v1/tasks/{task}"), None)["state"],
        "open"
    );
    let agent = Agent::of(node);
    let client = Mcp::open(&agent, "workspace", &task);
    client.ok("list_files", "{}");
    node.cli(&[
        "revoke", "task", &task, "--reason", "INC-4", "--yes", "--wait", "dead",
    ]);
    let refused = client.start_call("list_files", "{}");
    assert_eq!(refused.status, 401);
    assert_eq!(refused.json()["code"], "revoked");
    assert_eq!(bench.sql("SELECT count(*) FROM outbox"), "0");
}

#[test]
fn a_node_whose_database_is_gone_denies_until_it_is_back() {
    let mut bench = Bench::start();
    let (_, client) = bench.world.session();
    client.ok("list_files", "{}");
    let run = bench.world.tools.calls();
    bench.server.kill();
    // For as long as the lease lasts it may still know enough; after that it must not act on what it knows.
    until(&bench.world.node, || {
        let said = message(client.start_call("list_files", "{}"));
        said.to_string().contains("lease_expired")
    });
    let denied = bench.world.tools.calls();
    assert!(denied >= run);
    for _ in 0..3 {
        client.start_call("list_files", "{}");
    }
    assert_eq!(
        bench.world.tools.calls(),
        denied,
        "a call ran without a lease"
    );
    bench.server.run();
    until(&bench.world.node, || {
        let said = message(client.start_call("list_files", "{}"));
        said["result"]["isError"] == json!(false)
    });
}

/// Tries until it is so.
fn until(node: &Node, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < DEADLINE * 2, "{}", node.log());
    }
}
