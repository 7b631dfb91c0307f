"""A site on localhost, for this machine alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from vadbench.errors import BadInput


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """A line a request would bury the address."""


def serve_site(site: Path, port: int, say: Callable[[str], None]) -> None:
    """Serve a folder on 127.0.0.1 until Ctrl-C.

    Args:
        site: the folder, with an index.html.
        port: 0 for any that is free.
        say: receives the address.

    Raises:
        BadInput: if there is no site, or the port cannot be had.
    """
    if not (site / "index.html").is_file():
        raise BadInput(
            f"{site}: no index.html there; vadbench leaderboard --out {site} writes a site"
        )
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), partial(_Quiet, directory=str(site)))
    except OSError as error:
        raise BadInput(
            f"port {port}: cannot be had ({error.strerror}); name another with --port, or 0 for any"
            " that is free"
        ) from error
    with server, suppress(KeyboardInterrupt):
        say(f"http://127.0.0.1:{server.server_port}/ shows {site}; Ctrl-C ends it")
        server.serve_forever()
