//! Files and surroundings that cannot be used: the message names the place, says what was meant, and nothing is half done.

use std::net::TcpListener;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::harness::node::{Ran, bailiwick, config_of, run};
use crate::harness::{Node, World};

/// Runs `serve` on a configuration that it refuses.
pub(crate) fn serve(config: &Path, output: &str) -> Ran {
    run(
        bailiwick(&["serve", "--output", output, "--config"]).arg(config),
        "",
    )
}

#[test]
fn a_configuration_with_unknown_keys_names_each_place_and_what_was_meant() {
    let home = tempdir().unwrap();
    let config = config_of(home.path());
    let data = json!(home.path().join("data"));
    let text = format!(
        "version = 1\n[node]\ndata_dir = {data}\n[console]\nlisten = \"127.0.0.1:0\"\nlissten = \"x\"\n[gatway]\nlisten = 1\n"
    );
    std::fs::write(&config, text).unwrap();

    let ran = serve(&config, "json");
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!(ran.stdout, "", "something on standard output");
    let problem = ran.problem();
    assert_eq!(problem["code"], "config_invalid", "{problem}");
    let problems = problem["problems"]
        .as_array()
        .unwrap_or_else(|| panic!("no places: {problem}"));
    let places: Vec<_> = problems
        .iter()
        .map(|flaw| (flaw["line"].as_u64(), flaw["column"].as_u64()))
        .collect();
    assert_eq!(
        places,
        [(Some(6), Some(1)), (Some(7), Some(2))],
        "{problem}"
    );
    let text = problem.to_string();
    assert!(
        text.contains("did you mean `listen`?") && text.contains("did you mean [gateway]?"),
        "{problem}"
    );

    let shown = serve(&config, "table");
    assert_eq!(shown.code, Some(3), "{shown:?}");
    assert!(
        shown.stderr.contains("bailiwick.toml:6:1") && shown.stderr.contains("lissten"),
        "{}",
        shown.stderr
    );
    assert!(
        !home.path().join("data").exists(),
        "a node that did not start left a data directory"
    );

    let checked = run(
        bailiwick(&["config", "check", "--output", "json", "--config"]).arg(&config),
        "",
    );
    assert_eq!(checked.code, Some(3), "{checked:?}");
}

#[test]
fn a_value_out_of_range_says_the_range() {
    let home = tempdir().unwrap();
    let config = config_of(home.path());
    std::fs::write(&config, "version = 1\n[oauth]\ntask_ttl = \"3h\"\n").unwrap();
    let ran = serve(&config, "json");
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let text = ran.problem().to_string();
    assert!(text.contains("task_ttl") && text.contains("1h"), "{text}");
}

#[test]
fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let home = tempdir().unwrap();
    let config = config_of(home.path());
    let data = json!(home.path().join("data"));
    let text = format!(
        "version = 1\n[node]\ndata_dir = {data}\n[console]\nlisten = \"{address}\"\n[gateway]\nlisten = \"127.0.0.1:0\"\n"
    );
    std::fs::write(&config, text).unwrap();
    let ran = serve(&config, "json");
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert_eq!(ran.stdout, "");
    let last = ran.stderr.lines().last().unwrap();
    let problem: Value =
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    assert_eq!(problem["code"], "port_in_use", "{problem}");
    assert!(
        problem["message"].as_str().unwrap().contains(&address),
        "{problem}"
    );
    assert!(!problem["help"].as_str().unwrap().is_empty(), "{problem}");
}

#[test]
fn two_nodes_do_not_share_a_data_directory() {
    let node = Node::start();
    let ran = serve(&config_of(node.home()), "json");
    assert!(matches!(ran.code, Some(3 | 4)), "{ran:?}");
    let last = ran.stderr.lines().last().unwrap();
    let problem: Value =
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    assert!(
        ["data_dir", "log_fenced", "store_unavailable", "port_in_use"]
            .contains(&problem["code"].as_str().unwrap()),
        "{problem}"
    );
    // The first one goes on.
    assert_eq!(node.request("GET", "/healthz", None).status, 200);
}

const TYPO: &str = r#"@id("demo/read")
@reason("The workspace may be read.")
permit (principal, action in Bailiwick::Action::"read", resource == Bailiwick::Server::"workspace");

@id("demo/no-secrets")
@reason("Files under secrets/ are for people only.")
forbid (principal, action in Bailiwick::Action::"workspace", resource)
when { context.input has path && contxt.input.path like "secrets/*" };
"#;

const UNKNOWN_TOOL: &str = r#"@id("demo/update")
@reason("Orders may change.")
permit (principal, action == Bailiwick::Action::"workspace/update_ordr", resource);
"#;

#[test]
fn a_policy_with_a_typo_is_refused_with_its_place_and_the_old_one_stays() {
    let world = World::start();
    let node = &world.node;
    let (_, client) = world.session();
    let before = node.api("GET", "/v1/policy", None);
    let directory = node.home().join("policy");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(
        directory.join("bundle.toml"),
        "name = \"typo\"\ndescription = \"x\"\n",
    )
    .unwrap();

    for (text, line, wanted) in [
        (TYPO, 8, "contxt"),
        (
            UNKNOWN_TOOL,
            3,
            "did you mean `Bailiwick::Action::\"workspace/update_order\"`?",
        ),
    ] {
        std::fs::write(directory.join("workspace.cedar"), text).unwrap();
        for verb in ["check", "publish"] {
            let ran = node.run(&["policy", verb, directory.to_str().unwrap()]);
            assert_eq!(ran.code, Some(3), "{verb}: {ran:?}");
            let problem = ran.problem();
            assert_eq!(problem["code"], "policy_invalid", "{verb}: {problem}");
            let flaw = &problem["problems"][0];
            assert_eq!(
                (&flaw["file"], &flaw["line"]),
                (&json!("workspace.cedar"), &json!(line)),
                "{verb}: {problem}"
            );
            let said = [
                &flaw["message"],
                &flaw["help"],
                &problem["message"],
                &problem["help"],
            ];
            let said: Vec<&str> = said.iter().filter_map(|text| text.as_str()).collect();
            assert!(said.join("\n").contains(wanted), "{verb}: {problem}");
        }
        // Straight to the API it is the same.
        let files =
            json!({ "files": { "bundle.toml": "name = \"typo\"\n", "workspace.cedar": text } });
        let (status, refused) = node.try_api("PUT", "/v1/policy", Some(&files));
        assert_eq!(
            (status, &refused["code"]),
            (400, &json!("policy_invalid")),
            "{refused}"
        );
        let said = [&refused["message"], &refused["help"]].map(|text| text.as_str().unwrap());
        assert!(said.concat().contains(wanted), "{refused}");
    }
    assert_eq!(
        node.api("GET", "/v1/policy", None),
        before,
        "a refused policy is active"
    );
    client.ok("list_files", "{}");
    assert_eq!(
        client.refused("read_file", r#"{"path":"secrets/prod.env"}"#)["code"],
        "forbidden"
    );
    assert_eq!(world.tools.calls(), 1);
}
