//! Tool servers whose one tool, `wait`, never answers, and callers that wait for it until they are cut.

use std::net::TcpListener;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{JoinHandle, Scope, ScopedJoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bailiwick_core::Clock as _;
use bailiwick_crypto::system::SystemClock;
use serde_json::{Value, json};

use crate::harness::world::{add_server, publish};
use crate::harness::{DEADLINE, Mcp, Node};
use crate::http::{Connection, message};

/// As many servers as a child of the cascade has leases.
pub(crate) const SERVERS: [&str; 4] = ["one", "two", "three", "four"];
/// Calls that one session may have open here.
pub(crate) const PER_SESSION: usize = 10;

/// How many calls have ever reached the servers.
#[derive(Default)]
pub(crate) struct Reached {
    calls: Mutex<usize>,
    more: Condvar,
}

impl Reached {
    /// Waits until so many calls have come since there were `before`.
    pub(crate) fn wait(&self, before: usize, many: usize) -> Result<()> {
        let calls = self.calls.lock().unwrap();
        let enough = |calls: &mut usize| *calls < before + many;
        let (calls, late) = self
            .more
            .wait_timeout_while(calls, DEADLINE, enough)
            .unwrap();
        ensure!(
            !late.timed_out(),
            "{} of {many} calls came",
            *calls - before
        );
        Ok(())
    }

    pub(crate) fn so_far(&self) -> usize {
        *self.calls.lock().unwrap()
    }

    fn one_more(&self) {
        *self.calls.lock().unwrap() += 1;
        self.more.notify_all();
    }
}

/// Registers the servers, each with a credential that is leased for its calls, and a policy that permits everything.
pub(crate) fn furnish(node: &Node) -> Result<Arc<Reached>> {
    let reached = Arc::new(Reached::default());
    let secret = node.request(
        "PUT",
        "/v1/secrets/waiting",
        Some(b"of-the-waiting-servers"),
    );
    ensure!(secret.status < 300, "{}", secret.text());
    for name in SERVERS {
        let address = serve(Arc::clone(&reached))?;
        let server = json!({
            "name": name,
            "transport": { "kind": "http", "url": format!("http://{address}/mcp") },
            "trust": "first_party",
            "credential": "waiting",
        });
        add_server(node, &server, |_| "read");
    }
    let all = r#"@id("all") @reason("It is a bench.") permit (principal, action, resource);"#;
    publish(
        node,
        &json!({ "bundle.toml": "name = \"bench\"\n", "main.cedar": all }),
    );
    Ok(reached)
}

/// On a free port, each connection in a thread, until the process ends. Gives the address.
fn serve(reached: Arc<Reached>) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let _: JoinHandle<()> = std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let reached = Arc::clone(&reached);
            std::thread::spawn(move || {
                // Who hangs up in the middle of a message has got no answer, and says so.
                let _ = Connection::new(stream).and_then(|stream| answers(stream, &reached));
            });
        }
    });
    Ok(address)
}

fn answers(mut connection: Connection, reached: &Reached) -> Result<()> {
    while let Some(request) = connection.read()? {
        if !request.first.starts_with("POST ") {
            connection.write(&message("HTTP/1.1 405 Method Not Allowed", &[], ""))?;
            continue;
        }
        let request: Value = serde_json::from_slice(&request.body)?;
        if let Some(answer) = answer(&request, reached)? {
            connection.write(&answer)?;
        }
    }
    Ok(())
}

/// None for what waits.
fn answer(request: &Value, reached: &Reached) -> Result<Option<Vec<u8>>> {
    let Some(id) = request.get("id") else {
        return Ok(Some(message("HTTP/1.1 202 Accepted", &[], "")));
    };
    let method = request.get("method").and_then(Value::as_str);
    let said = match method.context("a request without a method")? {
        "initialize" => json!({ "result": {
            "protocolVersion": "2025-11-25",
            "capabilities": { "tools": {} },
            "serverInfo": { "name": "waiting", "version": "1" },
        }}),
        "tools/list" => json!({ "result": { "tools": [{
            "name": "wait",
            "description": "Never answers.",
            "inputSchema": { "type": "object", "properties": {} },
        }]}}),
        "tools/call" => {
            reached.one_more();
            return Ok(None);
        }
        _ => json!({ "error": { "code": -32601, "message": "no such method" } }),
    };
    let mut body = json!({ "jsonrpc": "2.0", "id": id });
    if let (Some(body), Some(said)) = (body.as_object_mut(), said.as_object()) {
        body.extend(said.clone());
    }
    Ok(Some(message("HTTP/1.1 200 OK", &[], &body.to_string())))
}

/// Starts a call that waits; when it ended.
pub(crate) fn call<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    client: &'env Mcp<'env>,
) -> ScopedJoinHandle<'scope, Duration> {
    scope.spawn(|| {
        // What it is told is nothing to wait for.
        drop(client.try_post(client.call_text("wait", "{}").as_bytes()));
        SystemClock.monotonic()
    })
}

/// From `before` to the end of each call.
pub(crate) fn ends(
    calls: Vec<ScopedJoinHandle<'_, Duration>>,
    before: Duration,
) -> Result<Vec<Duration>> {
    let mut seen = Vec::with_capacity(calls.len());
    for call in calls {
        let end = call.join().ok().context("a caller failed")?;
        seen.push(end.checked_sub(before).context("a call ended by itself")?);
    }
    Ok(seen)
}
