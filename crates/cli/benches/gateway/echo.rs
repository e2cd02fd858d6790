//! The least tool server there can be: one tool, `say`, that answers what it was told. What a call through the gateway costs
//! more than one straight here is the gateway's.

use std::net::TcpListener;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::http::{Connection, message};

/// Serves on a free port, each connection in a thread, until the process ends. Gives the address.
pub(crate) fn start() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                // Who hangs up in the middle of a message has got no answer, and says so.
                let _ = Connection::new(stream).and_then(serve);
            });
        }
    });
    Ok(address)
}

fn serve(mut connection: Connection) -> Result<()> {
    while let Some(request) = connection.read()? {
        let answer = if request.first.starts_with("POST ") {
            answer(&serde_json::from_slice(&request.body)?)?
        } else {
            message("HTTP/1.1 405 Method Not Allowed", &[], "")
        };
        connection.write(&answer)?;
    }
    Ok(())
}

fn answer(request: &Value) -> Result<Vec<u8>> {
    let Some(id) = request.get("id") else {
        return Ok(message("HTTP/1.1 202 Accepted", &[], ""));
    };
    let method = request.get("method").and_then(Value::as_str);
    let result = match method.context("a request without a method")? {
        "initialize" => json!({
            "protocolVersion": "2025-06-18",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "echo", "version": "1"},
        }),
        "tools/list" => json!({"tools": [{
            "name": "say",
            "description": "Says it again.",
            "inputSchema": {
                "type": "object",
                "properties": {"text": {"type": "string"}},
                "required": ["text"],
                "additionalProperties": false,
            },
            "annotations": {"readOnlyHint": true},
        }]}),
        "tools/call" => {
            let text = request.pointer("/params/arguments/text");
            json!({"content": [{"type": "text", "text": text}]})
        }
        _ => {
            let error = json!({"code": -32601, "message": "no such method"});
            let body = json!({"jsonrpc": "2.0", "id": id, "error": error});
            return Ok(message("HTTP/1.1 200 OK", &[], &body.to_string()));
        }
    };
    let body = json!({"jsonrpc": "2.0", "id": id, "result": result});
    Ok(message("HTTP/1.1 200 OK", &[], &body.to_string()))
}
