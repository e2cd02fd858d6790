"""A receiver of Standard Webhooks that verifies each with PyPI's `standardwebhooks` and prints a line for what it takes.

Refuses the first requests it gets with 503, as one does that is being restarted.
webhook_receiver.py SECRET REFUSALS PORT
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

secret, refusals = sys.argv[1], int(sys.argv[2])


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        global refusals
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if refusals > 0:
            refusals -= 1
            return self.answer(503)
        try:
            said = Webhook(secret).verify(body, dict(self.headers))
        except WebhookVerificationError as error:
            self.answer(401)
            print(json.dumps({"refused": str(error)}), flush=True)
            return
        self.answer(204)
        print(json.dumps({"id": self.headers["webhook-id"], "said": said}), flush=True)

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


server = HTTPServer(("127.0.0.1", int(sys.argv[3])), Receiver)
print("http://127.0.0.1:%d/hook" % server.server_port, flush=True)
server.serve_forever()
