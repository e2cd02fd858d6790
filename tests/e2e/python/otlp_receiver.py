"""A receiver of OTLP logs over HTTP in JSON: decodes each request with the protocol's own messages and prints a line for each.

Refuses the first requests it gets with 503, as a collector does that has no room.
otlp_receiver.py REFUSALS
"""

import base64
import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

refusals = int(sys.argv[1])


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        global refusals
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == "/v1/logs" and self.headers["Content-Type"] == "application/json"
        if refusals > 0:
            refusals -= 1
            return self.answer(503, {})
        for resource in body["resourceLogs"]:
            for scope in resource["scopeLogs"]:
                for record in scope["logRecords"]:
                    for name in ("traceId", "spanId"):
                        if name in record:
                            record[name] = base64.b64encode(bytes.fromhex(record[name])).decode()
        request = json_format.ParseDict(body, ExportLogsServiceRequest(), ignore_unknown_fields=False)
        indexes = [
            pair.value.int_value
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
            for pair in record.attributes
            if pair.key == "bailiwick.log.index"
        ]
        self.answer(200, {"partialSuccess": {}})
        print(json.dumps({"indexes": indexes}), flush=True)

    def answer(self, status: int, body: dict) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


server = HTTPServer(("127.0.0.1", 0), Receiver)
print("http://127.0.0.1:%d" % server.server_port, flush=True)
server.serve_forever()
