//! Reading the tools of a real child process that speaks MCP, and of ones that do not.

use serde_json::json;

use crate::node::tests::running::Running;

/// A tool server in shell: answers by method, with a notification in between and a second page.
const SCRIPT: &str = r#"while read -r line; do case "$line" in
*'"initialize"'*) echo '{"jsonrpc":"2.0","method":"notifications/message","params":{}}'
  echo '{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"t","version":"1"}}}';;
*'"cursor":"two"'*) echo '{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"second","inputSchema":{"type":"object"}}]}}';;
*'"tools/list"'*) echo '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"first","inputSchema":{"type":"object"}}],"nextCursor":"two"}}';;
esac; done"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tools_of_a_new_server_are_known_and_wait_for_review() {
    let running = Running::start().await;
    let server = |script: &str, name: &str| {
        let command = json!(["/bin/sh", "-c", script]);
        json!({"name": name, "transport": {"kind": "stdio", "command": command}})
    };
    let added = running.post("/v1/servers", server(SCRIPT, "shell")).await;
    assert!(added.get("problem").is_none(), "{added}");
    let shown: Vec<_> = added["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| {
            (
                tool["tool"].as_str().unwrap(),
                tool["state"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(shown, [("shell/first", "new"), ("shell/second", "new")]);

    let broken = running
        .post("/v1/servers", server("echo nonsense", "broken"))
        .await;
    assert_eq!(broken["problem"]["code"], "server_down", "{broken}");
    let refused = "read -r line; echo '{\"jsonrpc\":\"2.0\",\"id\":0,\"error\":{\"code\":-1,\"message\":\"no\"}}'; read -r line";
    let refused = running
        .post("/v1/servers", server(refused, "refusing"))
        .await;
    assert_eq!(refused["problem"]["code"], "upstream_protocol", "{refused}");
    running.node.shutdown().await;
}
