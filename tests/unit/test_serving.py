"""What the site on localhost sends, and what it does not."""

import http.client
import os
import socket
import threading
from contextlib import contextmanager
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vadbench.report.leaderboard.serving import _Handler, _Server, read_path


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    root = tmp_path_factory.mktemp("served")
    (root / "secret.txt").write_text("secret")
    site = root / "site"
    for name in ("index.html", "a b.html", "methods/index.html", "assets/x.css", ".hidden/x"):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(name)
    (site / "link.txt").symlink_to(root / "secret.txt")
    (site / "up").symlink_to(root)
    (site / "round").symlink_to("round")
    (site / "inside.html").symlink_to("index.html")
    (site / "to-hidden").symlink_to(".hidden/x")
    os.mkfifo(site / "pipe")
    return site


@pytest.fixture(scope="module")
def port(site):
    with _Server(("127.0.0.1", 0), partial(_Handler, site)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()


@contextmanager
def connect(port):
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        yield client
    finally:
        client.close()


def ask(port, path="/", method="GET", hosts=None):
    """Status, headers and body; the path goes as it is."""
    with connect(port) as client:
        client.putrequest(method, path, skip_host=True)
        for host in [f"localhost:{port}"] if hosts is None else hosts:
            client.putheader("Host", host)
        client.endheaders()
        answer = client.getresponse()
        return answer.status, answer.headers, answer.read()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/", b"index.html"),
        ("/index.html?x=1", b"index.html"),
        ("/a%20b.html", b"a b.html"),
        ("/methods/", b"methods/index.html"),
        ("/assets/x.css", b"assets/x.css"),
        ("/inside.html", b"index.html"),
    ],
)
def test_the_files_of_the_site_are_sent(port, path, body):
    status, headers, sent = ask(port, path)
    assert (status, sent) == (200, body)
    assert headers["Content-Length"] == str(len(body))


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/assets/",
            "/assets",
            "/none.html",
            "/link.txt",
            "/up/secret.txt",
        ),
        *("/pipe", "/round", "/.hidden/x", "/to-hidden", "/index.html/", "/index.html/x"),
        *("/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/..%5csecret.txt"),
        *("/methods/..%2f..%2fsecret.txt", "/methods//index.html", "/./index.html"),
        *("/%00", "/index.html%00", "/index.html%0a", "/%ff", "/%c0%ae%c0%ae/secret.txt"),
        *("*", "http://127.0.0.1/index.html", "/" + "x" * 5000),
    ],
)
def test_nothing_else_is(port, path):
    status, _, body = ask(port, path)
    assert status == 404
    assert b"secret" not in body


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]", "LocalHost"])
def test_this_machine_has_these_names(port, name):
    assert ask(port, hosts=[f"{name}:{port}"])[0] == 200
    assert ask(port, hosts=[name])[0] == 200


@pytest.mark.parametrize(
    "hosts",
    [
        ["evil.example"],
        ["evil.example:{port}"],
        ["localhost.evil.example:{port}"],
        ["localhost:1"],
        ["127.0.0.1:{port}@evil.example"],
        ["0.0.0.0:{port}"],
        ["localhost.:{port}"],
        [""],
        [],
        ["localhost:{port}", "evil.example"],
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_request_under_another_name_is_refused(port, hosts, method):
    hosts = [host.format(port=port) for host in hosts]
    assert ask(port, hosts=hosts, method=method)[0] == 421


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "X"])
def test_other_methods_are_refused(port, method):
    assert ask(port, method=method)[0] == 501


def test_head_sends_no_body(port):
    status, headers, body = ask(port, method="HEAD")
    assert (status, headers["Content-Length"], body) == (200, "10", b"")


def test_a_folder_without_its_slash_leads_to_the_folder(port):
    status, headers, _ = ask(port, "/methods")
    assert (status, headers["Location"]) == (301, "/methods/")


def test_a_client_that_says_nothing_keeps_nobody_waiting(port):
    with socket.create_connection(("127.0.0.1", port)) as silent:
        silent.send(b"GET / HT")
        assert ask(port)[0] == 200


@given(
    st.text() | st.lists(st.sampled_from(["..", "%2e", "/", "%2f", "\\", "%00", "a"])).map("".join)
)
def test_names_that_are_read_stay_below_the_site(target):
    names = read_path("/" + target) or []
    assert not {".", ".."} & set(names)
    assert not any(sign in name for name in names for sign in "/\\\0\n")
