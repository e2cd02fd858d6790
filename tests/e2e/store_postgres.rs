//! A node whose state is in PostgreSQL: the main path with a person and a revocation, a kill in between, and a database that goes away.

use std::path::Path;

use bailiwick_core::Clock as _;
use bailiwick_crypto::system::SystemClock;
use serde_json::json;

use crate::bad_config::serve;
use crate::harness::mcp::{OPENING, message};
use crate::harness::node::config_of;
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
        let setup = Setup {
            audit: section(&server, home.path()),
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
    let (task, client) = bench.world.session();
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
    let token = client.token.clone();
    let newcomer = Mcp::new(&bench.world.agent, "workspace", token);
    until(&bench.world.node, || newcomer.post(OPENING).status == 200);
    // The session was cut with everything else that was live.
    let client = Mcp::open(&bench.world.agent, "workspace", &task);
    client.ok("list_files", "{}");
}

#[test]
fn a_node_moves_from_its_file_to_postgres_and_goes_on() {
    let mut world = World::start();
    let (task, client) = world.session();
    client.ok("list_files", "{}");
    drop(client);
    world.node.stop();
    let server = Server::bare();
    server.create_store();
    let config = config_of(world.node.home());
    let before = std::fs::read_to_string(&config).unwrap();
    let refused = world.node.run(&["store", "migrate"]);
    assert_eq!(refused.problem()["code"], "config_invalid", "{refused:?}");

    let after = format!("{before}{}", section(&server, world.node.home()));
    std::fs::write(&config, after).unwrap();
    // Nothing is left behind silently.
    let refused = serve(&config, "json");
    assert!(
        refused.stderr.contains("bailiwick store migrate"),
        "{refused:?}"
    );
    let moved = world.node.cli(&["store", "migrate"]);
    let tables = moved["tables"].as_array().unwrap();
    let tasks = tables
        .iter()
        .find(|table| table["table"] == "task")
        .unwrap();
    assert_eq!(tasks["rows"], json!(1), "{moved}");
    let data = world.node.data();
    assert!(!data.join("store.db").exists() && data.join("store.db.migrated").exists());

    world.node.start_again();
    let node = &world.node;
    assert_eq!(
        node.api("GET", &format!("/v1/tasks/{task}"), None)["state"],
        "open"
    );
    let agent = Agent::of(node);
    let client = Mcp::open(&agent, "workspace", &task);
    client.ok("list_files", "{}");
}

/// What a configuration says to keep the state there.
fn section(server: &Server, home: &Path) -> String {
    format!(
        "\n[store]\nurl = {:?}\npassword_file = {:?}\n",
        url(&server.dir(), "bailiwick", "bailiwick"),
        server.private_password(home),
    )
}

/// Tries until it is so.
fn until(node: &Node, is_so: impl Fn() -> bool) {
    let begun = SystemClock.monotonic();
    while !is_so() {
        assert!(
            SystemClock.monotonic() < begun + 2 * DEADLINE,
            "{}",
            node.log()
        );
    }
}
