"""`python -m sandbox.estate.aws PORT`: AWS on 127.0.0.1 until SIGTERM; SIGUSR1 closes the port, SIGUSR2 opens it again.

A process of its own: what it stores, and the time that big objects take, are not the practice estate's. One thing is ours:
an object put with the header `x-practice-last-modified` (ISO 8601, UTC) was last modified then.
"""

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.route53.models import route53_backends
from moto.s3.models import s3_backends
from werkzeug.serving import BaseWSGIServer, make_server

from sandbox.estate import accesslog, machines, rotation

Answer = Iterable[bytes]
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Answer]
ORDERS = {signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGINT}


class OneRequest(MotoRequestHandler):
    """A connection for each request: nobody is served through an old one when the port is closed."""

    protocol_version = "HTTP/1.0"


def dated(inner: Wsgi) -> Wsgi:
    """`inner`, and objects are as old as their header says."""

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Answer:
        def begin(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            # The server adds its own; strict clients refuse an answer with two of them.
            return start(status, [(n, v) for n, v in headers if n.lower() not in ("server", "date")], *rest)

        body = inner(environ, begin)
        if at := environ.get("HTTP_X_PRACTICE_LAST_MODIFIED"):
            _, bucket, key = environ["PATH_INFO"].split("/", 2)
            stored = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].get_object(bucket, key)
            if stored is not None:
                # moto's own times are UTC without a zone.
                stored.last_modified = datetime.fromisoformat(at).replace(tzinfo=None)
        return body

    return answer


def open_at(port: int, app: Wsgi) -> BaseWSGIServer:
    """Serve in a thread, with one more for each connection."""
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=OneRequest)
    threading.Thread(target=server.serve_forever, args=(0.05,), name="aws", daemon=True).start()
    return server


def zone(identity: str, name: str) -> None:
    """A hosted zone with an id that is known before it is there."""
    backend = route53_backends[DEFAULT_ACCOUNT_ID]["aws"]
    made = backend.create_hosted_zone(name, private_zone=False, vpcid=None, vpcregion=None, comment="practice")
    backend.zones[identity] = backend.zones.pop(made.resource_id)
    made.resource_id = identity


def main(port: int) -> None:
    """Serve until told to end."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    # Before the first thread, so that none of them gets a signal.
    signal.pthread_sigmask(signal.SIG_BLOCK, ORDERS)
    zone("Z0PRACTICE", "valuecanvas.com.")
    rotation.seed()
    app = accesslog.logged(machines.seeded(rotation.rotating(dated(DomainDispatcherApplication(create_backend_app)))))
    server: BaseWSGIServer | None = open_at(port, app)
    while (order := signal.sigwait(ORDERS)) in (signal.SIGUSR1, signal.SIGUSR2):
        if order == signal.SIGUSR1 and server is not None:
            server.shutdown()
            server.server_close()
            server = None
        elif order == signal.SIGUSR2 and server is None:
            server = open_at(port, app)


if __name__ == "__main__":
    main(int(sys.argv[1]))
