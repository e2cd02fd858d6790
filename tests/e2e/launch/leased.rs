//! A role of a real PostgreSQL server in the environment of a launch: psql uses it, and nobody after that.

use serde_json::json;

use super::Bench;
use crate::harness::Setup;
use crate::harness::world::{demo_policy, publish};
use crate::leases::postgres_leases::url_of;
use crate::postgres::Server;

const PERMIT: &str = r#"
@id("orders-ro")
@reason("The coder reports on orders.")
permit (principal == Bailiwick::Agent::"coder", action == Bailiwick::Action::"lease", resource == Bailiwick::Credential::"orders-ro")
when { context.input.delivery == "env" && context.input.class <= 2 };
"#;

fn setup(server: &Server, delivery: &str) -> Setup {
    let url = url_of(&server.dir());
    let audit = format!(
        r#"[[broker.backends]]
name = "orders-db"
kind = "postgres"
url = "{url}"
secret = "orders-admin"
[[broker.credentials]]
name = "orders-ro"
backend = "orders-db"
group = "app_ro"
owner = "app_owner"
database = "orders"
delivery = "{delivery}"
"#
    );
    Setup {
        audit,
        ..Setup::default()
    }
}

fn bench(server: &Server, delivery: &str) -> Bench {
    let bench = Bench::with(&setup(server, delivery));
    let password = server.password();
    let put = bench
        .node
        .request("PUT", "/v1/secrets/orders-admin", Some(password.as_bytes()));
    assert!(put.status < 300, "{}", put.text());
    bench
}

#[test]
fn psql_has_a_role_for_as_long_as_it_runs() {
    let server = Server::start();
    let bench = bench(&server, "api env");
    let query = ["psql", "-X", "-A", "-t", "-c", "SELECT n FROM stock"];
    let refused = bench.run(&["--lease", "orders-ro"], &query);
    assert_eq!(refused.code, Some(125), "{refused:?}");
    assert!(refused.stderr.contains("no_permit"), "{refused:?}");
    let mut files = demo_policy();
    files["orders.cedar"] = json!(PERMIT);
    publish(&bench.node, &files);
    let ran = bench.run(&["--lease", "orders-ro"], &query);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "7\n"), "{ran:?}");
    assert!(ran.stderr.contains("1 leases, 1 confirmed dead"), "{ran:?}");
    let script = "psql -X -A -t -c 'SELECT n FROM stock' \"$DATABASE_URL\"; echo \"$DATABASE_URL\"";
    let ran = bench.run(
        &["--lease", "orders-ro=DATABASE_URL"],
        &["sh", "-c", script],
    );
    let (seven, url) = ran.stdout.trim().split_once('\n').unwrap();
    assert_eq!((ran.code, seven), (Some(0), "7"), "{ran:?}");
    // Whoever read it there has nothing.
    let (user, secret) = url
        .strip_prefix("postgresql://")
        .and_then(|rest| rest.split_once('@')?.0.split_once(':'))
        .unwrap();
    assert!(server.psql(user, secret, "orders", "SELECT 1").is_err());
    assert_eq!(server.roles(), Vec::<String>::new());
    assert_eq!(server.foreign_sessions(), "0");
    for text in [ran.stderr.clone(), bench.node.log()] {
        assert!(!text.contains(secret), "{text}");
    }
    let events = serde_json::to_string(&bench.node.events()).unwrap();
    assert!(!events.contains(secret));
}

#[test]
fn a_credential_that_is_not_for_environments_is_in_none() {
    let server = Server::start();
    let bench = bench(&server, "api");
    let mut files = demo_policy();
    files["orders.cedar"] = json!(PERMIT);
    publish(&bench.node, &files);
    let ran = bench.run(&["--lease", "orders-ro"], &["true"]);
    assert_eq!(ran.code, Some(125), "{ran:?}");
    assert!(ran.stderr.contains("delivery_forbidden"), "{ran:?}");
    assert_eq!(bench.ended()["state"], "cancelled");
    assert_eq!(server.roles(), Vec::<String>::new());
}
