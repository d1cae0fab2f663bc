"""A small process in the bot's place: answers /readyz, notes its environment, and can leave an orphan behind.

`python stand_in.py [note FILE] [orphan] [fail]`
"""

import http.server
import json
import os
import subprocess
import sys
from pathlib import Path


class Ready(http.server.BaseHTTPRequestHandler):
    """200 for everything."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.end_headers()

    do_POST = do_GET  # noqa: N815 - the base class looks for this name

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing."""


def main() -> None:
    """Do as the arguments say, then serve until killed."""
    words = sys.argv[1:]
    if "fail" in words:
        sys.exit("The stand-in was told to fail.")
    if "note" in words:
        Path(words[words.index("note") + 1]).write_text(json.dumps(dict(os.environ)))
    if "orphan" in words:
        # As a database of its own would be: another session, not ended with its parent.
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    host, port = os.environ["BOT_HTTP"].split(":")
    http.server.ThreadingHTTPServer((host, int(port)), Ready).serve_forever()


if __name__ == "__main__":
    main()
