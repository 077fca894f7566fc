"""Answers each request with the body it came with: the app that the SDK apps call.

Needs Python 3 and no package. Listens on APP_PORT.
"""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.headers.get("Transfer-Encoding"):
            body = self.chunks()
        self.send_response(200)
        self.send_header("Content-Type", self.headers.get("Content-Type", "text/plain"))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = answer

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
print(f"echoes on port {port}", flush=True)
ThreadingHTTPServer(("127.0.0.1", port), Echo).serve_forever()
