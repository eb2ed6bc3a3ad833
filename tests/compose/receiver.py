"""Who is told of alerts, in the deployment's tests: prints each as a line of JSON."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer

PORT = 9095


class Handler(BaseHTTPRequestHandler):
    """Takes Alertmanager's webhook."""

    def do_POST(self) -> None:
        """One call, of one or several alerts."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for alert in body["alerts"]:
            told = {"path": self.path, "status": alert["status"], "labels": alert["labels"]}
            print(json.dumps(told), flush=True)
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        """Nothing but alerts is printed."""


if __name__ == "__main__":
    # one call after the other, so that no two lines run into each other
    HTTPServer(("", PORT), Handler).serve_forever()
