"""An MCP server over stdio with one tool, defined by a JSON file that somebody may change between two sessions. Argument: that file."""

import json
import pathlib
import sys

for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    match message.get("method"):
        case "initialize":
            answer = {
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "changing", "version": "1"},
            }
        case "tools/list":
            answer = {"tools": [json.loads(pathlib.Path(sys.argv[1]).read_text())]}
        case "tools/call":
            answer = {"content": [{"type": "text", "text": "sent"}], "isError": False}
        case _:
            answer = {}
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": answer}), flush=True)
