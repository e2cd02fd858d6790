//! Clients that are not ours, with the run token where the credential would be: curl, Python's requests, Node's fetch.

use std::path::PathBuf;

use tokio::process::Command;

use super::bench::{Bench, CANARY, DEADLINE};

async fn said(mut command: Command) -> String {
    command
        .env_remove("http_proxy")
        .env_remove("HTTP_PROXY")
        .kill_on_drop(true);
    let output = tokio::time::timeout(DEADLINE, command.output())
        .await
        .expect("it does not end");
    let output = output.unwrap_or_else(|error| panic!("run ci/deps: {error}"));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_are_not_ours_use_the_api_without_its_key() {
    let bench = Bench::start().await;
    let (url, token) = (bench.url("api/echo"), bench.token.as_str());
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--fail", "-d", "from curl", &url, "-H"]);
    curl.arg(format!("Authorization: Bearer {token}"));
    let python = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../.deps/exports/bin/python"
    ));
    let mut requests = Command::new(python);
    requests.args([
        "-c",
        "import sys, requests\n\
         s = requests.Session(); s.trust_env = False\n\
         r = s.post(sys.argv[1], data='from requests', headers={'Authorization': 'Bearer ' + sys.argv[2]})\n\
         r.raise_for_status(); print(r.text, end='')",
        &url,
        token,
    ]);
    let mut node = Command::new("node");
    node.args([
        "-e",
        "fetch(process.argv[1], {method: 'POST', body: 'from fetch', headers: {authorization: 'Bearer ' + process.argv[2]}})\
         .then(async r => { if (!r.ok) throw new Error(r.status); process.stdout.write(await r.text()) })",
        &url,
        token,
    ]);
    for (client, body) in [
        (curl, "from curl"),
        (requests, "from requests"),
        (node, "from fetch"),
    ] {
        let said = said(client).await;
        assert!(
            said.contains("Bearer [redacted:lease]") && said.ends_with(body),
            "{said}"
        );
        assert!(!said.contains(CANARY) && !said.contains(token), "{said}");
    }
    let sent = bench.site.requests();
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|sent| sent.contains(CANARY)));
    bench.end().await;
}
