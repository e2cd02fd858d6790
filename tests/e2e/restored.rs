//! A backup of the store alone, put back: the node does not start on it, until an operator says that it may.

use serde_json::json;

use crate::harness::{Node, node};

#[test]
fn an_older_store_is_not_served_from_until_it_is_adopted() {
    let mut node = Node::start();
    node.stop();
    let (store, kept) = (node.data().join("store.db"), node.home().join("kept.db"));
    std::fs::copy(&store, &kept).unwrap();
    node.start_again();
    node.cli(&["revoke", "owner", "team-dev", "--reason", "INC-4", "--yes"]);
    node.stop();
    for beside in ["store.db-wal", "store.db-shm"] {
        // They are gone already if everything was folded into the database.
        let _ = std::fs::remove_file(node.data().join(beside));
    }
    std::fs::copy(&kept, &store).unwrap();

    let config = node::config_of(node.home());
    let config = config.to_str().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = node::bailiwick(arguments);
        node::run(command.args(["--config", config, "--output", "json"]), "")
    };
    let refused = run(&["serve"]);
    assert_ne!(refused.code, Some(0));
    assert!(
        refused.stderr.contains("feed_regressed") && refused.stderr.contains("store adopt"),
        "{refused:?}"
    );
    let adopted = run(&["store", "adopt", "--reason", "restored from Monday"]);
    assert_eq!(adopted.json(), json!({"epoch": 2}), "{adopted:?}");

    node.start_again();
    // The account's token is gone with everything else that was issued.
    let (status, _) = node.try_api("GET", "/v1/fences", None);
    assert_eq!(status, 401);
    let socket = node.ready("admin_socket").to_owned();
    let mut command = node::bailiwick(&["fence", "list", "--output", "json"]);
    let listed = node::run(command.env("BAILIWICK_NODE", socket), "").json();
    let [fence] = listed["items"].as_array().unwrap().as_slice() else {
        panic!("{listed}")
    };
    assert_eq!(fence["subject"], "trust_domain/");
    assert!(fence["lifted_seq"].is_u64(), "{fence}");
}
