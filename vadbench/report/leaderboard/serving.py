"""A site on localhost, for this machine alone: its own files, asked for under its own name."""

from __future__ import annotations

import mimetypes
import os
import shutil
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, unquote

from vadbench.errors import BadInput

BOUND = "127.0.0.1"
# a page elsewhere can lead its own name to this machine, but not send these
HOSTS = (BOUND, "localhost", "[::1]")
PATIENCE = 10.0  # seconds for a client to say what it wants
INDEX = "index.html"


def serve_site(site: Path, port: int, say: Callable[[str], None]) -> None:
    """Serve a folder on 127.0.0.1 until Ctrl-C.

    Only regular files below the folder are sent: no list of a folder, nothing hidden, and no link
    that leads out of it. A request must name this machine as its host.

    Args:
        site: the folder, with an index.html.
        port: 0 for any that is free.
        say: receives the address.

    Raises:
        BadInput: if there is no site, or the port cannot be had.
    """
    if not (site / INDEX).is_file():
        raise BadInput(
            f"{site}: no index.html there; vadbench leaderboard --out {site} writes a site"
        )
    try:
        server = _Server((BOUND, port), partial(_Handler, site.absolute()))
    except OSError as error:
        raise BadInput(
            f"port {port}: cannot be had ({error.strerror}); name another with --port, or 0 for any"
            " that is free"
        ) from error
    with server, suppress(KeyboardInterrupt):
        say(f"http://{BOUND}:{server.server_port}/ shows {site}; Ctrl-C ends it")
        server.serve_forever()


class _Server(ThreadingHTTPServer):
    """A thread a client, none of which outlives the server."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error of ours."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD; the base refuses all else."""

    server_version, sys_version = "vadbench", ""
    timeout = PATIENCE

    def __init__(self, site: Path, *request: Any) -> None:
        self.site = site
        super().__init__(*request)

    def log_message(self, format: str, *args: Any) -> None:
        """A line a request would bury the address."""

    def do_GET(self) -> None:
        """Send a file."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Send what is said of a file."""
        self._answer(with_body=False)

    def end_headers(self) -> None:
        """What no answer lacks."""
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        super().end_headers()

    def _answer(self, with_body: bool) -> None:
        assert isinstance(self.server, _Server)
        if not names_us(self.headers.get_all("Host") or [], self.server.server_port):
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST, "Not a name of this machine")
            return
        names = read_path(self.path)
        path = None if names is None else find_file(self.site, names)
        if names is None or path is None:
            self.send_error(HTTPStatus.NOT_FOUND)
        elif path.is_dir():
            self.send_response(HTTPStatus.MOVED_PERMANENTLY)
            self.send_header("Location", "/" + "/".join(map(quote, names)) + "/")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._send(path, with_body)

    def _send(self, path: Path, with_body: bool) -> None:
        try:
            file = _open(path)
        except OSError:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with file:
            kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", kind)
            status = os.fstat(file.fileno())
            self.send_header("Content-Length", str(status.st_size))
            self.send_header("Last-Modified", self.date_time_string(int(status.st_mtime)))
            self.end_headers()
            if with_body:
                shutil.copyfileobj(file, self.wfile)


def names_us(hosts: list[str], port: int) -> bool:
    """Whether a request's Host headers name this machine: one of them, with our port or none.

    >>> names_us(["localhost:8000"], 8000), names_us(["evil.example:8000"], 8000)
    (True, False)
    """
    known = {*HOSTS, *(f"{host}:{port}" for host in HOSTS)}
    return len(hosts) == 1 and hosts[0].strip().lower() in known


def read_path(target: str) -> list[str] | None:
    """The names on the way to what a request asks for, the last one empty for a folder; None where
    one of them is no plain name.

    >>> read_path("/datasets/ped2.html?all"), read_path("/%2e%2e/secret")
    (['datasets', 'ped2.html'], None)
    """
    path = target.partition("#")[0].partition("?")[0]
    if not path.startswith("/"):
        return None
    try:
        names = [unquote(name, errors="strict") for name in path[1:].split("/")]
    except UnicodeDecodeError:
        return None
    plain = all(names[:-1]) and not any(name.startswith(".") for name in names)
    signs = "".join(names)
    return names if plain and signs.isprintable() and not set(signs) & {"/", "\\"} else None


def find_file(site: Path, names: list[str]) -> Path | None:
    """The file of the site that these names lead to, or its folder where the slash behind it is
    missing; None where there is none, or a link leads elsewhere.
    """
    try:
        root = site.resolve(strict=True)
        path = root.joinpath(*names).resolve(strict=True)
        if names[-1] == "":
            path = (path / INDEX).resolve(strict=True)
        known = path.is_file() or (path / INDEX).is_file()
    except (OSError, RuntimeError, ValueError):  # no such file, a circle of links, a name too long
        return None
    hidden = not path.is_relative_to(root) or any(
        name.startswith(".") for name in path.relative_to(root).parts
    )
    return path if known and not hidden else None


def _open(path: Path) -> BinaryIO:
    """A regular file; what has become a link or a pipe since it was found is refused.

    Raises:
        OSError: if it is none, or cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path}: no regular file")
    return os.fdopen(descriptor, "rb")
