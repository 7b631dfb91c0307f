"""Downloads against a server of our own that breaks off, changes its file, refuses; archives that
are damaged or lead elsewhere.
"""

import hashlib
import io
import json
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from vadbench.datasets.fetch import CHECKSUMS, DOWNLOADS, download, fetch, unpack
from vadbench.errors import BadInput

CONTENT = np.random.default_rng(0).bytes(300_000)


class Server(ThreadingHTTPServer):
    """Serves `content` at every path but /missing; sends at most `budget` bytes a request, then
    closes.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.etag, self.budget, self.resumes = CONTENT, '"one"', None, True
        self.asked = []  # (range header, status answered)

    def url(self, name):
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        if self.path == "/missing":
            self.send_error(404)
            return
        wanted, start, status = self.headers.get("Range"), 0, 200
        if wanted and server.resumes and self.headers.get("If-Range") == server.etag:
            start, status = int(wanted.removeprefix("bytes=").rstrip("-")), 206
        server.asked.append((wanted, 416 if start >= len(server.content) else status))
        if start >= len(server.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.content)}")
            self.end_headers()
            return
        body = server.content[start:]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if server.etag:
            self.send_header("ETag", server.etag)
        self.end_headers()
        self.wfile.write(body if server.budget is None else body[: server.budget])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running = Server()
    threading.Thread(
        target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    ).start()
    yield running
    running.shutdown()
    running.server_close()


def refusal(do, *arguments):
    with pytest.raises(BadInput) as raised:
        do(*arguments)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def zip_files(files):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


def tar_members(*members):
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for name, content, link in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            if link:
                member.type, member.linkname = tarfile.SYMTYPE, link
            archive.addfile(member, io.BytesIO(content))
    return target.getvalue()


class OfServer:
    """As much of a data set as fetching needs."""

    name, how_to_get = "tiny", "ask the authors"

    def __init__(self, root, *archives):
        self.root, self.archives = root, archives


def silent(line):
    pass


# downloading


def test_a_file_arrives_whole_and_leaves_nothing_else(server, tmp_path):
    download(server.url("a.zip"), tmp_path / "sub" / "a.zip")
    assert (tmp_path / "sub" / "a.zip").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["a.zip"]


def test_a_connection_that_breaks_is_taken_up_where_it_broke(server, tmp_path):
    server.budget = 100_000
    download(server.url("a.zip"), tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert server.asked == [(None, 200), ("bytes=100000-", 206), ("bytes=200000-", 206)]


def test_an_interrupted_download_goes_on_in_the_next_run(server, tmp_path):
    server.budget = 100_000

    def unplug(*_):
        server.budget = 0

    server.asked = Asked(unplug)
    told = refusal(download, server.url("a.zip"), tmp_path / "a.zip")
    assert "100000 bytes are kept; the same command goes on" in told
    assert not (tmp_path / "a.zip").exists()
    server.budget, server.asked = None, []
    download(server.url("a.zip"), tmp_path / "a.zip")
    assert server.asked == [("bytes=100000-", 206)]
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


class Asked(list):
    """Unplugs the server from the second request on."""

    def __init__(self, unplug):
        super().__init__()
        self.unplug = unplug

    def append(self, request):
        if self:
            self.unplug()
        super().append(request)


def begin_download(tmp_path, content, version='"one"'):
    """A download broken off after `content`."""
    (tmp_path / "a.zip.part").write_bytes(content)
    if version:
        (tmp_path / "a.zip.part.version").write_text(version)


@pytest.mark.parametrize(
    ("resumes", "version"), [(True, '"another"'), (False, '"one"'), (True, None)]
)
def test_a_part_of_another_file_or_without_support_is_started_anew(
    server, tmp_path, resumes, version
):
    begin_download(tmp_path, b"another file's beginning", version)
    server.resumes = resumes
    download(server.url("a.zip"), tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert server.asked[0][1] == 200


def test_a_part_that_is_already_whole_is_not_downloaded_again(server, tmp_path):
    begin_download(tmp_path, CONTENT)
    download(server.url("a.zip"), tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert server.asked == [(f"bytes={len(CONTENT)}-", 416)]


def test_a_part_longer_than_the_file_is_started_anew(server, tmp_path):
    begin_download(tmp_path, CONTENT + b"more")
    download(server.url("a.zip"), tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_refusals_are_one_line(server, tmp_path):
    assert "/missing: the server answers 404" in refusal(
        download, server.url("missing"), tmp_path / "a.zip"
    )
    server.budget = 0
    assert "a.zip: no connection (closed at once); the same command goes on" in refusal(
        download, server.url("a.zip"), tmp_path / "a.zip"
    )
    port = server.server_port
    # its thread would go on with whatever has the number of the closed socket next
    server.shutdown()
    server.server_close()
    assert f":{port}/a.zip: no connection (" in refusal(
        download, server.url("a.zip"), tmp_path / "a.zip"
    )


# checksums


def test_the_checksum_is_recorded_at_first_use(server, tmp_path):
    server.content = zip_files({"Tiny/clip.txt": "frames"})
    assert fetch(OfServer(tmp_path, server.url("tiny.zip")), silent) is True
    assert (tmp_path / "Tiny" / "clip.txt").read_text() == "frames"
    entry = json.loads((tmp_path / CHECKSUMS).read_text())[server.url("tiny.zip")]
    assert entry == {
        "sha256": hashlib.sha256(server.content).hexdigest(),
        "bytes": len(server.content),
    }


def test_a_fetched_archive_is_unpacked_again_without_the_server(server, tmp_path):
    server.content = zip_files({"Tiny/clip.txt": "frames"})
    dataset = OfServer(tmp_path, server.url("tiny.zip"))
    fetch(dataset, silent)
    (tmp_path / "Tiny" / "clip.txt").unlink()
    fetch(dataset, silent)
    assert (tmp_path / "Tiny" / "clip.txt").read_text() == "frames"
    assert len(server.asked) == 1


def test_another_file_than_the_first_time_is_refused(server, tmp_path):
    server.content = zip_files({"Tiny/clip.txt": "frames"})
    dataset = OfServer(tmp_path, server.url("tiny.zip"))
    fetch(dataset, silent)
    (tmp_path / DOWNLOADS / "tiny.zip").unlink()
    server.content = zip_files({"Tiny/clip.txt": "changed"})
    told = refusal(fetch, dataset, silent)
    assert "when it was first used" in told
    assert CHECKSUMS in told
    assert (tmp_path / "Tiny" / "clip.txt").read_text() == "frames"


def test_a_damaged_table_of_checksums_is_named(server, tmp_path):
    server.content = zip_files({"a": "b"})
    (tmp_path / CHECKSUMS).write_text("{")
    assert "not a table of checksums" in refusal(
        fetch, OfServer(tmp_path, server.url("tiny.zip")), silent
    )


def test_a_damaged_archive_is_not_recorded(server, tmp_path):
    assert "neither a tar nor a zip archive" in refusal(
        fetch, OfServer(tmp_path, server.url("tiny.zip")), silent
    )
    assert not (tmp_path / CHECKSUMS).exists()


def test_a_data_set_without_a_link_is_not_fetched(tmp_path):
    assert fetch(OfServer(tmp_path), silent) is False
    assert list(tmp_path.iterdir()) == []


# unpacking


def test_a_tar_is_unpacked_over_what_is_there(tmp_path):
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(tar_members(("data/1.txt", b"new", ""), ("data/link", b"", "1.txt")))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "1.txt").write_text("old")
    unpack(archive, tmp_path)
    assert (tmp_path / "data" / "link").read_text() == "new"


@pytest.mark.parametrize(
    "content",
    [
        tar_members(("../out.txt", b"x", "")),
        tar_members(("data/../../out.txt", b"x", "")),
        tar_members(("data/link", b"", "../../out.txt")),
        tar_members(("data/link", b"", "/etc/passwd")),
        tar_members(("out", b"", ".."), ("out/out.txt", b"x", "")),
        zip_files({"../out.txt": "x"}),
        zip_files({"data/../../out.txt": "x"}),
        zip_files({"/out.txt": "x"}),
        zip_files({"..\\out.txt": "x"}),
        zip_files({"C:/out.txt": "x"}),
    ],
    ids=range(10),
)
def test_an_archive_that_leads_elsewhere_is_refused(tmp_path, content):
    archive, folder = tmp_path / "archive", tmp_path / "inside" / "folder"
    archive.write_bytes(content)
    folder.mkdir(parents=True)
    assert "leads out of the folder" in refusal(unpack, archive, folder)
    assert not list(tmp_path.rglob("out.txt"))


@pytest.mark.parametrize(
    "content", [tar_members(("data/1.bin", CONTENT, "")), zip_files({"data/1.bin": CONTENT})]
)
@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.999])
def test_a_truncated_archive_is_refused(tmp_path, content, share):
    archive = tmp_path / "archive"
    archive.write_bytes(content[: int(share * len(content))])
    assert "fetch again" in refusal(unpack, archive, tmp_path / "folder")


def test_a_zip_with_a_flipped_byte_is_refused(tmp_path):
    content = bytearray(zip_files({"data/1.bin": CONTENT}))
    content[1000] ^= 255
    archive = tmp_path / "archive.zip"
    archive.write_bytes(content)
    assert "damaged (Bad CRC-32" in refusal(unpack, archive, tmp_path)
