//! Credentials that agents hold: a role of a real PostgreSQL server, taken over the API with a task token and its key, used by psql. When
//! the task ends, the node is killed or somebody revokes, nothing of it works any more.

use std::io::Read as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::audit_chain::{files, find};
use crate::harness::http::{self, Place};
use crate::harness::world::{demo_policy, publish};
use crate::harness::{Agent, Setup, World};

#[cfg(test)]
mod found;

#[path = "../servers/postgres_leases.rs"]
pub(crate) mod postgres_leases;
#[path = "../servers/session.rs"]
mod session;

use crate::postgres::{self, Server};
use postgres_leases::url_of;

const PERMIT: &str = r#"
@id("orders-ro")
@reason("The tester reports on orders.")
permit (principal == Bailiwick::Agent::"tester", action == Bailiwick::Action::"lease", resource == Bailiwick::Credential::"orders-ro")
when { context.input.delivery == "api" && context.input.class <= 2 && context.input.backstop && context.input.ttl_s <= 600 };
"#;

struct Bench {
    world: World,
    server: Server,
}

impl Bench {
    fn start() -> Self {
        let server = Server::start();
        let setup = Setup {
            audit: backends(&server.dir()),
            ..Setup::default()
        };
        let world = World::with(&setup);
        let password = server.password();
        let put = world
            .node
            .request("PUT", "/v1/secrets/orders-admin", Some(password.as_bytes()));
        assert!(put.status < 300, "{}", put.text());
        Self { world, server }
    }

    fn permit(&self) {
        let mut files = demo_policy();
        files["orders.cedar"] = json!(PERMIT);
        publish(&self.world.node, &files);
    }

    fn token(&self, task: &str) -> String {
        self.world.agent.token(task, "workspace").unwrap()
    }

    /// A lease that arrived; the answer.
    fn take(&self, token: &str) -> Value {
        let (status, lease) = ask(&self.world.agent, token, "/v1/leases", &order());
        assert_eq!(status, 201, "{lease}\n{}", self.world.node.log());
        let path = format!("/v1/leases/{}/ack", lease["lease"].as_str().unwrap());
        let (status, answer) = ask(&self.world.agent, token, &path, &Value::Null);
        assert_eq!(status, 204, "{answer}");
        lease
    }

    fn until(&self, tail: &mut impl Iterator<Item = Value>, kind: &str, lease: &Value) {
        let found = tail.find(|event| event["type"] == kind && event["lease"]["id"] == *lease);
        assert!(found.is_some(), "{}", self.world.node.log());
    }
}

fn backends(server: &Path) -> String {
    format!(
        r#"[[broker.backends]]
name = "orders-db"
kind = "postgres"
url = "{}"
secret = "orders-admin"
[[broker.credentials]]
name = "orders-ro"
backend = "orders-db"
group = "app_ro"
owner = "app_owner"
database = "orders"
"#,
        url_of(server)
    )
}

fn order() -> Value {
    json!({ "credential": "orders-ro" })
}

/// A request with a task token and a proof of its key, the nonce learned on the way.
fn ask(agent: &Agent, token: &str, path: &str, body: &Value) -> (u16, Value) {
    let url = format!("{}{path}", agent.issuer());
    let mut nonce: Option<String> = None;
    loop {
        let proof = agent.proof("POST", &url, Some(token), nonce.as_deref());
        let authorization = format!("DPoP {token}");
        let headers = [
            ("Authorization", authorization.as_str()),
            ("DPoP", &proof),
            ("Content-Type", "application/json"),
        ];
        let text = (!body.is_null()).then(|| body.to_string());
        let place = Place::of(&url);
        let response = http::send(
            &place,
            "POST",
            path,
            &headers,
            text.as_deref().map(str::as_bytes),
        );
        let response = response.unwrap();
        let challenge = response.headers("www-authenticate");
        if nonce.is_none() && challenge.contains("use_dpop_nonce") {
            nonce = response.header("dpop-nonce").map(str::to_owned);
            continue;
        }
        let status = response.status;
        let answer = (status != 204).then(|| response.json());
        return (status, answer.unwrap_or_default());
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("{value}"))
}

#[test]
fn an_agent_holds_a_role_for_its_task_and_no_longer() {
    let bench = Bench::start();
    let (node, agent) = (&bench.world.node, &bench.world.agent);
    let task = bench.world.task();
    let token = bench.token(&task);
    // Nobody may, until the bundle says so.
    let (status, refused) = ask(agent, &token, "/v1/leases", &order());
    assert_eq!(
        (status, &refused["code"]),
        (403, &json!("no_permit")),
        "{refused}"
    );
    bench.permit();
    let (status, refused) = ask(
        agent,
        &token,
        "/v1/leases",
        &json!({ "credential": "workspace-token" }),
    );
    assert_eq!(
        (status, &refused["code"]),
        (403, &json!("delivery_forbidden")),
        "{refused}"
    );
    let mut tail = node.tail();
    let lease = bench.take(&token);
    assert_eq!(lease["class"], "R1", "{lease}");
    let (user, secret) = (text(&lease, "/access/username"), text(&lease, "/secret"));
    let works = bench.server.psql(
        user,
        secret,
        text(&lease, "/access/database"),
        "SELECT n FROM stock",
    );
    assert_eq!(works.unwrap(), "7");
    let mut session = bench.server.session(user, secret);
    let mut moved = bench.server.session(user, secret);
    assert_eq!(
        moved
            .ask("SET ROLE app_ro; SELECT current_user;")
            .as_deref(),
        Some("app_ro")
    );

    // The secret is where it was answered to, and nowhere else.
    let places = [
        serde_json::to_string(&node.events()).unwrap(),
        node.log(),
        node.request("GET", "/metrics", None).text(),
        Value::from(node.items("/v1/leases")).to_string(),
        node.cli(&["lease", "show", text(&lease, "/lease")])
            .to_string(),
    ];
    for place in &places {
        assert!(!place.contains(secret), "{place}");
    }
    for dir in [node.data(), bench.server.dir()] {
        for file in files(&dir) {
            // Sockets cannot be read, and the server removes files of its own.
            if let Ok(bytes) = std::fs::read(&file) {
                assert_eq!(find(&bytes, secret.as_bytes()), None, "{}", file.display());
            }
        }
    }
    let mut environment = Vec::new();
    let mut file = std::fs::File::open(format!("/proc/{}/environ", node.pid())).unwrap();
    file.read_to_end(&mut environment).unwrap();
    assert_eq!(find(&environment, secret.as_bytes()), None);

    node.api("POST", &format!("/v1/tasks/{task}/complete"), None);
    bench.until(&mut tail, "lease.dead", &lease["lease"]);
    assert_eq!(session.ask("SELECT 1;"), None);
    assert_eq!(moved.ask("SELECT n FROM stock;"), None);
    assert!(
        bench
            .server
            .psql(user, secret, "orders", "SELECT 1")
            .is_err()
    );
    assert_eq!(bench.server.roles(), Vec::<String>::new());
    assert_eq!(bench.server.foreign_sessions(), "0");
    let dead = node.cli(&["lease", "show", text(&lease, "/lease")]);
    assert_eq!(dead["state"], "TOMBSTONE", "{dead}");
    assert_eq!(dead["evidence"]["absent"], true, "{dead}");
    let (status, refused) = ask(agent, &token, "/v1/leases", &order());
    assert_eq!(
        (status, &refused["code"]),
        (403, &json!("task_ended")),
        "{refused}"
    );
    // Refusals are on record too, the last one when it gets there.
    let last = |event: &Value| {
        event["type"] == "lease.refused" && event["outcome"]["code"] == "task_ended"
    };
    assert!(tail.any(|event| last(&event)), "{}", node.log());
    let events = node.events();
    let of = |kind: &str| events.iter().filter(|event| event["type"] == kind).count();
    assert_eq!(
        (of("lease.intent"), of("lease.active"), of("lease.dead")),
        (1, 1, 1)
    );
    assert_eq!(of("lease.refused"), 3);
    assert_eq!(said(&events, "lease.intent", None), ["allow"]);
    assert_eq!(said(&events, "lease.refused", Some("no_permit")), ["deny"]);
}

/// What policy said, as events of this type have it, with this code if one is asked for.
fn said<'a>(events: &'a [Value], kind: &str, code: Option<&str>) -> Vec<&'a Value> {
    let of_kind = events.iter().filter(|event| event["type"] == kind);
    of_kind
        .filter(|event| code.is_none_or(|code| event["outcome"]["code"] == code))
        .map(|event| &event["decision"]["effect"])
        .collect()
}

/// The agent reads what outsiders can write. From then on policy does not let its task have the database, and the session that it has
/// there ends, while the task goes on.
#[test]
fn a_label_cuts_the_database_session_of_a_lease_that_it_forbids() {
    let bench = Bench::start();
    let (node, agent) = (&bench.world.node, &bench.world.agent);
    let mut files = demo_policy();
    let clean = r#"when { !context.bw.task.labels.contains("untrusted") &&"#;
    files["orders.cedar"] = json!(PERMIT.replace("when {", clean));
    publish(node, &files);
    let (_, client) = bench.world.session();
    let mut tail = node.tail();
    let lease = bench.take(&client.token);
    let (user, secret) = (text(&lease, "/access/username"), text(&lease, "/secret"));
    let mut session = bench.server.session(user, secret);
    assert_eq!(session.ask("SELECT n FROM stock;").as_deref(), Some("7"));
    client.ok("list_files", "{}");
    bench.until(&mut tail, "lease.dead", &lease["lease"]);
    assert_eq!(session.ask("SELECT 1;"), None);
    assert_eq!(bench.server.roles(), Vec::<String>::new());
    let events = node.events();
    let of = |event: &&Value| {
        event["type"] == "lease.revoking" && event["lease"]["id"] == lease["lease"]
    };
    let revoking = events.iter().find(of).unwrap();
    assert_eq!(revoking["outcome"]["code"], "no_longer_allowed");
    let cause = node.event(revoking["cause"].as_str().unwrap());
    assert_eq!(cause["type"], "task.changed", "{cause}");
    assert_eq!(cause["task"]["labels"], json!(["untrusted"]), "{cause}");
    client.ok("list_files", "{}");
    let (status, refused) = ask(agent, &client.token, "/v1/leases", &order());
    assert_eq!((status, &refused["code"]), (403, &json!("no_permit")));
}

#[test]
fn what_is_revoked_while_the_node_is_down_or_killed_is_taken_away() {
    let mut bench = Bench::start();
    bench.permit();
    let task = bench.world.task();
    let taken = bench.take(&bench.token(&task));
    let (user, secret) = (
        text(&taken, "/access/username").to_owned(),
        text(&taken, "/secret"),
    );
    let mut session = bench.server.session(&user, secret);
    bench.world.node.kill_nine();
    // The agent is alive and so is its task: what it holds it keeps.
    bench.world.node.start_again();
    let node = &bench.world.node;
    assert_eq!(session.ask("SELECT n FROM stock;").as_deref(), Some("7"));
    let revoked = node.cli(&[
        "revoke",
        "credential",
        "orders-ro",
        "--reason",
        "INC-9",
        "--wait",
        "dead",
        "--yes",
    ]);
    assert_eq!(revoked["cut"]["leases"], 1, "{revoked}");
    assert!(revoked.get("pending").is_none(), "{revoked}");
    assert_eq!(session.ask("SELECT 1;"), None);
    assert_eq!(bench.server.roles(), Vec::<String>::new());

    // A server that is down keeps nobody waiting.
    bench.server.kill();
    let probed = node.cli(&["backend", "probe", "orders-db"]);
    assert_eq!(probed["healthy"], false, "{probed}");
    bench.server.run();
    let probed = node.cli(&["backend", "probe", "orders-db"]);
    assert_eq!(
        (&probed["healthy"], &probed["class"]),
        (&json!(true), &json!("R1")),
        "{probed}"
    );
    let clean = node.cli(&["backend", "reconcile", "orders-db", "--dry-run"]);
    assert_eq!(clean["orphans"], json!([]), "{clean}");
}
