"""Answers each request with the body it came with: the app that the SDK apps call over HTTP.

Two paths are different: /about says what of the request arrived here, as JSON, and /fail fails with 404.
Needs Python 3 and no package. Listens on APP_PORT.
"""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.headers.get("Transfer-Encoding"):
            body = self.chunks()
        path, _, query = self.path.partition("?")
        if path == "/fail":
            return self.send(404, "text/plain", b"no such order")
        if path == "/about":
            return self.send(200, "application/json", json.dumps(self.about(query)).encode())
        return self.send(200, self.headers.get("Content-Type", "text/plain"), body)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def about(self, query):
        return {
            "verb": self.command,
            "query": query,
            "contentType": self.headers.get("Content-Type", ""),
            "colour": self.headers.get("X-Colour", ""),
            "caller": self.headers.get("Dapr-Caller-App-Id", ""),
            "served": True,
        }

    def send(self, status, content_type, body):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Served", "yes")
        self.end_headers()
        self.wfile.write(body)

    def chunks(self):
        body = b""
        while True:
            size = int(self.rfile.readline().split(b";")[0], 16)
            chunk = self.rfile.read(size)
            self.rfile.readline()
            if not size:
                return body
            body += chunk

    def log_message(self, *_):
        """Says nothing."""


port = int(os.environ.get("APP_PORT", "8000"))
server = ThreadingHTTPServer(("127.0.0.1", port), Echo)
print(f"echoes on port {port}", flush=True)
server.serve_forever()
